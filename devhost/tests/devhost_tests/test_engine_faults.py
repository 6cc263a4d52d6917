"""Late messages and failing reads, with simulated time."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from devhost.engine import BlobReads, Latency, Refused
from devhost.engine import events as ev
from devhost.engine.blobs import in_blob
from devhost.engine.hub import Query
from devhost.engine.model import Entity
from devhost_tests.simulated import START, Simulation

APP = Path(__file__).parent / "rules_app"
LARGE = "x" * 31_000


def text(value: object) -> str:
    """An input in the form that the durable client sends."""
    return json.dumps(json.dumps(value))


def slow(client: float = 10.0, internal: float = 0.0, seed: int = 0, **more: Any) -> Simulation:
    return Simulation(APP, latency=Latency(client, internal, seed), **more)


def status(world: Simulation, instance: str) -> str:
    status_row = world.hub.status(instance)
    assert status_row is not None
    return str(status_row["runtimeStatus"])


# ---- latency ------------------------------------------------------------------------------------------------------


def test_a_start_is_pending_until_it_arrives() -> None:
    """The row exists at once, as on Azure. The orchestration begins within the maximum latency."""
    world = slow()
    world.start("one_step", "i", text(1))
    assert status(world, "i") == "Pending"
    assert world.engine.ready(world.now) == []
    world.run()
    assert world.output("i") == 1
    assert START < world.now <= START + timedelta(seconds=10)


def test_signals_arrive_late_and_in_any_order() -> None:
    """The entity does not exist before the first signal arrives. No signal is lost."""
    world = slow(seed=1)
    for n in range(20):
        world.hub.signal("log", "k", "add", text(n), world.now)
    world.engine.commit()
    with pytest.raises(Refused) as refused:
        world.hub.entity_state("log", "k")
    assert refused.value.status == 404
    assert world.hub.status("@log@k") is None
    world.run()
    lines = world.hub.entity_state("log", "k")
    assert lines != sorted(lines)
    assert sorted(lines) == list(range(20))


def test_an_event_that_overtakes_the_start_waits_for_it() -> None:
    """With any delays, the engine reads the start before the event, because both messages are in one queue."""
    for seed in range(20):
        world = slow(seed=seed)
        world.start("collects", "i")
        world.hub.raise_event("i", "two", '"b"', world.now)
        world.hub.raise_event("i", "one", '"a"', world.now)
        world.engine.commit()
        world.run()
        assert world.output("i") == ["a", "b"]


def test_terminate_arrives_late_too() -> None:
    """A terminated instance runs until the message of the termination arrives."""
    world = slow(client=0)
    world.start("collects", "i")
    world.run()
    world.engine.latency.client = 10
    world.hub.terminate("i", "enough", world.now)
    world.engine.commit()
    assert status(world, "i") == "Running"
    world.run()
    assert status(world, "i") == "Terminated"


def test_messages_under_way_survive_a_crash() -> None:
    """Messages that have not arrived are in the store, so a new engine with the same store delivers them."""
    world = slow()
    world.hub.signal("log", "k", "add", text(1), world.now)
    world.start("one_step", "i", text(1))
    world._open()
    world.run()
    assert world.hub.entity_state("log", "k") == [1]
    assert world.output("i") == 1
    assert world.engine.idle


def test_a_signal_under_way_survives_the_purge_of_its_entity() -> None:
    """A signal that has not arrived is in a queue, not in the rows of its entity. If the entity is purged, the signal
    creates it again."""
    world = slow(client=0)
    world.hub.signal("log", "k", "add", text(1), world.now)
    world.engine.commit()
    world.run()
    world.engine.latency.client = 10
    world.hub.signal("log", "k", "add", text(2), world.now)
    assert world.hub.purge("@log@k") == 1
    world.engine.commit()
    world.run()
    assert world.hub.entity_state("log", "k") == [2]


def test_messages_within_the_engine_are_fast_by_default() -> None:
    """The latency of the client does not delay messages within the engine. They have a separate value, which is zero by
    default."""
    world = slow(client=0)
    world.start("parent", "i", text(1))
    world.run()
    assert world.now == START


@pytest.mark.parametrize("seed", range(10))
def test_messages_within_the_engine_keep_their_order(seed: int) -> None:
    """Signals and calls from one sender to an entity arrive in order, no matter how late they are."""
    world = slow(client=0, internal=10, seed=seed)
    world.start("writes", "i", text("k"))
    world.run()
    assert world.output("i") == ["no such line", [1, 2, 3]]
    assert world.now > START


def test_operations_keep_their_order_through_a_restart() -> None:
    """An operation that was sent after a restart does not overtake an operation that was sent before it."""
    world = slow(client=0, internal=10)

    def send(n: int) -> None:
        body = {"op": "add", "signal": True, "id": str(n), "input": text(n), "parent": "i"}
        world.engine.send("operation", "@log@k", body, sent=world.now)
        world.engine.commit()

    send(1)
    world.settings["latency"] = Latency(0, 0.001)
    world._open()
    send(2)
    world.run()
    assert world.hub.entity_state("log", "k") == [1, 2]


@pytest.mark.parametrize("seed", range(6))
def test_late_messages_change_no_result(seed: int) -> None:
    """With late messages, parallel work and restarts, the outputs are the same."""

    def fault(chance: Any, item: Any) -> str:
        return str(chance.choices(["", "lost", "restart"], [8, 1, 1])[0])

    world = slow(client=10, internal=3, seed=seed, together=4)
    world.fault = fault
    expected = {"parallel_retries": "failed", "many": 45, "nested": [[[1, -1], [2, -2]], [3, 4]]}
    for name in expected:
        world.start(name, name, text(10))
    world.run()
    assert {name: world.output(name) for name in expected} == expected


def test_the_same_seed_gives_the_same_delays() -> None:
    """A different seed gives different delays."""

    def delays(seed: int) -> list[Any]:
        latency = Latency(10, seed=seed)
        return [latency.due("i", START, from_client=True, ordered=True) for _ in range(5)]

    assert delays(1) == delays(1) != delays(2)
    assert Latency().due("i", START, from_client=True, ordered=True) is None


def test_a_dropped_message_does_not_hold_up_others() -> None:
    """A message for an unknown instance is dropped; another message that is due at the same time is processed."""
    world = Simulation(APP)
    due = START + timedelta(seconds=5)
    world.engine.send("event", "unknown", ev.event_raised(START, "one", "1"), due=due)
    operation = {"op": "add", "signal": True, "id": "1", "input": text(1)}
    world.engine.send("operation", "@log@k", operation, due=due)
    world.engine.commit()
    world.run()
    assert world.hub.entity_state("log", "k") == [1]
    assert world.engine.idle


def test_late_messages_for_a_purged_instance_are_dropped() -> None:
    """The id can be used again, and the new instance gets only its own messages."""
    world = slow()
    world.start("one_step", "old", text(1))
    world.start("one_step", "i", text(1))
    world.hub.purge_between(START, START, frozenset())
    world.start("one_step", "i", text(2))
    world.run()
    assert world.output("i") == 2
    assert world.hub.status("old") is None
    assert world.engine.idle


# ---- reads --------------------------------------------------------------------------------------------------------


def add(world: Simulation, line: str) -> None:
    world.hub.signal("log", "k", "add", text(line), world.now)
    world.engine.commit()
    world.run()


def refusal(operation: Any) -> Any:
    with pytest.raises(Refused) as refused:
        operation()
    return refused.value


@pytest.mark.parametrize("read", ["state", "status", "list", "entities"])
def test_the_first_read_after_a_rewrite_fails(read: str) -> None:
    """The answer has the body of the real engine. The next read returns the new value. A small value has no blob."""
    world = Simulation(APP, blob_reads=BlobReads(1.0))
    looks: dict[str, Callable[[], Any]] = {
        "state": lambda: world.hub.entity_state("log", "k"),
        "status": lambda: world.hub.status("@log@k"),
        "list": lambda: world.hub.query(Query()),
        "entities": lambda: world.hub.entity_list("log", fetch_state=True, since=None, until=None, top=9, after=""),
    }
    look = looks[read]
    add(world, LARGE)
    look()
    add(world, "small")
    refused = refusal(look)
    assert refused.status == 500
    assert refused.body["Message"] == "Something went wrong while processing your request"
    assert refused.body["ExceptionMessage"] == "The specified blob does not exist."
    look()


def test_reads_without_the_input_do_not_fetch_its_blob() -> None:
    """After a rewrite, only the next read that fetches the input fails. Reads without the input do not use up this
    failure."""
    world = Simulation(APP, blob_reads=BlobReads(1.0))
    add(world, LARGE)
    add(world, "small")
    assert world.hub.status("@log@k", show_input=False) is not None
    assert refusal(lambda: world.hub.status("@log@k")).status == 500


def test_large_inputs_and_outputs_fail_when_they_are_replaced() -> None:
    """The next execution of the id replaces the output; continue-as-new also replaces the input."""
    world = Simulation(APP, blob_reads=BlobReads(1.0))
    world.start("one_step", "i", text(LARGE))
    world.run()
    assert world.output("i") == LARGE
    world.start("one_step", "i", text("small"))
    assert refusal(lambda: world.hub.status("i", show_input=False)).status == 500
    world.run()
    assert refusal(lambda: world.hub.status("i")).status == 500
    assert world.output("i") == "small"


def test_every_batch_rewrites_the_blob_of_an_entity() -> None:
    """A batch of operations rewrites the blob of the entity even if its state does not change."""
    world = Simulation(APP, blob_reads=BlobReads(1.0))
    add(world, LARGE)
    world.hub.signal("log", "k", "read", None, world.now)
    world.engine.commit()
    world.run()
    assert refusal(lambda: world.hub.entity_state("log", "k")).status == 500
    assert world.hub.entity_state("log", "k") == [LARGE]


def test_small_values_and_a_rate_of_zero_never_fail() -> None:
    """Reads of small values never fail, nor does any read at a rate of zero. The rate can be changed while the engine
    runs, and rewrites before the change count, too."""
    world = Simulation(APP, blob_reads=BlobReads())
    for _ in range(3):
        add(world, LARGE)
        world.hub.entity_state("log", "k")
    world.engine.blob_reads.rate = 1.0
    add(world, LARGE)
    assert refusal(lambda: world.hub.entity_state("log", "k")).status == 500
    world.hub.signal("log", "other", "add", text("x"), world.now)
    world.hub.signal("log", "other", "add", text("y"), world.now)
    world.engine.commit()
    world.run()
    assert world.hub.entity_state("log", "other") == ["x", "y"]


def test_a_rate_between_fails_some() -> None:
    """With a rate between 0 and 1, the seed decides which reads fail, so the same reads fail each time."""

    def failures(seed: int) -> list[bool]:
        world = Simulation(APP, blob_reads=BlobReads(0.5, seed))
        add(world, LARGE)
        failed = []
        for _ in range(12):
            add(world, "x")
            failed.append(world.engine.blob_reads.fails("@log@k", with_input=True))
        return failed

    assert failures(3) == failures(3)
    assert set(failures(3)) == {True, False}


def test_values_that_do_not_fit_a_row_are_large() -> None:
    """A row has room for 60 KB of UTF-16. The state of an entity is a string within JSON, so its quotes count twice."""
    entity = Entity("@log@k", START, START)
    assert not in_blob(None, "x" * 30_720)
    assert in_blob(None, "x" * 30_721)
    assert in_blob(None, "\U0001f600" * 15_361)
    assert in_blob(entity, json.dumps(["x"] * 7_000))
    assert not in_blob(None, json.dumps(["x"] * 6_000))
    assert in_blob(entity, '"' * 16_000)
