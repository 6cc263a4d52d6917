"""Loads and stores a queue for the entity, and decodes its operations: plain JSON in, plain JSON out.

Reading is tolerant (`refresh.messages`). A state that newer code wrote and this code cannot read stays unchanged: every
operation is answered with `NotUnderstood` until the newer version is deployed again.

A large queue is compressed (`refresh.packed`): its ids share their beginning, and the names of its objects resemble
each other. A queue of about sixty requests stays readable in the storage.
"""

from datetime import datetime
from typing import Any

import msgspec

from refresh.packed import Handled, UnreadableError, pack, read_operation, unpack, unreadable
from refresh.queue.answers import NotUnderstood
from refresh.queue.machine import apply
from refresh.queue.operations import AnyOperation
from refresh.queue.state import Queue

SCHEMA = 1
"""Increase it with a change that older code would misread."""

Json = dict[str, Any]


def handle(stored: object, name: str, value: object, now: datetime) -> Handled:
    """Applies an operation, given by name and input as the engine passes it, to a stored state. `now`: host clock."""
    try:
        queue, operation = load(stored), read_operation(name, value, AnyOperation)
    except UnreadableError as error:
        return unreadable(stored, error, msgspec.to_builtins(NotUnderstood()))
    after, answer = apply(queue, operation, now)
    return Handled(msgspec.to_builtins(answer), None if after is None else dump(after))


def load(stored: object) -> Queue:
    """The queue from the result of `dump`; an empty one for a deleted entity. Raises UnreadableError."""
    queue = unpack(stored, Queue, SCHEMA, "queue")
    _check(queue)
    return queue


def dump(queue: Queue) -> Json:
    """The queue as plain JSON values."""
    return pack(queue, SCHEMA)


def _check(queue: Queue) -> None:
    """Raises UnreadableError if the queue refers to an entry that it does not have: newer code may use references
    differently."""
    table = queue.scopes
    extents = {place for place, extent in enumerate(table.extents) if extent is not None}
    frames = {place for place, frame in enumerate(table.frames) if frame is not None}
    used = {run.scope for run in queue.runs}
    used.update(member.scope for run in queue.runs for member in run.members.values() if member.scope is not None)
    used_frames = {extent.frame for extent in table.extents if extent is not None}
    leave_answers = {entry.leave_answer for entry in queue.departed.values() if entry.leave_answer is not None}
    if not (used <= extents and used_frames <= frames and leave_answers <= set(range(len(queue.leave_answers)))):
        raise UnreadableError("the stored queue refers to entries that it does not have")
