"""The entity `capacity_group`, one per group of CAPACITY_LIMITS (key: its name): a shell around `refresh.capacity`."""

import logging

import azure.durable_functions as df

from entities import shell
from refresh.capacity.stored import handle
from refresh.events import Event

bp = df.Blueprint()


@bp.entity_trigger(context_name="context")
def capacity_group(context: df.DurableEntityContext) -> None:
    """Applies one operation of `refresh.capacity.operations`; the result is the answer. Both are JSON objects."""
    shell.apply(context, handle, Event("capacity.not_understood", logging.ERROR, group=context.entity_key))
