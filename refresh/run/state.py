"""The state of a run between two steps. It is the input of each orchestration of the run, so it is small and consists
of plain values.

A run is in one phase at a time; values that only one phase needs are in that phase. `Phase` lists the phases.
"""

from datetime import datetime, timedelta
from typing import Any, Literal, Self, TypeAlias

import msgspec

from refresh.capacity.answers import Asker
from refresh.failure.catalogue import ModelNames
from refresh.history.look import Look, LostWindow
from refresh.history.outcome import Outcome
from refresh.messages import Message, replace
from refresh.polling.limits import Limits
from refresh.polling.schedule import expectation
from refresh.queue.answers import Ended, Holder, Priority, Turn, WakeUp
from refresh.run.orders import ModelRef
from refresh.run.parts import Blocker, Calls, Followed, InGroup, Posts
from refresh.scope.scope import Scope
from refresh.times import instant, time_of

# ---- the phases -----------------------------------------------------------------------------------------------------


class PhaseBase(Message, frozen=True, kw_only=True, tag_field="phase"):
    """A phase of a run: it decides the next step.

    Its code is in `refresh.run.phases`; phases that belong together share a module (the table in docs/architecture.md).
    """


class Claiming(PhaseBase, frozen=True, kw_only=True, tag="claiming"):
    """Asks the queue whether this orchestration holds the run. `then`: the next phase (None: the queue decides)."""

    then: "Phase | None" = None


class Looking(PhaseBase, frozen=True, kw_only=True, tag="looking"):
    """Reads the history until the model is idle."""


class ReportingBlocker(PhaseBase, frozen=True, kw_only=True, tag="reporting_blocker"):
    """Tells the queue which external refresh the run waits for."""


class TakingPlace(PhaseBase, frozen=True, kw_only=True, tag="taking_place"):
    """Asks the capacity group for a place. `found_idle`: the run has just found the model idle."""

    found_idle: bool = msgspec.field(default=False, name="looked")  # the stored key


class WaitingForPlace(PhaseBase, frozen=True, kw_only=True, tag="waiting_for_place"):
    """Waits for `event` from the group, for at most `seconds`; then the run asks again."""

    event: str
    seconds: float


class LeavingPlace(PhaseBase, frozen=True, kw_only=True, tag="leaving_place"):
    """Gives the place back, or stops waiting. `then`: the next phase, after `wait` seconds.

    `busy_until`: the time until which the group counts the external refresh that the run waits for.
    """

    then: "Phase"
    wait: float = 0
    busy_until: str | None = None


class Waking(PhaseBase, frozen=True, kw_only=True, tag="waking"):
    """Notifies the runs that can have a place. `then`, `wait`: as in `LeavingPlace`."""

    wake_ups: tuple[WakeUp, ...] = msgspec.field(name="wake")  # the stored key
    then: "Phase"
    wait: float = 0


class Closing(PhaseBase, frozen=True, kw_only=True, tag="closing"):
    """Asks the queue for the permit to POST; after that no request can join."""


class Posting(PhaseBase, frozen=True, kw_only=True, tag="posting"):
    """Starts the refresh."""


class Reconciling(PhaseBase, frozen=True, kw_only=True, tag="reconciling"):
    """Searches the history after a POST without a clear answer.

    `reason`: the answer was lost, or Power BI was busy. `since`: when the search began. `until`: the end of the grace
    in which a refresh may not be visible yet. `window`: when our refresh began, if it was accepted.
    """

    reason: Literal["lost", "busy"]
    since: str
    until: str
    window: LostWindow = LostWindow()
    error: str | None = None
    app_fault: bool = msgspec.field(default=False, name="broke")  # the stored key
    """The answer was lost because of an exception in this app."""
    accepted: bool = False
    """Power BI accepted the POST but returned no id."""


class Reopening(PhaseBase, frozen=True, kw_only=True, tag="reopening"):
    """Withdraws the permit: requests may join again. `pause`: seconds until the next look at the model.

    `execution`: the execution of the POST that is known to have started nothing; None: the history was searched.
    """

    pause: float = 0
    execution: str | None = None


class Dropping(PhaseBase, frozen=True, kw_only=True, tag="dropping"):
    """Removes requests whose orchestrations have ended, and withdraws the permit."""

    requests: tuple[str, ...]
    execution: str | None = None


class Recording(PhaseBase, frozen=True, kw_only=True, tag="recording"):
    """Tells the queue which refresh the run follows."""


class Cancelling(PhaseBase, frozen=True, kw_only=True, tag="cancelling"):
    """Cancels the refresh, because no request needs it any more.

    `throttled`: how many cancels Power BI has answered with a pause; `paused`: the seconds of these pauses together.
    """

    throttled: int = 0
    paused: float = 0.0


class Polling(PhaseBase, frozen=True, kw_only=True, tag="polling"):
    """Reads the refresh until it has ended."""


