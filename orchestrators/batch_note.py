"""The orchestrator `batch_note`: stores a note about a batch, as its input, until the purge.

It is an orchestration, not an entity, because a deleted entity keeps its row in the storage.
"""

import azure.durable_functions as df

from durable.calls import Steps

bp = df.Blueprint()


@bp.orchestration_trigger(context_name="context")
def batch_note(context: df.DurableOrchestrationContext) -> Steps[object]:
    """Input: `refresh.batch.orders.NoteState`. It ends at once."""
    yield from ()
    return None
