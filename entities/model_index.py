"""The entity `model_index`, one for each shard (`refresh.models.index.shard_of`): a shell around the pure index."""

import logging

import azure.durable_functions as df

from entities.signals import handled
from refresh.models.stored import handle_index

log = logging.getLogger(__name__)
bp = df.Blueprint()


@bp.entity_trigger(context_name="context")
def model_index(context: df.DurableEntityContext) -> None:
    """Applies one operation of `refresh.models.operations.IndexOperation`, without an answer."""
    handled(context, handle_index, log)
