"""The entity `dataset_lane`, one per dataset (key: dataset id): a shell around the pure `refresh.lane`."""

import json

import azure.durable_functions as df

from refresh.lane import apply
from refresh.lane_state import Lane

bp = df.Blueprint()


@bp.entity_trigger(context_name="context")
def dataset_lane(context: df.DurableEntityContext) -> None:
    """One operation of `refresh.lane.apply`; its input is a JSON object, its result the answer.

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


async def read_lane(client: df.DurableOrchestrationClient, dataset_id: str) -> Lane:
    """The lane of a dataset as it was last committed, perhaps a moment ago. An empty one if it is quiet."""
    answer = await client.read_entity_state(df.EntityId("dataset_lane", dataset_id))
    state = answer.entity_state if answer.entity_exists else None
    return Lane.from_json(json.loads(state) if isinstance(state, str) and state else state or None)
