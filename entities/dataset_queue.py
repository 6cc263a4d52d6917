"""The entity `dataset_queue`, one for each dataset (key: dataset id): a shell around the pure `refresh.queue`."""

import logging

import azure.durable_functions as df

from entities import shell
from refresh.events import Event
from refresh.queue.stored import handle

bp = df.Blueprint()


@bp.entity_trigger(context_name="context")
def dataset_queue(context: df.DurableEntityContext) -> None:
    """Applies one operation of `refresh.queue.operations`; the result is the answer. Both are JSON objects."""
    shell.apply(context, handle, Event("queue.not_understood", logging.ERROR, datasetId=context.entity_key))
