"""Timers that clean up: what ended long ago is purged, and idle queues expire what they remembered."""

import logging
from collections import Counter
from datetime import timedelta
from itertools import chain
from typing import Literal

import azure.durable_functions as df
import azure.functions as func

from durable import names
from durable.engine import Engine
from durable.functions import engine_input
from refresh import clock
from refresh.events import Event
from refresh.ids import run_instance
from refresh.queue.operations import Sweep, Tidy
from refresh.settings import current_settings
from refresh.times import instant

QUEUES = f"@{names.DATASET_QUEUE}@"
"""What the instance ids of queues begin with."""

log = logging.getLogger(__name__)
bp = df.Blueprint()


@bp.timer_trigger(arg_name="timer", schedule="0 20 3 * * *")
@engine_input(bp)
async def purge_ended(timer: func.TimerRequest, engine: Engine) -> None:
    """Every night: purges requests and runs that ended, RETENTION_DAYS after they began."""
    await engine.beat("purge_ended", instant(clock.now()))
    until = clock.now() - timedelta(days=current_settings().retention_days)
    purged = await engine.purge_ended(until)
    log.info(Event("housekeeping.purged", instances=purged, until=instant(until)).line())


@bp.timer_trigger(arg_name="timer", schedule="0 40 * * * *")
@engine_input(bp)
async def tidy_queues(timer: func.TimerRequest, engine: Engine) -> None:
    """Every hour: signals idle queues so that they expire old entries, and sweeps queues that no request looks after.

    A queue expires entries only when an operation comes. A queue whose requests were all terminated by hand, and whose
    run is dead, gets none: its requests are taken out, so that it becomes idle.
    """
    await engine.beat("tidy_queues", instant(clock.now()))
    counts: Counter[str] = Counter()
    async for queue in engine.list_all(QUEUES):
        counts[await _visit(engine, queue.id.removeprefix(QUEUES))] += 1
    event = Event("housekeeping.queues_tidied", queues=counts["tidied"], swept=counts["swept"])
    log.info(event.line())


async def _visit(engine: Engine, dataset_id: str) -> Literal["quiet", "tidied", "working", "swept"]:
    """What was done to a queue. A deleted one still has a row."""
    queue, at = await engine.read_queue(dataset_id), instant(clock.now())
    if queue.quiet:
        return "quiet"
    if not queue.runs:
        await engine.tell_queue(dataset_id, Tidy(at=at))
        return "tidied"
    active, members = queue.runs[0], [request for run in queue.runs for request in run.members]
    instances = chain([run_instance(active.id, active.incarnation)], members)
    if await engine.first_alive(instances) is not None:
        return "working"
    await engine.tell_queue(dataset_id, Sweep(at=at, requests=tuple(members), dead=active.turn))
    return "swept"
