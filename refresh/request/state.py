"""The state of a request between two turns, and the custom status that it shows."""

from datetime import datetime, timedelta
from typing import Any, Literal, Self, TypeAlias

import msgspec

from refresh.failure.catalogue import Failure, ModelNames
from refresh.history.look import ExternalRefresh
from refresh.messages import ApiMessage, Message, replace
from refresh.polling.limits import Limits
from refresh.polling.schedule import pause_before_attempt
from refresh.queue.answers import Enrolled, ServedBy
from refresh.request.spec import RequestSpec
from refresh.times import instant, time_of

Progressing: TypeAlias = Literal["Queued", "WaitingForIdle", "Starting", "Refreshing"]
Final: TypeAlias = Literal["Completed", "Failed", "Cancelled", "TimedOut", "OutcomeUnknown", "Terminated"]


class RequestOutcome(ApiMessage, frozen=True, kw_only=True):
    """The outcome of a request: the last custom status of its orchestration, and its output if it completed."""

    status: Final
    error: Failure | None = None
    run_id: str | None = None
    refresh_id: str | None = None
    shared_with: int | None = None
    served_by: ServedBy | None = None
    started_at: str | None = None
    ended_at: str | None = None
    model_name: str | None = None
    workspace_name: str | None = None

    @property
    def names(self) -> ModelNames:
        """The names of the model and its workspace, if known."""
        return ModelNames(model=self.model_name, workspace=self.workspace_name)


class Retry(ApiMessage, frozen=True, kw_only=True):
    """The next attempt of a request that is backing off: its number, its time, and the code of the last failure."""

    attempt: int
    at: str
    after: str | None = None


class Standing(ApiMessage, frozen=True, kw_only=True):
    """The standing of a request when it last asked the queue: its custom status until it ends."""

    status: Progressing = "Queued"
    run_id: str | None = None
    incarnation: int = 1
    position: int | None = None
    shared_with: int | None = None
    refresh_id: str | None = None
    started_at: str | None = None
    waits_for: ExternalRefresh | None = None
    last_call_error: str | None = msgspec.field(default=None, name="lastReadError")  # the public key
    retry: Retry | None = None
    model_name: str | None = None
    workspace_name: str | None = None

    @property
    def names(self) -> ModelNames:
        """The names of the model and its workspace, if known."""
        return ModelNames(model=self.model_name, workspace=self.workspace_name)


class RequestState(Message, frozen=True, kw_only=True):
    """The state of a request between two turns. It is the input of each orchestration of the request.

    `token` identifies the request to its queue. With an idempotency key or in a batch it is derived from the id, so
    that racing starts have the same token (`durable.tokens`). `read_token` and `cancel_token` protect its status and
    cancel URIs. `starter` is a digest of the caller's credential: only the same caller gets the cancel URI again.
    `has_callback`: a receiver waits for a callback.
    """

    spec: RequestSpec
    token: str
    read_token: str
    cancel_token: str
    requested_at: str
    starter: str = ""
    recheck_seconds: float = 21_600
    limits: Limits = Limits()
    has_callback: bool = msgspec.field(default=False, name="callbacks")  # the stored key
    batch: str = ""
    """The id of the batch that the request belongs to; empty if there is none. The batch is notified when the request
    ends."""
    turn: int = 0
    recheck: bool = False
    """The last wait ended without a notification, so this turn checks whether the active run is alive."""
    standing: Standing = Standing()
    """The last custom status, because an orchestration that continues as new starts without one."""
    attempt: int = 1
    failed_outcome: RequestOutcome | None = msgspec.field(default=None, name="failed")  # the stored key
    """The outcome of the last attempt, while the request is backing off."""

    @property
    def deadline(self) -> datetime:
        """The time when the caller stops waiting (UTC)."""
        return time_of(self.requested_at) + timedelta(minutes=self.spec.timeout_minutes)

    @property
    def wake_event(self) -> str:
        """The event that this turn waits for. Each turn has its own event, because a late event must not end a later
        wait."""
        return f"wake-{self.turn}"

    def replace(self, **changes: Any) -> Self:
        """The state with some fields changed."""
        return replace(self, **changes)

    def may_try_again(self, outcome: RequestOutcome, now: datetime) -> bool:
        """Whether the request backs off and tries again: its failure is transient, and attempts and time are left."""
        if outcome.status != "Failed" or outcome.error is None or not outcome.error.retryable:
            return False
        if self.attempt > self.spec.retries:
            return False
        return now + timedelta(seconds=pause_before_attempt(self.attempt, self.limits)) < self.deadline

    def backing_off(self, outcome: RequestOutcome) -> Self:
        """The state of the request while it backs off after a failed attempt."""
        return replace(self, failed_outcome=outcome, recheck=False)

    def next_attempt(self) -> Self:
        """The state of the next attempt."""
        names = self.standing.names
        return replace(
            self,
            failed_outcome=None,
            attempt=self.attempt + 1,
            standing=Standing(model_name=names.model, workspace_name=names.workspace),
        )


def standing_of(answer: Enrolled) -> Standing:
    """The custom status of a waiting request, from the answer of the queue."""
    return Standing(
        status=phase_of(answer.position, answer.refresh_id, answer.waits_for),
        run_id=answer.run,
        incarnation=answer.incarnation,
        position=answer.position,
        shared_with=answer.shared_with,
        refresh_id=answer.refresh_id,
        started_at=answer.posted_at,
        waits_for=answer.waits_for,
        model_name=answer.names.model,
        workspace_name=answer.names.workspace,
    )


def standing_while_backing_off(state: RequestState, until: datetime) -> Standing:
    """The custom status of a request that backs off until the next attempt."""
    error = state.failed_outcome.error if state.failed_outcome else None
    return Standing(
        retry=Retry(attempt=state.attempt + 1, at=instant(until), after=error.code if error else None),
        last_call_error=error.message if error else None,
        model_name=state.standing.model_name,
        workspace_name=state.standing.workspace_name,
    )


def phase_of(position: int, refresh_id: str | None, waits_for: ExternalRefresh | None) -> Progressing:
    """What a request waits for: its turn, the end of another refresh, or the start or the end of its own refresh."""
    return "Queued" if position else phase_in_turn(refresh_id, waits_for)


def phase_in_turn(
    refresh_id: str | None, waits_for: ExternalRefresh | None
) -> Literal["WaitingForIdle", "Starting", "Refreshing"]:
    """What the active run and its requests wait for.

    Starting lasts for a look at the model, the pause in which other requests can still join, and the POST: some
    seconds, longer while Power BI cannot be reached.
    """
    if refresh_id:
        return "Refreshing"
    return "WaitingForIdle" if waits_for else "Starting"
