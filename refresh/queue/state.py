"""What a queue holds: its runs, their members, and the ended that are still remembered. Stored as plain JSON."""

from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from typing import Any, TypeVar

from refresh.queue import sharing

SCHEMA = 1
REMEMBERED = timedelta(minutes=30)
"""How long the ended are known: longer than the engine can delay a duplicate of a message."""
UNCOLLECTED = timedelta(hours=24)
"""How long an outcome waits for a request that does not come for it (it was terminated by hand)."""
MAX_REMEMBERED = 2_000

Json = dict[str, Any]
Stored = TypeVar("Stored", bound="Member | Run | Ended | Gone | Reservation")


@dataclass
class Member:
    """A request enrolled in a run. `wake` is the name of the event that it waits for now."""

    id: str
    token: str
    since: str
    wake: str
    leaving: bool = False
    """Somebody asked to cancel the request; it leaves when it hears of it."""
    scope: Json | None = None
    """What it wishes, if that is less than its run does."""
    round: int = 1
    """Which try of the request this is: a request with retries enrols again after a transient failure."""
    runs_made: int = 0
    """How many runs were named after it in this round."""

    def new_run_id(self) -> str:
        """The id of a run that is made for this request: never used before, whatever the queue has forgotten."""
        self.runs_made += 1
        more = f"-{self.runs_made}" if self.runs_made > 1 else ""
        return f"{self.id}-r{self.round}{more}"


@dataclass
class Run:
    """A refresh to be made. `permit` counts the permissions to POST; a run is closed while it holds one.

    `before` is what the history held when the permit was asked for.
    """

    id: str
    scope: Json
    share: bool
    members: list[Member] = field(default_factory=list)
    generation: int = 1
    token: str | None = None
    permit: int = 0
    spent: int = 0
    """The last permit that was given back: a late duplicate of its operations must change nothing."""
    before: Json | None = None
    attempt: str | None = None
    """The one execution that may use the present permit: the engine may run the activity that posts twice."""
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
    def closed(self) -> bool:
        """True while the run may POST or has posted: its refresh may have started before a newcomer asked."""
        return self.permit > self.spent

    @property
    def since(self) -> str:
        """When the first of its members came."""
        return min((member.since for member in self.members), default="")

    @property
    def joinable(self) -> bool:
        """Whether a newcomer may still join."""
        return self.share and not self.closed and self.refresh_id is None

    def narrow(self) -> None:
        """After members have gone: does no more than what the others wish."""
        scope = sharing.together(member.scope or self.scope for member in self.members)
        if scope is not None:
            self.scope = scope
        for member in self.members:
            if member.scope is not None and sharing.serves(member.scope, self.scope):
                member.scope = None

    @property
    def turn(self) -> Json:
        """What names this life of the run to others."""
        return {"run": self.id, "generation": self.generation}

    def member(self, request_id: str) -> Member | None:
        """The request, if it is enrolled here."""
        return next((member for member in self.members if member.id == request_id), None)


@dataclass
class Ended:
    """What a run came to, kept for the members who have not collected it yet."""

    at: str
    outcome: Json
    shared_with: int
    uncollected: list[Member] = field(default_factory=list)
    merged: bool = False
    """The run did more than any of its members wished: it was put together from several wishes."""


@dataclass
class Gone:
    """A request that has the outcome of `run`, or left and was told `answer`."""

    at: str
    token: str
    run: str | None = None
    answer: Json | None = None
    dropped: bool = False
    """Its orchestration was thought dead, and nobody asked the request itself."""
    round: int = 1
    served_by: str | None = None
    """`wider` or `merged`, if the run did more than the request wished."""


@dataclass
class Reservation:
    """A request that is about to be started: whoever starts it does so with this input of its orchestration."""

    at: str
    state: Json


