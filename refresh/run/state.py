"""All that a run knows between two steps: the input of each of its orchestrations, so plain values and small.

A run is in one phase at a time; what only that phase needs is in the phase. The list of phases is `Phase`.
"""

from datetime import datetime, timedelta
from typing import Any, Literal, Self, TypeAlias

from refresh.failure.catalogue import ModelNames
from refresh.history.look import ExternalRefresh, Look, LostWindow
from refresh.history.outcome import Outcome
from refresh.history.progress import Progress
from refresh.messages import Message, replace
from refresh.polling.limits import Limits
from refresh.polling.schedule import expectation
from refresh.queue.answers import Holder, Turn, WakeUp
from refresh.run.orders import ModelRef
from refresh.scope.scope import Scope
from refresh.times import instant, time_of

# ---- the phases -----------------------------------------------------------------------------------------------------


class PhaseBase(Message, frozen=True, kw_only=True, tag_field="phase"):
    """What a run does next. Each phase has a module of its name in `refresh.run.phases`."""


class Claiming(PhaseBase, frozen=True, kw_only=True, tag="claiming"):
    """Asks the queue whether this orchestration holds the run. `then`: the phase to go on with (None: as it says)."""

    then: "Phase | None" = None


class Looking(PhaseBase, frozen=True, kw_only=True, tag="looking"):
    """Reads the history until the model is idle."""


class ReportingBlocker(PhaseBase, frozen=True, kw_only=True, tag="reporting_blocker"):
    """Tells the queue which external refresh the run waits for."""


class Closing(PhaseBase, frozen=True, kw_only=True, tag="closing"):
    """Asks the queue for the permit to POST; from then on no request joins."""


class Posting(PhaseBase, frozen=True, kw_only=True, tag="posting"):
    """Starts the refresh."""


class Reconciling(PhaseBase, frozen=True, kw_only=True, tag="reconciling"):
    """Searches the history after a POST without a clear answer.

    `reason`: the answer was lost, or Power BI was busy. `since`: when the search began. `until`: the end of the grace
    in which a refresh may not be visible yet. `window`: when ours began, if it was accepted.
    """

    reason: Literal["lost", "busy"]
    since: str
    until: str
    window: LostWindow = LostWindow()
    error: str | None = None
    broke: bool = False
    """An exception of ours lost the answer."""
    accepted: bool = False
    """Power BI accepted the POST, but did not say as what."""


class Reopening(PhaseBase, frozen=True, kw_only=True, tag="reopening"):
    """Gives the permit back: requests may join again. `pause`: seconds until the next look at the model.

    `execution`: the one of the POST that is known to have started nothing; None: the history was searched.
    """

    pause: float = 0
    execution: str | None = None


class Dropping(PhaseBase, frozen=True, kw_only=True, tag="dropping"):
    """Takes requests out whose orchestrations have ended, and gives the permit back."""

    requests: tuple[str, ...]
    execution: str | None = None


class Recording(PhaseBase, frozen=True, kw_only=True, tag="recording"):
    """Tells the queue which refresh the run follows."""


class Cancelling(PhaseBase, frozen=True, kw_only=True, tag="cancelling"):
    """Asks Power BI to cancel the refresh, which no request wants any more."""


class Polling(PhaseBase, frozen=True, kw_only=True, tag="polling"):
    """Reads the refresh until it has ended."""


class Finishing(PhaseBase, frozen=True, kw_only=True, tag="finishing"):
    """Hands the outcome to the queue. `execution`: as in `Reopening`."""

    execution: str | None = None


class StartingNext(PhaseBase, frozen=True, kw_only=True, tag="starting_next"):
    """Starts the next run of the queue, before the members of this one are notified."""

    next: Turn
    wake: tuple[WakeUp, ...] = ()


class Notifying(PhaseBase, frozen=True, kw_only=True, tag="notifying"):
    """Notifies the members that the run has ended."""

    wake: tuple[WakeUp, ...]


