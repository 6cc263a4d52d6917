"""The entity `model_record`, one for each dataset (key: dataset id): a shell around `refresh.models.record`."""

import logging

import azure.durable_functions as df

from entities import shell
from refresh.events import Event
from refresh.models.stored import handle_record

bp = df.Blueprint()


@bp.entity_trigger(context_name="context")
def model_record(context: df.DurableEntityContext) -> None:
    """Applies one operation of `refresh.models.operations.RecordOperation`, without an answer."""
    ids = {"entity": context.entity_name, "key": context.entity_key}
    shell.apply(context, handle_record, Event("model.not_understood", logging.WARNING, **ids))
