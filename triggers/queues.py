"""Which queues the timers visit."""

from datetime import datetime, timedelta

from durable import names
from durable.instance import Instance
from refresh.times import parse_time

QUEUES = f"@{names.DATASET_QUEUE}@"
"""The prefix of the instance ids of queues."""
LATELY = timedelta(days=3)
"""A queue that changed this recently may have entries to expire, or a dead run. A run is abandoned 30 hours after its
POST at the latest, and until then it changes the queue each time it continues as new."""


def exists(queue: Instance) -> bool:
    """Whether a queue exists, decided by its row in the engine's list, which is without its state.

    The engine never deletes the row of a deleted entity; the row's custom status says that the entity does not exist.
    """
    return not isinstance(queue.custom_status, dict) or bool(queue.custom_status.get("entityExists"))


def changed_lately(queue: Instance, now: datetime) -> bool:
    """Whether a queue has changed in the last days; True if the row does not say."""
    updated = parse_time(queue.updated)
    return updated is None or now - updated < LATELY


def portion(due: list[str], turn: int, most: int) -> list[str]:
    """At most `most` of them, chosen so that each is included once within some consecutive turns."""
    if len(due) <= most:
        return due
    first = turn * most % len(due)
    return [*due[first:], *due[:first]][:most]
