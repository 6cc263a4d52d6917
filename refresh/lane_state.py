"""What a lane holds: its runs, their members, and the ended that are still remembered. Stored as plain JSON."""

from dataclasses import asdict, dataclass, field, fields
from datetime import datetime, timedelta
from typing import Any, TypeVar

SCHEMA = 1
REMEMBERED = timedelta(minutes=30)
"""How long the ended are known: longer than the engine can delay a duplicate of a message."""
UNCOLLECTED = timedelta(hours=24)
"""How long an outcome waits for a request that does not come for it (it was terminated by hand)."""
MAX_REMEMBERED = 2_000

Json = dict[str, Any]
Stored = TypeVar("Stored", bound="Member | Run | Ended | Gone")


@dataclass
class Member:
    """A request enrolled in a run. `wake` is the name of the event that it waits for now."""

    id: str
    token: str
    since: str
    wake: str
    leaving: bool = False
    """Somebody asked to cancel the request; it leaves when it hears of it."""


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
    attempt: str | None = None
    """The one execution that may use the present ticket: the engine may run the activity that posts twice."""
    attempt_at: str | None = None
    behind: Json | None = None
    """The refresh of somebody else that the run waits for: `refreshId`, `refreshType`, `startedAt`."""
    refresh_id: str | None = None
    adopted: bool = False
    posted_at: str | None = None
    cancel: bool = False
    """Every member left and wished the refresh to be cancelled."""
    start_asked: list[str] | None = None
    """Which request was told to start the run's present generation, and when."""
    kept: bool = False
    """A member left without that wish: the refresh goes on whatever the others want."""

    @property
    def sealed(self) -> bool:
        """True while the run may POST or has posted: its refresh may have started before a newcomer asked."""
        return self.ticket > self.spent


@dataclass
class Ended:
    """What a run came to, kept for the members who have not collected it yet."""

    at: str
    outcome: Json
    shared_with: int
    uncollected: list[Member] = field(default_factory=list)


@dataclass
class Gone:
    """A request that has the outcome of `run`, or left and was told `answer`."""

    at: str
    token: str
    run: str | None = None
    answer: Json | None = None
    dropped: bool = False
    """Its orchestration was thought dead, and nobody asked the request itself."""


@dataclass
class Lane:
    """All that is known of one dataset's callers."""

    at: str = ""
    runs: list[Run] = field(default_factory=list)
    ended: dict[str, Ended] = field(default_factory=dict)
    gone: dict[str, Gone] = field(default_factory=dict)
    asked: dict[str, str] = field(default_factory=dict)
    """Requests that somebody cancelled before they were enrolled, and when."""

    @property
    def quiet(self) -> bool:
        """True if nothing waits, runs, or needs to be remembered."""
        return not (self.runs or self.ended or self.gone or self.asked)

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
            runs=[_known(Run, run, members=_members(run["members"])) for run in state["runs"]],
            ended={
                key: _known(Ended, value, uncollected=_members(value["uncollected"]))
                for key, value in state["ended"].items()
            },
            gone={key: _known(Gone, value) for key, value in state["gone"].items()},
            asked=dict(state.get("asked", {})),
        )

    def find(self, run_id: str) -> Run | None:
        """The waiting or active run of this id."""
        return next((run for run in self.runs if run.id == run_id), None)

    def forget(self) -> None:
        """Drops what need not be remembered any longer, by the time of the last operation."""
        now = datetime.fromisoformat(self.at)

        def young(at: str) -> bool:
            return now - datetime.fromisoformat(at) <= REMEMBERED

        gone = {key: value for key, value in self.gone.items() if young(value.at)}
        self.gone = dict(list(gone.items())[-MAX_REMEMBERED:])
        self.asked = {key: at for key, at in self.asked.items() if young(at)}
        needed = {value.run for value in self.gone.values()}
        for run_id, ended in list(self.ended.items()):
            over = now - datetime.fromisoformat(ended.at) > UNCOLLECTED
            if over or not (young(ended.at) or ended.uncollected or run_id in needed):
                del self.ended[run_id]

    def permits(self, identity: Json) -> Run | None:
        """The run, if this life of it may POST now with this ticket: `run`, `generation`, `token`, `ticket`."""
        run = self.runs[0] if self.runs else None
        if run is None or not run.sealed or run.refresh_id is not None:
            return None
        holder = {"run": run.id, "generation": run.generation, "token": run.token, "ticket": run.ticket}
        return run if holder == {key: identity[key] for key in holder} else None

    def ahead_of(self, run: Run) -> Json | None:
        """The refresh that a run waits for: somebody else's, or that of the run before it; None if nothing runs."""
        active = self.runs[0]
        if active is run or not active.refresh_id:
            return active.behind
        return {"refreshId": active.refresh_id, "refreshType": None, "startedAt": active.posted_at}

    def run_of(self, request_id: str) -> Run | None:
        """The run in which the request is enrolled."""
        return next((run for run in self.runs if any(m.id == request_id for m in run.members)), None)


def _members(values: list[Json]) -> list[Member]:
    return [_known(Member, value) for value in values]


def _known(kind: type[Stored], value: Json, **parsed: Any) -> Stored:
    """An object from what was stored, perhaps by newer code that was rolled back: keys it added are left out."""
    names = {entry.name for entry in fields(kind)}
    return kind(**{key: entry for key, entry in value.items() if key in names} | parsed)
