"""Deliberate mistakes in the app. The simulation has to find each of them; otherwise its success proves nothing."""

import importlib
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import count
from typing import Any, TypeVar

from activities import callback, model, orchestrations, post
from durable import batches, requests
from durable.engine import Engine
from refresh import clock
from refresh.history import adoption
from refresh.history.outcome import Outcome, judge
from refresh.history.rows import RefreshRow
from refresh.ids import key_prefix
from refresh.messages import replace as changed
from refresh.models import index as model_index
from refresh.queue import answers, memory, sharing
from refresh.queue import machine as queue_machine
from refresh.queue import members as queue_members
from refresh.queue import operations as op
from refresh.queue import runs as queue_runs
from refresh.queue.state import Queue, Run
from refresh.reporting.status import report
from refresh.request import decision
from refresh.run import news as run_news
from refresh.run import orders
from refresh.run.phases import finishing, polling, posting
from refresh.run.state import Over
from refresh.run.transitions import end, reopen
from refresh.times import instant
from tests.simulation.batch_mutations import BATCH_MISTAKES
from triggers import http_start, looks

T = TypeVar("T")
Patch = tuple[Any, str, Any]
MUTATIONS: dict[str, Callable[[], list[Patch]]] = {mistake.__name__: mistake for mistake in BATCH_MISTAKES}

request_orchestrator: Any = importlib.import_module("orchestrators.refresh_request")
read: Any = importlib.import_module("activities.read")


def mutation(make: Callable[[], list[Patch]]) -> Callable[[], list[Patch]]:
    """Registers a mistake under the name of its function."""
    MUTATIONS[make.__name__] = make
    return make


@contextmanager
def mutated(name: str) -> Iterator[None]:
    """Puts one mistake into the app during the block."""
    before: list[Patch] = []
    try:
        for owner, attribute, value in MUTATIONS[name]():
            before.append((owner, attribute, owner.__dict__[attribute]))
            setattr(owner, attribute, value)
        yield
    finally:
        for owner, attribute, value in reversed(before):
            setattr(owner, attribute, value)


# ---- the queue -------------------------------------------------------------------------------------------------------


@mutation
def skip_the_close() -> list[Patch]:
    """New requests join a run even after it has posted."""
    return [(Run, "joinable", property(lambda self: self.share))]


@mutation
def finish_without_outcome() -> list[Patch]:
    """The outcome of a run is not stored for the members that have not collected it."""
    return [(queue_runs, "_keep_outcome", lambda *_: None)]


@mutation
def enrol_twice() -> list[Patch]:
    """A repeated enrolment counts again."""

    def enroll(queue: Queue, operation: op.Enroll) -> answers.EnrollAnswer:
        run = queue.run_of(operation.request)
        if run is not None and operation.request not in queue.departed:
            name, member = queue_members.named_run(operation.request, run.members[operation.request])
            scope = queue.scopes.put(queue.scopes.take_in(operation.scope))
            queue.runs.append(Run(id=name, scope=scope, share=False, members={operation.request: member}))
        return original(queue, operation)

    original = queue_members.enroll
    return [(queue_members, "enroll", enroll)]


@mutation
def forget_at_once() -> list[Patch]:
    """The queue does not remember which requests have ended, so a late duplicate enrols one again."""

    def forget(queue: Queue) -> None:
        queue.departed.clear()
        queue.ended = [ended_run for ended_run in queue.ended if ended_run.uncollected]
        original(queue)

    original = memory.forget
    return [(queue_machine, "forget", forget)]


@mutation
def count_an_end_again() -> list[Patch]:
    """A run counts twice in the index of models if its end is reported twice."""
    numbers = count()
    return [(model_index, "_digest", lambda run: f"{run} {next(numbers)}")]


@mutation
def hide_failed_ends() -> list[Patch]:
    """Runs that fail do not report their end to their models."""

    def ended(run: Any, *more: Any) -> Any:
        return original(run, *more) if run.outcome.status == "Completed" else None

    original = run_news.ended_news
    return [(finishing, "ended_news", ended)]


@mutation
def no_claim() -> list[Patch]:
    """A second execution of a run is not distinguished from the first, so each may post."""
    return [(Queue, "held", lambda self, holder: self.runs[0] if self.runs else None)]


@mutation
def adopted_serves_all() -> list[Patch]:
    """An adopted refresh also serves members that came after the look."""

    def finish(queue: Queue, operation: op.Finish) -> answers.FinishAnswer:
        return original(queue, changed(operation, late_after=None))

    original = queue_runs.finish
    return [(queue_runs, "finish", finish), (adoption, "CLOCK_STEP", timedelta(0))]


