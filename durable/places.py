"""Places in capacity groups that no run will give back: an entity cannot see orchestrations, so this looks for it.

The queue is the truth. A run that is in its queue goes on, or is repaired by one of its requests, and its refresh may
be running although its orchestration is dead. Only a run that left its queue, or that no living request or
orchestration looks after, has lost its place; and while the model is busy, its refresh may be what keeps it busy.
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
"""Whether a refresh of a model runs, by workspace and dataset; None if that cannot be known for now."""
YOUNG = timedelta(minutes=1)
"""A place that was taken so lately is not looked at: what is read of the queue may be older than that."""
MAX_LOOKS = 200
"""Requests of a run that are looked at."""


def to_check(group: Group, now: datetime) -> Iterator[tuple[Asker, Place | Waiter]]:
    """The runs that hold places, and those in line that did not ask again in time."""
    for run, place in group.places.items():
        if now - time_of(place.at) >= YOUNG:
            yield Asker(run=run, incarnation=place.incarnation, number=place.number), place
    for run, waiter in group.waiting.items():
        if time_of(waiter.due) < now:
            yield Asker(run=run, incarnation=waiter.incarnation, number=waiter.number), waiter


async def is_lost(engine: Engine, run: str, entry: Place | Waiter, now: datetime, is_busy: IsBusy) -> bool:
    """Whether the place will never be given back, and no refresh may be running in it. Raises EngineUnavailable."""
    queue = await engine.read_queue(entry.dataset_id)
    enrolled = next((found for found in queue.runs if found.id == run), None)
    if enrolled is not None and await _looked_after(engine, enrolled):
        return False
    if isinstance(entry, Waiter):
        return True
    busy = await is_busy(entry.workspace_id, entry.dataset_id)
    if busy is None:
        # no refresh runs longer
        return now - time_of(entry.at) >= UNKNOWN_AFTER
    return not busy


async def _looked_after(engine: Engine, run: Run) -> bool:
    instances = chain([run_instance(run.id, run.incarnation)], islice(run.members, MAX_LOOKS))
    return await engine.first_alive(instances) is not None
