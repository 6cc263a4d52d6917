"""The orchestrator `refresh_request`: one caller's wish, from its enrolment in the queue to its end.

The queue is the truth, wake-ups are hints: each turn asks the queue, then waits for a hint, a cancel, or a slow tick.
"""

from datetime import datetime, timedelta

import azure.durable_functions as df

from orchestrators.steps import Json, Steps, note, queue, try_activity
from refresh.history.rows import instant
from refresh.polling.schedule import backoff, rest
from refresh.reporting.events import entry
from refresh.request.state import (
    Reason,
    RequestState,
    ending_of_nothing,
    ending_of_outcome,
    ending_without_verdict,
    resting,
    standing,
)

CANCEL_EVENT = "Cancel"
CANCEL_TRIES = 5
EARLIEST = timedelta(seconds=1.5)
"""No timer fires sooner than a second before it is due (and waits that are shorter than a second end at once)."""

bp = df.Blueprint()


class NotCompletedError(Exception):
    """Ends the orchestration as Failed, with the sentence that the caller gets too."""


@bp.orchestration_trigger(context_name="context")
def refresh_request(context: df.DurableOrchestrationContext) -> Steps:
    """Input: `refresh.request.state.RequestState` as JSON. Output: the ending; any but Completed fails."""
    state = RequestState.from_json(context.get_input()).next_turn()
    context.set_custom_status(state.standing)
    ending, state = yield from (_rest if state.resting else _turn)(context, state)
    if ending:
        return (yield from _end(context, state, ending))
    # One turn a generation, so that no event name is waited for twice in one history. What this loses is a hint that
    # came together with another one; what matters is in the queue.
    context.continue_as_new(state.to_json())
    return None


def _turn(context: df.DurableOrchestrationContext, state: RequestState) -> Steps:
    """The ending, if this turn brought it, and the state to go on with."""
    wish = state.wish
    wished = {"scope": wish.to_json()["scope"], "share": wish.share, "wake": state.wake, "round": state.round}
    answer = yield _queue(context, state, "enroll", wished)
    if answer["state"] == "ended":
        ending = ending_of_outcome(answer)
        if state.may_try_again(ending, context.current_utc_datetime):
            return None, state.at_rest(ending)
        return ending, state
    if answer["state"] == "left":
        # the engine forgot an episode whose messages had gone out: the request has left and does not know it
        return (yield from _leave(context, state, answer["reason"])), state
    if answer["state"] != "enrolled":
        return ending_of_nothing(wish, "another life of this request has ended"), state
    context.set_custom_status(standing(answer))
    if answer["run"] != state.standing.get("runId"):
        # for the first time, again after a failure, or alone after one that was somebody else's
        facts = {"run": answer["run"], "position": answer["position"], "sharedWith": answer["shared_with"]}
        again = {"round": state.round, "insteadOf": state.standing.get("runId")}
        note(context, entry("request.enrolled", request=context.instance_id, dataset=wish.dataset_id, **facts, **again))
    if answer["leaving"]:
        return (yield from _leave(context, state, "Cancelled")), state
    yield from _look_after(context, state, answer)
    why = yield from _wait(context, state)
    if why in ("Cancelled", "TimedOut"):
        return (yield from _leave(context, state, why)), state
    return None, state.after(why, standing(answer))


def _look_after(context: df.DurableOrchestrationContext, state: RequestState, answer: Json) -> Steps:
    """Starts the active run if it is this request's turn to, and gives it a new life if it was found dead."""
    if answer["start"]:
        yield from _start(context, state, answer["active"])
    elif state.tick:
        alive = yield from try_activity(context, "is_run_alive", answer["active"])
        if alive is False:
            note(context, entry("run.found_dead", dataset=state.wish.dataset_id, **answer["active"]))
            again = yield _queue(context, state, "restart", answer["active"])
            yield from _start(context, state, again["next"])


def _wait(context: df.DurableOrchestrationContext, state: RequestState) -> Steps:
    """What came first: `woken`, `tick`, `Cancelled` or `TimedOut`.

    The timer's meaning is fixed when it is made: a fired timer means due, whatever the clock says. But one that comes
    sooner than any timer does was made, for a tick, by an episode that the engine forgot after its messages had gone.
    """
    now: datetime = context.current_utc_datetime
    tick = now + timedelta(seconds=state.recheck_seconds)
    last = state.deadline <= tick
    timer = context.create_timer(max(now, state.deadline) if last else tick)
    woken = context.wait_for_external_event(state.wake)
    cancelled = context.wait_for_external_event(CANCEL_EVENT)
    first = yield context.task_any([woken, cancelled, timer])
    if not timer.is_completed:
        timer.cancel()
    if first == cancelled:
        return "Cancelled"
    if first == timer:
        early = context.current_utc_datetime < state.deadline - EARLIEST
        return "TimedOut" if last and not early else "tick"
    return "woken"


