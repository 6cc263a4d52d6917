"""Limits how much may wait in a queue. A request that does not fit gets the time after which to try again."""

from itertools import chain

from refresh.queue.answers import QueueFull
from refresh.queue.scopes import Extent
from refresh.queue.state import Queue
from refresh.scope.options import MAX_OBJECTS

MAX_RUNS = 200
"""The maximum number of runs; they are carried out one after the other."""
MAX_MEMBERS = 5_000
"""The maximum number of requests."""
MAX_OBJECTS_WAITING = 100_000
"""The maximum number of distinct tables and partitions in the waiting scopes: enough for a hundred requests with no
object in common."""
MAX_NAMES = 4_000_000
"""The maximum number of characters in the names of these objects: enough for a hundred request bodies of 40 KB."""
MAX_BODY_CHARACTERS = 64 * 1024
"""The maximum number of characters in the names of one request: at most the bytes of its body."""
RETRY_AFTER_SECONDS = 60


def full(queue: Queue, *, new_run: bool, scope: Extent | None = None) -> QueueFull | None:
    """The refusal of one more request if the queue is full; None if there is room.

    `scope`: the request's scope if it adds objects to the table; None otherwise.
    """
    members = sum(len(run.members) for run in queue.runs)
    if members >= MAX_MEMBERS or (new_run and len(queue.runs) >= MAX_RUNS):
        return QueueFull(retry_after=RETRY_AFTER_SECONDS)
    if scope is not None and scope.digits and _too_many_objects(queue, scope):
        return QueueFull(retry_after=RETRY_AFTER_SECONDS)
    return None


def may_be_full(queue: Queue) -> bool:
    """Whether `full` could refuse some request. If this is False, it refuses none."""
    members = sum(len(run.members) for run in queue.runs)
    if members >= MAX_MEMBERS or len(queue.runs) >= MAX_RUNS:
        return True
    objects = queue.scopes.objects
    return len(objects) + MAX_OBJECTS > MAX_OBJECTS_WAITING or _names(objects) + MAX_BODY_CHARACTERS > MAX_NAMES


def _too_many_objects(queue: Queue, scope: Extent) -> bool:
    objects = queue.scopes.objects
    if len(objects) > MAX_OBJECTS_WAITING and (queue.scopes.used | scope.objects).bit_count() > MAX_OBJECTS_WAITING:
        return True
    return _names(objects) > MAX_NAMES


def _names(objects: list[tuple[str, ...]]) -> int:
    return sum(map(len, chain.from_iterable(objects)))
