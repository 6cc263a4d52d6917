"""The orchestrator `refresh_run`: one real refresh, from waiting for an idle model to its verdict.

All decisions are those of `refresh.run.machine`; here is how each step is carried out.
"""

from datetime import timedelta

import azure.durable_functions as df

from orchestrators.steps import Json, Steps, note, queue, try_activity
from refresh.history.rows import instant
from refresh.reporting.events import run_entry
from refresh.run.machine import Step, advance, next_generation, next_step
from refresh.run.state import RunState

STEPS = 12
"""Steps of one generation: about 50 history events, each of which is replayed in every episode. A new generation
costs one operation of the queue, a fraction of the polls in between."""
LONG_WAIT_SECONDS = 60
"""After a longer wait the run asks the queue at once whether it is still wanted."""

bp = df.Blueprint()


@bp.orchestration_trigger(context_name="context")
def refresh_run(context: df.DurableOrchestrationContext) -> Steps:
    """Input: `refresh.run.state.RunState` as JSON. Output: the status the refresh ended with, or None."""
    state = RunState.from_json(context.get_input())
    for _ in range(STEPS):
        step = next_step(state)
        if step.kind == "end":
            return {"status": (state.outcome or {}).get("status")}
        answer = yield from _carry_out(context, state, step)
        before, state = state, advance(state, answer, context.current_utc_datetime)
        if not context.is_replaying:
            # not even put together while an episode repeats what has been logged
            note(context, run_entry(before, state))
        context.set_custom_status(state.status(context.current_utc_datetime))
        if step.kind == "wait" and step.seconds > LONG_WAIT_SECONDS:
            break
    context.continue_as_new(next_generation(state).to_json())
    return None


def _carry_out(context: df.DurableOrchestrationContext, state: RunState, step: Step) -> Steps:
    if step.kind == "activity":
        return (yield from try_activity(context, step.name, step.input or {}))
    if step.kind == "queue":
        identity: Json = state.identity(instant(context.current_utc_datetime))
        return (yield queue(context, state.dataset_id, step.name, {**(step.input or {}), **identity}))
    yield context.create_timer(context.current_utc_datetime + timedelta(seconds=step.seconds))
    return {}
