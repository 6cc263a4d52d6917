"""Small orchestrators for the rules of the engine that no recording shows. They import only the SDK."""

import datetime
from collections.abc import Generator
from typing import Any

import azure.durable_functions as df

# mypy: disable-error-code="untyped-decorator"
app = df.DFApp()
Steps = Generator[Any, Any, Any]


def seconds(n: float) -> datetime.timedelta:
    return datetime.timedelta(seconds=n)


def first_line(problem: Exception) -> str:
    return str(problem).split("\n")[0].strip()


@app.activity_trigger(input_name="x")
def echo(x: Any) -> Any:
    return x


@app.activity_trigger(input_name="x")
def boom(x: str) -> None:
    raise ValueError(x)


@app.entity_trigger(context_name="context")
def log(context: Any) -> None:
    lines = context.get_state(list)
    if context.operation_name == "fail":
        raise ValueError("no such line")
    if context.operation_name == "forget":
        context.destruct_on_exit()
    elif context.operation_name != "read":
        lines = [*lines, context.get_input()]
        context.set_state(lines)
    context.set_result(lines)


@app.orchestration_trigger(context_name="context")
def all_with_failures(context: Any) -> Steps:
    """In the SDK, task_all fails with its first failure. New work starts only after its other tasks have ended."""
    try:
        yield context.task_all([context.call_activity("echo", 1), context.call_activity("boom", "a")])
    except Exception as problem:
        failed = first_line(problem)
    after = yield context.call_activity("echo", "after")
    return [failed, after]


@app.orchestration_trigger(context_name="context")
def any_with_a_failure(context: Any) -> Steps:
    winner = yield context.task_any([context.call_activity("boom", "a"), context.wait_for_external_event("never")])
    return [type(winner.result).__name__, first_line(winner.result)]


@app.orchestration_trigger(context_name="context")
def nested(context: Any) -> Steps:
    pairs = [context.task_all([context.call_activity("echo", n), context.call_activity("echo", -n)]) for n in (1, 2)]
    every = yield context.task_all(pairs)
    last = context.task_all([context.call_activity("echo", 3), context.call_activity("echo", 4)])
    winner = yield context.task_any([last, context.wait_for_external_event("never")])
    return [every, winner.result]


@app.orchestration_trigger(context_name="context")
def parallel_retries(context: Any) -> Steps:
    options = df.RetryOptions(5000, 3)
    try:
        yield context.task_all([context.call_activity_with_retry("boom", options, n) for n in "ab"])
    except Exception:
        return "failed"


@app.orchestration_trigger(context_name="context")
def retries_a_child(context: Any) -> Steps:
    try:
        yield context.call_sub_orchestrator_with_retry("fails", df.RetryOptions(2000, 2), "in")
    except Exception as problem:
        return first_line(problem)


@app.orchestration_trigger(context_name="context")
def fails(context: Any) -> Steps:
    yield context.call_activity("echo", 1)
    raise ValueError(f"child says {context.get_input()}")


@app.orchestration_trigger(context_name="context")
def retries_unknown_activity(context: Any) -> Steps:
    yield context.call_activity_with_retry("nobody", df.RetryOptions(1000, 3), 1)


@app.orchestration_trigger(context_name="context")
def leaves_work(context: Any) -> Steps:
    """Returns while an activity and a timer are still open."""
    timer = context.create_timer(context.current_utc_datetime + seconds(60))
    yield context.task_any([context.call_activity("echo", 1), timer])
    return "returned"


@app.orchestration_trigger(context_name="context")
def never_yields_it(context: Any) -> Steps:
    """A task that is created but never yielded is never scheduled."""
    context.call_activity("boom", "never")
    result = yield context.call_activity("echo", 1)
    return result


@app.orchestration_trigger(context_name="context")
def collects(context: Any) -> Steps:
    """Waits for two events with different names."""
    one = yield context.wait_for_external_event("one")
    two = yield context.wait_for_external_event("two")
    return [one, two]


@app.orchestration_trigger(context_name="context")
def generations(context: Any) -> Steps:
    """Waits for `go` after an activity, in every generation; ends after the third."""
    n = context.get_input()
    yield context.call_activity("echo", n)
    got = yield context.wait_for_external_event(f"go-{n}")
    if n == 2:
        return got
    context.continue_as_new(n + 1)
    return None


@app.orchestration_trigger(context_name="context")
def two_weeks(context: Any) -> Steps:
    """A timer longer than six days is cut into pieces by the SDK."""
    begun = context.current_utc_datetime
    yield context.create_timer(begun + datetime.timedelta(days=14))
    return (context.current_utc_datetime - begun).total_seconds()


@app.orchestration_trigger(context_name="context")
def writes(context: Any) -> Steps:
    """Signals and calls of one sender arrive in the order in which they were sent."""
    entity = df.EntityId("log", context.get_input())
    context.signal_entity(entity, "add", 1)
    yield context.call_entity(entity, "add", 2)
    context.signal_entity(entity, "add", 3)
    context.signal_entity(entity, "fail")
    try:
        yield context.call_entity(entity, "fail")
    except Exception as problem:
        failed = str(problem)
    lines = yield context.call_entity(entity, "read")
    return [failed, lines]


@app.orchestration_trigger(context_name="context")
def versions(context: Any) -> Steps:
    if not context.get_input():
        return context.version
    named = yield context.call_sub_orchestrator("versions", None, None, "child")
    unnamed = yield context.call_sub_orchestrator("versions", None)
    return [context.version, named, unnamed]


@app.orchestration_trigger(context_name="context")
def many(context: Any) -> Steps:
    results = yield context.task_all([context.call_activity("echo", n) for n in range(context.get_input())])
    return sum(results)


@app.orchestration_trigger(context_name="context")
def parent(context: Any) -> Steps:
    result = yield context.call_sub_orchestrator("one_step", context.get_input(), "child")
    return result


@app.orchestration_trigger(context_name="context")
def one_step(context: Any) -> Steps:
    result = yield context.call_activity("echo", context.get_input())
    return result
