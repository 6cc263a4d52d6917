"""The entity `dataset_queue`, one for each dataset (key: dataset id): a shell around the pure `refresh.queue`."""

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
    """Applies one operation of `refresh.queue.operations`; the result is the answer. Both are JSON objects.

    State and result are set together at the end: the engine does not undo the changes of an operation that fails.
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
    """The input; None if it is not JSON inside a JSON string, the form of the SDK: other senders may write anything."""
    try:
        return context.get_input()
    except (TypeError, ValueError):
        return None
