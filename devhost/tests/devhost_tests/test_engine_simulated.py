"""In a simulation, the engine gives the same results in any order and after any crash."""

from __future__ import annotations

import json
import random
from collections import Counter
from datetime import timedelta

import pytest

from devhost.engine import Item
from devhost.engine.replay import Walker
from devhost_tests.process import RECORDED
from devhost_tests.simulated import START, Simulation

APP = RECORDED / "app"


def text(value: object) -> str:
    """An input in the form that the durable client sends."""
    return json.dumps(json.dumps(value))


def start_all(world: Simulation) -> dict[str, object]:
    """Starts instances of many kinds. Returns the expected output of each."""
    world.start("Chain", "chain")
    world.start("FanOut", "fan", text(10))
    world.start("Eternal", "eternal", text(5))
    world.start("Sub", "sub", text({"name": "Chain"}))
    world.start("EventOrTimeout", "timeout", text(30))
    world.start("PollLoop", "poll", text({"turn": 0, "last": 9}))
    world.start("UseJournal", "journal", text({"key": "j", "n": 5}))
    return {
        "chain": ["step 0", "step 1", "step 2"],
        "fan": 45,
        "eternal": "end",
        "sub": ["step 0", "step 1", "step 2"],
        "timeout": "timeout",
        "poll": [],
        "journal": [0, 1, 2, 3, 4],
    }


@pytest.mark.parametrize("seed", range(12))
def test_any_order_gives_the_same(seed: int) -> None:
    """In any order of the steps, the outputs are the same, and no work is left."""
    world = Simulation(APP, seed)
    expected = start_all(world)
    world.run()
    assert {i: world.output(i) for i in expected} == expected
    assert world.engine.idle


@pytest.mark.parametrize("seed", range(12))
def test_parallel_work_gives_the_same(seed: int) -> None:
    """Eight items run at a time and end in any order; messages are split anywhere."""
    world = Simulation(APP, seed, together=8, cut=True)
    expected = start_all(world)
    world.run()
    assert {i: world.output(i) for i in expected} == expected
    assert world.engine.idle


@pytest.mark.parametrize("seed", range(24))
def test_everything_at_once(seed: int) -> None:
    """With parallel work and all faults except those that apply operations of entities twice, the outputs are the
    same."""

    def fault(chance: random.Random, item: Item) -> str:
        faults = ["", "lost", "hidden", "restart", "twice", "sent" if item.kind == "activity" else ""]
        return chance.choices(faults, [20, 1, 1, 1, 2, 2])[0]

    world = Simulation(APP, seed, fault, together=8, cut=True)
    expected = start_all(world)
    world.run()
    assert {i: world.output(i) for i in expected} == expected
    assert world.engine.idle


@pytest.mark.parametrize("seed", range(12))
def test_crashes_change_nothing(seed: int) -> None:
    """After lost work and restarts at any step, all committed work continues."""

    def fault(chance: random.Random, item: Item) -> str:
        return chance.choices(["", "lost", "restart"], [8, 1, 1])[0]

    world = Simulation(APP, seed, fault)
    expected = start_all(world)
    world.run()
    assert {i: world.output(i) for i in expected} == expected


@pytest.mark.parametrize("seed", range(12))
def test_messages_sent_twice_change_no_orchestration(seed: int) -> None:
    """An episode whose messages were sent but whose history was not stored runs again. The results are the same."""

    def fault(chance: random.Random, item: Item) -> str:
        return "sent" if item.kind == "episode" and chance.random() < 0.2 else ""

    world = Simulation(APP, seed, fault)
    expected = start_all(world)
    del expected["journal"]  # its entity gets operations twice because of the fault
    world.run()
    assert {i: world.output(i) for i in expected} == expected


def test_entity_operations_are_applied_twice_when_sent_twice() -> None:
    """A repeated request to an entity has a different id, so the engine cannot recognise it as a repeat. The real
    engine does the same."""
    faults = iter(["sent"])

    def fault(chance: random.Random, item: Item) -> str:
        return next(faults, "") if item.kind == "episode" else ""

    world = Simulation(APP, 1, fault)
    world.start("Adder", "a", text({"key": "k", "n": 1}))
    world.run()
    assert world.output("a") == "ok"
    assert world.hub.entity_state("counter", "k") == 2
    ids = [o["id"] for c in world.calls if c.kind == "entity" for o in json.loads(c.value)["batch"]]
    assert len(set(ids)) == 2


def test_the_same_seed_does_the_same() -> None:
    """With the same seed, every call is the same, in order and character by character."""
    runs = []
    for _ in range(2):
        world = Simulation(APP, 5)
        start_all(world)
        world.run()
        # Entity answers have the wall clock of the SDK; the calls of the app do not.
        runs.append([(c.kind, c.function, c.value) for c in world.calls])
    assert runs[0] == runs[1]


@pytest.mark.parametrize("seed", range(4))
def test_a_continued_walk_finds_the_same_as_a_whole_one(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The calls are the same if an episode walks only its own events and if it walks the whole history."""

    def fault(chance: random.Random, item: Item) -> str:
        return chance.choices(["", "lost", "restart", "sent"], [8, 1, 1, 1])[0]

    runs = []
    for go_on in (Walker.can_go_on, lambda *_: False):
        monkeypatch.setattr(Walker, "can_go_on", go_on)
        world = Simulation(APP, seed, fault)
        start_all(world)
        world.run()
        runs.append([(c.kind, c.function, c.value) for c in world.calls])
    assert runs[0] == runs[1]


def test_hidden_work_comes_back_when_it_is_visible_again() -> None:
    """After a crash, work in flight can be hidden, as in the real queue until the visibility timeout."""
    world = Simulation(APP)
    world.start("Chain", "chain")
    (item,) = world.engine.ready(world.now)
    world.engine.begin(item, world.now)
    world.engine.crash(hidden_until=START + timedelta(seconds=60))
    assert world.engine.ready(START + timedelta(seconds=59)) == []
    world.run()
    assert world.output("chain") == ["step 0", "step 1", "step 2"]
    assert world.now >= START + timedelta(seconds=60)


def test_timers_come_when_the_policy_says() -> None:
    """With a policy that makes timers a second early or twelve seconds late, the orchestration still ends."""
    world = Simulation(APP)
    delays = iter([-1, 12])
    world.engine.timers = lambda due, now: due + timedelta(seconds=next(delays))
    world.start("Timers", "timers", text([5, 5]))
    world.run()
    assert world.output("timers") == [-1.0, 12.0]


def test_five_hundred_generations_keep_no_history() -> None:
    """A polling loop keeps only the history of its last generation."""
    world = Simulation(APP)
    world.start("Eternal", "loop", text(500))
    world.run()
    assert world.output("loop") == "end"
    sizes = Counter(len(json.loads(c.value)["history"]) for c in world.calls if c.kind == "episode")
    assert max(sizes) < 10
