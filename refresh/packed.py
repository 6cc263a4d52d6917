"""The stored form of an entity: its state as plain JSON values, compressed if it is large, and its operations.

The engine stores a state of more than about 30,000 characters in a blob, which costs further storage calls and makes
reads fail while the blob is rewritten. So a large state is compressed, which works well for its similar ids and texts.
"""

import zlib
from base64 import b64decode, b64encode
from typing import Any, Literal, NamedTuple, TypeVar

import msgspec

from refresh.events import Event
from refresh.messages import tag_of, typed, typed_json
from refresh.times import parse_time

PACKED_ABOVE = 10_000
"""The size in bytes of JSON above which a state is compressed. A smaller state stays readable in the storage."""

T = TypeVar("T", bound=msgspec.Struct)

Json = dict[str, Any]


class UnreadableError(ValueError):
    """A stored state, or an operation, that this code cannot read."""


class Handled(NamedTuple):
    """The answer to an operation, and the state to store: None deletes the state, `keep` leaves it unchanged.

    `event` is to be logged. `problem`: why the operation was not understood.
    """

    answer: Any
    state: Json | None | Literal["keep"]
    event: Event | None = None
    problem: str | None = None


def unreadable(stored: object, problem: UnreadableError, answer: Any = None) -> Handled:
    """The result if this code cannot read the operation or the stored state: the state stays unchanged."""
    return Handled(answer, None if stored in (None, "") else "keep", problem=str(problem))


def read_operation(name: str, value: object, kind: Any) -> Any:
    """An operation of the union `kind`, given by name and input as the engine passes it. Raises UnreadableError."""
    try:
        operation = typed(value, kind)
    except msgspec.ValidationError as error:
        raise UnreadableError(f"operation {name}: {error}") from None
    if tag_of(operation) != name:
        raise UnreadableError(f"operation {name} has the input of {tag_of(operation)}")
    if parse_time(operation.at) is None:
        raise UnreadableError(f"operation {name}: `at` is not a time")
    return operation


def pack(state: msgspec.Struct, schema: int) -> Json:
    """The state as plain JSON values. `schema` has to be increased with a change that older code would misread."""
    text = msgspec.json.encode(state)
    if len(text) <= PACKED_ABOVE:
        return {"schema": schema, **msgspec.to_builtins(state)}
    return {"schema": schema, "packed": b64encode(zlib.compress(text, level=1)).decode()}


def unpack(stored: object, kind: type[T], schema: int, what: str) -> T:
    """The state from the result of `pack`; an empty state for a deleted entity, whose stored value is None or an empty
    string.

    `what` names the state in the message of an error. Raises UnreadableError.
    """
    if stored in (None, ""):
        return kind()
    if not isinstance(stored, dict) or stored.get("schema", schema) != schema:
        raise UnreadableError(f"the stored {what} has another schema")
    try:
        if "packed" in stored:
            return typed_json(zlib.decompress(b64decode(stored["packed"])), kind)
        return typed(stored, kind)
    except (msgspec.DecodeError, zlib.error, ValueError, TypeError) as error:
        raise UnreadableError(f"the stored {what}: {error}") from None
