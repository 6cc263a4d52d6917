"""The entity `dataset_queue`, one per dataset (key: dataset id): a shell around the pure `refresh.queue`."""

import logging

import azure.durable_functions as df

from refresh import clock
from refresh.events import Event
from refresh.queue.stored import handle
from refresh.text import cut

log = logging.getLogger(__name__)
bp = df.Blueprint()


@bp.entity_trigger(context_name="context")
def dataset_queue(context: df.DurableEntityContext) -> None:
    """One operation of `refresh.queue.operations`; its result is the answer. Both are JSON objects.

    State and result are set together at the end: the engine does not roll back what an operation did before it failed.
    """
    handled = handle(context.get_state(lambda: None), context.operation_name, _input(context), clock.now())
    if handled.problem:
        problem = cut(handled.problem, 300)
        log.error(Event("queue.not_understood", datasetId=context.entity_key, error=problem).line())
    context.set_result(handled.answer)
    if handled.state is None:
        context.destruct_on_exit()
    elif handled.state != "keep":
        context.set_state(handled.state)


def _input(context: df.DurableEntityContext) -> object:
    """The input; None if it is no JSON in a JSON text, as which the SDK sends it: other senders may write anything."""
    try:
        return context.get_input()
    except (TypeError, ValueError):
        return None