def _rest(context: df.DurableOrchestrationContext, state: RequestState) -> Steps:
    """Lets time pass after a transient failure, in a generation of its own. The ending, if the request is cancelled."""
    assert state.resting is not None  # noqa: S101 - see refresh_request
    now: datetime = context.current_utc_datetime
    until = now + timedelta(seconds=rest(state.round, state.limits))
    context.set_custom_status(resting(state, until))
    error = state.resting["error"]
    about = {"request": context.instance_id, "dataset": state.wish.dataset_id, "run": state.resting.get("runId")}
    note(context, entry("request.backing_off", **about, round=state.round, until=instant(until), code=error["code"]))
    timer = context.create_timer(until)
    cancelled = context.wait_for_external_event(CANCEL_EVENT)
    first = yield context.task_any([cancelled, timer])
    if not timer.is_completed:
        timer.cancel()
    if first == cancelled:
        left = {"detail": f"it was about to try again after {error['code']}"}
        return ending_without_verdict("Cancelled", state.wish, left, None), state
    return None, state.next_round()


def _leave(context: df.DurableOrchestrationContext, state: RequestState, reason: Reason) -> Steps:
    """The ending of a request that does not wait any longer; its verdict, if that came first."""
    wish = state.wish
    wants = wish.scope.enhanced and (reason == "Cancelled" or wish.cancel_on_timeout)
    answer = yield _queue(context, state, "leave", {"cancel": wants, "reason": reason})
    if answer["state"] == "ended":
        return ending_of_outcome(answer)
    cancelled = None
    if answer.get("cancel_refresh_id"):
        cancelled = yield from _cancel(context, state, answer["cancel_refresh_id"])
        if cancelled:
            # the run may sleep until the usual end is near: a new life of it looks now, so that the next run can begin
            again = yield _queue(context, state, "restart", answer["active"])
            yield from _start(context, state, again["next"])
    yield from _start(context, state, answer.get("next"))
    if reason == "TimedOut" and "active" in answer and not answer["refresh_id"]:
        # the run in front cannot get on: perhaps Power BI said why
        trouble = yield from try_activity(context, "last_error_of_run", answer["active"])
        answer = {**answer, "trouble": trouble.get("said")}
    return ending_without_verdict(reason, wish, answer, cancelled)


def _cancel(context: df.DurableOrchestrationContext, state: RequestState, refresh_id: str) -> Steps:
    """True if Power BI will cancel the refresh. Asked several times: it is often unwell when things go wrong."""
    wish = state.wish
    model = {"workspace_id": wish.scope.workspace_id, "dataset_id": wish.dataset_id}
    for attempt in range(1, CANCEL_TRIES + 1):
        answer = yield from try_activity(context, "cancel_refresh", {**model, "refresh_id": refresh_id})
        if answer["kind"] in ("cancelled", "over", "refused") or attempt == CANCEL_TRIES:
            return bool(answer["kind"] == "cancelled")
        pause = timedelta(seconds=backoff(attempt, state.limits))
        yield context.create_timer(context.current_utc_datetime + pause)
    return False


def _start(context: df.DurableOrchestrationContext, state: RequestState, turn: Json | None) -> Steps:
    if turn:
        yield from try_activity(context, "start_run", {"dataset_id": state.wish.dataset_id, **turn})


def _end(context: df.DurableOrchestrationContext, state: RequestState, ending: Json) -> Steps:
    ending = {"endedAt": instant(context.current_utc_datetime), **{k: v for k, v in ending.items() if v is not None}}
    # kept by the engine with the episode that reports: the status of a failed orchestration is the last one it kept
    context.set_custom_status(ending)
    about = {"request": context.instance_id, "dataset": state.wish.dataset_id, "caller": state.wish.caller}
    yield from try_activity(context, "report_end", {**about, "ending": ending})
    if ending["status"] != "Completed":
        raise NotCompletedError(ending["error"]["message"])
    return ending


def _queue(context: df.DurableOrchestrationContext, state: RequestState, operation: str, arguments: Json) -> object:
    identity = {"request": context.instance_id, "token": state.token, "at": instant(context.current_utc_datetime)}
    return queue(context, state.wish.dataset_id, operation, {**arguments, **identity})
