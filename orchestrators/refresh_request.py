"""The orchestrator `refresh_request`: one caller's request, from its enrolment in the queue to its outcome.

The queue is authoritative. Each turn asks the queue, then waits for the notification (which carries the outcome), for a
cancellation, or for a reminder to recheck. A lost notification only costs time: the queue keeps the outcome.
"""

import logging
from datetime import datetime, timedelta
from typing import Literal, TypeAlias, assert_never

import azure.durable_functions as df

from durable import names
from durable.calls import DEADLINE_EARLY, Steps, ask, call, input_of, log_once, now, sleep, tell, tell_model, wait_until
from durable.codec import NotUnderstoodError, decode, encode, unwrapped
from refresh.events import Event
from refresh.messages import replace
from refresh.polling.schedule import backoff, pause_before_attempt
from refresh.queue.answers import Ended, Enrolled, LeaveReason, Left, OtherToken, QueueFull, Turn, Unknown
from refresh.queue.operations import Collect, Enroll, Leave, Restart
from refresh.request.news import dropped_run_news, ended_request_news
from refresh.request.outcomes import (
    STARTED_TWICE,
    outcome_after_leaving,
    outcome_of_fault,
    outcome_of_run,
    outcome_outside_the_queue,
    outcome_while_backing_off,
)
from refresh.request.state import RequestOutcome, RequestState, Standing, standing_of, standing_while_backing_off
from refresh.request.stored import text_of
from refresh.run.orders import (
    ActivityFailure,
    AlreadyEnded,
    CancelAccepted,
    CancelRefresh,
    ModelRef,
    NotifyBatch,
    NotifyCallbacks,
    ReadRun,
    Refused,
    RunRead,
    StartRun,
    Throttled,
    Unavailable,
)
from refresh.times import instant

CANCEL_TRIES = 5
"""Attempts to cancel a refresh: more than a run makes (`MAX_TRIES`), because the outcome of the request tells its
caller whether the refresh is cancelled."""

WaitResult: TypeAlias = Literal["notified", "recheck", "callback", "Cancelled", "TimedOut"]

bp = df.Blueprint()


class NotCompletedError(Exception):
    """Ends the orchestration as Failed, with the message that the caller also gets."""


@bp.orchestration_trigger(context_name="context")
def refresh_request(context: df.DurableOrchestrationContext) -> Steps[object]:
    """Input: `refresh.request.state.RequestState`. Output: `RequestOutcome`. Raises an error unless Completed."""
    state = yield from input_of(context, RequestState)
    if state is None:
        return None
    state = state.replace(turn=state.turn + 1)
    context.set_custom_status(encode(state.standing))
    outcome, state = yield from (_back_off if state.failed_outcome else _turn)(context, state)
    if outcome:
        return (yield from _end(context, state, outcome))
    # One turn per history, so that no event name is waited for twice in one history. A second notification that arrives
    # with the first one is lost; that is harmless, because the queue has all state.
    context.continue_as_new(encode(state))
    return None


def _turn(
    context: df.DurableOrchestrationContext, state: RequestState
) -> Steps[tuple[RequestOutcome | None, RequestState]]:
    """The outcome, if the request ended in this turn, and the state for the next turn."""
    spec = state.spec
    answer = yield from ask(
        context,
        spec.dataset_id,
        Enroll(
            at=instant(now(context)),
            request=context.instance_id,
            token=state.token,
            scope=spec.scope,
            share=spec.share,
            wake_event=state.wake_event,
            attempt=state.attempt,
            priority=spec.priority,
            expected_every_hours=spec.expected_every_hours,
        ),
    )
    match answer:
        case Enrolled():
            return (yield from _enrolled(context, state, answer))
        case Ended():
            return _ended(state, answer, now(context))
        case Left():
            # the engine lost an episode after sending its messages: the history does not show that the request left
            return (yield from _leave(context, state, answer.reason)), state
        case Unknown(retry_after=int(seconds)):
            # the queue removed this request by mistake: its orchestration is active
            return (yield from _wait_to_enroll(context, state, now(context) + timedelta(seconds=seconds))), state
        case Unknown() | OtherToken():
            # this id was started twice: the outcome of the other start is forgotten, or that start used another token
            return outcome_of_fault(spec, STARTED_TWICE, state.standing.names), state
        case QueueFull():
            return (yield from _wait_for_room(context, state, answer)), state
        case _:
            assert_never(answer)


def _ended(state: RequestState, answer: Ended, time: datetime) -> tuple[RequestOutcome | None, RequestState]:
    outcome = outcome_of_run(answer)
    if state.may_try_again(outcome, time):
        return None, state.backing_off(outcome)
    return outcome, state


