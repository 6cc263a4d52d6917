"""The operations of a queue. Their answers are in `refresh.queue.answers`.

The engine applies an operation twice now and then, and late, so each carries ids of ours and gives the same answer when
it is repeated. `at` is the sender's clock (ISO 8601 UTC). A queue that does not know an operation, because newer code
sent it, answers `NotUnderstood`; the sender tries again later.
"""

from typing import Any, Generic, TypeAlias, TypeVar

from refresh.failure.catalogue import ModelNames
from refresh.history.look import ExternalRefresh, Look
from refresh.history.outcome import Outcome
from refresh.messages import Message
from refresh.queue.answers import (
    ClaimAnswer,
    CloseAnswer,
    Done,
    EnrollAnswer,
    FinishAnswer,
    HoldAnswer,
    Holder,
    LeaveAnswer,
    LeaveReason,
    RecordAnswer,
    ReopenAnswer,
    Restarted,
    Turn,
)
from refresh.scope.scope import Scope

A = TypeVar("A")


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
    """The model is busy with an external refresh. `names`: of the model and its workspace, for the requests."""

    holder: Holder
    refresh: ExternalRefresh
    names: ModelNames = ModelNames()


class Close(Operation[CloseAnswer], frozen=True, kw_only=True, tag="close"):
    """Asks for the permit to POST once: from now on no request joins. A repeat with the same number changes nothing.

    `names`: of the model and its workspace, for the requests.
    """

    holder: Holder
    permit: int
    look: Look
    names: ModelNames = ModelNames()


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


def name_of(operation: Operation[Any]) -> str:
    """The name of the operation, as the entity is asked."""
    return str(type(operation).__struct_config__.tag)
