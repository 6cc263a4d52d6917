"""The entity `model_record`, one for each dataset (key: dataset id): a shell around `refresh.models.record`."""

import logging

import azure.durable_functions as df

from entities.signals import handled
from refresh.models.stored import handle_record

log = logging.getLogger(__name__)
bp = df.Blueprint()


@bp.entity_trigger(context_name="context")
def model_record(context: df.DurableEntityContext) -> None:
    """Applies one operation of `refresh.models.operations.RecordOperation`, without an answer."""
    handled(context, handle_record, log)