def _enrolled(
    context: df.DurableOrchestrationContext, state: RequestState, answer: Enrolled
) -> Steps[tuple[RequestOutcome | None, RequestState]]:
    standing = standing_of(answer)
    context.set_custom_status(encode(standing))
    if answer.run != state.standing.run_id:
        # a new run: the first one, that of a new attempt, or one that replaces a run that did not serve the request
        facts = {"runId": answer.run, "position": answer.position, "sharedWith": answer.shared_with}
        again = {"attempt": state.attempt, "insteadOf": state.standing.run_id}
        log_once(context, Event("request.enrolled", **_about(context, state), **facts, **again))
    if answer.leaving:
        return (yield from _leave(context, state, "Cancelled")), state
    yield from _start_or_repair_run(context, state, answer)
    waited = yield from _wait(context, state)
    if isinstance(waited, Ended):
        collected = Collect(
            at=instant(now(context)), request=context.instance_id, token=state.token, attempt=state.attempt
        )
        tell(context, state.spec.dataset_id, collected)
        return _ended(state.replace(standing=standing), waited, now(context))
    if waited == "Cancelled" or waited == "TimedOut":
        return (yield from _leave(context, state, waited)), state
    has_callback = state.has_callback or waited == "callback"
    return None, state.replace(recheck=waited == "recheck", standing=standing, has_callback=has_callback)


def _start_or_repair_run(context: df.DurableOrchestrationContext, state: RequestState, answer: Enrolled) -> Steps[None]:
    """Starts the active run if the queue asked this request to, and restarts a run that was found dead."""
    if answer.start:
        yield from _start(context, state, answer.active)
    elif state.recheck:
        read = yield from call(context, ReadRun(turn=answer.active))
        if isinstance(read, RunRead) and not read.alive:
            dead = {"runId": answer.active.run, "incarnation": answer.active.incarnation}
            log_once(context, Event("run.found_dead", logging.WARNING, **_about(context, state), **dead))
            yield from _restart(context, state, answer.active)


def _restart(context: df.DurableOrchestrationContext, state: RequestState, turn: Turn) -> Steps[None]:
    restarted = yield from ask(context, state.spec.dataset_id, Restart(at=instant(now(context)), turn=turn))
    yield from _start(context, state, restarted.next)


def _start(context: df.DurableOrchestrationContext, state: RequestState, turn: Turn | None) -> Steps[None]:
    if turn:
        yield from call(context, StartRun(dataset_id=state.spec.dataset_id, turn=turn))


def _wait(context: df.DurableOrchestrationContext, state: RequestState) -> Steps[WaitResult | Ended]:
    """Waits for the first of the events and the timer. Returns the outcome if the notification carried it.

    Whether the timer is for the deadline or for the recheck is decided when it is created: a fired timer counts as due,
    regardless of the current time. One exception: if a timer for the deadline fires more than DEADLINE_EARLY before
    it, this is the recheck timer of an episode that the engine lost after sending its messages.
    """
    began: datetime = now(context)
    recheck_at = began + timedelta(seconds=state.recheck_seconds)
    last = state.deadline <= recheck_at
    timer = context.create_timer(max(began, state.deadline) if last else recheck_at)
    notified = context.wait_for_external_event(state.wake_event)
    cancelled = context.wait_for_external_event(names.CANCEL_EVENT)
    callback = context.wait_for_external_event(names.CALLBACK_EVENT)
    reminded = context.wait_for_external_event(names.RECHECK_EVENT)
    first = yield context.task_any([notified, cancelled, callback, reminded, timer])
    if not timer.is_completed:
        timer.cancel()
    if first == cancelled:
        return "Cancelled"
    if first == timer:
        early = now(context) < state.deadline - DEADLINE_EARLY
        return "TimedOut" if last and not early else "recheck"
    if first == notified:
        return _outcome_in(notified.result)
    return "callback" if first == callback else "recheck"


def _outcome_in(data: object) -> Literal["notified"] | Ended:
    """The outcome in a notification. Other versions may have sent no outcome, or one that this code cannot read."""
    try:
        ended: Ended = decode(unwrapped(data), Ended)
    except NotUnderstoodError:
        return "notified"
    return ended


def _back_off(
    context: df.DurableOrchestrationContext, state: RequestState
) -> Steps[tuple[RequestOutcome | None, RequestState]]:
    """Waits after a failed attempt, in a history of its own. Returns the outcome if the request is cancelled."""
    until = now(context) + timedelta(seconds=pause_before_attempt(state.attempt, state.limits))
    context.set_custom_status(encode(standing_while_backing_off(state, until)))
    failure = state.failed_outcome
    code = failure.error.code if failure and failure.error else None
    facts = {"runId": failure.run_id if failure else None, "attempt": state.attempt, "code": code}
    log_once(context, Event("request.backing_off", **_about(context, state), **facts, until=instant(until)))
    if (yield from wait_until(context, names.CANCEL_EVENT, until)):
        return outcome_while_backing_off(state.spec, code, state.standing.names), state
    return None, state.next_attempt()


def _wait_for_room(
    context: df.DurableOrchestrationContext, state: RequestState, answer: QueueFull
) -> Steps[RequestOutcome | None]:
    until = now(context) + timedelta(seconds=answer.retry_after)
    context.set_custom_status(encode(Standing(last_call_error="Too many requests are waiting for this model.")))
    log_once(context, Event("request.waits_for_room", logging.WARNING, **_about(context, state), until=instant(until)))
    return (yield from _wait_to_enroll(context, state, until))


