"""The stored form of a capacity group and of its operations: plain JSON values in and out.

Reading is tolerant, and a large state is compressed (`refresh.packed`).
"""

from datetime import datetime
from typing import Any

import msgspec

from refresh.capacity.machine import apply
from refresh.capacity.operations import AnyGroupOperation
from refresh.capacity.state import Group
from refresh.packed import Handled, UnreadableError, pack, read_operation, unpack, unreadable
from refresh.queue.answers import NotUnderstood

SCHEMA = 1
"""Increase it with a change that older code would misread."""

Json = dict[str, Any]


def handle(stored: object, name: str, value: object, now: datetime) -> Handled:
    """Applies an operation, given by name and input as the engine passes it, to a stored state. `now`: the host's
    clock."""
    try:
        group, operation = load(stored), read_operation(name, value, AnyGroupOperation)
    except UnreadableError as error:
        return unreadable(stored, error, msgspec.to_builtins(NotUnderstood()))
    after, answer = apply(group, operation, now)
    return Handled(msgspec.to_builtins(answer), None if after is None else dump(after))


def load(stored: object) -> Group:
    """The group from the result of `dump`; an empty one for a deleted entity. Raises UnreadableError."""
    return unpack(stored, Group, SCHEMA, "group")


def dump(group: Group) -> Json:
    """The group as plain JSON values."""
    return pack(group, SCHEMA)
