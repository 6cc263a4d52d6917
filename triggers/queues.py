"""Which queues a timer visits."""

from datetime import datetime, timedelta

from durable import names
from durable.instance import Instance
from refresh.times import parse_time

QUEUES = f"@{names.DATASET_QUEUE}@"
"""What the instance ids of queues begin with."""
LATELY = timedelta(days=3)
"""A queue that changed so recently may have something to forget, or its run may have died. A run is given up 30 hours
after its POST at the latest, and until then it changes the queue with each of its histories."""


def exists(queue: Instance) -> bool:
    """Whether a queue exists, by what the engine lists of it: a row without its state.

    The engine keeps the row of a deleted entity for ever, and says in its custom status that it does not exist.
    """
    return not isinstance(queue.custom_status, dict) or bool(queue.custom_status.get("entityExists"))


def changed_lately(queue: Instance, now: datetime) -> bool:
    """Whether a queue has changed within the last days, as far as that is known."""
    updated = parse_time(queue.updated)
    return updated is None or now - updated < LATELY


def portion(due: list[str], turn: int, most: int) -> list[str]:
    """At most `most` of them, and each of them in one of some consecutive turns."""
    if len(due) <= most:
        return due
    first = turn * most % len(due)
    return [*due[first:], *due[:first]][:most]
