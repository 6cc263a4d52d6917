"""Requests and runs, read from the engine's instances."""

from durable import names
from durable.codec import NotUnderstoodError, decode, decode_or_none
from durable.engine import Engine
from durable.instance import Instance
from refresh.ids import REQUEST_ID
from refresh.request.state import RequestOutcome, RequestState, Standing
from refresh.request.stored import StoredRequest, outcome_by_engine, outcome_in
from refresh.run.status import RunStatus


async def find_request(engine: Engine, request_id: str) -> StoredRequest | None:
    """A request by its id; None if it does not exist. Raises EngineUnavailable."""
    if not REQUEST_ID.fullmatch(request_id):
        return None
    instance = await engine.status(request_id)
    return request_of(instance) if instance else None


def request_of(instance: Instance) -> StoredRequest | None:
    """An instance as a request; None if it is not a request, or if this code cannot read its input.

    If the host dies while it writes the end of an orchestration, the engine completes that end later, but loses the
    custom status. The output remains.
    """
    if instance.name != names.REFRESH_REQUEST:
        return None
    try:
        state: RequestState = decode(instance.input, RequestState)
    except NotUnderstoodError:
        return None
    outcome = decode_or_none(instance.custom_status, RequestOutcome)
    if outcome is None and not instance.alive:
        outcome = _outcome_in_output(instance) or outcome_by_engine(
            state, instance.status, instance.output, instance.updated
        )
    return StoredRequest(
        id=instance.id,
        engine_status=instance.status,
        state=state,
        standing=decode_or_none(instance.custom_status, Standing) or state.standing,
        outcome=outcome,
        updated=instance.updated,
    )


def _outcome_in_output(instance: Instance) -> RequestOutcome | None:
    if instance.status == "Completed":
        return decode_or_none(instance.output, RequestOutcome)
    return outcome_in(instance.output) if instance.status == "Failed" and isinstance(instance.output, str) else None


def run_status_of(instance: Instance | None) -> RunStatus:
    """The custom status of a run; empty if the run does not exist (any more), or if it cannot be read."""
    return (decode_or_none(instance.custom_status, RunStatus) if instance else None) or RunStatus()
