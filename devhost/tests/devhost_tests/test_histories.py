"""Recorded histories, and code that differs from them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import azure.durable_functions as df
import pytest

from devhost.app.index import Function
from devhost.engine import SqliteStore
from devhost.engine import events as ev
from devhost.engine.model import Instance
from devhost.histories import BadHistory, Deviation, History, Recorder, replay_history
from devhost_tests.conftest import Start
from devhost_tests.forks import ENVIRONMENT
from devhost_tests.process import RECORDED
from devhost_tests.simulated import START, Simulation, functions_of

APP = Path(__file__).parent / "rules_app"
Steps = Generator[Any, Any, Any]


def text(value: object) -> str:
    """An input in the form that the durable client sends."""
    return json.dumps(json.dumps(value))


def record(folder: Path, play: Callable[[Simulation], None], app: Path = APP, seed: int = 0) -> list[History]:
    """Runs instances of an app. Returns the generations in the order in which they ended."""
    world = Simulation(app, seed)
    recorder = Recorder(folder)
    paths: list[Path] = []

    def write(instance: Instance, status: str) -> None:
        paths.append(recorder.write(History.of(instance, status, world.engine.history(instance))))

    world.engine.recorder = write
    play(world)
    return [History.load(path) for path in paths]


def recorded(folder: Path, name: str, value: object = None) -> History:
    def play(world: Simulation) -> None:
        world.start(name, name, text(value))
        world.run()

    return next(h for h in record(folder, play) if h.orchestrator == name)


def changed(name: str, code: Callable[[Any], Steps]) -> list[Function]:
    """The functions of the app, with a different orchestrator under this name."""
    handler = df.Orchestrator.create(code)
    functions = [f for f in functions_of(APP) if f.name != name]
    return [*functions, Function(name, "orchestration", handler, {"name": "context"}, name)]


def deviation(history: History, functions: list[Function], **more: Any) -> Deviation:
    found = replay_history(history, functions, **more)
    assert found is not None
    return found


# ---- the same code ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("all_with_failures", None),
        ("any_with_a_failure", None),
        ("nested", None),
        ("parallel_retries", None),
        ("retries_a_child", None),
        ("leaves_work", None),
        ("two_weeks", None),
        ("writes", "k"),
        ("many", 200),
        ("parent", 1),
        ("fails", "in"),
        ("versions", True),
    ],
)
@pytest.mark.parametrize("seed", range(3))
def test_the_recorded_code_replays(tmp_path: Path, name: str, value: object, seed: int) -> None:
    """Activities, retries, children, timers, entity calls, signals and failures replay, in any order of execution."""

    def play(world: Simulation) -> None:
        if name == "versions":
            world.engine.versioning.match = "None"
        world.start(name, name, text(value))
        world.run()

    histories = record(tmp_path, play, seed=seed)
    assert name in {h.orchestrator for h in histories}
    assert [str(d) for h in histories if (d := replay_history(h, functions_of(APP)))] == []


def test_each_generation_is_a_history(tmp_path: Path) -> None:
    """Each generation is recorded in a file of its own, with its own input, status and events."""

    def play(world: Simulation) -> None:
        world.start("generations", "i/1", text(0))
        for n in range(3):
            world.run()
            world.hub.raise_event("i/1", f"go-{n}", str(n), world.now)
            world.engine.commit()
        world.run()
        assert world.output("i/1") == 2

    histories = record(tmp_path, play)
    assert [h.status for h in histories] == ["ContinuedAsNew", "ContinuedAsNew", "Completed"]
    assert [json.loads(h.input or "") for h in histories] == ["0", "1", "2"]
    assert len({h.execution_id for h in histories}) == 3
    assert sorted(p.name for p in tmp_path.iterdir()) == [f"generations-i_1-{n}.json" for n in (1, 2, 3)]
    assert [replay_history(h, functions_of(APP)) for h in histories] == [None, None, None]


def test_all_recordings_of_a_larger_app_replay(tmp_path: Path) -> None:
    """Recordings of the app of the conformance tests replay, although many instances ran at the same time."""
    app = RECORDED / "app"

    def play(world: Simulation) -> None:
        for name, value in (
            ("Chain", None),
            ("FanOut", 10),
            ("Eternal", 5),
            ("EventOrTimeout", 30),
            ("PollLoop", {"turn": 0, "last": 9}),
            ("UseJournal", {"key": "j", "n": 5}),
        ):
            world.start(name, name, text(value) if value is not None else None)
        world.start("Sub", "sub", text({"name": "Chain"}))
        world.run()

    histories = record(tmp_path, play, app)
    assert len(histories) > 12
    assert [str(d) for h in histories if (d := replay_history(h, functions_of(app)))] == []


def test_a_generation_in_flight_replays(tmp_path: Path) -> None:
    """A generation replays after each of its steps, and while it is suspended."""
    world = Simulation(APP)
    world.start("writes", "i", text("k"))
    while world.step():
        instance = world.engine.instances["i"]
        history = History.of(instance, instance.status, world.engine.history(instance))
        assert replay_history(history, functions_of(APP)) is None
    world.start("collects", "j")
    world.run()
    world.hub.suspend("j", "wait", world.now)
    world.hub.raise_event("j", "one", "1", world.now)
    world.engine.commit()
    world.run()
    instance = world.engine.instances["j"]
    assert instance.status == "Suspended"
    assert replay_history(History.of(instance, "Suspended", world.engine.history(instance)), functions_of(APP)) is None


def test_terminated_ones_replay(tmp_path: Path) -> None:
    """The history of a terminated instance is replayed up to the termination."""

    def play(world: Simulation) -> None:
        world.start("collects", "i")
        world.run()
        world.hub.terminate("i", "enough", world.now)
        world.engine.commit()
        world.run()

    (history,) = record(tmp_path, play)
    assert history.status == "Terminated"
    assert replay_history(history, functions_of(APP)) is None


# ---- other code ---------------------------------------------------------------------------------------------------


def test_another_activity(tmp_path: Path) -> None:
    """The deviation has the message of the engine and the number of the episode."""

    def code(context: Any) -> Steps:
        result = yield context.call_activity("boom", context.get_input())
        return result

    found = deviation(recorded(tmp_path, "one_step", 1), changed("one_step", code))
    assert (found.kind, found.episode) == ("non-deterministic", 1)
    assert "scheduled an activity task with sequence number 0 named 'echo'" in found.sentence
    assert "instead scheduled an activity task named 'boom'" in found.sentence


def test_a_step_more_in_the_middle(tmp_path: Path) -> None:
    """A timer between two recorded steps is found in its episode."""

    def code(context: Any) -> Steps:
        first = yield context.call_activity("echo", context.get_input())
        yield context.create_timer(context.current_utc_datetime)
        yield context.wait_for_external_event(f"go-{first}")
        context.continue_as_new(first + 1)

    def play(world: Simulation) -> None:
        world.start("generations", "i", text(0))
        world.run()
        world.hub.raise_event("i", "go-0", "0", world.now)
        world.engine.commit()
        world.run()

    found = deviation(record(tmp_path, play)[0], changed("generations", code))
    assert (found.kind, found.episode) == ("non-deterministic", 2)
    assert "episode 2: the current code schedules a timer due" in found.sentence
    assert "(task 1), which the history does not have there" in found.sentence
    assert found.sentence.endswith("The current code breaks an instance in flight with this history.")


def test_a_step_less(tmp_path: Path) -> None:
    """Code with one step less is found: it does not schedule work that was recorded."""

    def code(context: Any) -> Steps:
        yield context.wait_for_external_event("never")

    found = deviation(recorded(tmp_path, "one_step", 1), changed("one_step", code))
    assert found.kind == "non-deterministic"
    assert "but the current replay execution hasn't (yet?) scheduled this task" in found.sentence


def test_an_activity_or_orchestrator_that_was_removed(tmp_path: Path) -> None:
    """The message contains the name of the removed function."""
    history = recorded(tmp_path, "one_step", 1)
    without = [f for f in functions_of(APP) if f.name != "echo"]
    assert "'echo'" in deviation(history, without).sentence
    without = [f for f in functions_of(APP) if f.name != "one_step"]
    assert "no longer has the orchestrator 'one_step'" in deviation(history, without).sentence


def test_an_operation_of_another_entity(tmp_path: Path) -> None:
    """The engine does not compare the entity, so it would deliver the response of the wrong entity."""

    def code(context: Any) -> Steps:
        entity = df.EntityId("log", "other")
        context.signal_entity(df.EntityId("log", context.get_input()), "add", 1)
        yield context.call_entity(entity, "add", 2)

    found = deviation(recorded(tmp_path, "writes", "k"), changed("writes", code))
    assert found.kind == "different"
    assert "sent operation 'add' to @log@k, the current code sends 'add' to @log@other" in found.sentence


def test_a_child_with_another_id(tmp_path: Path) -> None:
    """A child with another id is reported, because it would be a different instance."""

    def code(context: Any) -> Steps:
        yield context.call_sub_orchestrator("one_step", 1, "renamed")

    found = deviation(recorded(tmp_path, "parent", 1), changed("parent", code))
    assert found.kind == "different"
    assert "sub-orchestration child, the current code starts renamed" in found.sentence


def test_code_that_raises(tmp_path: Path) -> None:
    """If the code raises before it has scheduled the recorded work, the report has the missing work and the exception.
    If it raises after all work, the report has the exception."""

    def at_once(context: Any) -> Steps:
        yield context.call_activity("echo", context.get_input()["new key"])

    def at_the_end(context: Any) -> Steps:
        yield context.call_activity("echo", context.get_input())
        raise ValueError("the result cannot be read")

    history = recorded(tmp_path, "one_step", {"x": 1})
    found = deviation(history, changed("one_step", at_once))
    assert found.kind == "non-deterministic"
    assert "The orchestrator raised: 'new key'" in found.sentence
    found = deviation(history, changed("one_step", at_the_end), check_end=False)
    assert found.kind == "failed"
    assert found.sentence.endswith(
        "the orchestrator raises an exception that it did not raise: the result cannot be read"
    )


def test_another_end(tmp_path: Path) -> None:
    """More work after the last recorded step breaks no instance in flight. It is reported as a different end."""

    def code(context: Any) -> Steps:
        yield context.call_activity("echo", context.get_input())
        result = yield context.call_activity("echo", "more")
        return result

    history = recorded(tmp_path, "one_step", 1)
    functions = changed("one_step", code)
    assert replay_history(history, functions, check_end=False) is None
    found = deviation(history, functions)
    assert (found.kind, found.episode) == ("end", 2)
    assert "was Completed; with the current code it is still waiting for activity echo and schedules" in found.sentence
    assert "This breaks no instance in flight." in str(found)


def test_a_version_branch_keeps_old_histories(tmp_path: Path) -> None:
    """Code with a branch for `context.version` replays histories of the old version."""

    def code(context: Any) -> Steps:
        if context.version is not None:
            yield context.create_timer(context.current_utc_datetime)
        result = yield context.call_activity("echo", context.get_input())
        return result

    assert replay_history(recorded(tmp_path, "one_step", 1), changed("one_step", code)) is None


def test_a_long_history() -> None:
    """Three hundred consecutive steps are replayed together, not once for each episode."""
    calls = []

    def steps(context: Any) -> Steps:
        calls.append(context.instance_id)
        for n in range(300):
            yield context.call_activity("echo", n)
        return "end"

    execution = ev.execution_started(
        START, name="many", instance_id="i", execution_id="e", input_text=text(1), parent=None
    )
    events = [ev.orchestrator_started(START), execution]
    for n in range(300):
        events += [ev.task_scheduled(START, n, "echo"), ev.orchestrator_completed(START)]
        events += [ev.orchestrator_started(START), ev.task_completed(START, n, str(n))]
    events += [ev.execution_completed(START, 300, "Completed", '"end"'), ev.orchestrator_completed(START)]
    history = History("many", "i", "e", None, None, text(1), "Completed", events)
    assert replay_history(history, changed("many", steps)) is None
    assert calls == ["i"]
    events[4 * 250 + 2]["Name"] = "boom"
    assert deviation(history, changed("many", steps)).sentence.startswith("many (i), episode 251: A previous execution")


# ---- files --------------------------------------------------------------------------------------------------------


def test_files_can_be_compared_line_by_line(tmp_path: Path) -> None:
    """Each line has one event. A file that is written and read again is the same."""
    history = recorded(tmp_path, "one_step", 1)
    (path,) = tmp_path.iterdir()
    assert path.read_text().count("\n") == len(history.history) + 12
    history.save(tmp_path / "again.json")
    assert (tmp_path / "again.json").read_text() == path.read_text()


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"format": 99}', '{"format": 1, "history": []}'])
def test_other_files_are_refused(tmp_path: Path, content: str) -> None:
    """The message names the file."""
    (tmp_path / "x.json").write_text(content)
    with pytest.raises(BadHistory, match=r"x\.json"):
        History.load(tmp_path / "x.json")


def command(*arguments: object) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "devhost", "histories", *map(str, arguments)]
    return subprocess.run(words, env=ENVIRONMENT, capture_output=True, text=True, check=False)


def test_a_devhost_records_and_a_state_can_be_read(start: Start, tmp_path: Path) -> None:
    """`--record` writes each generation when it ends. `histories` reads a state, even while a devhost uses it."""
    host = start("--exact-timers", "--record", str(tmp_path / "recorded"))
    host.post("/api/v1/start/generations/g", data="2")
    host.post("/api/v1/start/waits/w", json=1)
    assert host.ended("g")["output"] == "end"
    host.becomes("w", "Running")
    names = sorted(p.name for p in (tmp_path / "recorded").iterdir())
    assert names == [f"generations-g-{n}.json" for n in (1, 2, 3)]
    done = command("--state", tmp_path / "state", "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    histories = {h.instance_id: h for h in map(History.load, (tmp_path / "out").iterdir())}
    assert {i: h.status for i, h in histories.items()} == {"g": "Completed", "w": "Running"}
    assert done.stdout.count("\n") == 2
    only = command("--state", tmp_path / "state", "--out", tmp_path / "one", "--name", "Waits")
    assert [p.name for p in (tmp_path / "one").iterdir()] == ["waits-w-1.json"], only.stderr


def test_a_missing_state(tmp_path: Path) -> None:
    """The command reports a state that does not exist, and does not create it."""
    done = command("--state", tmp_path / "nowhere", "--out", tmp_path / "out")
    assert done.returncode == 2
    assert "there is no state" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_an_unused_state_has_no_histories(tmp_path: Path) -> None:
    """A state that was never used has no histories, which is not an error."""
    SqliteStore(tmp_path / "state").close()
    done = command("--state", tmp_path / "state", "--out", tmp_path / "out")
    assert (done.returncode, done.stdout) == (0, "")
