"""A queue as the entity stores it, and operations as the entity gets them: plain JSON values in, plain JSON values out.

Reading is tolerant (`refresh.messages`). What newer code wrote and this code cannot read at all stays as it is: every
operation is answered `NotUnderstood` until newer code is back.

The ids of a queue's requests have their beginning in common, the dataset's id; it is stored once.
"""

from collections.abc import Iterable
from datetime import datetime
from os.path import commonprefix
from typing import Any, Literal, NamedTuple

import msgspec

from refresh.queue.machine import apply
from refresh.queue.operations import AnyOperation, NotUnderstood, name_of
from refresh.queue.state import Departed, Member, Queue, Uncollected
from refresh.times import parse_time

SCHEMA = 1
"""Raised by a change that older code would misread."""

Json = dict[str, Any]


class UnreadableError(ValueError):
    """A stored queue, or an operation, that this code cannot read."""


class Handled(NamedTuple):
    """What an operation came to: the answer, and the state to store; None deletes it. `keep`: it stays as it is."""

    answer: Any
    state: Json | None | Literal["keep"]


def handle(stored: object, name: str, value: object, now: datetime) -> Handled:
    """An operation, as the engine names it and with its input, applied to a stored state. `now`: the host's clock."""
    try:
        queue, operation = load(stored), _operation(name, value)
    except UnreadableError:
        return Handled(msgspec.to_builtins(NotUnderstood()), None if stored in (None, "") else "keep")
    after, answer = apply(queue, operation, now)
    return Handled(msgspec.to_builtins(answer), None if after is None else dump(after))


def load(stored: object) -> Queue:
    """The queue that `dump` wrote. A deleted entity reads as an empty text: an empty queue. Raises UnreadableError."""
    if stored in (None, ""):
        return Queue()
    if not isinstance(stored, dict) or stored.get("schema", SCHEMA) != SCHEMA:
        raise UnreadableError("the stored queue is of another schema")
    prefix = stored.get("prefix", "")
    if not isinstance(prefix, str):
        raise UnreadableError("the stored queue has no readable prefix")
    try:
        queue = msgspec.convert(stored, Queue)
    except msgspec.ValidationError as error:
        raise UnreadableError(str(error)) from None
    for run in queue.runs:
        run.id = prefix + run.id
        run.members = {prefix + request: member for request, member in run.members.items()}
        if run.start_asked is not None:
            run.start_asked = (prefix + run.start_asked[0], run.start_asked[1])
    for ended in queue.ended:
        ended.id = prefix + ended.id
        ended.uncollected = {prefix + request: entry for request, entry in ended.uncollected.items()}
    queue.departed = {prefix + request: entry for request, entry in queue.departed.items()}
    queue.asked = {prefix + request: at for request, at in queue.asked.items()}
    _check(queue)
    return queue


def dump(queue: Queue) -> Json:
    """The queue as plain JSON values."""
    prefix = commonprefix([*_ids(queue)])
    cut = len(prefix)
    stored: Json = msgspec.to_builtins(queue)
    for run in stored.get("runs", ()):
        run["id"] = run["id"][cut:]
        if "members" in run:
            run["members"] = _shortened(run["members"], cut, Member)
        if "start_asked" in run:
            run["start_asked"] = [run["start_asked"][0][cut:], run["start_asked"][1]]
    for ended in stored.get("ended", ()):
        ended["id"] = ended["id"][cut:]
        if "uncollected" in ended:
            ended["uncollected"] = _shortened(ended["uncollected"], cut, Uncollected)
    if "departed" in stored:
        stored["departed"] = _shortened(stored["departed"], cut, Departed)
    if "asked" in stored:
        stored["asked"] = {request[cut:]: at for request, at in stored["asked"].items()}
    return {"schema": SCHEMA, "prefix": prefix, **stored}


def _operation(name: str, value: object) -> AnyOperation:
    try:
        operation: AnyOperation = msgspec.convert(value, AnyOperation)
    except msgspec.ValidationError as error:
        raise UnreadableError(str(error)) from None
    if name_of(operation) != name or parse_time(operation.at) is None:
        raise UnreadableError(f"not an operation {name!r}")
    return operation


def _check(queue: Queue) -> None:
    """Raises UnreadableError for a reference that leads nowhere: newer code may refer in other ways."""
    table = queue.scopes
    extents = {place for place, extent in enumerate(table.extents) if extent is not None}
    used = {run.scope for run in queue.runs}
    used.update(member.scope for run in queue.runs for member in run.members.values() if member.scope is not None)
    frames = {place for place, frame in enumerate(table.frames) if frame is not None}
    lefts = range(len(queue.lefts))
    if not (
        used <= extents
        and all(extent is None or extent.frame in frames for extent in table.extents)
        and all(entry.left is None or entry.left in lefts for entry in queue.departed.values())
    ):
        raise UnreadableError("the stored queue refers to what it does not have")


def _ids(queue: Queue) -> Iterable[str]:
    for run in queue.runs:
        yield run.id
        yield from run.members
        if run.start_asked is not None:
            yield run.start_asked[0]
    for ended in queue.ended:
        yield ended.id
        yield from ended.uncollected
    yield from queue.departed
    yield from queue.asked


def _shortened(entries: Json, cut: int, kind: type[msgspec.Struct]) -> Json:
    """The entries under shorter ids, without the defaults at their ends."""
    defaults = kind.__struct_defaults__
    first = len(kind.__struct_fields__) - len(defaults)
    shortened = {}
    for request, values in entries.items():
        last = len(values)
        while last > first and values[last - 1] == defaults[last - 1 - first]:
            last -= 1
        shortened[request[cut:]] = values[:last]
    return shortened
