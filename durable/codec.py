"""Messages as plain JSON values, and back.

Decoding is tolerant (see `refresh.messages`); what cannot be read at all, because newer code wrote it, is a
NotUnderstoodError, which senders treat as "try again later", never as a failure of a request.
"""

import json
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")


class NotUnderstoodError(ValueError):
    """A stored value or message that this code cannot read."""


def encode(message: msgspec.Struct) -> Any:
    """The message as JSON values: dicts, lists, texts, numbers."""
    return msgspec.to_builtins(message)


def decode(value: object, kind: Any) -> Any:
    """The message of a type, or of a union of types, from JSON values. Raises NotUnderstoodError."""
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise NotUnderstoodError(str(error)) from None


def unwrapped(value: object) -> object:
    """A value that may be JSON in a JSON text, as inputs are that the SDK stored; None for an empty text."""
    if isinstance(value, str):
        try:
            return json.loads(value) if value else None
        except ValueError:
            return value
    return value
