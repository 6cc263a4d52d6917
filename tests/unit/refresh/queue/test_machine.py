"""Requests and runs use a queue in any order. Every operation is repeated, at once and late."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypeVar

from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from refresh.history.outcome import Outcome
from refresh.messages import replace
from refresh.queue.answers import (
    Claimed,
    Closed,
    Done,
    Ended,
    Enrolled,
    Finished,
    Holder,
    Left,
    OtherToken,
    PermitTaken,
    Recorded,
    Superseded,
    Turn,
)
from refresh.queue.memory import REMEMBERED, UNCOLLECTED
from refresh.queue.operations import (
    AskToLeave,
    Claim,
    Close,
    Drop,
    Enroll,
    Finish,
    Leave,
    Operation,
    Record,
    Reopen,
    Restart,
    ReturnPermit,
    Sweep,
    TakePermit,
)
from refresh.scope.scope import Scope, TableRef
from refresh.times import instant
from tests.unit.refresh.queue.queues import DATES, LOOK, MODEL, NOON, SALES, WHOLE, CheckedQueue, failed

A = TypeVar("A")

SCOPES: dict[str, Scope] = {"whole": WHOLE, "sales": SALES, "dates": DATES, "model": MODEL}


def covers(refresh: Scope, request: Scope) -> bool:
    """Whether a refresh has all objects of a request."""
    if refresh.refresh is None or request.refresh is None:
        return refresh == request
    return refresh.refresh.whole_model or (
        not request.refresh.whole_model and set(request.refresh.objects) <= set(refresh.refresh.objects)
    )


@dataclass
class Caller:
    """A request, with the data that its orchestration has."""

    name: str
    scope: str
    share: bool
    since: str
    run: str = ""
    end: Ended | Left | None = None
    over: bool = False
    """Whether the request has its outcome, has left, or was terminated."""
    attempt: int = 1
    """The number of the request's attempt: it may try again after a failure."""
    ended_at: datetime = NOON


@dataclass
class Runner:
    """An orchestration of a run, with its data. A `dead` one may still send late duplicates."""

    run: str
    incarnation: int
    token: str
    claimed: bool = False
    permit: int = 0
    closed: bool = False
    refresh: str | None = None
    adopted: bool = False
    dead: bool = False
    shared: set[str] = field(default_factory=set)
    """The requests that were enrolled when the run closed."""
    scope: Scope = WHOLE
    """The scope of the run, according to the queue at the close."""

    @property
    def holder(self) -> Holder:
        """The holder that the operations of this orchestration name."""
        return Holder(run=self.run, incarnation=self.incarnation, token=self.token)


