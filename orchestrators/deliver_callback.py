"""The orchestrator `deliver_callback`: calls one URI when a request has ended. After a crash it may call twice.

It waits for the notification that the request has ended, reads the request, and tries for up to a day. The wait costs
nothing, because no timer runs.
"""

import logging
from typing import assert_never

import azure.durable_functions as df

from durable import names
from durable.calls import Steps, call, input_of, log_once, now, sleep
from durable.codec import encode
from refresh.events import Event
from refresh.reporting.callback import ABANDONED, CallbackState, CallbackStatus
from refresh.request.callback_uri import host_of
from refresh.run.orders import ActivityFailure, CallBack, Delivered, NoRequest, NotDelivered, NotEnded

ATTEMPTS = 10
"""The maximum number of attempts in one history, which then has about 60 events."""

bp = df.Blueprint()


@bp.orchestration_trigger(context_name="context")
def deliver_callback(context: df.DurableOrchestrationContext) -> Steps[object]:
    """Input: `refresh.reporting.callback.CallbackState`. Output: `delivered` or `abandoned`."""
    state = yield from input_of(context, CallbackState)
    if state is None:
        return None
    for _ in range(ATTEMPTS):
        answer = yield from call(context, CallBack(request=state.request, uri=state.uri))
        match answer:
            case Delivered():
                return _over(context, state, "delivered", answer)
            case NoRequest() if not state.may_be_early(now(context)):
                return _over(context, state, ABANDONED, answer)
            case NotEnded() | NoRequest():
                context.set_custom_status(encode(CallbackStatus(state="waiting")))
                if state.looks:
                    state = state.after_look()
                    yield from sleep(context, state.pause(None))
                    continue
                # the only wait of this history, so the event name is used once
                yield context.wait_for_external_event(names.ENDED_EVENT)
                state = state.after_notification()
                break
            case NotDelivered() | ActivityFailure():
                state = state.after_failure(now(context))
                if state.is_abandoned_after(answer, now(context)):
                    return _over(context, state, ABANDONED, answer)
                log_once(context, Event("callback.failed", logging.WARNING, **_about(state, answer)))
                context.set_custom_status(encode(_status(state, "retrying", answer)))
                yield from sleep(context, state.pause(answer.seconds if isinstance(answer, NotDelivered) else None))
            case _:
                assert_never(answer)
    context.continue_as_new(encode(state))
    return None


def _over(
    context: df.DurableOrchestrationContext,
    state: CallbackState,
    end: str,
    answer: Delivered | NotDelivered | NoRequest | ActivityFailure,
) -> str:
    if end == ABANDONED:
        log_once(context, Event("callback.abandoned", logging.ERROR, **_about(state, answer)))
    else:
        log_once(context, Event("callback.delivered", **_about(state, answer)))
    context.set_custom_status(encode(_status(state, end, answer)))
    return end


def _status(state: CallbackState, end: str, answer: object) -> CallbackStatus:
    return CallbackStatus(state=end, failures=state.failures, answer=_response(answer))


def _about(state: CallbackState, answer: object) -> dict[str, object]:
    """The ids for a log line, and of the URI only its host."""
    known = answer if isinstance(answer, Delivered | NotDelivered) else None
    about = {"requestId": state.request, "datasetId": known and known.dataset_id, "caller": known and known.caller}
    return {**about, "host": host_of(state.uri), "answer": _response(answer), "failures": state.failures}


def _response(answer: object) -> str | None:
    match answer:
        case Delivered() | NotDelivered():
            return answer.response
        case NoRequest():
            return "there is no such request"
        case ActivityFailure():
            return answer.error
        case _:
            return None
