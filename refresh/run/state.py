"""All that a run knows: the input of each generation of its orchestration, so plain JSON and small."""

from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from refresh.history.rows import instant
from refresh.polling.schedule import Limits, expectation

SCHEMA = 1

Json = dict[str, Any]


def run_instance(run: str, generation: int) -> str:
    """The instance id of a generation of a run: every repair has an id of its own."""
    return f"{run}-g{generation}"


@dataclass(frozen=True)
class RunState:
    """A run between two steps. Times are ISO 8601 UTC, waits are seconds."""

    run: str
    dataset_id: str
    generation: int
    token: str
    limits: Limits = field(default_factory=Limits)
    phase: str = "claim"
    after_claim: str | None = None
    """Where to go on after a claim that only asks whether the run is still wanted."""
    scope: Json = field(default_factory=dict)

    wait: float = 0
    """Seconds to wait before the phase's step."""
    pause: float = 0
    """Seconds to wait once the queue is open again."""
    blocked_by: Json | None = None
    """The refresh that keeps the model busy: `refreshId`, `refreshType`, `startedAt`."""
    blocked_since: str | None = None
    outage_since: str | None = None
    post_failing_since: str | None = None
    failures: int = 0
    last_error: str | None = None

    permit: int = 0
    before: Json | None = None
    """What the history held before the POST: `known` ids, the service's own clock, and when we read it."""
    late_after: str | None = None
    """Members enrolled later than this may have come too late for a refresh that is not proven ours."""
    reason: str | None = None
    """Why the history is searched for a refresh of ours: `lost` or `busy`."""
    until: str | None = None
    """The end of the grace in which a refresh may not be visible yet."""
    phase_since: str | None = None
    lost_answers: int = 0
    lost_since: str | None = None
    lost: Json | None = None
    """`since` and `until`: when our refresh began, by the service's clock, if it was accepted; None if not known."""
    lost_error: str | None = None
    drops: int = 0
    unproven: int = 0
    """How many refreshes failed that were found after our POST had no clear answer: probably ours, but who knows."""

    refresh_id: str | None = None
    adopted: bool = False
    posted_at: str | None = None
    began_at: str | None = None
    """When the refresh began, as far as we know: one that was adopted had begun before it was found."""
    usual: list[float] = field(default_factory=list)
    """Seconds that earlier refreshes of the kind took, see `refresh.polling.estimate`; empty: nobody knows."""
    progress: Json | None = None
    """How far the refresh is, see `refresh.history.progress`."""
    seen: bool = False
    cancel: bool = False

    gone: list[str] = field(default_factory=list)
    wake: list[list[str]] = field(default_factory=list)
    next: Json | None = None
    outcome: Json | None = None

    def to_json(self) -> Json:
        """The input of the run's next generation."""
        # what is in it is plain JSON but for the limits, and nobody changes it: a deep copy would be made for nothing
        return {"schema": SCHEMA, **vars(self), "limits": asdict(self.limits)}

    @classmethod
    def from_json(cls, value: Json) -> "RunState":
        """The state that `to_json` or a start wrote. Keys of a newer code are left out."""
        known = {key: value[key] for key in cls.__dataclass_fields__ if key in value}
        return cls(**{**known, "limits": Limits(**value["limits"])})

    def identity(self, at: str) -> Json:
        """What proves to the queue which life of which run speaks."""
        return {"run": self.run, "generation": self.generation, "token": self.token, "at": at}

    @property
    def expected_end(self) -> str | None:
        """When the refresh ends if it takes as long as usual; in the past if it takes longer. None: nobody knows."""
        expected = expectation(self.usual)
        began = self.began_at or self.posted_at
        if expected is None or began is None or self.refresh_id is None:
            return None
        return instant(datetime.fromisoformat(began) + timedelta(seconds=expected.usual))

    def status(self, now: datetime) -> Json:
        """The custom status of the orchestration: what a person may want to know of a run, far below 4 KB."""
        return {
            "phase": "refreshing" if self.refresh_id else "waiting" if self.phase in ("claim", "look") else self.phase,
            "refreshId": self.refresh_id,
            "adopted": self.adopted,
            "postedAt": self.posted_at,
            "progress": self.progress,
            "waitsFor": self.blocked_by,
            "waitsSince": self.blocked_since,
            "expectedEnd": self.expected_end,
            "lastReadError": self.last_error,
            "nextLookAt": instant(now + timedelta(seconds=self.wait)) if self.wait else None,
        }


if TYPE_CHECKING:
    from dataclasses import replace as replace
else:

    def replace(state: RunState, **changes: Any) -> RunState:
        """`dataclasses.replace`, without setting all fields one by one: each replay of a run makes dozens of states."""
        if not changes.keys() <= RunState.__dataclass_fields__.keys():
            raise TypeError(f"a run has no {', '.join(changes.keys() - RunState.__dataclass_fields__.keys())}")
        changed = object.__new__(RunState)
        changed.__dict__.update(state.__dict__, **changes)
        return changed
