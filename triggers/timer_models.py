"""The timer that checks the index of models: it marks overdue models and removes dead runs."""

import logging
from collections.abc import AsyncIterator, Mapping
from datetime import datetime, timedelta
from typing import Literal

import azure.durable_functions as df
import azure.functions as func

from durable.engine import Engine, EngineUnavailable
from durable.functions import engine_input
from refresh import clock
from refresh.events import Event
from refresh.models.freshness import due_at, expected_hours
from refresh.models.index import shard_keys
from refresh.models.operations import Expect, MarkOverdue, RunDropped
from refresh.models.state import Active, Entry
from refresh.settings import current_settings
from refresh.times import instant, parse_time
from triggers.portions import work_through

SILENT = timedelta(minutes=10)
"""If the last news of a run is older than this, the timer checks whether the run is still in its queue."""

Done = Literal["quiet", "signalled", "failed"]

log = logging.getLogger(__name__)
bp = df.Blueprint()


@bp.timer_trigger(arg_name="timer", schedule="0 7,22,37,52 * * * *")
@engine_input(bp)
async def watch_models(timer: func.TimerRequest, engine: Engine) -> None:
    """Every quarter of an hour: marks overdue models, and removes dead runs from the index.

    The index decides whether a model was already marked in its period, and logs only the first time: the timer may run
    twice.
    """
    await engine.beat("watch_models", instant(clock.now()))

    async def check_one(known: tuple[str, Entry | None]) -> Done:
        try:
            return await _check(engine, *known)
        except EngineUnavailable as problem:
            event = Event("housekeeping.model_unread", logging.WARNING, datasetId=known[0], error=str(problem))
            log.log(event.level, event.line())
            return "failed"

    counts, complete = await work_through(_models(engine), check_one)
    if counts["signalled"] or counts["failed"] or not complete:
        facts = {"models": counts["signalled"], "failed": counts["failed"], "complete": complete}
        log.info(Event("housekeeping.models_watched", **facts).line())


async def _models(engine: Engine) -> AsyncIterator[tuple[str, Entry | None]]:
    """All models of the index, and the models of EXPECTED_EVERY_HOURS that are not in the index."""
    missing = set(current_settings().expected_every_hours)
    for key in shard_keys():
        shard = await engine.read_shard(key)
        missing -= shard.models.keys()
        for dataset_id, entry in shard.models.items():
            yield dataset_id, entry
    for dataset_id in sorted(missing):
        yield dataset_id, None


async def _check(engine: Engine, dataset_id: str, entry: Entry | None) -> Done:
    now = clock.now()
    if entry is None:
        await engine.tell_model(Expect(at=instant(now), dataset_id=dataset_id))
        return "signalled"
    mark = overdue(dataset_id, entry, current_settings().expected_every_hours, now)
    if mark:
        await engine.tell_model(mark)
    active = entry.active
    if active and await _is_dead(engine, dataset_id, active, now):
        dropped = RunDropped(at=instant(now), dataset_id=dataset_id, run=active.run_id, incarnation=active.incarnation)
        await engine.tell_model(dropped)
        return "signalled"
    return "signalled" if mark else "quiet"


def overdue(dataset_id: str, entry: Entry, settings: Mapping[str, float], now: datetime) -> MarkOverdue | None:
    """The operation for an overdue model; None if it is not overdue, or was already marked for this period."""
    hours = expected_hours(dataset_id, entry, settings)
    due = due_at(entry, hours)
    if hours is None or due is None or due > now or entry.overdue_mark == entry.fresh_at:
        return None
    return MarkOverdue(at=instant(now), dataset_id=dataset_id, fresh_at=entry.fresh_at, expected_every_hours=hours)


async def _is_dead(engine: Engine, dataset_id: str, active: Active, now: datetime) -> bool:
    """Whether the run is no longer in its queue. A run that is still in it is repaired by its requests or removed by
    `tidy_queues`."""
    last_message = parse_time(active.at)
    if last_message is not None and now - last_message < SILENT:
        return False
    queue = await engine.read_queue(dataset_id)
    return all(run.id != active.run_id for run in queue.runs)