@mutation
def one_cancels_for_all() -> list[Patch]:
    """A request that leaves cancels the refresh of the others."""

    def leave(queue: Queue, operation: op.Leave) -> answers.LeaveAnswer:
        mine = queue.run_of(operation.request)
        answer = original(queue, operation)
        if mine is None or not isinstance(answer, answers.Left) or not operation.cancel or mine.adopted:
            return answer
        return changed(answer, cancel_refresh_id=mine.refresh_id)

    original = queue_members.leave
    return [(queue_members, "leave", leave)]


@mutation
def last_come_first_served() -> list[Patch]:
    """The run of a new request is put directly behind the active run."""

    def join(queue: Queue, operation: op.Enroll) -> Run | answers.QueueFull:
        before = len(queue.runs)
        joined = original(queue, operation)
        if len(queue.runs) > before > 1:
            queue.runs.insert(1, queue.runs.pop())
        return joined

    original = queue_members._join
    return [(queue_members, "_join", join)]


@mutation
def never_start_the_next() -> list[Patch]:
    """A run that ends neither starts the next run nor notifies a request of the next run to start it."""

    def only_the_first(queue: Queue, operation: op.Enroll) -> bool:
        active = queue.runs[0]
        return active.token is None and active.id.startswith(operation.request) and not queue.ended

    return [(Queue, "next_turn", lambda self: None), (queue_members, "_assign_start", only_the_first)]


@mutation
def merging_loses_objects() -> list[Patch]:
    """A merged request gets only the objects of the run's earlier requests."""
    original = sharing.merged
    return [(sharing, "merged", lambda table, first, second: first if original(table, first, second) else None)]


@mutation
def all_fail_together() -> list[Patch]:
    """A failed shared refresh fails all its members, even those whose own tables did not fail."""
    return [(queue_runs, "_spared", lambda *_: {})]


@mutation
def attempts_are_all_one() -> list[Patch]:
    """A request that tries again gets the failure of its first attempt, instead of a new run."""

    def comes_again(departed: Any, operation: op.Enroll) -> bool:
        return bool(departed.dropped and operation.at > departed.at)

    return [(queue_members, "_comes_again", comes_again)]


@mutation
def withdraw_a_taken_permit() -> list[Patch]:
    """The queue withdraws a permit even if another execution has taken it."""
    return [(queue_runs, "_taken", lambda run, execution: None)]


# ---- the run ---------------------------------------------------------------------------------------------------------


@mutation
def drop_the_adoption() -> list[Patch]:
    """A lost answer is treated as a refusal: the app does not look for the refresh."""
    return [(model.Model, "adoptable", lambda *_, **__: (None, []))]


@mutation
def lost_is_refused() -> list[Patch]:
    """After a lost answer the run returns to waiting at once, and posts again."""
    return [(posting, "search", lambda run, *_, **__: reopen(run, run.limits.poll_min))]


@mutation
def post_twice() -> list[Patch]:
    """Every execution of the activity acts as the holder of the permit, and does not look at the history."""

    async def take(engine: Engine, order: orders.PostRefresh, execution: str) -> Run | None:
        run = (await engine.read_queue(order.model.dataset_id)).permitted(order.holder, order.permit)
        return changed(run, execution=execution) if run else None

    return [(post, "_take_permit", take), (model.Model, "adoptable", lambda *_, **__: (None, []))]


@mutation
def look_after_the_permit() -> list[Patch]:
    """An activity takes the permit before its last look, which may forbid the POST."""

    async def result(engine: Engine, order: orders.PostRefresh, execution: str) -> orders.PostAnswer:
        await take(engine, order, execution)
        return await original(engine, order, execution)

    take, original = post._take_permit, post._result
    return [(post, "_result", result)]


@mutation
def forget_to_wake() -> list[Patch]:
    """A run ends without notifying its requests."""
    return [(finishing, "_notifying", lambda run, wake, ended: run.to(Over()))]


@mutation
def trust_position() -> list[Patch]:
    """The newest row of the history is treated as ours."""

    def refresh(found: model.Model, order: orders.ReadRefresh, read_at: datetime) -> Any:
        rows = found.history().rows
        return read._read(rows[0], order, found.known_names) if rows else original(found, order, read_at)

    original = read._refresh
    return [(read, "_refresh", refresh)]


@mutation
def adopt_anything() -> list[Patch]:
    """An external refresh is adopted even if its scope does not cover the request."""
    return [(adoption, "may_cover", lambda *_, **__: True), (model, "covers", lambda *_, **__: True)]