class Finishing(PhaseBase, frozen=True, kw_only=True, tag="finishing"):
    """Hands the outcome to the queue. `execution`: as in `Reopening`."""

    execution: str | None = None


class StartingNext(PhaseBase, frozen=True, kw_only=True, tag="starting_next"):
    """Starts the next run of the queue, before the members of this run are notified."""

    next: Turn
    wake_ups: tuple[WakeUp, ...] = msgspec.field(default=(), name="wake")  # the stored key
    ended: Ended | None = None


class Notifying(PhaseBase, frozen=True, kw_only=True, tag="notifying"):
    """Tells the members how the run ended."""

    wake_ups: tuple[WakeUp, ...] = msgspec.field(name="wake")  # the stored key
    ended: Ended | None = None


class Over(PhaseBase, frozen=True, kw_only=True, tag="over"):
    """The orchestration ends."""


Phase: TypeAlias = (
    Claiming
    | Looking
    | ReportingBlocker
    | TakingPlace
    | WaitingForPlace
    | LeavingPlace
    | Waking
    | Closing
    | Posting
    | Reconciling
    | Reopening
    | Dropping
    | Recording
    | Cancelling
    | Polling
    | Finishing
    | StartingNext
    | Notifying
    | Over
)


# ---- the whole ------------------------------------------------------------------------------------------------------


class RunState(Message, frozen=True, kw_only=True):
    """A run between two steps. Times are ISO 8601 UTC, waits are seconds."""

    run: str
    dataset_id: str
    incarnation: int
    token: str
    limits: Limits = Limits()
    phase: Phase = Claiming()
    wait: float = 0
    """Seconds to wait before the step of the phase."""
    scope: Scope | None = None
    """The scope of the run; None until the run is claimed."""
    since: str = ""
    """When the first of its requests enrolled, according to the claim."""
    permit: int = 0
    """The number of the last permit that the queue gave."""
    objects: str | None = None
    """Digest of the objects of our last refresh with this scope."""
    look: Look | None = None
    """The content of the history before the POST."""
    late_after: str | None = None
    """Members enrolled later than this are too late for a refresh that is not known to be ours."""
    blocker: Blocker | None = msgspec.field(default=None, name="blocked")  # the stored key
    calls: Calls = Calls()
    posts: Posts = Posts()
    refresh: Followed | None = None
    outcome: Outcome | None = None
    names: ModelNames = ModelNames()
    """The names of the model and its workspace, if known."""
    priority: Priority = "normal"
    """The highest priority among its requests when the run was last claimed."""
    capacity: InGroup | None = None
    """The run's state in its capacity group; None if no capacity limit applies."""

    def to(self, phase: Phase, **changes: Any) -> Self:
        """The run in another phase, with further changes."""
        return replace(self, phase=phase, **changes)

    def replace(self, **changes: Any) -> Self:
        """The run with some fields changed."""
        return replace(self, **changes)

    @property
    def holder(self) -> Holder:
        """Identifies the orchestration and its run to the queue."""
        return Holder(run=self.run, incarnation=self.incarnation, token=self.token)

    @property
    def turn(self) -> Turn:
        """The incarnation of the run."""
        return Turn(run=self.run, incarnation=self.incarnation)

    @property
    def in_group(self) -> InGroup:
        """The run's state in its capacity group, which is set in the phases that ask the group."""
        assert self.capacity is not None  # noqa: S101 - set before those phases
        return self.capacity

    @property
    def next_asker(self) -> Asker:
        """The numbered sender of the next message to the capacity group."""
        return Asker(run=self.run, incarnation=self.incarnation, number=self.in_group.number + 1)

    @property
    def known_scope(self) -> Scope:
        """The scope, which is set in every phase after the claim."""
        assert self.scope is not None  # noqa: S101 - set by the claim
        return self.scope

    @property
    def model(self) -> ModelRef:
        """The model to refresh."""
        return ModelRef(workspace_id=self.known_scope.workspace_id, dataset_id=self.dataset_id)

    @property
    def followed(self) -> Followed:
        """The refresh that the run follows, which is set in the phases after the POST."""
        assert self.refresh is not None  # noqa: S101 - set before those phases
        return self.refresh

    @property
    def refresh_id(self) -> str | None:
        """The id of the refresh that the run follows."""
        return self.refresh.id if self.refresh else None

    @property
    def expected_end(self) -> str | None:
        """When the refresh ends if it takes as long as estimated; in the past if it takes longer. None: no estimate."""
        if self.refresh is None:
            return None
        expected = expectation(self.refresh.durations)
        return instant(time_of(self.refresh.began_at) + timedelta(seconds=expected.usual)) if expected else None

    def grace_ends(self, now: datetime) -> str:
        """The end of the grace in which a refresh that begins now may not be visible yet."""
        return instant(now + timedelta(seconds=self.limits.grace))
