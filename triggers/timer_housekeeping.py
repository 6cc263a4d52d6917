"""Timers that clean up: what has ended long ago is purged, lanes that nobody uses forget what they remembered."""

import logging
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import chain

import azure.durable_functions as df
import azure.functions as func

from entities.dataset_lane import read_lane
from entities.lives import first_alive
from refresh import clock
from refresh.history import instant
from refresh.journal import entry
from refresh.run_state import run_instance
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
    """Every hour: quiet lanes are spoken to, or they would remember for ever; lanes of the dead are cleared.

    A lane forgets only when somebody speaks to it. A lane whose requests were all terminated by hand, and the run of
    which is dead too, is missed by nobody: its requests are taken out, so that it becomes quiet.
    """
    counts, token = Counter({"tidied": 0, "swept": 0}), ""
    while True:
        rows, token = await list_instances(client, LANES, None, token)
        for row in rows:
            counts[await _visit(client, row["instanceId"].removeprefix(LANES))] += 1
        if not token:
            break
    log.info(entry("tidied", lanes=counts["tidied"], swept=counts["swept"]))


async def _visit(client: df.DurableOrchestrationClient, dataset_id: str) -> str:
    """What was done to a lane: `tidied`, `swept`, or nothing. A deleted one still has a row."""
    lane = await read_lane(client, dataset_id)
    entity, at = df.EntityId("dataset_lane", dataset_id), instant(clock.now())
    if lane.quiet:
        return "quiet"
    if not lane.runs:
        await client.signal_entity(entity, "tidy", {"at": at})
        return "tidied"
    active, members = lane.runs[0], [member.id for run in lane.runs for member in run.members]
    living = await first_alive(client, chain([run_instance(active.id, active.generation)], members))
    if living is not None:
        return "at work"
    await client.signal_entity(entity, "sweep", {"at": at, "gone": members, "dead": active.turn})
    return "swept"
