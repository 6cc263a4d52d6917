"""The entity `model_index`, one per shard (key: `refresh.models.index.shard_of`): a shell around the pure index."""

import logging

import azure.durable_functions as df

from entities.signals import handled
from refresh.models.stored import handle_index

log = logging.getLogger(__name__)
bp = df.Blueprint()


@bp.entity_trigger(context_name="context")
def model_index(context: df.DurableEntityContext) -> None:
    """One operation of `refresh.models.operations.IndexOperation`. It answers nothing."""
    handled(context, handle_index, log)