def _wait_to_enroll(
    context: df.DurableOrchestrationContext, state: RequestState, until: datetime
) -> Steps[RequestOutcome | None]:
    """Waits before the request tries to enrol again. Returns the outcome if it is cancelled or past its deadline."""
    if (yield from wait_until(context, names.CANCEL_EVENT, min(until, max(state.deadline, now(context))))):
        return outcome_outside_the_queue(state.spec, "Cancelled", state.standing)
    if until >= state.deadline:
        return outcome_outside_the_queue(state.spec, "TimedOut", state.standing)
    return None


def _leave(context: df.DurableOrchestrationContext, state: RequestState, reason: LeaveReason) -> Steps[RequestOutcome]:
    """The outcome of a request that leaves its run; if the run had already ended, the outcome of the run."""
    spec = state.spec
    cancel = spec.scope.enhanced and (reason == "Cancelled" or spec.cancel_on_timeout)
    operation = Leave(
        at=instant(now(context)), request=context.instance_id, token=state.token, reason=reason, cancel=cancel
    )
    answer = yield from ask(context, spec.dataset_id, operation)
    match answer:
        case Ended():
            return outcome_of_run(answer)
        case Left():
            return (yield from _after_leave(context, state, answer))
        case Unknown() | OtherToken():
            if isinstance(answer, Unknown):
                yield from _start(context, state, answer.next)
            return outcome_outside_the_queue(spec, reason, state.standing)
        case _:
            assert_never(answer)


def _after_leave(context: df.DurableOrchestrationContext, state: RequestState, answer: Left) -> Steps[RequestOutcome]:
    cancelled = None
    tell_model(context, dropped_run_news(state.spec.dataset_id, answer, instant(now(context))))
    if answer.cancel_refresh_id:
        cancelled = yield from _cancel(context, state, answer.cancel_refresh_id)
        if cancelled and answer.active:
            # the run may wait until the estimated end; a new incarnation looks now, so that the next run can begin
            yield from _restart(context, state, answer.active)
    yield from _start(context, state, answer.next)
    trouble = place = None
    if answer.reason == "TimedOut" and answer.active and not answer.refresh_id:
        # the active run is stuck: Power BI may have given a reason
        read = yield from call(context, ReadRun(turn=answer.active))
        if isinstance(read, RunRead):
            trouble, place = read.last_error, read.waits_for_place
    return outcome_after_leaving(state.spec, answer, cancelled=cancelled, trouble=trouble, place=place)


def _cancel(context: df.DurableOrchestrationContext, state: RequestState, refresh_id: str) -> Steps[bool]:
    """Whether Power BI accepts the cancellation. Tries several times, because a cancel often fails together with other
    calls."""
    model = ModelRef(workspace_id=state.spec.scope.workspace_id, dataset_id=state.spec.dataset_id)
    for attempt in range(1, CANCEL_TRIES + 1):
        answer = yield from call(context, CancelRefresh(model=model, refresh_id=refresh_id))
        match answer:
            case CancelAccepted():
                return True
            case AlreadyEnded() | Refused():
                return False
            case Throttled() | Unavailable() | ActivityFailure():
                pause = backoff(attempt, state.limits)
                if isinstance(answer, Throttled) and answer.seconds is not None:
                    pause = max(pause, min(answer.seconds, state.limits.outage))
                if attempt < CANCEL_TRIES:
                    yield from sleep(context, pause)
            case _:
                assert_never(answer)
    return False


def _end(context: df.DurableOrchestrationContext, state: RequestState, outcome: RequestOutcome) -> Steps[object]:
    known, ended_at = outcome.names.also(state.standing.names), outcome.ended_at or instant(now(context))
    outcome = replace(outcome, ended_at=ended_at, model_name=known.model, workspace_name=known.workspace)
    # the engine stores this status together with the messages below, and shows it even if the orchestration fails
    context.set_custom_status(encode(outcome))
    level = logging.INFO if outcome.status == "Completed" else logging.WARNING
    facts = {"status": outcome.status, "runId": outcome.run_id, "refreshId": outcome.refresh_id}
    shared = {"sharedWith": outcome.shared_with, "servedBy": outcome.served_by, "error": outcome.error}
    about = {**_about(context, state), "modelName": outcome.model_name}
    log_once(context, Event("request.ended", level, **about, **facts, **shared))
    tell_model(context, ended_request_news(context.instance_id, state.spec.dataset_id, outcome))
    if state.has_callback:
        yield from call(context, NotifyCallbacks(request=context.instance_id))
    if state.batch:
        yield from call(context, NotifyBatch(batch=state.batch, request=context.instance_id))
    if outcome.status != "Completed":
        raise NotCompletedError(text_of(outcome))
    return encode(outcome)


def _about(context: df.DurableOrchestrationContext, state: RequestState) -> dict[str, object]:
    spec = state.spec
    ids = {"requestId": context.instance_id, "datasetId": spec.dataset_id, "workspaceId": spec.scope.workspace_id}
    return {**ids, "modelName": state.standing.model_name, "caller": spec.caller, "batchId": state.batch}