class QueueMachine(RuleBasedStateMachine):
    """A queue and all senders of its operations."""

    def __init__(self) -> None:
        super().__init__()
        self.queue = CheckedQueue()
        self.callers: list[Caller] = []
        self.runners: list[Runner] = []
        self.to_start: list[Turn] = []
        self.sent: list[tuple[datetime, Operation[Any]]] = []
        self.outcomes: dict[str, tuple[Runner, str | None]] = {}
        self.order: list[str] = []
        self.returned: set[str] = set()

    # ---- sending operations ----

    def send(self, operation: Operation[A]) -> A:
        """Sends an operation twice in a row. The second time, answer and state must be the same."""
        answer = self.queue.do(operation)
        once = self.queue.stored
        assert self.queue.do(operation) == answer
        assert self.queue.stored == once, operation
        self.sent.append((self.queue.now, operation))
        turn = getattr(answer, "next", None)
        if turn is not None:
            self.to_start.append(turn)
        return answer

    def ask(self, caller: Caller) -> None:
        """A caller enrols or asks again."""
        answer = self.send(
            Enroll(
                at=self.queue.at,
                request=caller.name,
                token=caller.name,
                scope=SCOPES[caller.scope],
                share=caller.share,
                wake_event=f"wake-{len(self.sent)}",
                attempt=caller.attempt,
            )
        )
        if isinstance(answer, Ended):
            self.collected(caller, answer)
            return
        assert isinstance(answer, Enrolled)
        caller.run = answer.run
        if caller.run not in self.order:
            self.order.append(caller.run)
        if answer.start:
            self.to_start.append(answer.active)

    def collected(self, caller: Caller, answer: Ended) -> None:
        """Checks that the outcome is one for this caller, and that the caller enrolled in time for it."""
        assert caller.end is None
        caller.end, caller.over, caller.ended_at = answer, True, self.queue.now
        runner, late_after = self.outcomes[answer.run]
        assert answer.run == caller.run == runner.run
        assert caller.name in runner.shared
        scope = SCOPES[caller.scope]
        assert covers(runner.scope, scope), "a refresh of less than the request's scope"
        table = answer.outcome.error and answer.outcome.error.table
        if table and not covers(scope, runner.scope):
            assert scope.refresh is not None
            assert scope.refresh.objects == (TableRef(table),), "a failure of another request's table"
        assert late_after is None or caller.since <= late_after
        assert answer.outcome.refresh_id == runner.refresh

    def tell(self, runner: Runner, operation: Operation[A]) -> A:
        """Sends an operation of an orchestration of a run. If the orchestration is superseded, it ends."""
        answer = self.send(operation)
        if isinstance(answer, Superseded):
            runner.dead = True
        return answer

    def awake(self, *, claimed: bool = True) -> list[Runner]:
        """The orchestrations that may act now."""
        return [runner for runner in self.runners if not runner.dead and runner.claimed is claimed]

    def waiting(self) -> list[Caller]:
        """The callers that have not ended."""
        return [caller for caller in self.callers if not caller.over]

    # ---- requests ----

    @rule(scope=st.sampled_from(sorted(SCOPES)), share=st.booleans() | st.just(True))
    def a_request_arrives(self, scope: str, share: bool) -> None:
        """A new request enrols."""
        caller = Caller(f"q{len(self.callers)}", scope, share, self.queue.at)
        self.callers.append(caller)
        self.ask(caller)

    @precondition(lambda self: self.waiting())
    @rule(data=st.data())
    def a_request_asks_again(self, data: st.DataObject) -> None:
        """A request asks because it was notified, or because its recheck is due."""
        self.ask(data.draw(st.sampled_from(self.waiting())))

    @precondition(lambda self: self.waiting())
    @rule(data=st.data(), cancel=st.booleans())
    def a_request_leaves(self, data: st.DataObject, cancel: bool) -> None:
        """A request leaves, or gets its outcome if there is one."""
        caller = data.draw(st.sampled_from(self.waiting()))
        answer = self.send(
            Leave(at=self.queue.at, request=caller.name, token=caller.name, cancel=cancel, reason="TimedOut")
        )
        if isinstance(answer, Ended):
            self.collected(caller, answer)
            return
        assert isinstance(answer, Left)
        caller.over, caller.end, caller.ended_at = True, answer, self.queue.now
        assert answer.shared_with == 0 or answer.cancel_refresh_id is None

    @precondition(lambda self: any(isinstance(caller.end, Ended) for caller in self.callers))
    @rule(data=st.data())
    def a_request_tries_again(self, data: st.DataObject) -> None:
        """A request enrols in its next attempt. It may do so even without a failure, because the request decides
        this."""
        caller = data.draw(st.sampled_from([caller for caller in self.callers if isinstance(caller.end, Ended)]))
        caller.end, caller.over, caller.attempt = None, False, caller.attempt + 1
        caller.since = self.queue.at
        self.ask(caller)

    @precondition(lambda self: self.waiting())
    @rule(data=st.data())
    def a_request_is_terminated(self, data: st.DataObject) -> None:
        """A request is terminated and sends nothing any more."""
        data.draw(st.sampled_from(self.waiting())).over = True

    @precondition(lambda self: self.callers)
    @rule(data=st.data())
    def a_caller_cancels(self, data: st.DataObject) -> None:
        """A caller cancels a request, which may have ended."""
        caller = data.draw(st.sampled_from(self.callers))
        self.send(AskToLeave(at=self.queue.at, request=caller.name))
        if not caller.over:
            run = self.queue.state.run_of(caller.name)
            assert run is None or run.members[caller.name].leaving

    @precondition(lambda self: self.waiting())
    @rule(data=st.data())
    def a_second_incarnation_of_a_request_leaves(self, data: st.DataObject) -> None:
        """A second incarnation that leaves gets an outcome only if the request already has one."""
        caller = data.draw(st.sampled_from(self.waiting()))
        queue = self.queue.state
        answer = self.queue.leave(caller.name, token="twin")
        assert isinstance(answer, OtherToken | Ended)
        if isinstance(answer, OtherToken):
            assert without_time(self.queue.state) == without_time(queue)

    @precondition(lambda self: self.over_lately())
    @rule(data=st.data(), attempt=st.integers(1, 3))
    def a_second_incarnation_of_an_ended_request(self, data: st.DataObject, attempt: int) -> None:
        """A second incarnation of an ended request gets the same outcome, and is not enrolled."""
        caller = data.draw(st.sampled_from(self.over_lately()))
        members = self.members()
        answer = self.queue.enroll(caller.name, token="twin", scope=SCOPES[caller.scope], attempt=attempt)
        assert isinstance(answer, Ended | Left)
        assert without_next(answer) == without_next(caller.end)
        assert self.members() == members

    def over_lately(self) -> list[Caller]:
        """The callers whose end the queue still stores."""
        return [
            caller
            for caller in self.callers
            if caller.over and caller.end and self.queue.now - caller.ended_at < REMEMBERED - timedelta(minutes=1)
        ]

    # ---- runs ----

    @precondition(lambda self: self.to_start)
    @rule(data=st.data())
    def a_run_is_started(self, data: st.DataObject) -> None:
        """Starts a run, as the queue told a request or an ended run to do. A run may be started twice, or again after
        its end."""
        turn = data.draw(st.sampled_from(self.to_start))
        self.runners.append(Runner(turn.run, turn.incarnation, f"token-{len(self.runners)}"))

    @rule(
        steps=st.integers(1, 5),
        adopted=st.booleans(),
        lateness=st.booleans(),
        table=st.sampled_from([None, None, "Sales", "DimDate"]),
    )
    def the_active_run_goes_on(self, steps: int, adopted: bool, lateness: bool, table: str | None) -> None:
        """The active run takes up to five steps from its claim to its outcome."""
        for _ in range(steps):
            if not self.queue.runs:
                return
            run = self.queue.runs[0]
            runner = next((runner for runner in self.awake() if runner.run == run.id), None)
            if runner is None:
                if run.token is None:
                    self.claim(Runner(run.id, run.incarnation, f"token-{len(self.runners)}"))
                return
            if not runner.closed:
                self.close(runner)
            elif runner.refresh is None and not runner.shared & {caller.name for caller in self.waiting()}:
                self.drop(runner)
                return
            elif runner.refresh is None:
                self.record(runner, adopted=adopted)
            else:
                self.finish(runner, lateness, None if runner.adopted else table)
                return

    @precondition(lambda self: self.awake(claimed=False))
    @rule(data=st.data())
    def a_started_run_claims_its_turn(self, data: st.DataObject) -> None:
        """An orchestration claims its run. Another orchestration may have the run, or the run may have ended."""
        self.claim(data.draw(st.sampled_from(self.awake(claimed=False))))

    def claim(self, runner: Runner) -> None:
        """An orchestration claims its run. Only one orchestration of each incarnation gets the run, with the queue's
        state of it."""
        if runner not in self.runners:
            self.runners.append(runner)
        answer = self.tell(runner, Claim(at=self.queue.at, holder=runner.holder))
        runner.claimed = True
        if isinstance(answer, Claimed):
            rivals = [other for other in self.awake() if other is not runner and other.run == runner.run]
            assert [rival for rival in rivals if rival.incarnation == runner.incarnation] == []
            assert not self.queue.claim(runner.run, incarnation=runner.incarnation, token="twin")
            runner.permit, runner.closed = answer.permit, answer.closed
            runner.refresh, runner.adopted = answer.refresh_id, answer.adopted
            runner.shared = {*self.queue.runs[0].members} if runner.closed else set()
            runner.scope = answer.scope

    def close(self, runner: Runner) -> None:
        """The run closes, so no request joins any more."""
        operation = Close(at=self.queue.at, holder=runner.holder, permit=runner.permit + 1, look=LOOK)
        answer = self.tell(runner, operation)
        if isinstance(answer, Closed):
            runner.permit, runner.closed, runner.scope = runner.permit + 1, True, answer.scope
            runner.shared = {*self.queue.runs[0].members}
            assert runner.shared

    def record(self, runner: Runner, *, adopted: bool) -> None:
        """The run reports its refresh."""
        name = f"refresh-{len(self.sent)}"
        operation = Record(
            at=self.queue.at,
            holder=runner.holder,
            permit=runner.permit,
            refresh_id=name,
            adopted=adopted,
            posted_at=self.queue.at,
        )
        if isinstance(self.tell(runner, operation), Recorded):
            runner.refresh, runner.adopted = name, adopted

    def drop(self, runner: Runner) -> None:
        """The run reports that none of its requests is active."""
        requests = tuple(sorted(runner.shared))
        operation = Drop(at=self.queue.at, holder=runner.holder, permit=runner.permit, requests=requests)
        assert isinstance(self.tell(runner, operation), Superseded)

    @precondition(lambda self: any(runner.closed for runner in self.awake()))
    @rule(data=st.data())
    def a_run_reopens(self, data: st.DataObject) -> None:
        """The run opens again. Its POST was refused, its refresh was dropped, or an external refresh failed."""
        runner = data.draw(st.sampled_from([runner for runner in self.awake() if runner.closed]))
        if self.tell(runner, Reopen(at=self.queue.at, holder=runner.holder, permit=runner.permit)) == Done():
            runner.closed, runner.refresh, runner.adopted, runner.shared = False, None, False, set()

    @precondition(lambda self: any(runner.closed and not runner.refresh for runner in self.awake()))
    @rule(data=st.data())
    def the_permit_of_an_execution_is_withdrawn(self, data: st.DataObject) -> None:
        """An execution has not posted, so its permit is withdrawn. If another one took the permit, the run has to
        search for its refresh."""
        runner = data.draw(st.sampled_from([runner for runner in self.awake() if runner.closed and not runner.refresh]))
        execution = data.draw(st.sampled_from(["x1", "x2", "x3"]))
        before = self.queue.runs[0]
        operation = Reopen(at=self.queue.at, holder=runner.holder, permit=runner.permit, execution=execution)
        answer = self.tell(runner, operation)
        if isinstance(answer, PermitTaken):
            assert before.execution not in (None, execution)
            assert self.queue.runs[0] == before
        elif answer == Done():
            runner.closed, runner.shared = False, set()

    @precondition(lambda self: any(runner.closed for runner in self.runners))
    @rule(data=st.data(), returns=st.booleans())
    def an_execution_takes_or_returns_the_permit(self, data: st.DataObject, returns: bool) -> None:
        """At most one execution has the permit, and never one that has returned it, in any order of operations."""
        runner = data.draw(st.sampled_from([runner for runner in self.runners if runner.closed]))
        name = data.draw(st.sampled_from(["x1", "x2", "x3"]))
        unique = f"{runner.run}/{runner.permit}/{name}"
        before = self.queue.runs[0].execution if self.queue.runs else None
        fields: dict[str, Any] = {
            "at": self.queue.at,
            "holder": runner.holder,
            "permit": runner.permit,
            "execution": name,
        }
        if returns:
            self.send(ReturnPermit(**fields))
            self.returned.add(unique)
        else:
            self.send(TakePermit(**fields))
        if not self.queue.runs:
            return
        run = self.queue.runs[0]
        assert run.execution is None or f"{run.id}/{run.permit}/{run.execution}" not in self.returned
        assert run.execution in ({before, None} if returns else {before, name})
        assert (run.execution is None) == (run.permit_taken_at is None)

    def finish(self, runner: Runner, lateness: bool, table: str | None = None) -> None:
        """The run ends. `lateness`: if its refresh was adopted, requests of the last minute are late. `table`: the
        failed one."""
        late_after = instant(self.queue.now - timedelta(minutes=1)) if lateness and runner.adopted else None
        outcome = Outcome(status="Completed", refresh_id=runner.refresh)
        if table:
            outcome = failed(refresh_id=runner.refresh, table=table)
        if any(run.is_held_by(runner.holder) for run in self.queue.runs):
            assert runner.run not in self.outcomes
            self.outcomes[runner.run] = (runner, late_after)
        answer = self.tell(
            runner, Finish(at=self.queue.at, holder=runner.holder, outcome=outcome, late_after=late_after)
        )
        assert isinstance(answer, Finished)
        runner.dead = True
        assert answer.next is None or answer.next.run == self.queue.runs[0].id
        # runs made for members of the ended run are ordered by the time of their enrolment
        runs = self.queue.runs
        for place, run in enumerate(runs):
            if run.id not in self.order:
                assert all(other.since <= run.since for other in runs[:place])
                later = next(
                    (self.order.index(other.id) for other in runs[place + 1 :] if other.id in self.order), None
                )
                self.order.insert(len(self.order) if later is None else later, run.id)
        for caller in self.waiting():
            current = self.queue.state.run_of(caller.name)
            if current is not None and caller.run == runner.run and runner.run in self.outcomes:
                caller.run = current.id

    @precondition(lambda self: self.awake())
    @rule(data=st.data())
    def a_run_dies(self, data: st.DataObject) -> None:
        """The orchestration of a run dies, and a request finds this out."""
        runner = data.draw(st.sampled_from(self.awake()))
        runner.dead = True
        self.send(Restart(at=self.queue.at, turn=Turn(run=runner.run, incarnation=runner.incarnation)))

    @precondition(lambda self: not self.waiting() and self.queue.runs)
    @rule()
    def the_timer_sweeps(self) -> None:
        """The timer sweeps a queue without active requests, and without an orchestration that could continue its
        run."""
        active = self.queue.runs[0]
        if any((runner.run, runner.incarnation) == (active.id, active.incarnation) for runner in self.awake()):
            return
        members = tuple(request for run in self.queue.runs for request in run.members)
        self.send(Sweep(at=self.queue.at, requests=members, dead=active.turn))
        assert self.queue.runs == []

    # ---- time and the engine ----

    @rule(seconds=st.sampled_from([0.001, 1, 40, 61, 300]))
    def time_passes(self, seconds: float) -> None:
        """Lets time pass for all."""
        self.queue.later(seconds=seconds)

    @precondition(lambda self: self.sent)
    @rule(data=st.data())
    def an_old_operation_comes_again(self, data: st.DataObject) -> None:
        """An operation comes again up to half an hour later. It changes neither the runs nor their members."""
        old = [operation for at, operation in self.sent if self.queue.now - at < REMEMBERED - timedelta(minutes=1)]
        if not old:
            return
        operation = data.draw(st.sampled_from(old))
        runs, members = [run.id for run in self.queue.runs], self.members()
        self.queue.do(operation)
        assert [run.id for run in self.queue.runs] == runs
        assert self.members() == members

    def members(self) -> list[set[str]]:
        """The enrolled requests by run."""
        return [{*run.members} for run in self.queue.runs]

    # ---- invariants ----

    @invariant()
    def at_most_one_orchestration_may_post(self) -> None:
        """With any tokens and permits, at most one orchestration may post."""
        queue = self.queue.state
        permitted = [runner for runner in self.runners if queue.permitted(runner.holder, runner.permit)]
        assert len(permitted) <= 1

    @invariant()
    def no_request_joins_a_closed_run(self) -> None:
        """A request that joined a closed run could have come after the POST."""
        run = self.queue.runs[0] if self.queue.runs else None
        for runner in self.awake():
            if run and runner.closed and run.is_held_by(runner.holder) and run.permit == runner.permit:
                assert {*run.members} <= runner.shared

    @invariant()
    def runs_keep_their_order(self) -> None:
        """Runs are first in, first out. Those for members of an ended run are in the order of their enrolments."""
        runs = [run.id for run in self.queue.runs]
        assert runs == sorted(runs, key=self.order.index)

    @invariant()
    def every_active_request_has_a_place(self) -> None:
        """A request is in one run, or among those that have not collected an outcome."""
        queue = self.queue.state
        places = [request for run in queue.runs for request in run.members]
        places += [request for ended in queue.ended for request in ended.uncollected]
        # a late duplicate may have collected an outcome in the name of its request
        places += [request for request, departed in queue.departed.items() if departed.run]
        assert len(places) == len(set(places))
        assert {caller.name for caller in self.waiting()} <= set(places)

    @invariant()
    def only_used_scopes_are_stored(self) -> None:
        """Each scope in use is stored once, and no others."""
        queue = self.queue.state
        used = {run.scope for run in queue.runs}
        used |= {member.scope for run in queue.runs for member in run.members.values() if member.scope is not None}
        kept = [place for place, extent in enumerate(queue.scopes.extents) if extent is not None]
        assert set(kept) == used
        assert len({queue.scopes.extent(place) for place in kept}) == len(kept)

    def teardown(self) -> None:
        """Checks that no request is stuck: each ends if it asks again, and then the entries of the queue expire."""
        for _ in range(3 * len(self.callers) + 3):
            self.queue.later(minutes=5)
            for caller in self.waiting():
                self.ask(caller)
            if not self.queue.runs:
                break
            self.send(Restart(at=self.queue.at, turn=self.queue.runs[0].turn))
            self.carry_through()
        assert self.waiting() == []
        if self.queue.stored is not None:
            self.queue.later(hours=UNCOLLECTED.total_seconds() / 3600 + 1).tidy()
            self.queue.later(hours=1).tidy()
        assert self.queue.stored is None

    def carry_through(self) -> None:
        """Takes the active run to its end."""
        active = self.queue.runs[0]
        runner = Runner(active.id, active.incarnation, f"last-{len(self.sent)}", claimed=True)
        answer = self.tell(runner, Claim(at=self.queue.at, holder=runner.holder))
        assert isinstance(answer, Claimed)
        runner.permit, runner.refresh, runner.scope = answer.permit, answer.refresh_id, answer.scope
        runner.closed, runner.shared = answer.closed, {*active.members}
        if not runner.closed:
            self.close(runner)
        if runner.refresh is None:
            self.record(runner, adopted=False)
        self.finish(runner, lateness=False)


def without_time(queue: Any) -> Any:
    """The queue without times, for comparisons."""
    queue.at = ""
    return queue


def without_next(answer: Ended | Left | None) -> Ended | Left | None:
    """The answer without the run to start, for comparisons."""
    return replace(answer, next=None) if isinstance(answer, Left) else answer


TestQueue = QueueMachine.TestCase
TestQueue.settings = settings(stateful_step_count=30, phases=set(Phase) - {Phase.explain})
