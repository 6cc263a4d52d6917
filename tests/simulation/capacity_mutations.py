"""Deliberate mistakes with the places of capacity groups, in addition to those of `tests.simulation.mutations`."""

from datetime import datetime
from typing import Any

from durable.engine import Engine
from refresh.capacity.state import LEVELS, Group, Waiter
from refresh.history.outcome import Outcome
from refresh.ids import run_instance
from refresh.queue import answers
from refresh.run.phases import finishing, polling, recording
from refresh.run.state import LeavingPlace, RunState
from refresh.run.step import Moved
from tests.simulation.mutations import MUTATIONS, Patch, mutation
from triggers import timer_capacity


@mutation
def give_the_place_back_at_the_post() -> list[Patch]:
    """A run gives its place back when its refresh has started, not when it has ended."""

    def recorded(run: RunState, answer: answers.RecordAnswer, now: datetime) -> Moved:
        moved = original(run, answer, now)
        if run.capacity is None:
            return moved
        return Moved(moved.run.to(LeavingPlace(then=moved.run.phase, wait=moved.run.wait), wait=0))

    original = recording._recorded
    return [(recording, "_recorded", recorded)]


@mutation
def a_dead_run_loses_its_place() -> list[Patch]:
    """A place is free when the orchestration of its run is dead, although the refresh continues and is repaired."""

    async def is_lost(engine: Engine, run: str, entry: Any, *_: Any) -> bool:
        return await engine.first_alive([run_instance(run, entry.incarnation)]) is None

    return [(timer_capacity, "is_lost", is_lost)]


@mutation
def no_place_comes_back() -> list[Patch]:
    """A run that ends keeps its place, and no timer frees it."""

    async def kept(*_: Any) -> bool:
        return False

    return [
        (finishing, "without_place", lambda run, then: run.to(then, wait=0)),
        (timer_capacity, "is_lost", kept),
    ]


@mutation
def the_last_to_ask_goes_first() -> list[Patch]:
    """A place goes to the run that asked last, even if others have waited longer."""

    def on_time(self: Group) -> list[str]:
        return sorted(self.in_order(), key=lambda run: self.waiting[run].since, reverse=True)

    return [(Group, "on_time", on_time)]


@mutation
def priority_beats_any_wait() -> list[Patch]:
    """A run of a higher priority always gets a place first, no matter how long others have waited."""
    return [(Waiter, "rank", property(lambda self: f"{1 - LEVELS[self.priority]} {self.since}"))]


@mutation
def the_capacity_fails_callers() -> list[Patch]:
    """If the capacity refuses a refresh, its requests fail."""

    def ended_at_once(run: RunState, outcome: Outcome) -> Moved:
        return original(run.replace(capacity=None), outcome)

    original = polling._ended
    return [(polling, "_ended", ended_at_once)]


NAMES = tuple(MUTATIONS)
"""All mistakes: those of `tests.simulation.mutations`, then these."""
