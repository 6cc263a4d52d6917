"""The entity `model_index`, one for each shard (`refresh.models.index.shard_of`): a shell around the pure index."""

import logging

import azure.durable_functions as df

from entities import shell
from refresh.events import Event
from refresh.models.stored import handle_index

bp = df.Blueprint()


@bp.entity_trigger(context_name="context")
def model_index(context: df.DurableEntityContext) -> None:
    """Applies one operation of `refresh.models.operations.IndexOperation`, without an answer."""
    ids = {"entity": context.entity_name, "key": context.entity_key}
    shell.apply(context, handle_index, Event("model.not_understood", logging.WARNING, **ids))
