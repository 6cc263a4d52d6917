"""The operations of a queue. Their answers are in `refresh.queue.answers`.

The engine sometimes applies an operation twice, or late. So each operation carries our own ids and gets the same answer
when it is repeated. `at` is the sender's clock (ISO 8601 UTC). A queue that does not know an operation, because newer
code sent it, answers `NotUnderstood`; the sender tries again later.
"""

from typing import Generic, TypeAlias, TypeVar

import msgspec

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
    Priority,
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
    """Enrols a request in a run that it can share, or in a new one. A repeat returns the standing of the request, or
    its outcome once there is one.

    `expected_every_hours`: how often the caller expects the model to be refreshed; None if the request does not say.
    """

    request: str
    token: str
    scope: Scope
    share: bool = True
    wake_event: str = msgspec.field(default="", name="wake")  # the stored key
    attempt: int = 1
    priority: Priority = "normal"
    expected_every_hours: float | None = None


class Collect(Operation[Done], frozen=True, kw_only=True, tag="collect"):
    """The request has its outcome: the notification carried it."""

    request: str
    token: str
    attempt: int = 1


class Leave(Operation[LeaveAnswer], frozen=True, kw_only=True, tag="leave"):
    """Takes a request out. `cancel`: the request asks to cancel its refresh."""

    request: str
    token: str
    reason: LeaveReason
    cancel: bool = False


class AskToLeave(Operation[Done], frozen=True, kw_only=True, tag="ask_to_leave"):
    """A caller cancels a request. The request learns of the cancellation from the answer to its next operation, even if
    it is not enrolled now."""

    request: str


class Restart(Operation[Restarted], frozen=True, kw_only=True, tag="restart"):
    """Gives the active run a new incarnation, if `turn` is still its current incarnation."""

    turn: Turn


class Claim(Operation[ClaimAnswer], frozen=True, kw_only=True, tag="claim"):
    """Gives the run to the first orchestration that claims this incarnation. A repeat by the same orchestration returns
    the run's state."""

    holder: Holder


class WaitBehind(Operation[HoldAnswer], frozen=True, kw_only=True, tag="wait_behind"):
    """The model is busy with an external refresh. `names`: the names of the model and its workspace, for the
    requests."""

    holder: Holder
    refresh: ExternalRefresh
    names: ModelNames = ModelNames()


class Close(Operation[CloseAnswer], frozen=True, kw_only=True, tag="close"):
    """Requests the permit to POST once: no request can join from now on. Repeating the same number changes nothing.

    `names`: the names of the model and its workspace, for the requests. `capacity_group`: the group in which the run
    has a place, for the next incarnation of the run.
    """

    holder: Holder
    permit: int
    look: Look
    names: ModelNames = ModelNames()
    capacity_group: str | None = None


class TakePermit(Operation[Done], frozen=True, kw_only=True, tag="take_permit"):
    """An execution of the activity takes the permit before it posts. The first execution that asks gets it."""

    holder: Holder
    permit: int
    execution: str


class ReturnPermit(Operation[Done], frozen=True, kw_only=True, tag="return_permit"):
    """An execution reports that it has posted nothing and never will. If it holds the permit, the permit is free again;
    if not, it can no longer take the permit."""

    holder: Holder
    permit: int
    execution: str


class Reopen(Operation[ReopenAnswer], frozen=True, kw_only=True, tag="reopen"):
    """Withdraws the permit, because it led to no refresh, or the adopted refresh failed: requests may join again.

    `execution`: the execution that is known to have started nothing. None: the history was searched for a refresh of
    any execution.
    """

    holder: Holder
    permit: int
    execution: str | None = None


class Record(Operation[RecordAnswer], frozen=True, kw_only=True, tag="record"):
    """The refresh of the permit is known: the run started it, or adopted it."""

    holder: Holder
    permit: int
    refresh_id: str
    posted_at: str
    adopted: bool = False


class Drop(Operation[ReopenAnswer], frozen=True, kw_only=True, tag="drop"):
    """Removes members whose orchestrations have ended, and withdraws the permit: the run posted nothing, because
    none of its members was active."""

    holder: Holder
    permit: int
    requests: tuple[str, ...]
    execution: str | None = None


class Finish(Operation[FinishAnswer], frozen=True, kw_only=True, tag="finish"):
    """The outcome of the run. Members that enrolled after `late_after` came too late for an adopted refresh.

    `late_after`: the time of the look before the adopted refresh; None if no refresh was adopted. `objects`: digest of
    the objects of the refresh, if it was ours. `execution`: as in `Reopen`.
    """

    holder: Holder
    outcome: Outcome
    permit: int = 0
    late_after: str | None = None
    objects: str | None = None
    execution: str | None = None


class Tidy(Operation[Done], frozen=True, kw_only=True, tag="tidy"):
    """Only expires old entries, as every operation does."""


class Sweep(Operation[Done], frozen=True, kw_only=True, tag="sweep"):
    """Removes requests whose orchestrations have ended, and the active run if it is dead and has no members.

    `dead`: the incarnation of the active run that was found to have no orchestration.
    """

    requests: tuple[str, ...]
    dead: Turn | None = None


AnyOperation: TypeAlias = (
    Enroll
    | Collect
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
