"""The operations of a queue and their answers.

The engine applies an operation twice now and then, and late, so each carries ids of ours and gives the same answer when
it is repeated. `at` is the sender's clock (ISO 8601 UTC). A queue that does not know an operation, because newer code
sent it, answers `NotUnderstood`; the sender tries again later.
"""

from typing import Any, Generic, Literal, TypeAlias, TypeVar

from refresh.history.look import ExternalRefresh, Look
from refresh.history.outcome import Outcome
from refresh.messages import Message
from refresh.scope.scope import Scope

A = TypeVar("A")
LeaveReason = Literal["Cancelled", "TimedOut"]
ServedBy = Literal["own", "wider", "merged", "adopted"]


# ---- names of runs and of those who wait for them -------------------------------------------------------------------


class Turn(Message, frozen=True, kw_only=True):
    """One incarnation of a run."""

    run: str
    incarnation: int


class Holder(Turn, frozen=True, kw_only=True):
    """The orchestration that claimed an incarnation of a run. `token` tells it from its duplicates."""

    token: str


class WakeUp(Message, frozen=True, kw_only=True):
    """A request that is notified, and the name of the event that it waits for."""

    request: str
    event: str


# ---- answers --------------------------------------------------------------------------------------------------------


class Answer(Message, frozen=True, kw_only=True, tag_field="answer"):
    """What a queue answers."""


class NotUnderstood(Answer, frozen=True, kw_only=True, tag="not_understood"):
    """The code of the queue is older than the sender's."""


class Done(Answer, frozen=True, kw_only=True, tag="done"):
    """The operation has no further answer."""


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


class Ended(Answer, frozen=True, kw_only=True, tag="ended"):
    """The run of the request has ended."""

    run: str
    outcome: Outcome
    shared_with: int
    served_by: ServedBy | None = None


class Left(Answer, frozen=True, kw_only=True, tag="left"):
    """The request has left its run; repeated, the same answer comes again, whichever incarnation asks.

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


class Unknown(Answer, frozen=True, kw_only=True, tag="unknown"):
    """The queue does not have the request (any more). Another incarnation of it has ended, and how is forgotten."""

    next: Turn | None = None


class Taken(Answer, frozen=True, kw_only=True, tag="taken"):
    """Another incarnation of the request is enrolled."""


class QueueFull(Answer, frozen=True, kw_only=True, tag="queue_full"):
    """The request is not enrolled: too much waits already (see `refresh.queue.room`). `retry_after`: seconds."""

    retry_after: int


class Superseded(Answer, frozen=True, kw_only=True, tag="superseded"):
    """This incarnation of the run may not go on. `next` is a run that has to be started."""

    next: Turn | None = None


class Claimed(Answer, frozen=True, kw_only=True, tag="claimed"):
    """The run is held by the sender, and this is how it stands.

    `objects`: digest of the objects of our last refresh with this scope, None if it is not known.
    `look` is what the history held when the run was closed, None while it is open. `permit_taken_at`: when an execution
    took the permit to POST, None if none did.
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


class Closed(Answer, frozen=True, kw_only=True, tag="closed"):
    """The run is closed. `scope` has what was added until then; `objects` as in `Claimed`."""

    scope: Scope
    objects: str | None = None


class PermitTaken(Answer, frozen=True, kw_only=True, tag="permit_taken"):
    """The permit cannot be given back: another execution took it, at a time of ours, and posts or has posted."""

    at: str


class Recorded(Answer, frozen=True, kw_only=True, tag="recorded"):
    """The refresh is recorded. `cancel`: every member left and wants it cancelled."""

    cancel: bool = False
    wake: tuple[WakeUp, ...] = ()


class Finished(Answer, frozen=True, kw_only=True, tag="finished"):
    """The outcome is kept for `wake`; `next` is the run to start."""

    next: Turn | None = None
    wake: tuple[WakeUp, ...] = ()


class Restarted(Answer, frozen=True, kw_only=True, tag="restarted"):
    """`next` is the incarnation to start."""

    next: Turn | None = None


EnrollAnswer: TypeAlias = Enrolled | Ended | Left | Unknown | Taken | QueueFull
LeaveAnswer: TypeAlias = Left | Ended | Unknown | Taken
ClaimAnswer: TypeAlias = Claimed | Superseded
CloseAnswer: TypeAlias = Closed | Superseded
HoldAnswer: TypeAlias = Done | Superseded
ReopenAnswer: TypeAlias = Done | Superseded | PermitTaken
FinishAnswer: TypeAlias = Finished | PermitTaken
RecordAnswer: TypeAlias = Recorded | Superseded


