"""What all messages and stored values have in common.

A message is a frozen class. It becomes plain JSON at the edges (`durable.codec`). Decoding is tolerant, so that code of
two versions can share a task hub: unknown keys are left out, missing ones have their defaults. So a field that is added
later needs a default. The members of a union are told apart by a tag.

msgspec was chosen over hand-written codecs and over pydantic: it checks types in C while it decodes, supports tagged
unions, has no dependencies, and costs a cold start little (docs/architecture.md has the figures).
"""

from typing import TypeVar

import msgspec

M = TypeVar("M", bound=msgspec.Struct)


class Message(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A value that travels between functions or is stored. Keys whose value is the default are not written."""


class Shown(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """A value that callers see, too: its keys are written as in the HTTP API."""


replace = msgspec.structs.replace
"""A copy of a message with some fields changed."""
