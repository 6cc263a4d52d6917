"""Rules of the engine that no recording shows, with simulated time."""

from __future__ import annotations

import json
import logging
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from devhost.engine import Item, Raised, Refused, Returned
from devhost_tests.simulated import START, Simulation

APP = Path(__file__).parent / "rules_app"


def text(value: object) -> str:
    """An input in the form that the durable client sends."""
    return json.dumps(json.dumps(value))


@pytest.fixture
def world() -> Simulation:
    return Simulation(APP)


def ended(world: Simulation, name: str, value: object = None) -> Any:
    """Runs one orchestration to its end. Returns its output."""
    world.start(name, name, text(value))
    world.run()
    return world.output(name)


def events(world: Simulation, instance: str) -> list[str]:
    status = world.hub.status(instance, show_history=True)
    assert status is not None
    return [e["EventType"] for e in status["historyEvents"]]


def state(world: Simulation, instance: str) -> str:
    status = world.hub.status(instance)
    assert status is not None
    return str(status["runtimeStatus"])


# ---- waiting for several ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "output"),
    [
        ("all_with_failures", ["Activity function 'boom' failed:  ValueError: a", "after"]),
        ("any_with_a_failure", ["Exception", "Activity function 'boom' failed:  ValueError: a"]),
        ("nested", [[[1, -1], [2, -2]], [3, 4]]),
        ("parallel_retries", "failed"),
        ("retries_a_child", "Orchestrator function 'fails' failed: child says in"),
        ("never_yields_it", 1),
        ("writes", ["no such line", [1, 2, 3]]),
    ],
)
@pytest.mark.parametrize("seed", range(5))
def test_outputs(name: str, output: object, seed: int) -> None:
    """The output is the same for any order of execution."""
    world = Simulation(APP, seed)
    assert ended(world, name, "k") == output


def test_retries_leave_timers_in_the_history(world: Simulation) -> None:
    """Two tasks in parallel have three attempts each, with a timer after each attempt; the last timer is due at
    once."""
    ended(world, "parallel_retries")
    assert events(world, "parallel_retries").count("TaskFailed") == 6
    assert events(world, "parallel_retries").count("TimerCreated") == 6
    assert world.now - START == timedelta(seconds=10)


def test_an_unknown_activity_is_not_retried(world: Simulation, caplog: pytest.LogCaptureFixture) -> None:
    """An orchestration that calls an unknown activity hangs, with a retry policy as without. The log says why."""
    world.start("retries_unknown_activity", "i")
    with caplog.at_level(logging.WARNING):
        world.run()
    assert state(world, "i") == "Running"
    assert events(world, "i") == ["ExecutionStarted"]
    assert "hangs: The function 'nobody' doesn't exist" in caplog.text


def test_open_work_keeps_an_instance_running(world: Simulation, caplog: pytest.LogCaptureFixture) -> None:
    """The instance ends when its timer ends, and the log says why it waits."""
    with caplog.at_level(logging.WARNING):
        assert ended(world, "leaves_work") == "returned"
    assert world.now - START >= timedelta(seconds=59)
    assert "stays Running until these tasks end: timer due" in caplog.text


def test_a_timer_of_two_weeks(world: Simulation) -> None:
    """A timer of two weeks consists of timers of at most three days each, and fires on time."""
    assert abs(ended(world, "two_weeks") - 14 * 86400) <= 1
    assert events(world, "two_weeks").count("TimerCreated") == 4


def test_fan_out_of_500(world: Simulation) -> None:
    """An orchestration with 500 simultaneous activities gets the results of all of them."""
    assert ended(world, "many", 500) == sum(range(500))


# ---- events -------------------------------------------------------------------------------------------------------


def test_events_before_the_first_episode(world: Simulation) -> None:
    """Events that arrive before the first episode wait for the orchestration, in any order."""
    world.start("collects", "i")
    world.hub.raise_event("i", "two", '"b"', world.now)
    world.hub.raise_event("i", "one", '"a"', world.now)
    world.engine.commit()
    world.run()
    assert world.output("i") == ["a", "b"]


