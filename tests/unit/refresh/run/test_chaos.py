"""Runs, requests and a queue in a world where everything goes wrong until it does not: every verdict is true."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from refresh.history.adoption import blocker, look_before, may_cover, new_rows
from refresh.history.rows import RefreshRow, instant
from refresh.run.machine import advance, next_generation, next_step
from refresh.run.state import RunState
from tests.unit.refresh.queue.queues import NOON, WHOLE, Desk
from tests.unit.refresh.run.incarnations import LIMITS, MODEL, Json

SICK_FOR = timedelta(hours=4)
LONGEST_REFRESH = 2_400
"""Seconds: below the hour after which a run probes, so that ours is never behind ours."""
ALL_OVER = SICK_FOR + timedelta(hours=12)
MOST_EVENTS = 60_000


@dataclass
class Refresh:
    """A refresh as the service knows it."""

    id: str
    kind: str
    start: datetime
    end: datetime
    fate: str
    visible: datetime
    run: str | None = None

    def row(self, now: datetime) -> RefreshRow:
        """As the history shows it."""
        over = now >= self.end
        status = self.fate if over else "Unknown"
        return RefreshRow(self.id, self.kind, status, start=self.start, end=self.end if over else None)


@dataclass
class Caller:
    """A request: asks, waits, perhaps leaves."""

    id: str
    due: datetime
    leaves: datetime
    since: str = ""
    outcome: Json | None = None
    left: bool = False

    @property
    def over(self) -> bool:
        """True if it has ended."""
        return self.left or self.outcome is not None


@dataclass
class Life:
    """An orchestration of a run."""

    state: RunState
    due: datetime
    waits: bool = False


@dataclass
class World:
    """Everything, driven by one source of chance."""

    random: Random
    desk: Desk = field(default_factory=Desk)
    callers: list[Caller] = field(default_factory=list)
    lives: dict[tuple[str, int], Life] = field(default_factory=dict)
    refreshes: list[Refresh] = field(default_factory=list)
    sent: list[tuple[str, Json]] = field(default_factory=list)
    posts: int = 0
    names: int = 0

    # ---- the world ----

    @property
    def now(self) -> datetime:
        """The time of everybody."""
        return self.desk.now

    def mishap(self, chance: float) -> bool:
        """True now and then, until the world is healthy."""
        return self.now - NOON < SICK_FOR and self.random.random() < chance

    def name(self, kind: str) -> str:
        """A name that nobody had."""
        self.names += 1
        return f"{kind}{self.names}"

    def queue(self, operation: str, **arguments: object) -> Json:
        """An operation; it may be applied twice, and old ones again."""
        order = {"at": instant(self.now), **arguments}
        self.sent.append((operation, order))
        answer = self.desk.do(operation, **order)
        if self.mishap(0.1):
            assert self.desk.do(operation, **order) == answer
        if self.mishap(0.05):
            name, old = self.random.choice(self.sent[-30:])
            self.desk.do(name, **old)
        return answer

    def go_on(self) -> None:
        """Until all is over, one event after the other."""
        for _ in range(MOST_EVENTS):
            waiting: list[Caller | Life] = [caller for caller in self.callers if not caller.over]
            if not (waiting or self.desk.queue.runs):
                return
            if not (waiting or self.lives):
                # a run that died when everybody had left it is found by whoever comes next
                self.callers.append(Caller(self.name("next"), self.now, self.now + ALL_OVER))
                continue
            first = min([*waiting, *self.lives.values()], key=lambda one: one.due)
            self.desk.now = max(self.now, first.due)
            assert self.now - NOON < ALL_OVER, "somebody is stuck"
            if self.mishap(0.01):
                self.begin(self.random.choice(["Scheduled", "ViaXmlaEndpoint"]), None)
            if isinstance(first, Caller):
                self.ask(first)
            else:
                self.live(first)
        raise AssertionError("it does not end")

    # ---- requests ----

    def ask(self, caller: Caller) -> None:
        """One turn of a request."""
        me = {"request": caller.id, "token": caller.id}
        caller.since = caller.since or instant(self.now)
        if self.now >= caller.leaves:
            answer = self.queue("leave", **me, cancel=False, reason="TimedOut")
            caller.left = answer["state"] == "left"
            self.start(answer.get("next"))
        else:
            answer = self.queue("enroll", **me, scope=WHOLE, share=True, wake="w")
            if answer["state"] == "enrolled":
                active = answer["active"]
                if answer["start"]:
                    self.start(active)
                elif (active["run"], active["generation"]) not in self.lives:
                    self.start(self.queue("restart", **active)["next"])
        if answer["state"] == "ended":
            caller.outcome = answer["outcome"]
            self.judge(caller)
        caller.due = min(self.now + timedelta(seconds=self.random.uniform(1, 300)), max(caller.leaves, self.now))

    def judge(self, caller: Caller) -> None:
        """A verdict must be that of a refresh that really ended so, and began after the request came."""
        outcome = caller.outcome or {}
        refresh = next((one for one in self.refreshes if one.id == outcome["refreshId"]), None)
        if outcome["status"] == "Completed":
            assert refresh is not None
            assert refresh.fate == "Completed"
            assert refresh.end <= self.now
            assert instant(refresh.start) >= caller.since
        elif refresh is not None and outcome["error"]["code"] == "RefreshFailed":
            assert refresh.fate == "Failed"
            assert refresh.run is not None, "somebody else's failure"

    # ---- runs ----

    def start(self, turn: Json | None) -> Json:
        """A life for a run, unless one is alive; a start may be lost, a token is new each time."""
        if turn and not self.mishap(0.05):
            state = RunState(turn["run"], MODEL, turn["generation"], self.name("token"), LIMITS)
            self.lives.setdefault((turn["run"], turn["generation"]), Life(state, self.now))
        return {}

    def live(self, life: Life) -> None:
        """One step of a life, which may be its last."""
        key = (life.state.run, life.state.generation)
        step = next_step(life.state)
        if step.kind == "end" or self.mishap(0.01):
            del self.lives[key]
            return
        if step.kind == "wait" and not life.waits:
            life.waits, early_or_late = True, self.random.uniform(-1, 3)
            life.due = self.now + timedelta(seconds=max(step.seconds + early_or_late, 0))
            return
        life.waits = False
        answer: Json = {}
        if step.kind == "queue":
            answer = self.queue(step.name, **(step.input or {}), **_who(life.state.to_json()))
        elif step.kind == "activity":
            answer = self.act(step.name, step.input or {})
        if self.mishap(0.01):
            del self.lives[key]
            return
        life.state = advance(life.state, answer, self.now)
        if self.random.random() < 0.1:
            life.state = RunState.from_json(next_generation(life.state).to_json())
        life.due = self.now + timedelta(seconds=self.random.uniform(0.01, 1.5))

    def act(self, name: str, order: Json) -> Json:
        """An activity: it may break before or after its effect, or run twice."""
        if self.mishap(0.05):
            return {"kind": "broken", "error": "the host died"}
        activities: dict[str, Callable[[Json], Json]] = {
            "read_history": self.read_history,
            "post_refresh": self.post,
            "read_refresh": self.read,
            "cancel_refresh": lambda order: {"kind": "over"},
            "wake_requests": lambda order: {},
            "start_run": self.start,
        }
        activity = activities[name]
        answer = activity(order)
        if self.mishap(0.05):
            return {"kind": "broken", "error": "the host died"}
        return activity(order) if self.mishap(0.05) else answer

    # ---- Power BI ----

    def begin(self, kind: str, run: str | None) -> Refresh | None:
        """A refresh begins, unless one is running."""
        if any(one.start <= self.now < one.end for one in self.refreshes):
            return None
        end = self.now + timedelta(seconds=self.random.uniform(1, LONGEST_REFRESH))
        fate = self.random.choice(["Completed", "Completed", "Failed"])
        hidden = timedelta(seconds=self.random.uniform(0, 60) if self.mishap(0.3) else 0)
        refresh = Refresh(self.name("refresh"), kind, self.now, end, fate, self.now + hidden, run)
        self.refreshes.append(refresh)
        return refresh

    def rows(self) -> list[RefreshRow]:
        """The history, newest first."""
        return [one.row(self.now) for one in reversed(self.refreshes) if one.visible <= self.now]

    def unwell(self) -> Json | None:
        """A bad answer to a call that had no effect."""
        if self.mishap(0.04):
            return {"kind": "throttled", "seconds": 20.0, "error": "429"}
        return {"kind": "unavailable", "error": "503"} if self.mishap(0.08) else None

    def adoptable(self, before: Json | None) -> str | None:
        """A refresh that is as good as ours."""
        rows = new_rows(self.rows(), before) if before else []
        good = [row.request_id for row in rows if may_cover(row, None) and row.state in ("running", "completed")]
        return good[0] if good else None

    def read_history(self, order: Json) -> Json:
        """As the activity of this name does."""
        running = blocker(self.rows(), self.now)
        return self.unwell() or {
            "kind": "history",
            "running": {"refreshId": running.request_id, "refreshType": "x", "startedAt": None} if running else None,
            "before": look_before(self.rows(), self.now.replace(microsecond=0), self.now),
            "adoptable": self.adoptable(order["before"]),
        }

    def post(self, order: Json) -> Json:
        """As the activity of this name does: a permission, a look, and a POST."""
        run = self.desk.queue.holder_of(order)
        if run is None or self.mishap(0.05):
            return {"kind": "stale"}
        if not run.members:
            return {"kind": "unwanted", "gone": []}
        attempt = self.name("attempt")
        self.queue("take_permit", **_who(order), permit=order["permit"], attempt=attempt)
        holder = self.desk.queue.holder_of(order)
        if holder is None or holder.attempt != attempt:
            return {"kind": "lost", "error": "a twin has the permit"} if holder else {"kind": "stale"}
        bad = self.unwell()
        found = self.adoptable(order["before"])
        if bad or found:
            return bad or {"kind": "appeared", "refresh_id": found}
        if any(row.state == "running" for row in new_rows(self.rows(), order["before"])):
            return {"kind": "blocked"}
        if self.mishap(0.05):
            return {"kind": "lost", "error": "reset"}
        if self.mishap(0.03):
            return {"kind": "accepted", "refresh_id": self.name("dropped")}
        ours = [one for one in self.refreshes if one.run and one.start <= self.now < one.end]
        assert not ours, "a POST beside a refresh of ours"
        self.posts += 1
        begun = self.begin("ViaApi", order["run"])
        if begun is None:
            return {"kind": "busy"}
        return {"kind": "lost", "error": "reset"} if self.mishap(0.2) else {"kind": "accepted", "refresh_id": begun.id}

    def read(self, order: Json) -> Json:
        """As the activity `read_refresh` does."""
        found = [row for row in self.rows() if row.request_id == order["refresh_id"]]
        found = [] if self.mishap(0.02) else found
        return self.unwell() or ({"kind": "row", "row": found[0].to_json()} if found else {"kind": "absent"})


def _who(order: Json) -> Json:
    return {key: order[key] for key in ("run", "generation", "token")}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 2**32), st.integers(1, 12))
def test_every_verdict_is_true_and_nobody_is_stuck(seed: int, callers: int) -> None:
    """Whatever dies, is lost, comes twice or late: once the world is healthy, all end, and the queue is free."""
    world = World(Random(seed))  # noqa: S311 - a world that can be had again
    for number in range(callers):
        comes = NOON + timedelta(seconds=world.random.uniform(0, 10_000))
        patience = timedelta(hours=world.random.choice([0.1, 1, 100, 100]))
        world.callers.append(Caller(f"q{number}", comes, comes + patience))
    world.go_on()
    assert all(caller.left or caller.outcome for caller in world.callers)
    assert all(caller.left is (caller.outcome is None) for caller in world.callers)
