"""Timers that clean up: what has ended long ago is purged, queues that nobody uses forget what they remembered."""

import logging
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import chain

import azure.durable_functions as df
import azure.functions as func

from entities.dataset_queue import read_queue
from entities.instances import first_alive
from refresh import clock
from refresh.history.rows import instant
from refresh.reporting.events import entry
from refresh.run.state import run_instance
from refresh.settings import current_settings
from triggers.instances import list_instances

QUEUES = "@dataset_queue@"
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
    # without these statuses the engine would purge what is running, and the queues
    purged = await client.purge_instance_history_by(SINCE_EVER, until, list(ENDED))
    log.info(entry("housekeeping.purged", instances=purged.instances_deleted, until=instant(until)))


@bp.timer_trigger(arg_name="timer", schedule="0 40 * * * *")
@bp.durable_client_input(client_name="client")
async def tidy_queues(timer: func.TimerRequest, client: df.DurableOrchestrationClient) -> None:
    """Every hour: quiet queues are spoken to, or they would remember for ever; queues of the dead are cleared.

    A queue forgets only when somebody speaks to it. A queue whose requests were all terminated by hand, and the run of
    which is dead too, is missed by nobody: its requests are taken out, so that it becomes quiet.
    """
    counts, token = Counter({"tidied": 0, "swept": 0}), ""
    while True:
        rows, token = await list_instances(client, QUEUES, None, token)
        for row in rows:
            counts[await _visit(client, row["instanceId"].removeprefix(QUEUES))] += 1
        if not token:
            break
    log.info(entry("housekeeping.queues_tidied", queues=counts["tidied"], swept=counts["swept"]))


async def _visit(client: df.DurableOrchestrationClient, dataset_id: str) -> str:
    """What was done to a queue: `tidied`, `swept`, or nothing. A deleted one still has a row."""
    queue = await read_queue(client, dataset_id)
    entity, at = df.EntityId("dataset_queue", dataset_id), instant(clock.now())
    if queue.quiet:
        return "quiet"
    if not queue.runs:
        await client.signal_entity(entity, "tidy", {"at": at})
        return "tidied"
    active, members = queue.runs[0], [member.id for run in queue.runs for member in run.members]
    living = await first_alive(client, chain([run_instance(active.id, active.generation)], members))
    if living is not None:
        return "at work"
    await client.signal_entity(entity, "sweep", {"at": at, "gone": members, "dead": active.turn})
    return "swept"
