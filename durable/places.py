"""Finds places in capacity groups that no run will give back. A group cannot find them itself, because it is an entity
and cannot read orchestrations.

The queue tells whether a place is still needed. A run in the queue continues, or one of its requests repairs it; the
refresh of the run may be running even if the orchestration of the run has ended. A place is lost only if its run has
left the queue, or if the orchestrations of the run and of all its requests have ended. Even then the place may still be
in use while the model is busy: the running refresh may be that of the run.
"""

from collections.abc import Awaitable, Callable, Iterator
from datetime import datetime, timedelta
from itertools import chain, islice

from durable.engine import Engine
from refresh.capacity.answers import Asker
from refresh.capacity.state import Group, Place, Waiter
from refresh.ids import run_instance
from refresh.queue.state import Run
from refresh.run.waits import UNKNOWN_AFTER
from refresh.times import time_of

IsBusy = Callable[[str, str], Awaitable[bool | None]]
"""Whether a refresh of a model is running, by workspace and dataset; None if that cannot be read at the moment."""
YOUNG = timedelta(minutes=1)
"""A place that is newer than this is not checked, because the queue that was read may be older than the place."""
MAX_LOOKS = 200
"""The maximum number of requests of a run that are checked."""


def to_check(group: Group, now: datetime) -> Iterator[tuple[Asker, Place | Waiter]]:
    """The runs that hold places, and waiting runs that have not asked again in time."""
    for run, place in group.places.items():
        if now - time_of(place.at) >= YOUNG:
            yield Asker(run=run, incarnation=place.incarnation, number=place.number), place
    for run, waiter in group.waiting.items():
        if time_of(waiter.due) < now:
            yield Asker(run=run, incarnation=waiter.incarnation, number=waiter.number), waiter


async def is_lost(engine: Engine, run: str, entry: Place | Waiter, now: datetime, is_busy: IsBusy) -> bool:
    """Whether the run will never give its place back or stop waiting; for a place, also whether its refresh cannot be
    running. Raises EngineUnavailable."""
    queue = await engine.read_queue(entry.dataset_id)
    enrolled = next((found for found in queue.runs if found.id == run), None)
    if enrolled is not None and await _has_live_orchestration(engine, enrolled):
        return False
    if isinstance(entry, Waiter):
        # it has posted nothing
        return True
    busy = await is_busy(entry.workspace_id, entry.dataset_id)
    if busy is None:
        # no refresh runs longer than that
        return now - time_of(entry.at) >= UNKNOWN_AFTER
    return not busy


async def _has_live_orchestration(engine: Engine, run: Run) -> bool:
    instances = chain([run_instance(run.id, run.incarnation)], islice(run.members, MAX_LOOKS))
    return await engine.first_alive(instances) is not None
