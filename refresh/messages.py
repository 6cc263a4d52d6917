"""The base classes of all messages and stored values.

A message is a frozen class. It becomes plain JSON at the edges (`durable.codec`). Decoding is tolerant, so that code of
two versions can share a task hub: unknown keys are ignored, and missing ones get their defaults. So a field that is
added later needs a default. A tag distinguishes the members of a union.

Why msgspec and not hand-written codecs or pydantic: it checks types in C while it decodes, supports tagged unions, has
no dependencies, and adds little to a cold start.
"""

from threading import Lock
from typing import Any, TypeVar, overload

import msgspec

M = TypeVar("M", bound=msgspec.Struct)
T = TypeVar("T")


class Message(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A value that is sent between functions or stored. Keys with the default value are not written."""


class ApiMessage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """A value that callers also see: its keys are spelled as in the HTTP API."""


def tag_of(message: msgspec.Struct) -> str:
    """The tag that distinguishes a member of a union: the name of an operation, or of a phase."""
    return str(type(message).__struct_config__.tag)


_DESCRIBED: set[Any] = set()
_DESCRIBING = Lock()


@overload
def typed(value: object, kind: type[T]) -> T: ...


@overload
def typed(value: object, kind: Any) -> Any: ...


def typed(value: object, kind: Any) -> Any:
    """Converts plain JSON values to this type, or to a member of a union of types. Raises msgspec.ValidationError."""
    _describe(kind)
    return msgspec.convert(value, kind)


def typed_json(text: bytes | str, kind: type[T]) -> T:
    """Like `typed`, from JSON text. Raises msgspec.DecodeError, UnicodeDecodeError, or UnicodeEncodeError."""
    _describe(kind)
    return msgspec.json.decode(text, type=kind)


def _describe(kind: Any) -> None:
    """Has msgspec build its type information for this type, in one thread at a time.

    msgspec builds its type information for a class when it first decodes the class, and marks the information as
    complete before the nested classes are complete. Another thread that decodes the class at that moment crashes the
    process. The worker decodes in its event loop and in the threads of orchestrators, entities and activities.
    """
    if kind not in _DESCRIBED:
        with _DESCRIBING:
            msgspec.json.Decoder(kind)
            _DESCRIBED.add(kind)


def without_none(value: dict[str, Any]) -> dict[str, Any]:
    """The entries of an answer that have a value. Keys without a value are left out of answers."""
    return {key: entry for key, entry in value.items() if entry is not None}


replace = msgspec.structs.replace
"""A copy of a message with some fields changed."""