def test_events_outlive_a_racing_start(world: Simulation) -> None:
    """After two starts of one id with an event between them, there is one execution with the last input and the
    event."""
    world.start("collects", "i", text(1))
    world.hub.raise_event("i", "one", '"a"', world.now)
    world.start("collects", "i", text(2))
    world.hub.raise_event("i", "two", '"b"', world.now)
    world.engine.commit()
    world.run()
    assert world.output("i") == ["a", "b"]
    assert [json.loads(c.value)["input"] for c in world.calls][-1] == "2"


def test_a_suspended_instance_takes_events_and_starts_nothing(world: Simulation) -> None:
    """Results and events that arrive while an instance is suspended are stored. After the resume, the instance
    processes them in order."""
    world.start("generations", "i", text(0))
    world.step()  # the activity is scheduled
    world.hub.suspend("i", "wait", world.now)
    world.hub.raise_event("i", "go-0", "1", world.now)
    world.engine.commit()
    world.run()
    assert state(world, "i") == "Suspended"
    assert len([c for c in world.calls if c.kind == "activity"]) == 1
    world.hub.resume("i", "go on", world.now)
    world.engine.commit()
    world.run()
    assert len([c for c in world.calls if c.kind == "activity"]) == 2, "the next generation has begun"
    for n in (1, 2):
        world.hub.raise_event("i", f"go-{n}", str(n), world.now)
        world.engine.commit()
        world.run()
    assert world.output("i") == 2


def test_terminating_a_suspended_instance(world: Simulation) -> None:
    """The instance ends at once, with the reason as its output."""
    world.start("collects", "i")
    world.run()
    world.hub.suspend("i", "r", world.now)
    world.engine.commit()
    world.run()
    world.hub.terminate("i", "enough", world.now)
    world.engine.commit()
    world.run()
    status = world.hub.status("i")
    assert status is not None
    assert (status["runtimeStatus"], status["output"]) == ("Terminated", "enough")


# ---- executions ---------------------------------------------------------------------------------------------------


def test_versions_reach_the_orchestration(world: Simulation) -> None:
    """A start or a child may have a version of its own. Without one, it gets the default of the host."""
    world.engine.versioning.default = "default"
    world.hub.start("versions", "i", text(True), world.now, "1.5")
    world.engine.commit()
    world.run()
    assert world.output("i") == ["1.5", "child", "default"]


def test_a_second_execution_gets_no_result_of_the_first(world: Simulation) -> None:
    """The result of an activity of the first execution arrives during the second execution and is dropped."""
    world.start("one_step", "i", text("first"))
    world.step()
    (activity,) = world.engine.ready(world.now)
    world.engine.begin(activity, world.now)
    world.hub.terminate("i", "r", world.now)
    world.engine.commit()
    world.step()
    world.start("one_step", "i", text("second"))
    world.engine.complete(activity, Returned('"first"'), world.now)
    world.engine.commit()
    world.run()
    assert world.output("i") == "second"


def test_purge_by_time_deletes_running_instances_unless_a_final_status_is_given(
    world: Simulation, caplog: pytest.LogCaptureFixture
) -> None:
    """Azure Storage ignores a list of statuses without a final status, so running instances and entities are
    deleted."""
    world.start("one_step", "done", text(1))
    world.start("collects", "waits")
    world.start("writes", "w", text("k"))
    world.run()
    assert world.hub.purge_between(START, world.now, frozenset({"Completed"})) == 2
    with pytest.raises(Refused):
        world.hub.purge_between(START, world.now, frozenset({"Completed", "Failed"}))
    with caplog.at_level(logging.WARNING):
        assert world.hub.purge_between(START, world.now, frozenset({"Running"})) == 2
    assert "also deletes 2 running instances and entities, as on Azure: @log@k, waits" in caplog.text
    world.engine.commit()
    assert world.hub.status("waits") is None
    assert world.hub.status("@log@k") is None
    world._open()
    assert world.engine.idle