# ---- operations -----------------------------------------------------------------------------------------------------


class Operation(Message, Generic[A], frozen=True, kw_only=True, tag_field="operation"):
    """An operation with an answer of type A."""

    at: str


class Enroll(Operation[EnrollAnswer], frozen=True, kw_only=True, tag="enroll"):
    """Joins a run or appends one; repeated, tells how the request stands, and its outcome once there is one."""

    request: str
    token: str
    scope: Scope
    share: bool = True
    wake: str = ""
    attempt: int = 1


class Leave(Operation[LeaveAnswer], frozen=True, kw_only=True, tag="leave"):
    """Takes a request out. `cancel`: it wants its refresh cancelled."""

    request: str
    token: str
    reason: LeaveReason
    cancel: bool = False


class AskToLeave(Operation[Done], frozen=True, kw_only=True, tag="ask_to_leave"):
    """A caller cancels a request. It learns that when it next asks, also if it is not enrolled (yet, or any more)."""

    request: str


class Restart(Operation[Restarted], frozen=True, kw_only=True, tag="restart"):
    """Gives the active run a new incarnation, if the named one is still in force."""

    turn: Turn


class Claim(Operation[ClaimAnswer], frozen=True, kw_only=True, tag="claim"):
    """The first orchestration of an incarnation gets the run; repeated by the same one, how the run stands."""

    holder: Holder


class WaitBehind(Operation[HoldAnswer], frozen=True, kw_only=True, tag="wait_behind"):
    """The model is busy with an external refresh."""

    holder: Holder
    refresh: ExternalRefresh


class Close(Operation[CloseAnswer], frozen=True, kw_only=True, tag="close"):
    """Asks for the permit to POST once: from now on no request joins. A repeat with the same number changes nothing."""

    holder: Holder
    permit: int
    look: Look


class TakePermit(Operation[Done], frozen=True, kw_only=True, tag="take_permit"):
    """An execution of the activity asks to be the one that posts with this permit: the first gets it."""

    holder: Holder
    permit: int
    execution: str


class ReturnPermit(Operation[Done], frozen=True, kw_only=True, tag="return_permit"):
    """An execution that posted nothing gives the permit back, or will not use it if it comes late."""

    holder: Holder
    permit: int
    execution: str


class Reopen(Operation[ReopenAnswer], frozen=True, kw_only=True, tag="reopen"):
    """The permit came to nothing (refused, dropped, an external refresh failed): requests may join again.

    `execution`: the one that is known to have started nothing. None: the history was searched for a refresh of any.
    """

    holder: Holder
    permit: int
    execution: str | None = None


class Record(Operation[RecordAnswer], frozen=True, kw_only=True, tag="record"):
    """The refresh of the permit is known."""

    holder: Holder
    permit: int
    refresh_id: str
    posted_at: str
    adopted: bool = False


class Drop(Operation[ReopenAnswer], frozen=True, kw_only=True, tag="drop"):
    """The permit was not used, because these members' orchestrations have ended: takes them out, and opens the run."""

    holder: Holder
    permit: int
    requests: tuple[str, ...]
    execution: str | None = None


class Finish(Operation[FinishAnswer], frozen=True, kw_only=True, tag="finish"):
    """The outcome of the run. Members enrolled after `late_after` came too late for its refresh (None: none did).

    `objects`: digest of the objects of the refresh, if it was ours. `execution`: as in `Reopen`.
    """

    holder: Holder
    outcome: Outcome
    permit: int = 0
    late_after: str | None = None
    objects: str | None = None
    execution: str | None = None


class Tidy(Operation[Done], frozen=True, kw_only=True, tag="tidy"):
    """Does no more than every operation does: expires old entries."""


class Sweep(Operation[Done], frozen=True, kw_only=True, tag="sweep"):
    """Takes out requests whose orchestrations have ended, and the active run if it is dead and has no member left.

    `dead` is the incarnation of the active run that was found without an orchestration.
    """

    requests: tuple[str, ...]
    dead: Turn | None = None


AnyOperation: TypeAlias = (
    Enroll
    | Leave
    | AskToLeave
    | Restart
    | Claim
    | WaitBehind
    | Close
    | TakePermit
    | ReturnPermit
    | Reopen
    | Record
    | Drop
    | Finish
    | Tidy
    | Sweep
)
AnyAnswer: TypeAlias = (
    Enrolled
    | Ended
    | Left
    | Unknown
    | Taken
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


def name_of(operation: Operation[Any]) -> str:
    """The name of the operation, as the entity is asked."""
    return str(type(operation).__struct_config__.tag)