@dataclass
class Queue:
    """All that is known of one dataset's callers."""

    at: str = ""
    runs: list[Run] = field(default_factory=list)
    ended: dict[str, Ended] = field(default_factory=dict)
    gone: dict[str, Gone] = field(default_factory=dict)
    asked: dict[str, str] = field(default_factory=dict)
    """Requests that somebody cancelled before they were enrolled, and when."""
    reserved: dict[str, Reservation] = field(default_factory=dict)
    """Requests with an idempotency key, from the moment somebody sets out to start them until they enrol."""

    @property
    def quiet(self) -> bool:
        """True if nothing waits, runs, or needs to be remembered."""
        return not (self.runs or self.ended or self.gone or self.asked or self.reserved)

    def to_json(self) -> Json:
        """The state as the entity stores it. Plain copies: `dataclasses.asdict` takes ten times as long."""
        return {
            "schema": SCHEMA,
            "at": self.at,
            "runs": [{**vars(run), "members": [dict(vars(member)) for member in run.members]} for run in self.runs],
            "ended": {
                key: {**vars(ended), "uncollected": [dict(vars(member)) for member in ended.uncollected]}
                for key, ended in self.ended.items()
            },
            "gone": {key: dict(vars(gone)) for key, gone in self.gone.items()},
            "asked": dict(self.asked),
            "reserved": {key: dict(vars(reserved)) for key, reserved in self.reserved.items()},
        }

    @classmethod
    def from_json(cls, state: Json | None) -> "Queue":
        """The queue that `to_json` wrote, or an empty one. A deleted entity reads as an empty text."""
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
            reserved={key: _known(Reservation, value) for key, value in state.get("reserved", {}).items()},
        )

    def next_turn(self) -> Json | None:
        """The run to start now: the active one, if no life has claimed it yet."""
        return self.runs[0].turn if self.runs and self.runs[0].token is None else None

    def forget(self) -> None:
        """Drops what need not be remembered any longer, by the time of the last operation."""
        now = datetime.fromisoformat(self.at)

        def young(at: str) -> bool:
            return now - datetime.fromisoformat(at) <= REMEMBERED

        gone = {key: value for key, value in self.gone.items() if young(value.at)}
        self.gone = dict(list(gone.items())[-MAX_REMEMBERED:])
        self.asked = {key: at for key, at in self.asked.items() if young(at)}
        self.reserved = {key: value for key, value in self.reserved.items() if young(value.at)}
        needed = {value.run for value in self.gone.values()}
        for run_id, ended in list(self.ended.items()):
            over = now - datetime.fromisoformat(ended.at) > UNCOLLECTED
            if over or not (young(ended.at) or ended.uncollected or run_id in needed):
                del self.ended[run_id]

    def holder_of(self, identity: Json) -> Run | None:
        """The run, if this life of it may POST now with this permit: `run`, `generation`, `token`, `permit`."""
        run = self.runs[0] if self.runs else None
        if run is None or not run.closed or run.refresh_id is not None:
            return None
        holder = {"run": run.id, "generation": run.generation, "token": run.token, "permit": run.permit}
        return run if holder == {key: identity[key] for key in holder} else None

    def ahead_of(self, run: Run) -> Json | None:
        """The refresh that a run waits for: somebody else's, or that of the run before it; None if nothing runs."""
        active = self.runs[0]
        if active is run or not active.refresh_id:
            return active.behind
        return {"refreshId": active.refresh_id, "refreshType": None, "startedAt": active.posted_at}

    def run_of(self, request_id: str) -> Run | None:
        """The run in which the request is enrolled."""
        return next((run for run in self.runs if run.member(request_id)), None)


def wake(members: list[Member]) -> list[list[str]]:
    """Pairs of request and event."""
    return [[member.id, member.wake] for member in members]


def _members(values: list[Json]) -> list[Member]:
    return [_known(Member, value) for value in values]


def _known(kind: type[Stored], value: Json, **parsed: Any) -> Stored:
    """An object from what was stored, perhaps by newer code that was rolled back: keys it added are left out."""
    names = NAMES[kind]
    return kind(**{key: entry for key, entry in value.items() if key in names} | parsed)


NAMES: dict[type[Any], frozenset[str]] = {
    kind: frozenset(entry.name for entry in fields(kind)) for kind in (Member, Run, Ended, Gone, Reservation)
}