class Over(PhaseBase, frozen=True, kw_only=True, tag="over"):
    """The orchestration ends."""


Phase: TypeAlias = (
    Claiming
    | Looking
    | ReportingBlocker
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


# ---- the parts ------------------------------------------------------------------------------------------------------


class Calls(Message, frozen=True, kw_only=True):
    """How calls to Power BI have gone lately: failures in a row, since when, and the last error.

    `broken`: how many of the last failures in a row were exceptions of ours.
    """

    failures: int = 0
    broken: int = 0
    failing_since: str | None = None
    last_error: str | None = None


class Posts(Message, frozen=True, kw_only=True):
    """What became of the POSTs of this run: the budgets for trying again.

    `failing_since`: POSTs have been refused as unavailable since then; the history may be readable all the while.
    `lost`: answers that were lost, since `lost_since`. `drops`: refreshes that were accepted and never appeared.
    `unproven`: refreshes that failed and were found after a lost answer: probably ours, but that is not known.
    `sole_objects`: digest of the objects of the only refresh that appeared after the last lost answer, and was not
    shown to be ours.
    """

    failing_since: str | None = None
    lost: int = 0
    lost_since: str | None = None
    drops: int = 0
    unproven: int = 0
    sole_objects: str | None = None


class Blocked(Message, frozen=True, kw_only=True):
    """The refresh that keeps the model busy, and since when the run has waited for it."""

    by: ExternalRefresh
    since: str


class Followed(Message, frozen=True, kw_only=True):
    """The refresh that the run follows.

    `posted_at`: by our clock. `began_at`: when it began, as far as known; an adopted one began before it was found.
    `visible_by`: the end of the grace in which it may be missing in the history; `seen`: it was there. `after_loss`: it
    was found after a lost answer, so it is probably ours. `durations`: seconds that earlier ones of the kind took.
    `objects`: digest of its tables and partitions.
    """

    id: str
    posted_at: str
    began_at: str
    visible_by: str
    adopted: bool = False
    after_loss: bool = False
    seen: bool = False
    durations: tuple[float, ...] = ()
    progress: Progress | None = None
    objects: str | None = None


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
    """Known once the run is claimed."""
    permit: int = 0
    """The number of the last permit that the queue gave."""
    objects: str | None = None
    """Digest of the objects of our last refresh with this scope."""
    look: Look | None = None
    """What the history held before the POST."""
    late_after: str | None = None
    """Members enrolled later than this came too late for a refresh that is not known to be ours."""
    blocked: Blocked | None = None
    calls: Calls = Calls()
    posts: Posts = Posts()
    refresh: Followed | None = None
    outcome: Outcome | None = None
    names: ModelNames = ModelNames()
    """Of the model and its workspace, as far as they are known."""

    def to(self, phase: Phase, **changes: Any) -> Self:
        """The run in another phase, with further changes."""
        return replace(self, phase=phase, **changes)

    def but(self, **changes: Any) -> Self:
        """The run with some changes."""
        return replace(self, **changes)

    @property
    def holder(self) -> Holder:
        """What proves to the queue which orchestration of which run asks."""
        return Holder(run=self.run, incarnation=self.incarnation, token=self.token)

    @property
    def turn(self) -> Turn:
        """The incarnation of the run."""
        return Turn(run=self.run, incarnation=self.incarnation)

    @property
    def known_scope(self) -> Scope:
        """The scope; every phase after the claim has it."""
        assert self.scope is not None  # noqa: S101 - set by the claim
        return self.scope

    @property
    def model(self) -> ModelRef:
        """The model to refresh."""
        return ModelRef(workspace_id=self.known_scope.workspace_id, dataset_id=self.dataset_id)

    @property
    def followed(self) -> Followed:
        """The refresh that the run follows; the phases after the POST have it."""
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
        """The end of the grace in which a refresh that begins now may not be visible."""
        return instant(now + timedelta(seconds=self.limits.grace))
