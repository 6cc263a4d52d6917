"""A request as the engine stores it: its input, its standing, and its outcome."""

import msgspec

from refresh.failure.catalogue import failure
from refresh.messages import Message, typed_json
from refresh.request.state import RequestOutcome, RequestState, Standing


class StoredRequest(Message, frozen=True, kw_only=True):
    """A request. `outcome` is None until it ends; `standing` is its state when it last asked the queue."""

    id: str
    engine_status: str
    state: RequestState
    standing: Standing = Standing()
    outcome: RequestOutcome | None = None
    updated: str | None = None


def text_of(outcome: RequestOutcome) -> str:
    """The reason with which the orchestration of a request fails: one line for people, and one line for
    `outcome_in`."""
    message = outcome.error.message if outcome.error else outcome.status
    return f"{message}\n{msgspec.json.encode(outcome).decode()}"


def outcome_in(text: str) -> RequestOutcome | None:
    """The outcome at the end of the reason that the engine shows; None if it has none, because the code of the request
    failed."""
    try:
        outcome = typed_json(text.rpartition("\n")[2], RequestOutcome)
    except (msgspec.DecodeError, UnicodeEncodeError):
        return None
    return None if outcome.error is None or outcome.status == "Completed" else outcome


def outcome_by_engine(state: RequestState, status: str, output: object, ended_at: str | None) -> RequestOutcome:
    """The outcome of a request without an outcome of its own: it was terminated by hand, or its code failed.

    `status`: the engine's status. `output`: the engine's reason, a string.
    """
    terminated = status in ("Terminated", "Canceled")
    detail = output if isinstance(output, str) else None
    code = "RequestTerminated" if terminated else "InternalError"
    return RequestOutcome(
        status="Terminated" if terminated else "Failed",
        error=failure(code, state.spec.dataset_id, detail=detail, names=state.standing.names),
        ended_at=ended_at,
        model_name=state.standing.model_name,
        workspace_name=state.standing.workspace_name,
    )
