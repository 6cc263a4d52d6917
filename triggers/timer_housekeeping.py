"""Timers that clean up: they purge old instances and let idle queues expire old entries.

Each run of a timer handles only a portion, to stay far below `functionTimeout`; the next run handles another one.
"""

import logging
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from itertools import chain, islice
from typing import Literal
from zlib import crc32

import azure.durable_functions as df
import azure.functions as func

from durable.engine import Engine, EngineUnavailable
from durable.functions import engine_input
from durable.instance import ENDED, Instance
from refresh import clock
from refresh.events import Event
from refresh.ids import run_instance
from refresh.messages import replace
from refresh.models.freshness import in_use
from refresh.models.index import shard_keys
from refresh.models.operations import Forget, RequestsEnded
from refresh.models.record import MAX_REQUESTS
from refresh.queue.memory import would_forget
from refresh.queue.operations import Sweep, Tidy
from refresh.settings import current_settings
from refresh.times import instant
from triggers.portions import work_through
from triggers.queues import QUEUES, changed_lately, exists, portion

MAX_VISITS = 500
"""The maximum number of queues that the timer reads in one run."""
MAX_LOOKS = 200
"""The maximum number of requests of one queue that the timer reads in one visit."""
SELDOM_HOURS = 7 * 24
"""A queue that has not changed recently is visited once in this many hours."""
HOUR_SECONDS = 3600

log = logging.getLogger(__name__)
bp = df.Blueprint()


@bp.timer_trigger(arg_name="timer", schedule="0 20 1-5 * * *")
@engine_input(bp)
async def purge_ended(timer: func.TimerRequest, engine: Engine) -> None:
    """Five times each night: purges ended orchestrations (requests, runs, callbacks, batches, notes), RETENTION_DAYS
    after their creation time.

    Each continue-as-new resets that time. The instances are purged one by one: a purge by time would answer only when
    everything is purged, and by then the function may have timed out.
    """
    await engine.beat("purge_ended", instant(clock.now()))
    until = clock.now() - timedelta(days=current_settings().retention_days)

    async def purge(instance: Instance) -> Literal["purged", "kept", "failed"]:
        try:
            return "purged" if await engine.purge(instance.id) else "kept"
        except EngineUnavailable:
            return "failed"

    counts, complete = await work_through(engine.list_all("", until=until, statuses=ENDED, inputs=False), purge)
    facts = {"instances": counts["purged"], "failed": counts["failed"], "complete": complete}
    log.info(Event("housekeeping.purged", **facts, until=instant(until)).line())
    await _forget_models(engine, until)


async def _forget_models(engine: Engine, until: datetime) -> None:
    """Removes models without recent news from the index and records, except those in EXPECTED_EVERY_HOURS."""
    forget, expected = Forget(at=instant(clock.now()), before=instant(until)), current_settings().expected_every_hours

    async def forget_old(key: str) -> Literal["forgotten", "kept", "failed"]:
        try:
            known = (await engine.read_shard(key)).models
            old = [name for name, entry in known.items() if name not in expected and not in_use(entry, forget.before)]
            if not old:
                return "kept"
            keep = tuple(name for name in known if name in expected)
            await engine.forget_models(key, old, replace(forget, keep=keep))
        except EngineUnavailable:
            return "failed"
        return "forgotten"

    async def keys() -> AsyncIterator[str]:
        for key in shard_keys():
            yield key

    counts, complete = await work_through(keys(), forget_old)
    if counts["forgotten"] or counts["failed"] or not complete:
        facts = {"shards": counts["forgotten"], "failed": counts["failed"], "complete": complete}
        log.info(Event("housekeeping.models_forgotten", **facts, until=instant(until)).line())


@bp.timer_trigger(arg_name="timer", schedule="0 40 * * * *")
@engine_input(bp)
async def tidy_queues(timer: func.TimerRequest, engine: Engine) -> None:
    """Every hour: signals idle queues so that they expire old entries, and sweeps queues that no request keeps alive.

    A queue expires entries only when it gets an operation. A queue whose requests were all terminated by hand, and
    whose run is dead, gets none: the sweep removes its requests, so that it becomes idle.
    """
    await engine.beat("tidy_queues", instant(clock.now()))

    async def tidy_one(dataset_id: str) -> Literal["quiet", "tidied", "working", "swept", "failed"]:
        try:
            return await _visit(engine, dataset_id)
        except EngineUnavailable as problem:
            event = Event("housekeeping.queue_unread", logging.WARNING, datasetId=dataset_id, error=str(problem))
            log.log(event.level, event.line())
            return "failed"

    counts, complete = await work_through(_due(engine, clock.now()), tidy_one)
    facts = {"queues": counts["tidied"], "swept": counts["swept"], "failed": counts["failed"]}
    event = Event("housekeeping.queues_tidied", **facts, visited=counts.total(), complete=complete)
    log.info(event.line())


async def _due(engine: Engine, now: datetime) -> AsyncIterator[str]:
    """The dataset ids of the queues to visit now. If there are more than MAX_VISITS, the next runs visit the others."""
    due = [queue.id.removeprefix(QUEUES) async for queue in engine.list_all(QUEUES, inputs=False) if is_due(queue, now)]
    for dataset_id in portion(sorted(due), _hour(now), MAX_VISITS):
        yield dataset_id


def is_due(queue: Instance, now: datetime) -> bool:
    """Whether to visit a queue, decided by its row in the engine's list."""
    if not exists(queue):
        return False
    if changed_lately(queue, now):
        return True
    return crc32(queue.id.encode()) % SELDOM_HOURS == _hour(now) % SELDOM_HOURS


def _hour(now: datetime) -> int:
    return int(now.timestamp()) // HOUR_SECONDS


async def _visit(engine: Engine, dataset_id: str) -> Literal["quiet", "tidied", "working", "swept"]:
    """Visits a queue and returns what was done. A queue that was deleted after it was listed also counts as quiet."""
    queue, at = await engine.read_queue(dataset_id), instant(clock.now())
    if not queue.runs:
        if not would_forget(queue, at):
            return "quiet"
        await engine.tell_queue(dataset_id, Tidy(at=at))
        return "tidied"
    active, members = queue.runs[0], (request for run in queue.runs for request in run.members)
    looked_at = [*islice(members, MAX_LOOKS)]
    instances = chain([run_instance(active.id, active.incarnation)], looked_at)
    if await engine.first_alive(instances) is not None:
        return "working"
    await engine.tell_queue(dataset_id, Sweep(at=at, requests=tuple(looked_at), dead=active.turn))
    # only the newest ones, because the record of a model keeps only MAX_REQUESTS
    newest = tuple(looked_at[-MAX_REQUESTS:])
    await engine.tell_model(RequestsEnded(at=at, dataset_id=dataset_id, request_ids=newest))
    return "swept"