@pytest.mark.parametrize("how", ["complete", "abandon", "crash"])
def test_purge_while_work_is_in_flight(world: Simulation, how: str) -> None:
    """The result of an activity of a purged instance has no effect, not even on a new execution of the id."""
    world.start("one_step", "i", text("old"))
    (episode,) = world.engine.ready(world.now)
    call = world.engine.begin(episode, world.now)
    assert call is not None
    world.hub.purge_between(START, world.now, frozenset())
    world.start("one_step", "i", text("new"))
    outcome = world._run(call)
    if how == "complete":
        world.engine.complete(episode, outcome, world.now)
    elif how == "abandon":
        world.engine.abandon(episode)
    else:
        world.engine.crash(hidden_until=START + timedelta(seconds=60))
    world.engine.commit()
    world.run()
    assert world.output("i") == "new"
    assert world.engine.idle


# ---- faults of the real engine ------------------------------------------------------------------------------------


def test_an_activity_can_be_in_flight_twice(world: Simulation) -> None:
    """Both copies run at once and both answer; the orchestration uses the first answer."""
    world.start("one_step", "i", text("x"))
    world.step()
    (first,) = world.engine.ready(world.now)
    world.engine.begin(first, world.now)
    second = world.engine.duplicate(first)
    world.engine.commit()
    assert world.engine.ready(world.now) == [second]
    world.engine.begin(second, world.now)
    assert set(world.engine.in_flight()) == {first, second}
    world.engine.complete(second, Returned('"second"'), world.now)
    world.engine.complete(first, Returned('"first"'), world.now)
    world.engine.commit()
    world.run()
    assert world.output("i") == "second"
    with pytest.raises(KeyError):
        world.engine.duplicate(first)


def test_messages_can_be_cut_anywhere(world: Simulation) -> None:
    """One episode per message gives the same result as one episode for all messages."""
    world.start("many", "i", text(5))
    while items := world.engine.ready(world.now):
        call = world.engine.begin(items[-1], world.now, limit=1)
        if call is not None:
            world.engine.complete(items[-1], world._run(call), world.now)
        world.engine.commit()
    assert world.output("i") == 10


def test_an_entity_batch_that_was_not_stored_is_applied_again(world: Simulation) -> None:
    """The answers of a batch were sent, but its state was not stored. The caller continues, and the operation is
    applied again."""
    faults = iter(["sent"])
    world.fault = lambda chance, item: next(faults, "") if item.kind == "entity" else ""
    world.hub.signal("log", "k", "add", text(1), world.now)
    world.engine.commit()
    world.run()
    assert world.hub.entity_state("log", "k") == [1], "the first state was lost, so the value is stored only once"
    assert len([c for c in world.calls if c.kind == "entity"]) == 2


def test_an_invalid_answer_of_the_app_does_not_end_the_engine(world: Simulation) -> None:
    """An invalid answer of the app fails only the instance that gets it."""
    world.start("one_step", "i", text(1))
    (item,) = world.engine.ready(world.now)
    world.engine.begin(item, world.now)
    nonsense = {"isDone": False, "actions": [[{"actionType": 5, "fireAt": "x"}]]}
    world.engine.complete(item, Returned(json.dumps(nonsense)), world.now)
    world.engine.commit()
    assert state(world, "i") == "Failed"


def test_rewinding_a_parent_rewinds_its_failed_child(world: Simulation) -> None:
    """The child's activity runs again, and the parent gets its result; the earlier failures have no effect."""
    world.start("parent", "i", text(1))
    while not world.engine.activities:
        world.step()
    item = Item("activity", next(iter(world.engine.activities)))
    world.engine.begin(item, world.now)
    world.engine.complete(item, Raised("ValueError: x", "x"), world.now)
    world.engine.commit()
    world.run()
    assert (state(world, "child"), state(world, "i")) == ("Failed", "Failed")
    world.hub.rewind("i", "again", world.now)
    world.engine.commit()
    world.run()
    assert world.output("i") == 1
    assert [e for e in events(world, "child") if e != "GenericEvent"] == [
        "ExecutionStarted",
        "TaskCompleted",
        "ExecutionCompleted",
    ]
    assert "SubOrchestrationInstanceFailed" not in events(world, "i")
