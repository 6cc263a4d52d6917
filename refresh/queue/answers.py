"""The answers of a queue to its operations (`refresh.queue.operations`), and the types that both use."""

from typing import Literal, TypeAlias

import msgspec

from refresh.failure.catalogue import ModelNames
from refresh.history.look import ExternalRefresh, Look
from refresh.history.outcome import Outcome
from refresh.messages import Message
from refresh.scope.scope import Scope

LeaveReason = Literal["Cancelled", "TimedOut"]
ServedBy = Literal["own", "wider", "merged", "adopted"]
Priority = Literal["low", "normal", "high"]
PRIORITIES: tuple[Priority, ...] = ("low", "normal", "high")
"""From the lowest to the highest."""


# ---- names of runs and of the requests that wait for them ------------------------------------------------------------


class Turn(Message, frozen=True, kw_only=True):
    """One incarnation of a run."""

    run: str
    incarnation: int


class Holder(Turn, frozen=True, kw_only=True):
    """The orchestration that claimed an incarnation of a run. `token` distinguishes it from its duplicates."""

    token: str


class WakeUp(Message, frozen=True, kw_only=True):
    """An orchestration to notify, and the event that it waits for. `instance`: the instance id of a request, or of a
    run that waits for a place.

    `served_by`: as in `Ended`.
    """

    instance: str = msgspec.field(name="request")  # the stored key
    event: str
    served_by: ServedBy | None = None


# ---- answers --------------------------------------------------------------------------------------------------------


class Answer(Message, frozen=True, kw_only=True, tag_field="answer"):
    """An answer of a queue."""


class NotUnderstood(Answer, frozen=True, kw_only=True, tag="not_understood"):
    """The entity cannot read the operation or its stored state, because newer code wrote it."""


class Done(Answer, frozen=True, kw_only=True, tag="done"):
    """The operation is applied, and needs no other answer."""


class Enrolled(Answer, frozen=True, kw_only=True, tag="enrolled"):
    """The request waits in a run. `position` counts the runs before it; `active` is the run whose turn it is."""

    run: str
    incarnation: int
    position: int
    shared_with: int
    active: Turn
    refresh_id: str | None = None
    posted_at: str | None = None
    waits_for: ExternalRefresh | None = None
    leaving: bool = False
    """A caller asked to cancel the request."""
    start: bool = False
    """This request has to start the active run."""
    names: ModelNames = ModelNames()
    """The names of the model and its workspace; set when a run has read them."""


class Ended(Answer, frozen=True, kw_only=True, tag="ended"):
    """The run of the request has ended."""

    run: str
    outcome: Outcome
    shared_with: int
    served_by: ServedBy | None = None
    names: ModelNames = ModelNames()


class Left(Answer, frozen=True, kw_only=True, tag="left"):
    """The request has left its run. A repeated operation gets the same answer, even from another incarnation.

    `cancel_refresh_id` is set if the refresh has to be cancelled. `next` is a run that has to be started.
    """

    reason: LeaveReason
    run: str | None = None
    incarnation: int = 1
    position: int = 0
    shared_with: int = 0
    active: Turn | None = None
    refresh_id: str | None = None
    posted_at: str | None = None
    waits_for: ExternalRefresh | None = None
    cancel_refresh_id: str | None = None
    next: Turn | None = None
    names: ModelNames = ModelNames()


class Unknown(Answer, frozen=True, kw_only=True, tag="unknown"):
    """The queue does not have the request (any more): another incarnation of it has ended, and its outcome is
    forgotten; or the queue removed the request, because its orchestration seemed to have ended.

    `retry_after`: seconds after which a removed request can enrol again; None if the outcome is forgotten, and in the
    answer to `Leave`.
    """

    next: Turn | None = None
    retry_after: int | None = None


class OtherToken(Answer, frozen=True, kw_only=True, tag="taken"):
    """The request is enrolled with another token, because its id was started twice. That can happen if the app has no
    secret from which both starts derive the same token, or if the secret was changed between the starts."""


