"""The stored form of shards and records, and of their operations.

Reading is tolerant (`refresh.messages`). A state that this code cannot read stays unchanged; the operation is logged
and lost. Later operations are applied as soon as the newer version is deployed again.
"""

from datetime import datetime

from refresh.models import index, record
from refresh.models.operations import IndexOperation, RecordOperation
from refresh.models.state import Record, Shard
from refresh.packed import Handled, UnreadableError, pack, read_operation, unpack, unreadable

SCHEMA = 1


def handle_index(stored: object, name: str, value: object, now: datetime) -> Handled:
    """Applies an operation, given by name and input as the engine passes it, to a stored shard. `now`: the host's
    clock."""
    try:
        shard, operation = load_shard(stored), read_operation(name, value, IndexOperation)
    except UnreadableError as error:
        return unreadable(stored, error)
    applied = index.apply(shard, operation, now)
    return Handled(None, pack(applied.shard, SCHEMA) if applied.shard.models else None, applied.event)


def handle_record(stored: object, name: str, value: object, now: datetime) -> Handled:
    """Applies an operation to the stored record of a model, in the same way."""
    try:
        known, operation = load_record(stored), read_operation(name, value, RecordOperation)
    except UnreadableError as error:
        return unreadable(stored, error)
    after = record.apply(known, operation, now)
    return Handled(None, None if after is None else pack(after, SCHEMA))


def load_shard(stored: object) -> Shard:
    """A stored shard; an empty one for None. Raises UnreadableError."""
    return unpack(stored, Shard, SCHEMA, "shard of the index of models")


def load_record(stored: object) -> Record:
    """A stored record; an empty one for None. Raises UnreadableError."""
    return unpack(stored, Record, SCHEMA, "record of a model")
