"""The base classes of all messages and stored values.

A message is a frozen class. It becomes plain JSON at the edges (`durable.codec`). Decoding is tolerant, so that code of
two versions can share a task hub: unknown keys are ignored, and missing ones get their defaults. So a field that is
added later needs a default. A tag distinguishes the members of a union.

Why msgspec and not hand-written codecs or pydantic: it checks types in C while it decodes, supports tagged unions, has
no dependencies, and adds little to a cold start.
"""

from typing import TypeVar

import msgspec

M = TypeVar("M", bound=msgspec.Struct)


class Message(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A value that is sent between functions or stored. Keys with the default value are not written."""


class Shown(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """A value that callers also see: its keys are spelled as in the HTTP API."""


def tag_of(message: msgspec.Struct) -> str:
    """The tag that tells a member of a union from the others: the name of an operation, or of a phase."""
    return str(type(message).__struct_config__.tag)


replace = msgspec.structs.replace
"""A copy of a message with some fields changed."""
