"""Deliberate mistakes in the app, each of which the simulation has to find: a world that cannot fail proves nothing."""

import importlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

from activities import callback, model, post, report
from refresh import clock
from refresh.history import adoption
from refresh.history import outcome as verdict
from refresh.history.rows import RefreshRow
from refresh.queue import machine as queue
from refresh.queue import requests as queue_requests
from refresh.queue import runs as queue_runs
from refresh.queue import sharing
from refresh.queue.state import Member, Queue, Run
from refresh.reporting.status import Report
from refresh.reporting.status import report as report_of
from refresh.request.stored import parse
from refresh.run import machine as run
from refresh.run import ways as run_ways
from refresh.times import instant
from triggers import idempotency

Json = dict[str, Any]
Patch = tuple[Any, str, Any]
MUTATIONS: dict[str, Callable[[], list[Patch]]] = {}

request_orchestrator: Any = importlib.import_module("orchestrators.refresh_request")
read: Any = importlib.import_module("activities.read")


def mutation(make: Callable[[], list[Patch]]) -> Callable[[], list[Patch]]:
    """Registers a mistake under the name of its function."""
    MUTATIONS[make.__name__] = make
    return make


@contextmanager
def mutated(name: str) -> Iterator[None]:
    """The app with one mistake."""
    before: list[Patch] = []
    try:
        for owner, attribute, value in MUTATIONS[name]():
            if isinstance(owner, dict):
                before.append((owner, attribute, owner[attribute]))
                owner[attribute] = value
            else:
                before.append((owner, attribute, owner.__dict__[attribute]))
                setattr(owner, attribute, value)
        yield
    finally:
        for owner, attribute, value in reversed(before):
            if isinstance(owner, dict):
                owner[attribute] = value
            else:
                setattr(owner, attribute, value)


@mutation
def skip_the_close() -> list[Patch]:
    """Newcomers join a run that has been posted."""

    return [(Run, "joinable", property(lambda self: self.share))]


@mutation
def drop_the_adoption() -> list[Patch]:
    """A lost answer is taken for a refusal: nobody looks for the refresh."""
    return [(model.Model, "adoptable", lambda *_, **__: None)]


@mutation
def lost_is_refused() -> list[Patch]:
    """After a lost answer the run goes straight back to waiting, and posts again."""

    def posted(state: Any, answer: Json, now: Any) -> Any:
        return original(state, {"kind": "blocked"} if answer["kind"] == "lost" else answer, now)

    original = run.HANDLERS["post"]
    return [(run.HANDLERS, "post", posted)]


@mutation
def post_twice() -> list[Patch]:
    """Every execution of the activity takes itself for the holder of the permit, and looks at nothing."""

    async def take(client: Any, order: Json, attempt: str) -> str:
        return attempt

    return [(post, "_take_permit", take), (model.Model, "adoptable", lambda *_, **__: None)]


@mutation
def forget_to_wake() -> list[Patch]:
    """A run ends and tells nobody."""
    return [(run.HANDLERS, "finish", _without_wake(run.HANDLERS["finish"]))]


def _without_wake(original: Callable[..., Any]) -> Callable[..., Any]:
    return lambda state, answer, now: original(state, {**answer, "wake": []}, now)


@mutation
def ignore_a_dead_run() -> list[Patch]:
    """A request never looks whether the run it waits for is alive."""
    return [(request_orchestrator, "_look_after", _only_start)]


def _only_start(context: Any, state: Any, answer: Json) -> Any:
    if answer["start"]:
        yield from request_orchestrator._start(context, state, answer["active"])


@mutation
def trust_position() -> list[Patch]:
    """The newest row of the history is taken for ours."""

    class First(model.Model):
        def by_id(self, refresh_id: str) -> RefreshRow | None:
            row = self.history().rows[0]
            return replace(row, request_id=refresh_id)

    return [(read, "Model", First), (run, "next_step", _always_by_id)]


def _always_by_id(state: Any) -> Any:
    step = _next_step(state)
    return replace(step, input={**(step.input or {}), "enhanced": True}) if step.name == "read_refresh" else step


_next_step = run.next_step


@mutation
def finish_without_outcome() -> list[Patch]:
    """The verdict is not kept for those who have not collected it."""

    def finish(state: Queue, args: Json) -> Json:
        answer = original(state, args)
        state.ended.pop(args["run"], None)
        return answer

    original = queue.OPERATIONS["finish"]
    return [(queue.OPERATIONS, "finish", finish)]


@mutation
def enrol_twice() -> list[Patch]:
    """A repeated enrolment counts again."""

    def enroll(state: Queue, args: Json) -> Json:
        if state.run_of(args["request"]) and args["request"] not in state.gone:
            member = state.run_of(args["request"]).members[0]  # type: ignore[union-attr]
            state.runs.append(Run(member.new_run_id(), args["scope"], False, [member]))
        return original(state, args)

    original = queue.OPERATIONS["enroll"]
    return [(queue.OPERATIONS, "enroll", enroll)]


@mutation
def forget_at_once() -> list[Patch]:
    """The queue does not remember who has ended, so a late duplicate brings a ghost."""

    def forget(state: Queue) -> None:
        state.gone.clear()
        state.ended = {key: ended for key, ended in state.ended.items() if ended.uncollected}

    return [(Queue, "forget", forget)]


