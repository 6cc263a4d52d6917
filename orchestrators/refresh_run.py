"""The orchestrator `refresh_run`: one real refresh, from waiting for an idle model to its outcome.

`refresh.run` makes all decisions; this module carries out the steps.
"""

import logging
from collections.abc import Callable
from datetime import datetime
from typing import assert_never

import azure.durable_functions as df

from durable.calls import Steps, ask, ask_group, call, input_of, log_once, now, sleep, tell_model, wait_for
from durable.codec import encode
from refresh.events import Event
from refresh.run.machine import continued, next_step
from refresh.run.orders import ActivityFailure
from refresh.run.state import RunState
from refresh.run.status import status_of
from refresh.run.step import Ask, AskGroup, Do, End, Moved, Step, Wait, WaitForEvent
from refresh.run.transitions import with_trouble
from refresh.text import cut
from refresh.times import instant

STEPS = 12
"""The maximum number of steps in one history, which then has at most 55 events; every episode replays all of them. A
new history costs one operation on the queue, which is little compared to the polls in between."""
NEW_HISTORY_SECONDS = 60
"""A longer wait (in seconds) ends the history. In the next history, the orchestration first asks the queue whether it
still holds the run."""

bp = df.Blueprint()


@bp.orchestration_trigger(context_name="context")
def refresh_run(context: df.DurableOrchestrationContext) -> Steps[object]:
    """Input: `refresh.run.state.RunState`. Output: the status of the refresh at its end, or None."""
    run = yield from input_of(context, RunState)
    if run is None:
        return None
    for _ in range(STEPS):
        # before each step, including the first of a history: an episode that sets no status deletes the previous status
        context.set_custom_status(encode(status_of(run, now(context))))
        step = next_step(run, instant(now(context)))
        if isinstance(step, End):
            return {"status": run.outcome.status if run.outcome else None}
        moved = yield from _carry_out(context, run, step)
        if moved.event:
            log_once(context, moved.event.about(**_about(run)))
        tell_model(context, moved.news)
        run = moved.run
        if isinstance(step, Wait) and step.seconds > NEW_HISTORY_SECONDS:
            break
    context.continue_as_new(encode(continued(run)))
    return None


def _carry_out(context: df.DurableOrchestrationContext, run: RunState, step: Step) -> Steps[Moved]:
    match step:
        case Wait():
            yield from sleep(context, step.seconds)
            return Moved(step.then)
        case Do():
            answer = yield from call(context, step.order)
            return _moved(run, lambda time: step.then(answer, time), now(context))
        case Ask():
            reply = yield from ask(context, run.dataset_id, step.operation)
            return _moved(run, lambda time: step.then(reply, time), now(context))
        case AskGroup():
            reply = yield from ask_group(context, step.group, step.operation)
            return _moved(run, lambda time: step.then(reply, time), now(context))
        case WaitForEvent():
            yield from wait_for(context, step.event, step.seconds)
            return Moved(step.then)
        case End():
            return Moved(run)
        case _:
            assert_never(step)


def _moved(run: RunState, then: Callable[[datetime], Moved], time: datetime) -> Moved:
    """The run after an answer. An exception of this app counts as a failed call: the step is tried again.

    The exception must not end the orchestration, because the next incarnation would start another refresh.
    """
    try:
        return then(time)
    except Exception as error:
        text = cut(f"{type(error).__name__}: {error}", 300)
        moved = with_trouble(run, ActivityFailure(error=text), time, budget=run.refresh is None)
        return Moved(moved.run, Event("run.step_failed", logging.ERROR, error=text))


def _about(run: RunState) -> dict[str, object]:
    return {
        "runId": run.run,
        "incarnation": run.incarnation,
        "datasetId": run.dataset_id,
        "workspaceId": run.scope.workspace_id if run.scope else None,
        "modelName": run.names.model,
        "refreshId": run.refresh_id,
    }
