"""Requests and runs play against a queue in any order, with every operation repeated at once and late."""

import copy
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from refresh.history.rows import instant
from refresh.queue.sharing import serves
from refresh.queue.state import REMEMBERED, UNCOLLECTED
from tests.unit.refresh.queue.queues import BEFORE, NOON, SALES, WHOLE, Desk, Json

DATES = {**SALES, "refresh": {"type": "Full", "objects": [{"table": "DimDate"}]}}
MODEL = {**SALES, "refresh": {"type": "Full"}}
SCOPES: dict[str, Json] = {"whole": WHOLE, "sales": SALES, "dates": DATES, "model": MODEL}


@dataclass
class Caller:
    """A request as its orchestration sees it."""

    name: str
    scope: str
    share: bool
    since: str
    run: str = ""
    outcome: Json | None = None
    over: bool = False
    """It has its verdict, has left, or has vanished."""
    round: int = 1
    """It may try again after a failure."""


@dataclass
class RunLife:
    """A life of a run as its orchestration sees it. `dead` lives keep their late duplicates."""

    run: str
    generation: int
    token: str
    claimed: bool = False
    permit: int = 0
    closed: bool = False
    refresh: str | None = None
    adopted: bool = False
    dead: bool = False
    shared: set[str] = field(default_factory=set)
    """Who was enrolled when it closed."""
    scope: Json = field(default_factory=dict)
    """What it does, as the queue told it at the close."""


