"""Batches and their notes, read from the engine's instances."""

from typing import Any

from durable import names
from durable.codec import NotUnderstoodError, decode, decode_or_none
from durable.engine import Engine
from durable.instance import Instance
from durable.requests import find_request
from refresh.batch.orders import NoteState
from refresh.batch.outcome import BatchOutcome, outcome_by_engine, outcome_of
from refresh.batch.stored import BatchStanding, PackedBatch, StoredBatch, UnreadableBatchError, overlaid, unpack
from refresh.ids import BATCH_PREFIX, REQUEST_ID
from refresh.reporting.batch import final_batch_report
from refresh.reporting.status import StatusReport, final_report


async def find_batch(engine: Engine, batch_id: str) -> StoredBatch | None:
    """A batch by its id; None if it does not exist. Raises EngineUnavailable."""
    if not batch_id.startswith(BATCH_PREFIX) or not REQUEST_ID.fullmatch(batch_id):
        return None
    instance = await engine.status(batch_id)
    return batch_of(instance) if instance else None


def batch_of(instance: Instance) -> StoredBatch | None:
    """An instance as a batch; None if it is of another kind, or this code cannot read its input."""
    if instance.name != names.REFRESH_BATCH:
        return None
    try:
        state = unpack(decode(instance.input, PackedBatch))
    except (NotUnderstoodError, UnreadableBatchError):
        return None
    state = overlaid(state, decode_or_none(instance.custom_status, BatchStanding))
    outcome = outcome_of(state) if decode_or_none(instance.custom_status, BatchOutcome) or not instance.alive else None
    if outcome is None and not instance.alive:
        outcome = outcome_by_engine(state, instance.status, instance.updated)
    return StoredBatch(
        id=instance.id, engine_status=instance.status, state=state, outcome=outcome, updated=instance.updated
    )


async def read_note(engine: Engine, instance_id: str) -> NoteState | None:
    """A note; None if it does not exist. Raises EngineUnavailable, and NotUnderstoodError for a note of newer code."""
    instance = await engine.status(instance_id)
    if instance is None or instance.name != names.BATCH_NOTE:
        return None
    note: NoteState = decode(instance.input, NoteState)
    return note


class NotThere(Exception):  # noqa: N818 - named for what it means
    """The request or batch does not exist."""


async def end_of(engine: Engine, request_id: str) -> tuple[StatusReport | None, dict[str, Any]]:
    """Two values: the outcome of a request or batch (None while it is in progress), and the facts for the log.

    Raises NotThere and EngineUnavailable.
    """
    if request_id.startswith(BATCH_PREFIX):
        batch = await find_batch(engine, request_id)
        if batch is None:
            raise NotThere
        return final_batch_report(batch), {"dataset_id": None, "caller": batch.state.spec.caller}
    request = await find_request(engine, request_id)
    if request is None:
        raise NotThere
    spec = request.state.spec
    return final_report(request), {"dataset_id": spec.dataset_id, "caller": spec.caller}
