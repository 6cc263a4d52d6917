"""The stored form of a capacity group and of its operations: plain JSON values in and out.

Reading is tolerant, and a large state is compressed (`refresh.packed`).
"""

from datetime import datetime
from typing import Any

import msgspec

from refresh.capacity.machine import apply
from refresh.capacity.operations import AnyGroupOperation, group_operation_name
from refresh.capacity.state import Group
from refresh.packed import UnreadableError, pack, unpack
from refresh.queue.answers import NotUnderstood
from refresh.queue.stored import Handled
from refresh.times import parse_time

SCHEMA = 1
"""Increase it with a change that older code would misread."""

Json = dict[str, Any]


def handle(stored: object, name: str, value: object, now: datetime) -> Handled:
    """Applies an operation, with the engine's name and its input, to a stored state. `now`: the host's clock."""
    try:
        group, operation = load(stored), _operation(name, value)
    except UnreadableError as error:
        return Handled(msgspec.to_builtins(NotUnderstood()), None if stored in (None, "") else "keep", str(error))
    after, answer = apply(group, operation, now)
    return Handled(msgspec.to_builtins(answer), None if after is None else dump(after))


def load(stored: object) -> Group:
    """The group from the result of `dump`; an empty one for a deleted entity. Raises UnreadableError."""
    return unpack(stored, Group, SCHEMA, "group")


def dump(group: Group) -> Json:
    """The group as plain JSON values."""
    return pack(group, SCHEMA)


def _operation(name: str, value: object) -> AnyGroupOperation:
    try:
        operation: AnyGroupOperation = msgspec.convert(value, AnyGroupOperation)
    except msgspec.ValidationError as error:
        raise UnreadableError(f"operation {name}: {error}") from None
    if group_operation_name(operation) != name:
        raise UnreadableError(f"operation {name} came with the input of {group_operation_name(operation)}")
    if parse_time(operation.at) is None:
        raise UnreadableError(f"operation {name}: `at` is not a time")
    return operation
