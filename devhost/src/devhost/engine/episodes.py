"""One orchestration episode: the call of the orchestrator, and the effects of its answer on the instance."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING

from devhost.engine import events as ev
from devhost.engine.answers import Answer, dumps, read, reads_as_reference
from devhost.engine.events import Event
from devhost.engine.model import Call, Instance, Outcome, Parent
from devhost.engine.replay import Walker
from devhost.engine.requests import request_id, request_text
from devhost.engine.sentences import Scheduled
from devhost.engine.tasks import Walk
from devhost.engine.text import to_text
from devhost.engine.times import parse
from devhost.engine.versions import MISMATCH

if TYPE_CHECKING:
    from devhost.engine.agenda import Flight
    from devhost.engine.state import State

log = logging.getLogger("devhost.engine")

_SETTINGS = (
    '"upperSchemaVersion": 1, "upperSchemaVersionNew": 3, "longRunningTimerIntervalDuration": "3.00:00:00", '
    '"maximumShortTimerDuration": "6.00:00:00", "defaultHttpAsyncRequestSleepTimeMillseconds": 30000'
)

_NOT_PLAYED, _PLAYED = '"IsPlayed": false', '"IsPlayed": true'


def begin_episode(state: State, instance: Instance, flight: Flight, now: datetime) -> Call | None:
    """The call for an episode; None if the engine ends it without the app."""
    history = state.history(instance)
    if not instance.fresh:
        messages = [m for m in flight.messages if m.execution_id in (None, instance.execution_id)]
        if not messages or instance.terminal:
            return None
        # The start message must come first, even if other messages arrived before it.
        messages.sort(key=lambda m: m.body["EventType"] != ev.EXECUTION_STARTED)
        if not history and messages[0].body["EventType"] != ev.EXECUTION_STARTED:
            return None  # messages for an execution that never started
        started, arrived = ev.orchestrator_started(now), [m.body for m in messages]
        flight.arrived = [started, *arrived]
        flight.texts = [to_text(started), *(m.text for m in messages)]
        terminated = next((e for e in arrived if e["EventType"] == ev.EXECUTION_TERMINATED), None)
        if terminated is not None:
            state.append(instance, flight.arrived, flight.texts)
            _end(state, instance, "Terminated", terminated["Input"], None, now, len(history))
            return None
    if not state.versioning.runs(instance.version):
        log.error("instance %s: %s (%s)", instance.id, MISMATCH, instance.version)
        state.append(instance, flight.arrived, flight.texts)
        _end(state, instance, "Failed", MISMATCH, MISMATCH, now, len(history))
        return None
    if instance.name.lower() not in state.functions.orchestrators:
        state.append(instance, flight.arrived, flight.texts)
        problem = state.functions.unknown(instance.name, "orchestrator", state.functions.orchestrators)
        log.error("instance %s: %s", instance.id, problem)
        _end(state, instance, "Failed", _failed(instance, problem), f"Message: {problem}", now, 0)
        return None
    texts = [*instance.texts, *flight.texts]
    replaying = bool(history) and not instance.fresh
    input_text = instance.input
    parent_id = instance.parent.instance_id if instance.parent else None

    def value() -> str:
        return trigger_text(texts, input_text, instance.id, parent_id, replaying=replaying)

    return Call("episode", instance.name, value, instance.id)


def trigger_text(
    events: Iterable[str], input_text: str | None, instance_id: str, parent_id: str | None, *, replaying: bool
) -> str:
    """The JSON text for the trigger of an orchestrator; `events` and `input_text` are JSON texts."""
    return (
        f'{{"history": [{",".join(events)}], "input": {input_text if input_text is not None else "null"}, '
        f'"instanceId": {to_text(instance_id)}, "isReplaying": {"true" if replaying else "false"}, '
        f'"parentInstanceId": {"null" if parent_id is None else to_text(parent_id)}, {_SETTINGS}}}'
    )


def complete_episode(
    state: State, instance: Instance, flight: Flight, outcome: Outcome, now: datetime, *, keep: bool
) -> None:
    """Walks the answer's actions against the history and applies the result."""
    answer = read(outcome)
    history = state.history(instance)
    whole = [*history, *flight.arrived]
    result = _walk(state, instance, answer, whole)
    if not keep:
        instance.walked = None  # the walk was not stored
        _dispatch(state, instance, result.scheduled, now)
        return
    fresh, instance.fresh = instance.fresh, False
    _mark_played(instance, history if fresh else [])
    state.append(instance, flight.arrived, flight.texts)
    _mark_played(instance, flight.arrived)
    if answer.broken is None:
        instance.custom_status = answer.custom_status
    problem = _fatal(instance, answer, result)
    if problem is not None:
        _end(state, instance, "Failed", problem, answer.details or f"Message: {problem}", now, result.next_id)
        return
    state.append(instance, _dispatch(state, instance, result.scheduled, now))
    over = result.finished and not result.open and not result.suspended
    if over and answer.error is not None:
        _end(state, instance, "Failed", _failed(instance, answer.error), answer.details, now, result.next_id)
    elif over and answer.done and result.continue_as_new is not None:
        _next_generation(state, instance, result, now)
    elif over and answer.done:
        _end(state, instance, "Completed", answer.output, None, now, result.next_id)
    else:
        _go_on(state, instance, flight.arrived, result, now)
        _warn(instance, answer, result)


