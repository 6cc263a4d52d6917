"""Which queues the timers visit."""

from datetime import datetime, timedelta

from durable import names
from durable.instance import Instance
from refresh.times import parse_time

QUEUES = f"@{names.DATASET_QUEUE}@"
"""The prefix of the instance ids of queues."""
LATELY = timedelta(days=3)
"""A queue that has not changed for this long has no dead run, and no entries to expire except the objects of enhanced
refreshes (`refresh.queue.memory.OBJECTS_KNOWN`). A run changes the queue each time it continues as new, and is
abandoned 30 hours after its POST at the latest."""


def exists(queue: Instance) -> bool:
    """Whether a queue exists, decided by its row in the engine's list, which does not contain the state of the queue.

    The engine never deletes the row of a deleted entity; the row's custom status says that the entity does not exist.
    """
    return not isinstance(queue.custom_status, dict) or bool(queue.custom_status.get("entityExists"))


def changed_lately(queue: Instance, now: datetime) -> bool:
    """Whether a queue has changed within `LATELY`; True if its row has no time."""
    updated = parse_time(queue.updated)
    return updated is None or now - updated < LATELY


def portion(due: list[str], turn: int, limit: int) -> list[str]:
    """At most `limit` of the queues. Consecutive values of `turn` choose consecutive portions, so that every queue is
    chosen after a few calls."""
    if len(due) <= limit:
        return due
    first = turn * limit % len(due)
    return [*due[first:], *due[:first]][:limit]
