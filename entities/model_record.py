"""The entity `model_record`, one per dataset (key: dataset id): a shell around the pure `refresh.models.record`."""

import logging

import azure.durable_functions as df

from entities.signals import handled
from refresh.models.stored import handle_record

log = logging.getLogger(__name__)
bp = df.Blueprint()


@bp.entity_trigger(context_name="context")
def model_record(context: df.DurableEntityContext) -> None:
    """One operation of `refresh.models.operations.RecordOperation`. It answers nothing."""
    handled(context, handle_record, log)