class QueueFull(Answer, frozen=True, kw_only=True, tag="queue_full"):
    """The request is not enrolled, because the queue is full (see `refresh.queue.room`). `retry_after`: seconds."""

    retry_after: int


class Superseded(Answer, frozen=True, kw_only=True, tag="superseded"):
    """This incarnation of the run must not continue. `next` is a run that has to be started.

    `over`: the run is not in the queue (any more), so no other incarnation of it continues either.
    """

    next: Turn | None = None
    over: bool = False


class Claimed(Answer, frozen=True, kw_only=True, tag="claimed"):
    """The sender holds the run; this is the state of the run.

    `since`: when the first of its requests enrolled; `requests`: their number. `expected_every_hours`: the expectation
    of the last request that named one; None if there is none.
    `objects`: digest of the objects of our last refresh with this scope; None if not known.
    `look` is what the history held when the run was closed; None while it is open. `permit_taken_at`: when an execution
    took the permit to POST; None if the permit is not taken.
    `priority`: the highest among its requests. `capacity_group`: where the run had a place when it was closed.
    """

    scope: Scope
    objects: str | None = None
    permit: int = 0
    closed: bool = False
    look: Look | None = None
    permit_taken_at: str | None = None
    refresh_id: str | None = None
    adopted: bool = False
    posted_at: str | None = None
    cancel: bool = False
    names: ModelNames = ModelNames()
    priority: Priority = "normal"
    capacity_group: str | None = None
    since: str = ""
    requests: int = 0
    expected_every_hours: float | None = None


class Closed(Answer, frozen=True, kw_only=True, tag="closed"):
    """The run is closed. `scope` includes everything that was added until then; `objects` as in `Claimed`."""

    scope: Scope
    objects: str | None = None


class PermitTaken(Answer, frozen=True, kw_only=True, tag="permit_taken"):
    """The permit cannot be withdrawn: another execution took it (`at`, by our clock), and has posted or may still
    post."""

    at: str


class Recorded(Answer, frozen=True, kw_only=True, tag="recorded"):
    """The refresh is recorded. `cancel`: every member left and requested its cancellation."""

    cancel: bool = False
    wake_ups: tuple[WakeUp, ...] = msgspec.field(default=(), name="wake")  # the stored key


class Finished(Answer, frozen=True, kw_only=True, tag="finished"):
    """The outcome is kept for the requests of `wake_ups`; `next` is the run to start.

    `ended` is the answer that those requests will get, without `served_by`. `expected_every_hours`: as in `Claimed`.
    `collected`: requests that have already collected the outcome, if the operation is a repetition. `ended_at`: when
    the run ended, also if the operation is a repetition; "" if the queue does not know it. `superseded`: another
    incarnation continues the run.
    """

    next: Turn | None = None
    wake_ups: tuple[WakeUp, ...] = msgspec.field(default=(), name="wake")  # the stored key
    ended: Ended | None = None
    expected_every_hours: float | None = None
    collected: tuple[str, ...] = ()
    ended_at: str = ""
    superseded: bool = False


class Restarted(Answer, frozen=True, kw_only=True, tag="restarted"):
    """`next` is the incarnation to start."""

    next: Turn | None = None


EnrollAnswer: TypeAlias = Enrolled | Ended | Left | Unknown | OtherToken | QueueFull
LeaveAnswer: TypeAlias = Left | Ended | Unknown | OtherToken
ClaimAnswer: TypeAlias = Claimed | Superseded
CloseAnswer: TypeAlias = Closed | Superseded
HoldAnswer: TypeAlias = Done | Superseded
ReopenAnswer: TypeAlias = Done | Superseded | PermitTaken
FinishAnswer: TypeAlias = Finished | PermitTaken
RecordAnswer: TypeAlias = Recorded | Superseded
AnyAnswer: TypeAlias = (
    Enrolled
    | Ended
    | Left
    | Unknown
    | OtherToken
    | QueueFull
    | Claimed
    | Closed
    | PermitTaken
    | Recorded
    | Finished
    | Restarted
    | Superseded
    | Done
    | NotUnderstood
)
