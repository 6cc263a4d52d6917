"""The values that the app's functions get have the same keys as with the real engine."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import Any

import pytest

from devhost_tests.process import RECORDED
from devhost_tests.simulated import Simulation

PROTOCOL: list[dict[str, Any]] = json.loads((RECORDED / "protocol.json").read_text("utf-8"))


def shape(value: dict[str, Any]) -> dict[str, Any]:
    """A trigger value without the parts that differ from run to run: times and ids."""
    body = {k: v for k, v in value.items() if k != "history"}
    body["history"] = [
        {
            k: (v if k in ("EventType", "EventId", "Name", "Result", "TaskScheduledId", "Version") else "*")
            for k, v in e.items()
        }
        for e in value["history"]
    ]
    for event in body["history"]:
        if event["EventType"] == 15:
            event["Name"] = "*"
    return {**body, "instanceId": "*", "parentInstanceId": "*" if body["parentInstanceId"] else None}


def recorded() -> dict[str, list[dict[str, Any]]]:
    calls: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for call in PROTOCOL:
        if call["trigger"] == "orchestration":
            calls[call["function"]].append(shape(call["value"]))
    return calls


def inputs_by_function(world: Simulation) -> dict[str, list[dict[str, Any]]]:
    calls: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for call in world.calls:
        if call.kind == "episode":
            calls[call.function].append(shape(json.loads(call.value)))
    return calls


@pytest.fixture
def world() -> Simulation:
    return Simulation(RECORDED / "app")


def text(value: object) -> str:
    return json.dumps(json.dumps(value))


def test_activities_and_sub_orchestrations(world: Simulation) -> None:
    """The values for a chain, for a parent of a failing child, for exhausted retries, and for generations."""
    world.start("Chain", "chain", text({"a": 1}))
    world.start("Sub", "sub", text({"name": "Fails"}))
    world.start("Retries", "trace-retries", text({"attempts": 2, "good": 9}))
    world.start("Eternal", "eternal", text(1))
    world.run()
    real, ours = recorded(), inputs_by_function(world)
    for name in ("Chain", "Sub", "Fails", "Retries", "Eternal"):
        assert ours[name] == real[name], name


def test_entity_calls(world: Simulation) -> None:
    """The values for an orchestration that calls and signals an entity, and for the batches of the entity."""
    world.start("UseCounter", "uses", text("trace-key"))
    world.run()
    assert inputs_by_function(world)["UseCounter"] == recorded()["UseCounter"]
    real = [c["value"] for c in PROTOCOL if c["trigger"] == "entity"]
    ours = [json.loads(c.value) for c in world.calls if c.kind == "entity"]
    assert {tuple(v) for v in ours} == {tuple(v) for v in real}

    def operations(values: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [{**o, "id": "*"} for v in values for o in v["batch"]]

    assert operations(ours) == operations(real)


def arrive(world: Simulation) -> None:
    """Commits the messages and runs the episode that they cause."""
    world.engine.commit()
    world.step()


def test_events_and_suspension(world: Simulation) -> None:
    """The values after an event before a timer, and for an instance that is suspended, resumed, and gets an event."""
    world.start("EventOrTimeout", "first", text(20))
    world.step()
    world.hub.raise_event("first", "Go", '{"ok":true}', world.now)
    arrive(world)
    world.start("Event", "second")
    world.step()
    world.hub.suspend("second", "r", world.now)
    arrive(world)
    world.hub.resume("second", "r", world.now)
    arrive(world)
    world.hub.raise_event("second", "Go", "1", world.now)
    arrive(world)
    real, ours = recorded(), inputs_by_function(world)
    assert ours["EventOrTimeout"] == real["EventOrTimeout"]
    assert ours["Event"] == real["Event"]
