"""A request as the engine keeps it, told apart: its input, how it stands, and how it ended."""

from typing import Any

from refresh.failure.catalogue import failure
from refresh.messages import Message
from refresh.request.state import RequestOutcome, RequestState, Standing

ENGINE_ENDED = ("Completed", "Failed", "Terminated", "Canceled")
"""The engine's own words for an orchestration that has ended."""


class Instance(Message, frozen=True, kw_only=True):
    """An orchestration as the engine shows it. `status` is the engine's word; times are ISO 8601 UTC or None."""

    id: str
    name: str
    status: str
    input: Any = None
    custom_status: Any = None
    output: Any = None
    created: str | None = None
    updated: str | None = None

    @property
    def alive(self) -> bool:
        """Whether it has not ended."""
        return self.status not in ENGINE_ENDED


class StoredRequest(Message, frozen=True, kw_only=True):
    """A request. `outcome` is None while it goes on; `standing` is how it stood when it last asked the queue."""

    id: str
    engine_status: str
    state: RequestState
    standing: Standing = Standing()
    outcome: RequestOutcome | None = None
    updated: str | None = None


def outcome_by_engine(instance: Instance, state: RequestState) -> RequestOutcome | None:
    """The outcome of a request that did not say how it ended: it was terminated by hand, or its code failed."""
    if instance.alive:
        return None
    terminated = instance.status in ("Terminated", "Canceled")
    detail = instance.output if isinstance(instance.output, str) else None
    code = "RequestTerminated" if terminated else "InternalError"
    return RequestOutcome(
        status="Terminated" if terminated else "Failed",
        error=failure(code, state.spec.dataset_id, detail=detail),
        ended_at=instance.updated,
    )
