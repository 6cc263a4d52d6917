"""Properties that hold for any calls in any order, tested with random calls."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from tests.power_bi_service.world import DATASET, FULL, REFRESHES, World

ACTIONS: dict[str, Callable[[World], object]] = {
    "standard": lambda world: world.call("POST", REFRESHES, {}),
    "enhanced": lambda world: world.call("POST", REFRESHES, FULL),
    "history": lambda world: world.rows(),
    "cancel": lambda world: [world.cancel(row["requestId"]) for row in world.rows()[:1]],
    "somebody cancels": lambda world: world.service.cancel(DATASET, world.now),
    "scheduled": lambda world: world.service.add_external(DATASET, {"startsIn": 7}, world.now),
    "lost": lambda world: world.service.add_fault({"fault": "drop", "route": "start", "afterEffect": True}),
    "forgotten": lambda world: world.service.add_fault({"fault": "acceptedButDropped"}),
    "wait": lambda world: world.tick(3),
    "wait longer": lambda world: world.tick(30),
}
OUTCOMES = ["Completed", "Failed", {"outcome": "Completed", "attempts": 3}, "Disabled", "TimedOut"]
CHANCES = {"seconds": [0, 20], "notStartedSeconds": [0, 3], "visibilitySeconds": [0, 15], "cancelSeconds": [0, 10]}

actions = st.lists(st.sampled_from(sorted(ACTIONS)), max_size=30)


def world_after(seed: int, steps: list[str], **knobs: object) -> World:
    """A world after these steps."""
    world = World(seed, **{**CHANCES, "outcome": OUTCOMES, **knobs})
    for step in steps:
        ACTIONS[step](world)
    return world


@given(st.integers(0, 50), actions)
def test_one_refresh_at_a_time(seed: int, steps: list[str]) -> None:
    """Each refresh begins after the previous one has ended. In the end, all have ended and are in the history."""
    world = world_after(seed, steps)
    world.tick(3600)
    refreshes = sorted(world.service.report(DATASET, world.now)["refreshes"], key=lambda entry: str(entry["startTime"]))
    for earlier, later in pairwise(refreshes):
        assert earlier["endTime"] <= later["startTime"]
    assert len(world.rows()) == len(refreshes)
    assert all("endTime" in row and row["status"] != "Unknown" for row in world.rows())


@given(st.integers(0, 50), actions, st.sampled_from([400, "queue"]))
def test_the_same_seed_gives_the_same_world(seed: int, steps: list[str], conflict: object) -> None:
    """With the same seed, ids, times and outcomes are the same."""
    first, second = (world_after(seed, steps, conflict=conflict) for _ in range(2))
    assert first.service.report(DATASET, first.now) == second.service.report(DATASET, second.now)
    assert first.call("GET", REFRESHES) == second.call("GET", REFRESHES)


@given(st.integers(0, 50), actions)
def test_an_end_is_final(seed: int, steps: list[str]) -> None:
    """An ended refresh keeps its outcome and its times."""
    world = World(seed, **CHANCES, outcome=OUTCOMES)
    over: dict[str, tuple[str, str]] = {}
    for step in steps:
        ACTIONS[step](world)
        for entry in world.service.report(DATASET, world.now)["refreshes"]:
            if entry["endTime"]:
                end = (entry["state"], entry["endTime"])
                assert over.setdefault(entry["requestId"], end) == end