@mutation
def adopt_a_part_for_the_whole() -> list[Patch]:
    """After a lost answer, a partial refresh is adopted for the whole model: its objects are not compared."""

    def covers(details: RefreshRow, options: Any, *, ours: bool, known: str | None) -> bool:
        return original(details, options, ours=ours, known=adoption.digest_of(details.objects))

    original = adoption.covers
    return [(model, "covers", covers)]


@mutation
def adopted_may_fail() -> list[Patch]:
    """A refresh that is not ours fails the request that adopted it."""
    return [(polling, "_ended", lambda run, outcome: end(run, changed(outcome, adopted=run.followed.adopted)))]


@mutation
def unknown_is_completed() -> list[Patch]:
    """A running refresh counts as a success."""

    def completed(row: RefreshRow, *more: Any) -> Outcome | None:
        return judge(replace(row, status="Completed", extended_status=None), *more)

    return [(read, "judge", completed)]


@mutation
def post_for_ended_requests() -> list[Patch]:
    """An activity does not check whether the requests of a run are active."""

    async def first_alive(self: Engine, names: Any) -> str:
        return str(next(iter(names)))

    return [(Engine, "first_alive", first_alive)]


# ---- the request -----------------------------------------------------------------------------------------------------


@mutation
def ignore_a_dead_run() -> list[Patch]:
    """A request never checks whether the run that it waits for is active."""

    def only_start(context: Any, state: Any, answer: answers.Enrolled) -> Any:
        if answer.start:
            yield from request_orchestrator._start(context, state, answer.active)

    return [(request_orchestrator, "_start_or_repair_run", only_start)]


@mutation
def loop_on_the_clock() -> list[Patch]:
    """After a timer the orchestrator compares the clock with the due time."""

    def wait(context: Any, state: Any) -> Any:
        why = yield from original(context, state)
        while why == "TimedOut" and context.current_utc_datetime < state.deadline:
            why = yield from original(context, state)
        return why

    original = request_orchestrator._wait
    return [(request_orchestrator, "_wait", wait)]


@mutation
def another_clock() -> list[Patch]:
    """An orchestrator reads the machine's clock, so its replay gives a different answer."""
    return [(request_orchestrator, "instant", lambda _: instant(clock.now()))]


# ---- callbacks -------------------------------------------------------------------------------------------------------


@mutation
def end_without_notifying() -> list[Patch]:
    """A request that ends does not notify its callbacks; the timer finds them minutes later."""
    return [(orchestrations, "callback_prefix", lambda request_id: "no such callback-")]


@mutation
def call_back_too_early() -> list[Patch]:
    """A callback does not check whether its request has ended."""
    return [(batches, "final_report", lambda request: report(request, request.state.deadline))]


@mutation
def errors_of_receivers_are_final() -> list[Patch]:
    """The app does not retry a callback after an error of the receiver."""
    return [(callback, "kind_of", lambda status: "delivered")]


@mutation
def no_callback_of_a_terminated_request() -> list[Patch]:
    """A terminated request's callback is dropped like that of an unknown request."""

    async def find(engine: Engine, request_id: str) -> Any:
        found = await original(engine, request_id)
        return None if found is not None and found.engine_status == "Terminated" else found

    original = requests.find_request
    return [(batches, "find_request", find)]


# ---- starts and statuses ---------------------------------------------------------------------------------------------


@mutation
def a_key_is_never_used_up() -> list[Patch]:
    """A key can be used again after any outcome."""
    return [(decision, "may_start_again", lambda outcome: True)]


@mutation
def a_key_names_nothing() -> list[Patch]:
    """A start with a key gets a random id, so racing starts become several requests."""

    def random_id(dataset_id: str, key: str, submission: int, fingerprint: str) -> str:
        return f"{key_prefix(dataset_id, key)}{submission}-{secrets.token_hex(4)}"

    return [(http_start, "keyed_request", random_id)]


@mutation
def random_tokens() -> list[Patch]:
    """Racing starts with a key return different tokens, and only the tokens of one start are valid."""
    return [(http_start, "token", lambda *_, **__: secrets.token_urlsafe(24))]


@mutation
def a_look_never_expires() -> list[Patch]:
    """A status comes from a cache that never expires."""

    class NeverExpires(looks.Looks[T]):
        def __init__(self, clock: Callable[[], float] = time.monotonic, **_: object) -> None:
            super().__init__(clock, 1e9)

    return [(looks, "Looks", NeverExpires)]
