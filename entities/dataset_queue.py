"""The entity `dataset_queue`, one per dataset (key: dataset id): a shell around the pure `refresh.queue.machine`."""

import json

import azure.durable_functions as df

from refresh.queue.machine import apply
from refresh.queue.state import Queue

bp = df.Blueprint()


@bp.entity_trigger(context_name="context")
def dataset_queue(context: df.DurableEntityContext) -> None:
    """One operation of `refresh.queue.machine.apply`; its input is a JSON object, its result the answer.

    State and result are set together at the end: the engine does not roll back what an operation did before it failed.
    """
    stored = context.get_state(lambda: None)
    # a deleted entity reads as an empty text
    state, answer = apply(stored or None, context.operation_name, context.get_input())
    context.set_result(answer)
    if state is None:
        context.destruct_on_exit()
    else:
        context.set_state(state)


async def read_queue(client: df.DurableOrchestrationClient, dataset_id: str) -> Queue:
    """The queue of a dataset as it was last committed, perhaps a moment ago. An empty one if it is quiet."""
    answer = await client.read_entity_state(df.EntityId("dataset_queue", dataset_id))
    state = answer.entity_state if answer.entity_exists else None
    return Queue.from_json(json.loads(state) if isinstance(state, str) and state else state or None)