def _walk(state: State, instance: Instance, answer: Answer, whole: list[Event]) -> Walk:
    if answer.broken is not None:
        return Walk()
    if any(reads_as_reference(a.get("input")) for a in answer.actions if a["actionType"] != 4) and any(
        e["EventType"] in ev.SCHEDULING for e in whole
    ):
        # Newtonsoft.Json cannot parse the stored input, so the second episode of the real engine schedules nothing.
        answer.actions = []
    walker: Walker | None = instance.walked
    if walker is None or instance.fresh or not walker.can_go_on(instance.execution_id, answer.actions, whole):
        walker = instance.walked = Walker(
            functions=state.functions,
            instance_id=instance.id,
            execution_id=instance.execution_id,
            parent_id=instance.parent.instance_id if instance.parent else None,
            new_request_id=state.new_id,
            recorded_requests={e["EventId"]: request_id(e["Input"]) for e in whole if e["EventType"] == ev.EVENT_SENT},
        )
    return walker.go(answer.actions, whole)


def _failed(instance: Instance, problem: str) -> str:
    return f"Orchestrator function '{instance.name}' failed: {problem}"


def _fatal(instance: Instance, answer: Answer, result: Walk) -> str | None:
    """The failure that ends the instance at once, even if tasks are open; None if there is no failure."""
    if answer.broken is not None:
        return _failed(instance, answer.broken)
    if result.nondeterminism is not None:
        log.error("instance %s (%s): non-deterministic: %s", instance.id, instance.name, result.nondeterminism)
        return f"Non-Deterministic workflow detected: {result.nondeterminism}"
    if result.error is not None:
        return _failed(instance, result.error)
    return None


def _mark_played(instance: Instance, events: list[Event]) -> None:
    """Marks the events of an episode as played, except OrchestratorStarted."""
    offset = len(instance.texts) - len(events)
    for n, event in enumerate(events):
        if event["EventType"] != ev.ORCHESTRATOR_STARTED and not event["IsPlayed"]:
            event["IsPlayed"] = True
            head, _, tail = instance.texts[offset + n].rpartition(_NOT_PLAYED)
            instance.texts[offset + n] = f"{head}{_PLAYED}{tail}"


def _dispatch(state: State, instance: Instance, scheduled: list[Scheduled], now: datetime) -> list[Event]:
    """Sends the messages of scheduled work; returns the events that record it."""
    return [_dispatch_one(state, instance, s, now) for s in scheduled]


def _dispatch_one(state: State, instance: Instance, task: Scheduled, now: datetime) -> Event:
    execution_id = instance.execution_id
    if task.kind == ev.TASK_SCHEDULED:
        text = task.input if isinstance(task.input, str) else to_text(task.input)
        state.send("activity", instance.id, {"task": task.id, "name": task.name, "input": text}, execution_id, sent=now)
        return ev.task_scheduled(now, task.id, task.name)
    if task.kind == ev.TIMER_CREATED:
        fired = ev.timer_fired(now, task.id, task.fire_at)
        if not task.cancelled:
            due = state.timers(parse(task.fire_at), now)
            state.send("event", instance.id, fired, execution_id, due)
        return ev.timer_created(now, task.id, task.fire_at)
    if task.kind == ev.SUB_CREATED:
        _start_child(state, instance, task, now)
        return ev.sub_created(now, task.id, task.name, task.target, task.version)
    request = request_text(
        operation=task.name,
        signal=task.signal,
        input_text=task.input,
        number=task.request_id,
        parent=instance.id,
        execution_id=execution_id,
        now=now,
    )
    state.send("operation", task.target, json.loads(request), sent=now)
    return ev.event_sent(now, task.id, task.target, request)


