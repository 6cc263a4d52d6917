"""The orchestrator `deliver_callback`: one URI that is called once when a request has ended.

It waits for a hint that the request has ended, looks, and tries for up to a day. Waiting costs nothing: no timer runs.
"""

import logging
from datetime import timedelta

import azure.durable_functions as df

from orchestrators.steps import Json, Steps, note, try_activity
from refresh.reporting.callback import ENDED_EVENT, GIVEN_UP, CallbackState, host_of
from refresh.reporting.events import entry

ATTEMPTS = 10
"""Attempts of one generation: about 60 history events."""

bp = df.Blueprint()


@bp.orchestration_trigger(context_name="context")
def deliver_callback(context: df.DurableOrchestrationContext) -> Steps:
    """Input: `refresh.reporting.callback.CallbackState` as JSON. Output: `delivered` or `given up`."""
    state = CallbackState.from_json(context.get_input())
    for _ in range(ATTEMPTS):
        answer = yield from try_activity(context, "call_back", {"request": state.request, "uri": state.uri})
        kind, now = answer["kind"], context.current_utc_datetime
        if kind == "delivered":
            return _over(context, state, answer, "delivered")
        if kind in ("waiting", "unknown"):
            if kind == "unknown" and not state.young(now):
                return _over(context, state, answer, GIVEN_UP)
            context.set_custom_status({"state": "waiting"})
            if state.looks:
                state = state.looked()
                yield context.create_timer(now + timedelta(seconds=state.pause(None)))
                continue
            # the only wait of this history: the name is used once
            yield context.wait_for_external_event(ENDED_EVENT)
            state = state.told()
            break
        state = state.failed(now)
        if kind == "refused" and not state.young(now):
            kind = "gone"
        if kind == "gone" or state.too_late(now):
            return _over(context, state, answer, GIVEN_UP)
        note(context, entry("callback.failed", **_about(state, answer)), logging.WARNING)
        context.set_custom_status({"state": "retrying", "failures": state.failures, "answer": answer.get("answer")})
        yield context.create_timer(now + timedelta(seconds=state.pause(answer.get("seconds"))))
    context.continue_as_new(state.to_json())
    return None


def _over(context: df.DurableOrchestrationContext, state: CallbackState, answer: Json, how: str) -> str:
    delivered = how == "delivered"
    line = entry("callback.delivered" if delivered else "callback given up", **_about(state, answer))
    note(context, line, logging.INFO if delivered else logging.WARNING)
    context.set_custom_status({"state": how, "failures": state.failures, "answer": answer.get("answer")})
    return how


def _about(state: CallbackState, answer: Json) -> Json:
    """What a log line says: the host of the URI, never more of it."""
    about = {"request": state.request, "dataset": answer.get("dataset"), "caller": answer.get("caller")}
    return {**about, "host": host_of(state.uri), "answer": answer.get("answer"), "failures": state.failures}
