"""What a lane holds: its runs, their members, and the ended that are still remembered. Stored as plain JSON."""

from dataclasses import asdict, dataclass, field
from typing import Any

SCHEMA = 1

Json = dict[str, Any]


@dataclass
class Member:
    """A request enrolled in a run. `wake` is the name of the event that it waits for now."""

    id: str
    token: str
    since: str
    wake: str


@dataclass
class Run:
    """A refresh to be made. `ticket` counts the permissions to POST; a run is sealed while it holds one.

    `before` is what the history held when the ticket was asked for.
    """

    id: str
    scope: Json
    share: bool
    members: list[Member] = field(default_factory=list)
    generation: int = 1
    token: str | None = None
    ticket: int = 0
    spent: int = 0
    """The last ticket that was given back: a late duplicate of its operations must change nothing."""
    before: Json | None = None
    refresh_id: str | None = None
    adopted: bool = False
    posted_at: str | None = None
    cancel: bool = False
    """Every member left and wished the refresh to be cancelled."""
    kept: bool = False
    """A member left without that wish: the refresh goes on whatever the others want."""

    @property
    def sealed(self) -> bool:
        """True while the run may POST or has posted: its refresh may have started before a newcomer asked."""
        return self.ticket > self.spent


@dataclass
class Ended:
    """What a run came to, kept for the members who have not asked for it yet (request id -> event it waits for)."""

    at: str
    outcome: Json
    shared_with: int
    uncollected: dict[str, str] = field(default_factory=dict)


@dataclass
class Gone:
    """A request that has the outcome of `run`, or left and was told `answer`."""

    at: str
    token: str
    run: str | None = None
    answer: Json | None = None


@dataclass
class Lane:
    """All that is known of one dataset's callers."""

    at: str = ""
    runs: list[Run] = field(default_factory=list)
    ended: dict[str, Ended] = field(default_factory=dict)
    gone: dict[str, Gone] = field(default_factory=dict)

    @property
    def quiet(self) -> bool:
        """True if nothing waits, runs, or needs to be remembered."""
        return not (self.runs or self.ended or self.gone)

    def to_json(self) -> Json:
        """The state as the entity stores it."""
        return {"schema": SCHEMA, **asdict(self)}

    @classmethod
    def from_json(cls, state: Json | None) -> "Lane":
        """The lane that `to_json` wrote, or an empty one. A deleted entity reads as an empty text."""
        if not state:
            return cls()
        return cls(
            at=state["at"],
            runs=[Run(**{**run, "members": [Member(**m) for m in run["members"]]}) for run in state["runs"]],
            ended={
                key: Ended(**{**value, "uncollected": dict(value["uncollected"])})
                for key, value in state["ended"].items()
            },
            gone={key: Gone(**value) for key, value in state["gone"].items()},
        )

    def find(self, run_id: str) -> Run | None:
        """The waiting or active run of this id."""
        return next((run for run in self.runs if run.id == run_id), None)

    def run_of(self, request_id: str) -> Run | None:
        """The run in which the request is enrolled."""
        return next((run for run in self.runs if any(m.id == request_id for m in run.members)), None)
