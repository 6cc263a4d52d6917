"""Converts messages to plain JSON values and back.

Decoding is tolerant (see `refresh.messages`). A value that newer code wrote and this code cannot read raises
NotUnderstoodError; senders treat it as "try again later", never as a failure of a request.
"""

import json
from typing import Any, TypeVar

import msgspec

from refresh.messages import typed

T = TypeVar("T")


class NotUnderstoodError(ValueError):
    """A stored value or message that this code cannot read."""


def encode(message: msgspec.Struct) -> Any:
    """The message as JSON values: dicts, lists, strings, numbers."""
    return msgspec.to_builtins(message)


def decode(value: object, kind: Any) -> Any:
    """Converts JSON values to a message of this type, or of a member of a union of types. Raises NotUnderstoodError."""
    try:
        return typed(value, kind)
    except msgspec.ValidationError as error:
        raise NotUnderstoodError(str(error)) from None


def decode_or_none(value: object, kind: type[T]) -> T | None:
    """A message of this type; None if this code cannot read it."""
    try:
        message: T = decode(value, kind)
    except NotUnderstoodError:
        return None
    return message


def unwrapped(value: object) -> object:
    """A value that may be JSON inside a JSON string, as the SDK stores inputs; None for an empty string."""
    if isinstance(value, str):
        try:
            return json.loads(value) if value else None
        except ValueError:
            return value
    return value
