"""A life of a run as the tests speak to it: each call checks that the run asks for just that, and answers."""

from datetime import UTC, datetime, timedelta
from typing import Any

from refresh.history.rows import RefreshRow, instant
from refresh.polling.schedule import Limits
from refresh.run.machine import Step, advance, next_generation, next_step
from refresh.run.state import RunState

Json = dict[str, Any]

NOON = datetime(2026, 3, 31, 12, tzinfo=UTC)
MODEL = "00000000-1111-2222-3333-444444444444"
STANDARD: Json = {"workspace_id": "w", "refresh": None, "notify_option": "NoNotification"}
ENHANCED: Json = {"workspace_id": "w", "refresh": {"type": "Full"}, "notify_option": "NoNotification"}
LIMITS = Limits(poll_min=5, poll_max=60, grace=120, outage=900)
BLOCKER = {"refreshId": "theirs", "refreshType": "Scheduled", "startedAt": instant(NOON)}
NEXT = {"run": "other-r1", "generation": 1}
NEVER = 1_000


class Life:
    """One life of a run and its clock."""

    def __init__(self, now: datetime = NOON, generation: int = 1) -> None:
        self.now = now
        self.state = RunState("a-r1", MODEL, generation, "life", LIMITS)

    @property
    def step(self) -> Step:
        """What the run asks for now; a round trip through JSON, as between two generations, changes nothing."""
        assert RunState.from_json(self.state.to_json()) == self.state
        return next_step(self.state)

    @property
    def phase(self) -> str:
        """Where the run is, once it has waited."""
        return self.state.phase

    def answer(self, name: str, answer: Json, **expected: Any) -> "Life":
        """Answers a step of this name whose input has these parts."""
        step = self.step
        assert (step.name or step.kind) == name
        assert {key: (step.input or {})[key] for key in expected} == expected
        self.state = advance(self.state, answer, self.now)
        return self

    def wait(self, seconds: float | None = None) -> "Life":
        """Lets a wait pass, of just so many seconds."""
        step = self.step
        assert step.kind == "wait"
        assert step.seconds > 0
        assert seconds in (None, step.seconds)
        self.now += timedelta(seconds=step.seconds)
        self.state = advance(self.state, {}, self.now)
        return self

    def over_generations(self) -> "Life":
        """Continues as new; the queue says that the run may go on."""
        phase = self.state.phase
        self.state = RunState.from_json(next_generation(self.state).to_json())
        if self.state.phase == "claim":
            while self.step.kind == "wait":
                self.wait()
            self.answer("claim", {"go": True})
        assert self.state.phase == phase
        return self

    def claimed(self, scope: Json = STANDARD, **facts: Any) -> "Life":
        """The queue gives the run to this life."""
        unsealed = {"permit": 0, "closed": False, "before": None, "attempt_at": None}
        nothing = {"refresh_id": None, "adopted": False, "posted_at": None, "cancel": False}
        return self.answer("claim", {"go": True, "scope": scope, **unsealed, **nothing, **facts})

    def history(self, running: Json | None = None, adoptable: str | None = None, **expected: Any) -> "Life":
        """The history is read well; of a refresh that is newly in the way the queue is told."""
        read_at = instant(self.now)
        before = {"known": [], "service_time": read_at, "read_at": read_at}
        found = {"kind": "history", "running": running, "before": before, "adoptable": adoptable}
        self.answer("read_history", found, **expected)
        return self.answer("wait_behind", {"go": True}, behind=running) if self.phase == "tell_queue" else self

    def closed(self, scope: Json = STANDARD) -> "Life":
        """As far as the permission to POST."""
        return self.claimed(scope).history().wait(2.0).answer("close", {"go": True}, permit=1)

    def posted(self, kind: str, **facts: Any) -> "Life":
        """The answer of the activity that posts."""
        return self.answer("post_refresh", {"kind": kind, **facts})

    def polling(self, scope: Json = STANDARD, *, adopted: bool = False) -> "Life":
        """As far as the first look at a refresh that is known."""
        self.closed(scope).posted("appeared" if adopted else "accepted", refresh_id="r")
        return self.recorded().answer("wake_requests", {}).wait(5)

    def recorded(self, *, cancel: bool = False) -> "Life":
        """The queue knows the refresh."""
        return self.answer("record", {"go": True, "cancel": cancel, "wake": [["a", "wake-1"]]})

    def row(self, status: str) -> "Life":
        """The refresh, read as it goes."""
        row = RefreshRow("r", "ViaApi", status, start=NOON, end=None if status == "Unknown" else self.now)
        return self.answer("read_refresh", {"kind": "row", "row": row.to_json()}, refresh_id="r")

    def unavailable(self, name: str, error: str = "HTTP 503") -> "Life":
        """Power BI is unwell."""
        return self.answer(name, {"kind": "unavailable", "error": error})

    def ended(self, status: str, code: str | None = None) -> Json:
        """The outcome that goes to the queue, checked for its status and the code of its error."""
        step = self.step
        assert step.name == "finish"
        outcome: Json = (step.input or {})["outcome"]
        assert outcome["status"] == status
        assert (outcome["error"] or {}).get("code") == code
        return outcome
