"""The stored form of an entity's state: plain JSON values, compressed above a size.

The engine stores a state of more than some 30,000 characters in a blob, which costs further storage calls and makes
reads fail while it is rewritten. So a large state is compressed, which works well for its similar ids and texts.
"""

import zlib
from base64 import b64decode, b64encode
from typing import Any, TypeVar

import msgspec

PACKED_ABOVE = 10_000
"""Bytes of JSON. A smaller state stays readable in the storage."""

T = TypeVar("T", bound=msgspec.Struct)

Json = dict[str, Any]


class UnreadableError(ValueError):
    """A stored state, or an operation, that this code cannot read."""


def pack(state: msgspec.Struct, schema: int) -> Json:
    """The state as plain JSON values. `schema` increases with a change that older code would misread."""
    text = msgspec.json.encode(state)
    if len(text) <= PACKED_ABOVE:
        return {"schema": schema, **msgspec.to_builtins(state)}
    return {"schema": schema, "packed": b64encode(zlib.compress(text, level=1)).decode()}


def unpack(stored: object, kind: type[T], schema: int, what: str) -> T:
    """The state from the result of `pack`; an empty one for a deleted entity, which reads as an empty text.

    `what` names the state in the message of an error. Raises UnreadableError.
    """
    if stored in (None, ""):
        return kind()
    if not isinstance(stored, dict) or stored.get("schema", schema) != schema:
        raise UnreadableError(f"the stored {what} is of another schema")
    try:
        if "packed" in stored:
            return msgspec.json.decode(zlib.decompress(b64decode(stored["packed"])), type=kind)
        return msgspec.convert(stored, kind)
    except (msgspec.DecodeError, zlib.error, ValueError, TypeError) as error:
        raise UnreadableError(f"the stored {what}: {error}") from None