class Queue(RuleBasedStateMachine):
    """A queue and everybody who speaks to it."""

    def __init__(self) -> None:
        super().__init__()
        self.desk = Desk()
        self.callers: list[Caller] = []
        self.lives: list[RunLife] = []
        self.told: list[Json] = []
        self.sent: list[tuple[datetime, str, Json]] = []
        self.verdicts: dict[str, tuple[RunLife, str | None]] = {}
        self.order: list[str] = []

    # ---- how everybody speaks ----

    def say(self, operation: str, **arguments: Any) -> Json:
        """Each operation twice in a row: same answer, same state."""
        arguments = {"at": instant(self.desk.now), **arguments}
        before = self.desk.state
        answer = self.desk.do(operation, **arguments)
        once = copy.deepcopy(self.desk.state)
        assert self.desk.do(operation, **arguments) == answer
        assert self.desk.state == once, (operation, before)
        self.sent.append((self.desk.now, operation, arguments))
        if answer.get("next"):
            self.told.append(answer["next"])
        return answer

    def ask(self, caller: Caller) -> None:
        """A caller enrolls or asks again."""
        turn = {"token": caller.name, "wake": f"wake-{len(self.sent)}", "round": caller.round}
        answer = self.say("enroll", request=caller.name, scope=SCOPES[caller.scope], share=caller.share, **turn)
        if answer["state"] == "ended":
            self.collected(caller, answer)
            return
        assert answer["state"] == "enrolled"
        caller.run = answer["run"]
        if caller.run not in self.order:
            self.order.append(caller.run)
        if answer["start"]:
            self.told.append(answer["active"])

    def collected(self, caller: Caller, answer: Json) -> None:
        """The outcome is one for which the caller was enrolled in time."""
        assert caller.outcome is None
        caller.outcome, caller.over = answer["outcome"], True
        life, late_after = self.verdicts[answer["run"]]
        assert answer["run"] == caller.run == life.run
        assert caller.name in life.shared
        wish: Json = SCOPES[caller.scope]
        assert serves(life.scope, wish), "a refresh of less than was wished"
        table = (answer["outcome"].get("error") or {}).get("table")
        if table and not serves(wish, life.scope):
            assert wish["refresh"]["objects"] == [{"table": table}], "somebody else's mistake"
        assert late_after is None or caller.since <= late_after
        assert answer["outcome"]["refreshId"] == life.refresh

    def speak(self, life: RunLife, operation: str, **arguments: Any) -> Json:
        """A life of a run; one that may not go on leaves."""
        who = {"run": life.run, "generation": life.generation, "token": life.token}
        answer = self.say(operation, **who, **arguments)
        if answer.get("go") is False:
            life.dead = True
        return answer

    def awake(self, *, claimed: bool = True) -> list[RunLife]:
        """The lives that may speak now."""
        return [life for life in self.lives if not life.dead and life.claimed is claimed]

    def waiting(self) -> list[Caller]:
        """The callers that are not over."""
        return [caller for caller in self.callers if not caller.over]

    # ---- requests ----

    @rule(scope=st.sampled_from(sorted(SCOPES)), share=st.booleans() | st.just(True))
    def a_request_arrives(self, scope: str, share: bool) -> None:
        """Like so many others."""
        caller = Caller(f"q{len(self.callers)}", scope, share, instant(self.desk.now))
        self.callers.append(caller)
        self.ask(caller)

    @precondition(lambda self: self.waiting())
    @rule(data=st.data())
    def a_request_asks_again(self, data: st.DataObject) -> None:
        """It was woken, or its tick came."""
        self.ask(data.draw(st.sampled_from(self.waiting())))

    @precondition(lambda self: self.waiting())
    @rule(data=st.data(), cancel=st.booleans())
    def a_request_leaves(self, data: st.DataObject, cancel: bool) -> None:
        """Or gets its verdict, if that is there."""
        caller = data.draw(st.sampled_from(self.waiting()))
        answer = self.say("leave", request=caller.name, token=caller.name, cancel=cancel, reason="TimedOut")
        if answer["state"] == "ended":
            self.collected(caller, answer)
        else:
            assert answer["state"] == "left"
            caller.over = True
            assert not (answer["cancel_refresh_id"] and not answer["alone"])

    @precondition(lambda self: any(caller.outcome for caller in self.callers))
    @rule(data=st.data())
    def a_request_tries_again(self, data: st.DataObject) -> None:
        """In its next round, after a failure or not: that is its own business."""
        caller = data.draw(st.sampled_from([caller for caller in self.callers if caller.outcome]))
        caller.outcome, caller.over, caller.round = None, False, caller.round + 1
        caller.since = instant(self.desk.now)
        self.ask(caller)

    @precondition(lambda self: self.waiting())
    @rule(data=st.data())
    def a_request_vanishes(self, data: st.DataObject) -> None:
        """Terminated by hand, it never speaks again."""
        data.draw(st.sampled_from(self.waiting())).over = True

    @precondition(lambda self: self.callers)
    @rule(data=st.data())
    def somebody_cancels(self, data: st.DataObject) -> None:
        """Whether it has ended or not."""
        caller = data.draw(st.sampled_from(self.callers))
        self.say("ask_to_leave", request=caller.name)
        if not caller.over:
            stands = self.desk.queue.run_of(caller.name)
            assert stands is None or any(m.leaving for m in stands.members if m.id == caller.name)

    @precondition(lambda self: self.callers)
    @rule(data=st.data())
    def another_life_of_a_request_speaks(self, data: st.DataObject) -> None:
        """It gets nothing but the verdict that is there already."""
        caller = data.draw(st.sampled_from([caller for caller in self.callers if not caller.over] or self.callers))
        if caller.over:
            return
        state = copy.deepcopy(self.desk.state)
        answer = self.desk.leave(caller.name, token="twin")
        assert answer["state"] in ("taken", "ended")
        if answer["state"] == "taken":
            assert {**(self.desk.state or {}), "at": ""} == {**(state or {}), "at": ""}

    # ---- runs ----

    @precondition(lambda self: self.told)
    @rule(data=st.data())
    def a_run_is_started(self, data: st.DataObject) -> None:
        """By whoever was told to, perhaps again, perhaps after its end; each start has a token of its own."""
        turn = data.draw(st.sampled_from(self.told))
        self.lives.append(RunLife(turn["run"], turn["generation"], f"life-{len(self.lives)}"))

    @rule(
        steps=st.integers(1, 5),
        adopted=st.booleans(),
        lateness=st.booleans(),
        table=st.sampled_from([None, None, "Sales", "DimDate"]),
    )
    def the_active_run_goes_on(self, steps: int, adopted: bool, lateness: bool, table: str | None) -> None:
        """Up to five steps of the way from its claim to its verdict, which ends them."""
        for _ in range(steps):
            if not self.desk.queue.runs:
                return
            run = self.desk.queue.runs[0]
            life = next((life for life in self.awake() if life.run == run.id), None)
            if life is None:
                if run.token is None:
                    self.claim(RunLife(run.id, run.generation, f"life-{len(self.lives)}"))
                return
            if not life.closed:
                self.close(life)
            elif life.refresh is None and not life.shared & {caller.name for caller in self.waiting()}:
                self.drop(life)
                return
            elif life.refresh is None:
                self.record(life, adopted=adopted)
            else:
                self.finish(life, lateness, None if life.adopted else table)
                return

    @precondition(lambda self: self.awake(claimed=False))
    @rule(data=st.data())
    def a_started_life_claims_its_run(self, data: st.DataObject) -> None:
        """Perhaps another has it, or it is over."""
        self.claim(data.draw(st.sampled_from(self.awake(claimed=False))))

    def claim(self, life: RunLife) -> None:
        """The only life of its generation gets the run, and is told what the queue knows."""
        if life not in self.lives:
            self.lives.append(life)
        answer = self.speak(life, "claim")
        life.claimed = True
        if answer["go"]:
            rivals = [other for other in self.awake() if other is not life and other.run == life.run]
            assert [rival for rival in rivals if rival.generation == life.generation] == []
            assert self.desk.run("claim", life.run, generation=life.generation, token="twin") == {"go": False}
            life.permit, life.closed = answer["permit"], answer["closed"]
            life.refresh, life.adopted = answer["refresh_id"], answer["adopted"]
            members = self.desk.queue.runs[0].members
            life.shared = {member.id for member in members} if life.closed else set()
            life.scope = answer["scope"]

    def close(self, life: RunLife) -> None:
        """Nobody joins from now on."""
        answer = self.speak(life, "close", permit=life.permit + 1, before=BEFORE)
        if answer["go"]:
            life.permit, life.closed, life.scope = life.permit + 1, True, answer["scope"]
            life.shared = {member.id for member in self.desk.queue.runs[0].members}
            assert life.shared

    def record(self, life: RunLife, *, adopted: bool) -> None:
        """Its refresh is known."""
        name = f"refresh-{len(self.sent)}"
        known = {"refresh_id": name, "adopted": adopted, "posted_at": instant(self.desk.now)}
        if self.speak(life, "record", permit=life.permit, **known)["go"]:
            life.refresh, life.adopted = name, adopted

    def drop(self, life: RunLife) -> None:
        """Nobody lives who wants it."""
        assert not self.speak(life, "drop", permit=life.permit, gone=sorted(life.shared))["go"]

    @precondition(lambda self: any(life.closed for life in self.awake()))
    @rule(data=st.data())
    def a_run_reopens(self, data: st.DataObject) -> None:
        """Refused, dropped, or somebody else's refresh failed."""
        life = data.draw(st.sampled_from([life for life in self.awake() if life.closed]))
        if self.speak(life, "reopen", permit=life.permit)["go"]:
            life.closed, life.refresh, life.adopted, life.shared = False, None, False, set()

    def finish(self, life: RunLife, lateness: bool, table: str | None = None) -> None:
        """`lateness`: an adopted refresh for which those who enrolled in the last minute are late; `table` failed."""
        late_after = instant(self.desk.now - timedelta(minutes=1)) if lateness and life.adopted else None
        outcome: Json = {"status": "Completed", "refreshId": life.refresh}
        if table:
            error = {"code": "RefreshFailed", "table": table, "partition": None}
            outcome = {"status": "Failed", "refreshId": life.refresh, "error": error}
        if any(
            (run.id, run.generation, run.token) == (life.run, life.generation, life.token)
            for run in self.desk.queue.runs
        ):
            assert life.run not in self.verdicts
            self.verdicts[life.run] = (life, late_after)
        answer = self.speak(life, "finish", outcome=outcome, late_after=late_after)
        life.dead = True
        assert answer["next"] is None or answer["next"]["run"] == self.desk.queue.runs[0].id
        # runs that were made of members stand before all that came later
        runs = self.desk.queue.runs
        for place, run in enumerate(runs):
            if run.id not in self.order:
                assert all(other.since <= run.since for other in runs[:place])
                behind = next(
                    (self.order.index(other.id) for other in runs[place + 1 :] if other.id in self.order), None
                )
                self.order.insert(len(self.order) if behind is None else behind, run.id)
        for caller in self.waiting():
            stands = self.desk.queue.run_of(caller.name)
            if stands is not None and caller.run == life.run and life.run in self.verdicts:
                caller.run = stands.id

    @precondition(lambda self: self.awake())
    @rule(data=st.data())
    def a_life_dies(self, data: st.DataObject) -> None:
        """And is found dead by a request, or not."""
        life = data.draw(st.sampled_from(self.awake()))
        life.dead = True
        self.say("restart", run=life.run, generation=life.generation)

    @precondition(lambda self: not self.waiting() and self.desk.queue.runs)
    @rule()
    def the_timer_sweeps(self) -> None:
        """A queue that nobody living waits in, and whose active run has no life that could go on."""
        active = self.desk.queue.runs[0]
        if any((life.run, life.generation) == (active.id, active.generation) for life in self.awake()):
            return
        members = [member.id for run in self.desk.queue.runs for member in run.members]
        self.say("sweep", gone=members, dead=active.turn)
        assert self.desk.queue.runs == []

    # ---- time and the engine ----

    @rule(seconds=st.sampled_from([0.001, 1, 40, 61, 300]))
    def time_passes(self, seconds: float) -> None:
        """Everybody's."""
        self.desk.later(seconds=seconds)

    @precondition(lambda self: self.sent)
    @rule(data=st.data())
    def an_old_message_comes_again(self, data: st.DataObject) -> None:
        """Up to half an hour late; its answer goes nowhere, and it brings nobody back."""
        old = [entry for entry in self.sent if self.desk.now - entry[0] < REMEMBERED - timedelta(minutes=1)]
        if not old:
            return
        _, operation, arguments = data.draw(st.sampled_from(old))
        runs = [run.id for run in self.desk.queue.runs]
        members = self.members()
        self.desk.do(operation, **arguments)
        assert [run.id for run in self.desk.queue.runs] == runs
        assert self.members() == members

    def members(self) -> list[set[str]]:
        """Who is enrolled, run by run."""
        return [{member.id for member in run.members} for run in self.desk.queue.runs]

    # ---- what must hold ----

    @invariant()
    def at_most_one_life_may_post(self) -> None:
        """Whatever tokens and permits are around."""
        queue = self.desk.queue
        permitted = [
            life
            for life in self.lives
            if queue.holder_of(
                {"run": life.run, "generation": life.generation, "token": life.token, "permit": life.permit}
            )
        ]
        assert len(permitted) <= 1

    @invariant()
    def nobody_joins_a_closed_run(self) -> None:
        """They came after it may have posted."""
        for life in self.awake():
            run = self.desk.queue.runs[0] if self.desk.queue.runs else None
            if run and life.closed and (run.id, run.token, run.permit) == (life.run, life.token, life.permit):
                assert {member.id for member in run.members} <= life.shared

    @invariant()
    def runs_keep_their_order(self) -> None:
        """First in, first out; only the late members of an adopted refresh go before."""
        runs = [run.id for run in self.desk.queue.runs]
        assert runs == sorted(runs, key=self.order.index)

    @invariant()
    def every_living_request_has_a_place(self) -> None:
        """In one run, or in the list of a verdict that it has not collected."""
        queue = self.desk.queue
        places = [member.id for run in queue.runs for member in run.members]
        places += [member.id for ended in queue.ended.values() for member in ended.uncollected]
        # a late duplicate may have collected a verdict in the name of its request
        places += [name for name, gone in queue.gone.items() if gone.run]
        assert len(places) == len(set(places))
        assert {caller.name for caller in self.waiting()} <= set(places)

    def teardown(self) -> None:
        """Nobody is stuck: whoever asks again comes to an end, and then the queue forgets."""
        for _ in range(3 * len(self.callers) + 3):
            self.desk.later(minutes=5)
            for caller in self.waiting():
                self.ask(caller)
            if not self.desk.queue.runs:
                break
            active = self.desk.queue.runs[0]
            self.say("restart", run=active.id, generation=active.generation)
            self.carry_through()
        assert self.waiting() == []
        if self.desk.state is not None:
            self.desk.later(hours=UNCOLLECTED.total_seconds() / 3600 + 1).do("restart", run="", generation=0)
            self.desk.later(hours=1).do("restart", run="", generation=0)
        assert not self.desk.state

    def carry_through(self) -> None:
        """The active run lives to its end."""
        active = self.desk.queue.runs[0]
        life = RunLife(active.id, active.generation, f"last-{len(self.sent)}", claimed=True)
        answer = self.speak(life, "claim")
        assert answer["go"]
        life.permit, life.refresh, life.scope = answer["permit"], answer["refresh_id"], answer["scope"]
        life.shared = {member.id for member in active.members}
        if not answer["closed"]:
            assert self.speak(life, "close", permit=life.permit + 1, before=BEFORE)["go"]
            life.permit += 1
        if life.refresh is None:
            life.refresh = "last"
            known = {"refresh_id": "last", "adopted": False, "posted_at": instant(NOON)}
            assert self.speak(life, "record", permit=life.permit, **known)["go"]
        self.finish(life, lateness=False)


TestQueue = Queue.TestCase
TestQueue.settings = settings(
    max_examples=150, stateful_step_count=30, deadline=None, phases=set(Phase) - {Phase.explain}
)
