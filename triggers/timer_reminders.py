"""The timer that reminds requests to recheck the queue: after a lost notification, and if the active run is dead."""

import logging
from collections.abc import AsyncIterator
from datetime import datetime
from itertools import islice
from typing import Literal

import azure.durable_functions as df
import azure.functions as func

from durable import names
from durable.engine import Engine, EngineUnavailable
from durable.functions import engine_input
from durable.instance import ALIVE
from refresh import clock
from refresh.events import Event
from refresh.ids import request_prefix, run_instance
from refresh.queue.reminders import answered_at, is_unclaimed, to_remind
from refresh.queue.state import Queue
from refresh.times import instant
from triggers.portions import work_through
from triggers.queues import QUEUES, changed_lately, exists, portion

MAX_VISITS = 1_000
"""The maximum number of queues that the timer reads in one run."""
MAX_LOOKS = 50
"""A visit reads at most this many requests of the queue, until it finds a request that is alive."""
INTERVAL_SECONDS = 300

log = logging.getLogger(__name__)
bp = df.Blueprint()


@bp.timer_trigger(arg_name="timer", schedule="30 */5 * * * *")
@engine_input(bp)
async def remind_requests(timer: func.TimerRequest, engine: Engine) -> None:
    """Every five minutes: sends `Recheck` to requests that seem to have missed a message.

    If the orchestration of the active run is dead or was never started, one request of that queue is reminded: it
    repairs the run for all requests.
    """
    await engine.beat("remind_requests", instant(clock.now()))

    async def remind_one(dataset_id: str) -> Literal["quiet", "reminded", "failed"]:
        try:
            return "reminded" if await _remind(engine, dataset_id) else "quiet"
        except EngineUnavailable as problem:
            event = Event("request.not_reminded", logging.WARNING, datasetId=dataset_id, error=str(problem))
            log.log(event.level, event.line())
            return "failed"

    counts, complete = await work_through(_due(engine, clock.now()), remind_one)
    if counts["reminded"] or counts["failed"] or not complete:
        facts = {"queues": counts["reminded"], "failed": counts["failed"], "visited": counts.total()}
        log.info(Event("request.reminded", **facts, complete=complete).line())


async def _due(engine: Engine, now: datetime) -> AsyncIterator[str]:
    """The dataset ids of the queues to visit now. If there are more than MAX_VISITS, the next run visits others."""
    rows = engine.list_all(QUEUES, inputs=False)
    due = [row.id.removeprefix(QUEUES) async for row in rows if exists(row) and changed_lately(row, now)]
    for dataset_id in portion(sorted(due), int(now.timestamp()) // INTERVAL_SECONDS, MAX_VISITS):
        yield dataset_id


async def _remind(engine: Engine, dataset_id: str) -> int:
    """Reminds the requests of a queue. Returns how many were reminded."""
    queue, now = await engine.read_queue(dataset_id), clock.now()
    requests = to_remind(queue, now) + await _missing_final_answer(engine, dataset_id, answered_at(queue, now))
    repairing = await _to_repair(engine, queue, now)
    if repairing is not None and repairing not in requests:
        requests.append(repairing)
    return sum([await engine.raise_event(request, names.RECHECK_EVENT) for request in requests])


async def _missing_final_answer(engine: Engine, dataset_id: str, answered: dict[str, str]) -> list[str]:
    """The requests whose orchestration has not changed since the queue gave them their final answer: the engine lost
    the episode that received the answer.

    The queue soon forgets such a request, and would then enrol it for another refresh. A request that is backing off
    is not among them: its orchestration has changed since the answer.
    """
    if not answered:
        return []
    rows = engine.list_all(request_prefix(dataset_id), statuses=ALIVE, inputs=False)
    return [row.id async for row in rows if row.updated and row.updated < answered.get(row.id, "")]


async def _to_repair(engine: Engine, queue: Queue, now: datetime) -> str | None:
    """A request that is alive, to repair the active run; None if the run needs no repair, or if no request is alive."""
    if not queue.runs:
        return None
    active = queue.runs[0]
    if active.token is None:
        if not is_unclaimed(active, now):
            return None
    elif await engine.first_alive([run_instance(active.id, active.incarnation)]) is not None:
        return None
    return await engine.first_alive(islice((request for run in queue.runs for request in run.members), MAX_LOOKS))
