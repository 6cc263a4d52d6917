"""The stored form of a batch: its state is the input of its orchestration, compressed if it is large.

A batch continues as new with each turn. The options of its models are similar and compress well; ids and times do not.
The state of 500 models has about 20,000 characters at the start and 45,000 when all models have refresh ids and times.
Above about 30,000 characters, the engine stores an input in a blob. The state of 300 models stays below that.
"""

import zlib
from base64 import b64decode, b64encode

import msgspec

from refresh.batch.outcome import BatchOutcome, Counts
from refresh.batch.state import BatchState, Progress
from refresh.messages import ApiMessage, Message, typed_json

PACKED_ABOVE = 10_000
"""The size in bytes of JSON above which a state is compressed: the batch of about ten models stays readable in the
storage."""
MAX_UNPACKED = 64 * 1024 * 1024
"""The maximum size in bytes of JSON: far more than a body of a megabyte and 500 outcomes need."""


class UnreadableBatchError(ValueError):
    """A stored batch that this code cannot read, for example because newer code wrote it."""


class PackedBatch(Message, frozen=True, kw_only=True):
    """The state of a batch; `packed` if it is compressed."""

    plain: BatchState | None = None
    packed: str = ""


class Change(ApiMessage, frozen=True, kw_only=True):
    """The progress of a model. It is newer than the progress in the stored state."""

    number: int
    progress: Progress


class BatchStanding(ApiMessage, frozen=True, kw_only=True):
    """The custom status of a batch in progress. `failures`: names and codes of the first models that did not complete.

    `changed`: the changes of this turn. The input of the orchestration contains them only after the next
    continue-as-new.
    """

    status: str = "Running"
    counts: Counts | None = None
    failures: tuple[str, ...] = ()
    changed: tuple[Change, ...] = ()


class StoredBatch(Message, frozen=True, kw_only=True):
    """A batch. `outcome` is None while it is in progress."""

    id: str
    engine_status: str
    state: BatchState
    outcome: BatchOutcome | None = None
    updated: str | None = None


def pack(state: BatchState) -> PackedBatch:
    """The state as it is stored."""
    text = msgspec.json.encode(state)
    if len(text) <= PACKED_ABOVE:
        return PackedBatch(plain=state)
    return PackedBatch(packed=b64encode(zlib.compress(text, level=6)).decode())


def unpack(stored: PackedBatch) -> BatchState:
    """The state from the result of `pack`. Raises UnreadableBatchError."""
    if stored.plain is not None:
        return stored.plain
    try:
        reader = zlib.decompressobj()
        text = reader.decompress(b64decode(stored.packed), MAX_UNPACKED)
        if not reader.eof:
            raise UnreadableBatchError("the stored batch is too large")
        return typed_json(text, BatchState)
    except (msgspec.DecodeError, zlib.error, ValueError) as error:
        raise UnreadableBatchError(f"the stored batch: {error}") from None


def overlaid(state: BatchState, standing: BatchStanding | None) -> BatchState:
    """The state with the newer progress from the custom status. A model that has ended keeps its outcome."""
    if standing is None:
        return state
    newer = {
        change.number: change.progress
        for change in standing.changed
        if change.number < len(state.progress) and not state.progress[change.number].ended
    }
    return state.with_progress(newer)