def _start_child(state: State, instance: Instance, task: Scheduled, now: datetime) -> None:
    before = state.instances.get(task.target)
    if before is not None and not before.terminal:
        p = before.parent
        if p is not None and (p.instance_id, p.execution_id, p.task_id) == (
            instance.id,
            instance.execution_id,
            task.id,
        ):
            return  # a repetition of the same start
        log.error(
            "instance %s starts a sub-orchestration with id %s, which is already running: "
            "on Azure, the starting instance never gets an answer; here, the start is dropped",
            instance.id, task.target,
        )  # fmt: skip
        return
    parent = Parent(instance.id, instance.execution_id, task.id, instance.name)
    text = None if task.input is None else to_text(task.input)
    state.create(task.name, task.target, text, now, parent=parent, version=task.version)


def _go_on(state: State, instance: Instance, arrived: list[Event], result: Walk, now: datetime) -> None:
    instance.status = "Suspended" if result.suspended else "Running"
    reasons = [e["Reason"] for e in arrived if e["EventType"] in (ev.EXECUTION_SUSPENDED, ev.EXECUTION_RESUMED)]
    if reasons:
        instance.output = reasons[-1]  # as in Azure Storage, where it remains after the instance is resumed
    instance.updated = now
    state.append(instance, [ev.orchestrator_completed(now)])
    state.touch(instance)


def _next_generation(state: State, instance: Instance, result: Walk, now: datetime) -> None:
    """Continue-as-new: a new execution under the same id, with the events that were not processed."""
    if state.recorder is not None:
        state.recorder(instance, "ContinuedAsNew")
    instance.execution_id = state.new_id()
    instance.input = dumps(result.continue_as_new)
    instance.output = None
    instance.created = instance.updated = now
    instance.status = "Running"
    instance.history, instance.texts = [], []
    instance.fresh, instance.walked = True, None
    started = state.start_event(instance, now)
    state.changes.drop_history(instance.id)
    carried = [{**e, "IsPlayed": False} for e in result.carried]
    state.append(instance, [ev.orchestrator_started(now), started, *carried, ev.orchestrator_completed(now)])
    state.touch(instance)


def _end(
    state: State,
    instance: Instance,
    status: str,
    output: str | None,
    details: str | None,
    now: datetime,
    event_id: int,
) -> None:
    """Ends the instance and sends the result to its parent."""
    state.append(instance, [ev.execution_completed(now, event_id, status, output), ev.orchestrator_completed(now)])
    instance.status, instance.output, instance.updated = status, output, now
    instance.fresh, instance.walked = False, None
    state.touch(instance)
    if instance.parent is not None:
        p = instance.parent
        if status == "Completed":
            event = ev.sub_completed(now, p.task_id, output)
        else:
            event = ev.sub_failed(now, p.task_id, output, details)
        state.send("event", p.instance_id, event, p.execution_id, sent=now)
    if state.recorder is not None:
        state.recorder(instance, status)
    state.forget_history(instance)


def _warn(instance: Instance, answer: Answer, result: Walk) -> None:
    """Logs one line for each reason why the instance hangs. On Azure it would hang, too, but nothing would be
    logged."""
    what = f"instance {instance.id} ({instance.name})"
    for problem in result.swallowed:
        _once(instance, f"{what} hangs: {problem}. Azure logs nothing about it")
    ended = answer.done or answer.error is not None
    if ended and not result.finished and not result.suspended:
        _once(
            instance,
            f"{what} has ended for the SDK, but the host still waits for {result.waiting}; "
            "if that never arrives, the instance hangs, as on Azure",
        )
    elif ended and result.open and not result.scheduled:
        _once(
            instance,
            f"{what} has returned but stays Running until these tasks end: {', '.join(result.open)}; "
            "cancel timers that are no longer needed",
        )
    elif not ended and result.finished and not result.open and not result.scheduled and not result.swallowed:
        _once(
            instance,
            f"{what} hangs, as on Azure: the host has done all requested work and the SDK still waits "
            "(for an event whose name differs by case, or on a yield of a value that is not a task)",
        )


def _once(instance: Instance, text: str) -> None:
    if text not in instance.warned:
        instance.warned.add(text)
        log.warning("%s", text)
