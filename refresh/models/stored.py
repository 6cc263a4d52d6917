"""The stored form of shards and records, and of their operations.

Reading is tolerant (`refresh.messages`). A state that this code cannot read stays unchanged; the operation is logged
and lost. Later operations are applied after newer code is back.
"""

from datetime import datetime
from typing import Any, Literal, NamedTuple

import msgspec

from refresh.events import Event
from refresh.models import index, record
from refresh.models.operations import IndexOperation, ModelOperation, RecordOperation, name_of
from refresh.models.state import Record, Shard
from refresh.packed import UnreadableError, pack, unpack
from refresh.times import parse_time

SCHEMA = 1

Json = dict[str, Any]


class Handled(NamedTuple):
    """The state to store; None deletes it, and with `keep` it is not changed. `event` and `problem` are for the log."""

    state: Json | None | Literal["keep"]
    event: Event | None = None
    problem: str | None = None


def handle_index(stored: object, name: str, value: object, now: datetime) -> Handled:
    """Applies an operation to a shard, with the engine's name and its input. `now`: the host's clock."""
    try:
        shard, operation = load_shard(stored), _operation(name, value, IndexOperation)
    except UnreadableError as error:
        return Handled("keep" if stored else None, problem=str(error))
    applied = index.apply(shard, operation, now)
    return Handled(pack(applied.shard, SCHEMA) if applied.shard.models else None, applied.event)


def handle_record(stored: object, name: str, value: object, now: datetime) -> Handled:
    """The same for the record of a model."""
    try:
        known, operation = load_record(stored), _operation(name, value, RecordOperation)
    except UnreadableError as error:
        return Handled("keep" if stored else None, problem=str(error))
    after = record.apply(known, operation, now)
    return Handled(None if after is None else pack(after, SCHEMA))


def load_shard(stored: object) -> Shard:
    """A stored shard; an empty one for None. Raises UnreadableError."""
    return unpack(stored, Shard, SCHEMA, "shard of the index of models")


def load_record(stored: object) -> Record:
    """A stored record; an empty one for None. Raises UnreadableError."""
    return unpack(stored, Record, SCHEMA, "record of a model")


def _operation(name: str, value: object, kind: Any) -> Any:
    try:
        operation: ModelOperation = msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise UnreadableError(f"operation {name}: {error}") from None
    if name_of(operation) != name:
        raise UnreadableError(f"operation {name} came with the input of {name_of(operation)}")
    if parse_time(operation.at) is None:
        raise UnreadableError(f"operation {name}: `at` is not a time")
    return operation