@mutation
def no_claim() -> list[Patch]:
    """A second life of a run is taken for the first, and any execution may post for it."""

    def held(state: Queue, args: Json) -> Run | None:
        return state.runs[0] if state.runs else None

    def holder_of(state: Queue, identity: Json) -> Run | None:
        return state.runs[0] if state.runs and not state.runs[0].refresh_id else None

    return [(queue_runs, "held", held), (Queue, "holder_of", holder_of)]


@mutation
def loop_on_the_clock() -> list[Patch]:
    """After a timer the clock is asked whether it is really time."""

    def wait(context: Any, state: Any) -> Any:
        why = yield from original(context, state)
        while why == "TimedOut" and context.current_utc_datetime < state.deadline:
            why = yield from original(context, state)
        return why

    original = request_orchestrator._wait
    return [(request_orchestrator, "_wait", wait)]


@mutation
def adopt_anything() -> list[Patch]:
    """A external refresh is adopted whatever its scope."""
    return [(adoption, "may_cover", lambda *_: True), (adoption, "covers", lambda *_, **__: True)]


@mutation
def adopted_may_fail() -> list[Patch]:
    """A refresh that is not ours fails the request that adopted it."""
    return [
        (run, "_judged", lambda state, outcome: run_ways.over(state, {**outcome.to_json(), "adopted": state.adopted}))
    ]


@mutation
def adopted_serves_everybody() -> list[Patch]:
    """Members who came after the look are served by an adopted refresh too."""

    def finish(state: Queue, args: Json) -> Json:
        return original(state, {**args, "late_after": None})

    original = queue.OPERATIONS["finish"]
    return [(queue.OPERATIONS, "finish", finish), (adoption, "CLOCK_STEP", timedelta(0))]


@mutation
def unknown_is_completed() -> list[Patch]:
    """What is still running counts as a success."""

    def judge_json(row: Json, dataset_id: str) -> Any:
        return verdict.judge_json({**row, "status": "Completed", "extendedStatus": None}, dataset_id)

    return [(run, "judge_json", judge_json)]


@mutation
def one_cancels_for_all() -> list[Patch]:
    """Whoever leaves cancels the refresh of the others."""

    def leave(state: Queue, args: Json) -> Json:
        mine = state.run_of(args["request"])
        answer = original(state, args)
        if mine is not None and args["cancel"] and mine.refresh_id and not mine.adopted:
            answer = {**answer, "cancel_refresh_id": mine.refresh_id}
        return answer

    original = queue.OPERATIONS["leave"]
    return [(queue.OPERATIONS, "leave", leave)]


@mutation
def post_for_the_dead() -> list[Patch]:
    """Nobody looks whether the requests of a run are alive."""

    async def first_alive(client: Any, names: Any) -> str:
        return str(names[0])

    return [(post, "first_alive", first_alive)]


@mutation
def last_come_first_served() -> list[Patch]:
    """A newcomer's run goes right behind the active one."""

    def join(state: Queue, args: Json, member: Member) -> None:
        before = len(state.runs)
        original(state, args, member)
        if len(state.runs) > before > 1:
            state.runs.insert(1, state.runs.pop())

    original = queue_requests._join
    return [(queue_requests, "_join", join)]


@mutation
def never_start_the_next() -> list[Patch]:
    """A run that ends leaves the next one to itself, and its requests are not asked to start it either."""
    return [(Queue, "next_turn", lambda self: None), (queue_requests, "_ask_to_start", _only_the_first)]


def _only_the_first(state: Queue, args: Json) -> bool:
    active = state.runs[0]
    return active.token is None and active.id.startswith(args["request"]) and not state.ended


@mutation
def end_without_a_word() -> list[Patch]:
    """A request that ends does not tell its callbacks; the timer finds them minutes later."""
    return [(report, "prefix_of", lambda request_id: "nobody-")]


@mutation
def call_back_too_early() -> list[Patch]:
    """A callback does not look whether its request has ended."""

    def verdict_at_once(found: Any) -> Report:
        instance, state = found
        return report_of(instance, state, Queue(), {}, state.deadline)

    return [(callback, "verdict", verdict_at_once)]


@mutation
def any_answer_is_an_answer() -> list[Patch]:
    """A receiver that is unwell is not called again."""
    return [(callback, "kind_of", lambda status: "delivered")]


@mutation
def nobody_speaks_for_the_dead() -> list[Patch]:
    """A terminated request's callback is dropped as if the request had never been."""
    return [(callback, "parse", lambda status: None if status["runtimeStatus"] == "Terminated" else parse(status))]


@mutation
def another_clock() -> list[Patch]:
    """An orchestrator asks the machine what time it is: its replay gives another answer."""
    return [(request_orchestrator, "instant", lambda _: instant(clock.now()))]


@mutation
def a_key_is_never_used_up() -> list[Patch]:
    """Whatever became of the request, its key is free again."""
    return [(idempotency, "may_start_again", lambda told: True)]


@mutation
def merging_loses_objects() -> list[Patch]:
    """Whoever is merged into a run gets the objects of those who were there before."""
    return [(sharing, "merged", lambda first, second: first if first["refresh"] and second["refresh"] else None)]


@mutation
def all_fail_together() -> list[Patch]:
    """A shared refresh fails everybody, whosever table it was."""
    return [(sharing, "spared", lambda narrow, outcome: False)]


@mutation
def rounds_are_all_one() -> list[Patch]:
    """A request that tries again is told the failure of its first try."""
    return [(queue_requests, "_comes_again", lambda gone, args: gone.dropped and args["at"] > gone.at)]
