"""Days on which a capacity allows few refreshes: the callers, the refusals, and the places that runs get.

The module has one of the scenario's rare events (`limited`), and the world's records of the capacity group.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol

from durable.codec import unwrapped
from refresh.capacity.state import Group, Waiter
from refresh.capacity.stored import load
from refresh.messages import replace
from tests.simulation.platform import run_timer

if TYPE_CHECKING:
    from tests.simulation.world import World

GROUP = "P1"
TIMER_SECONDS = 300.0
AHEAD = {"low": timedelta(minutes=-30), "normal": timedelta(0), "high": timedelta(minutes=30)}
TICKS = 24
"""The number of visits of the timer at the end of the day: several, because some of its reads fail."""

Json = dict[str, Any]

REFUSED: Json = {"outcome": "Failed", "errorCode": "CapacityLimitExceeded", "errorDescription": "Try again later."}


class Day(Protocol):
    """The part of a scenario that this module needs."""

    knobs: dict[str, Json]
    callers: list[Any]
    settings: dict[str, str]
    capacity: int


def limited(day: Day, chance: random.Random) -> None:
    """A capacity allows one or two refreshes at a time, but more models need a refresh, many of them at the same
    time."""
    day.capacity = chance.choice([1, 1, 2])
    day.settings["CAPACITY_LIMITS"] = json.dumps([{"name": GROUP, "refreshes": day.capacity}])
    first = sorted(day.knobs)[0]
    like = {key: value for key, value in day.knobs[first].items() if key != "recordedAs"}
    for number in range(len(day.knobs) + 1, day.capacity + chance.randint(2, 3) + 1):
        day.knobs[f"{first[:-12]}{number:012}"] = {**like, "outcome": [*like["outcome"]]}
    models = sorted(day.knobs)
    together = chance.random() < 0.5
    for caller in day.callers:
        caller.dataset_id = caller.spec["datasetId"] = chance.choice(models)
        if chance.random() < 0.5:
            caller.spec["priority"] = chance.choice(["low", "high", "high"])
        if together:
            caller.at = chance.uniform(0, 60)
    if chance.random() < 0.4:
        for knobs in day.knobs.values():
            knobs["outcome"] = [*(chance.choice([REFUSED, outcome]) for outcome in knobs["outcome"]), "Completed"]


@dataclass
class Grant:
    """A place that a run got, and the time.

    `overtaken`: the runs that should have got it first, because they asked in time and precede the run in the order.
    """

    at: datetime
    run: str
    overtaken: list[str]


class Places:
    """The world's records of the group, and the timer for it."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.granted: list[Grant] = []
        self._before = Group()
        if world.day.capacity:
            world.after(TIMER_SECONDS, self._visit)

    @property
    def group(self) -> Group:
        """The stored group."""
        entity = self._world.engine.entities.get(f"@capacity_group@{GROUP}")
        state = json.loads(entity.state) if entity and entity.exists and entity.state else None
        return load(unwrapped(state))

    def note(self, waiters: dict[str, Waiter]) -> None:
        """Records the places after the group has applied operations. `waiters`: the runs that asked for a place in
        these operations."""
        before, after = self._before, self.group
        self._before = after
        line = {**before.waiting, **{run: _since_first(before, run, waiter) for run, waiter in waiters.items()}}
        for run in after.places.keys() - before.places.keys():
            if run not in line or len(waiters) != 1:
                continue  # the batch had several operations, and their order is not known here
            turn = _turn(line[run], run)
            ahead = [name for name in after.on_time() if _turn(after.waiting[name], name) < turn]
            overtaken = ahead if len(ahead) > after.free else []
            self.granted.append(Grant(self._world.now, run, overtaken))
            self._world.counts["places granted"] += 1
            self._world.counts["places waited for"] += run in before.waiting

    def takers(self, value: str) -> dict[str, Waiter]:
        """The runs that ask for a place in a batch of operations."""
        return dict(_takers(json.loads(value)["batch"]))

    def _visit(self) -> None:
        """Runs the timer. It stops when all instances have ended; otherwise the day would never end."""
        world = self._world
        world.spawn(world.call(run_timer("check_places")))
        last = max((caller.at for caller in world.day.callers), default=0) + 3600
        if world.seconds() < last or any(not instance.terminal for instance in world.engine.instances.values()):
            world.after(TIMER_SECONDS, self._visit)

    async def tidy_up(self) -> None:
        """Runs the timer for the places that are left at the end of the day."""
        for _ in range(TICKS):
            await self._world.call(run_timer("check_places"))
            await self._world.sleep(TIMER_SECONDS)
            if not (self.group.places or self.group.waiting):
                return


def _turn(waiter: Waiter, run: str) -> tuple[datetime, str]:
    """The position of a run in the order: the time at which it asked, half an hour earlier or later with a high or low
    priority."""
    return datetime.fromisoformat(waiter.since) - AHEAD[waiter.priority], run


def _since_first(before: Group, run: str, waiter: Waiter) -> Waiter:
    """The waiter with the start of its run's wait: an incarnation continues the wait of the previous one."""
    known = before.waiting.get(run)
    return waiter if known is None else replace(waiter, since=min(waiter.since, known.since))


def _takers(batch: list[Json]) -> Iterator[tuple[str, Waiter]]:
    for operation in batch:
        if operation["name"] == "take_place":
            value = json.loads(json.loads(operation["input"]))
            asker = value["asker"]
            yield (
                asker["run"],
                Waiter(
                    dataset_id=value["dataset_id"],
                    workspace_id=value["workspace_id"],
                    incarnation=asker["incarnation"],
                    number=asker["number"],
                    since=value["since"],
                    wake_event=value["wake"],
                    due=value["at"],
                    priority=value.get("priority", "normal"),
                ),
            )


def running_at(world: World, at: datetime) -> list[tuple[str, Json]]:
    """All refreshes that ran at a moment, each with its dataset."""
    return [
        (model, entry)
        for model in world.day.knobs
        for entry in world.truth(model)
        if datetime.fromisoformat(entry["startTime"]) <= at
        and (not entry["endTime"] or datetime.fromisoformat(entry["endTime"]) > at)
    ]


def last_full(world: World, until: datetime) -> datetime | None:
    """The last time before `until` at which the group had no free place, according to the service; None if there is no
    such time.

    A failure because of the capacity also counts as a time without a free place.
    """
    refreshes = [entry for model in world.day.knobs for entry in world.truth(model)]
    ends = [datetime.fromisoformat(entry["endTime"]) for entry in refreshes if entry["endTime"]]
    closed = [
        datetime.fromisoformat(entry["endTime"]) + timedelta(minutes=15)
        for entry in refreshes
        if entry["endTime"] and entry["state"] == "Failed"
    ]
    moments = sorted({min(end, until) for end in [*ends, until]}, reverse=True)
    full = next(
        (
            moment
            for moment in moments
            if len(running_at(world, moment - timedelta(milliseconds=1))) >= world.day.capacity
        ),
        None,
    )
    return max([*([full] if full else []), *(min(end, until) for end in closed)], default=None)
