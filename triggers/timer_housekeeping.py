"""Timers that clean up: what has ended long ago is purged, lanes that nobody uses forget what they remembered."""

import logging
from datetime import UTC, datetime, timedelta

import azure.durable_functions as df
import azure.functions as func

from entities.dataset_lane import read_lane
from refresh import clock
from refresh.history import instant
from refresh.journal import entry
from refresh.settings import current_settings
from triggers.instances import list_instances

LANES = "@dataset_lane@"
SINCE_EVER = datetime(2020, 1, 1, tzinfo=UTC)
ENDED = (
    df.OrchestrationRuntimeStatus.Completed,
    df.OrchestrationRuntimeStatus.Failed,
    df.OrchestrationRuntimeStatus.Terminated,
    df.OrchestrationRuntimeStatus.Canceled,
)

log = logging.getLogger("refresh")
bp = df.Blueprint()


@bp.timer_trigger(arg_name="timer", schedule="0 20 3 * * *")
@bp.durable_client_input(client_name="client")
async def purge_ended(timer: func.TimerRequest, client: df.DurableOrchestrationClient) -> None:
    """Every night: purges requests and runs that ended, RETENTION_DAYS after they began."""
    until = clock.now() - timedelta(days=current_settings().retention_days)
    # without these statuses the engine would purge what is running, and the lanes
    purged = await client.purge_instance_history_by(SINCE_EVER, until, list(ENDED))
    log.info(entry("purged", instances=purged.instances_deleted, until=instant(until)))


@bp.timer_trigger(arg_name="timer", schedule="0 40 * * * *")
@bp.durable_client_input(client_name="client")
async def tidy_lanes(timer: func.TimerRequest, client: df.DurableOrchestrationClient) -> None:
    """Every hour: a lane forgets only when it is spoken to, so quiet ones are, and delete themselves."""
    tidied, token = 0, ""
    while True:
        rows, token = await list_instances(client, LANES, None, token)
        for row in rows:
            dataset_id = row["instanceId"].removeprefix(LANES)
            lane = await read_lane(client, dataset_id)
            # a deleted lane still has a row, and a busy one is spoken to anyway
            if not lane.quiet and not lane.runs:
                entity = df.EntityId("dataset_lane", dataset_id)
                await client.signal_entity(entity, "tidy", {"at": instant(clock.now())})
                tidied += 1
        if not token:
            break
    log.info(entry("tidied", lanes=tidied))
