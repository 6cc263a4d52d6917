"""After kill -9 and a restart on the same state, outcomes are right, and there are no unnecessary refreshes."""

import os
import re
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

from dev.power_bi.server import serve
from dev.power_bi.service import PowerBiService
from devhost_tests.process import KEY, ROOT, Client, Devhost, Elsewhere, free_port, until
from tests.e2e.conftest import elsewhere_of_environment
from tests.e2e.world import CALL_SECONDS, END_SECONDS, FAST, LONG, World

RESTART_SECONDS = 120.0


class Mortal:
    """An app that can be killed and restarted on the same state and port."""

    def __init__(self, app: Path, state: Path, service: str, **settings: str) -> None:
        self._app, self._state = app, state
        self._env = {**FAST, **settings, "POWER_BI_API_URL": service}
        self.host = self._start(str(free_port()))
        self.base = self.host.base
        assert self.base, self.host.log
        self.killed = threading.Event()

    def kill(self) -> None:
        """Kills the process with kill -9."""
        self.host.process.kill()
        self.killed.set()

    def start_again(self) -> None:
        """Starts a process on the same state with a different hash seed. It replays what the killed process wrote."""
        self.host.kill()
        self.host = self._start(self.base.rsplit(":", 1)[1], imported=False)
        assert self.host.base == self.base, self.host.log

    def _start(self, port: str, *, imported: bool = True) -> Devhost:
        arguments = ("--key", KEY, "--exact-timers", "--port", port)
        return Devhost(self._app, self._state, *arguments, env=self._env, imported=imported)


class MortalElsewhere:
    """An app elsewhere. A command kills it, and its own supervisor restarts it."""

    def __init__(self, base: str, management_key: str, command: str) -> None:
        self.base, self.host, self._command = base, Elsewhere(base, management_key), command
        self.killed = threading.Event()

    def kill(self) -> None:
        """Kills the process with kill -9."""
        subprocess.run(["/bin/sh", "-c", self._command], check=True, timeout=60)
        self.killed.set()

    def start_again(self) -> None:
        """Waits until the app answers again."""

        def answers() -> bool:
            try:
                return requests.get(f"{self.base}/api/openapi.json", timeout=5).status_code == 200
            except requests.RequestException:
                return False

        until(answers, RESTART_SECONDS)


@contextmanager
def mortal(
    tmp_path: Path, service: PowerBiService, app: Path = ROOT, **settings: str
) -> Iterator[tuple[World, Mortal]]:
    """An app that uses this service and can be killed, and its world."""
    with serve(service) as serving:
        victim = Mortal(app, tmp_path / "state", serving.base_url, **settings)
        try:
            yield World(victim.base, serving.base_url), victim
        finally:
            victim.host.stop()


@contextmanager
def killable(tmp_path: Path) -> Iterator[tuple[World, Mortal | MortalElsewhere]]:
    """An app that may be killed: an app of this test, or the app elsewhere if there is a command to kill it."""
    elsewhere = elsewhere_of_environment()
    if elsewhere is None:
        with mortal(tmp_path, PowerBiService()) as own:
            yield own
        return
    command = os.environ.get("E2E_KILL_COMMAND")
    if not command:
        pytest.skip("the app under test runs elsewhere, and E2E_KILL_COMMAND does not say how to kill it")
    world, management_key = elsewhere
    yield world, MortalElsewhere(world.app, management_key, command)


def test_killed_while_it_waits_for_an_idle_model(tmp_path: Path) -> None:
    """After the restart, the external refresh ends, and then there is only one POST."""
    with killable(tmp_path) as (world, victim):
        model = world.model()
        world.external(model)
        uri = world.ask(model)["statusUri"]
        world.until(uri, lambda status: status.get("waitsFor"))
        victim.kill()
        world.end(model)
        victim.start_again()
        assert world.follow(uri).code == 200
        other, ours = world.truth(model)["refreshes"]
        assert ours["startTime"] >= other["endTime"]
        assert world.truth(model)["calls"]["start"] == 1


@pytest.mark.parametrize("visible", [0, 2])
def test_killed_right_after_the_post(tmp_path: Path, visible: float) -> None:
    """The answer to the POST is lost with the process. There are at most two POSTs and one refresh, even if its row
    appears late."""
    with killable(tmp_path) as (world, victim):
        model = world.model(seconds=4, visibilitySeconds=visible)
        # Power BI accepts the POST, but the process is killed before the answer
        world.fault(model, "hang", "start", afterEffect=True, seconds=CALL_SECONDS)
        uri = world.ask(model)["statusUri"]
        until(lambda: world.own(model), END_SECONDS)
        victim.kill()
        victim.start_again()
        result = world.follow(uri)
        (refresh,) = world.own(model)
        assert (result.code, result.body["refreshId"]) == (200, refresh["requestId"])
        assert world.truth(model)["calls"]["start"] <= 2


def _known(world: World, model: str) -> dict[str, Any]:
    """The page data that the app shows for a model."""
    url = f"{world.app}/api/models/{model}"
    return dict(requests.get(url, headers=world.headers, timeout=CALL_SECONDS).json())


def test_killed_while_it_polls(tmp_path: Path) -> None:
    """The restarted app follows the recorded refresh to its end."""
    with killable(tmp_path) as (world, victim):
        model = world.model(seconds=LONG)
        uri = world.ask(model)["statusUri"]
        world.until(uri, lambda status: status["status"] == "Refreshing")
        until(lambda: _known(world, model)["activity"] == "refreshing", END_SECONDS)
        reads = world.truth(model)["calls"]["history"]
        until(lambda: world.truth(model)["calls"]["history"] > reads + 2, END_SECONDS)
        victim.kill()
        world.end(model)
        victim.start_again()
        result = world.follow(uri)
        (refresh,) = world.own(model)
        assert (result.code, result.body["refreshId"]) == (200, refresh["requestId"])
        assert world.truth(model)["calls"]["start"] == 1
        until(lambda: _known(world, model)["activity"] == "idle", END_SECONDS)
        known = _known(world, model)
        assert [(day["completed"], day["failed"]) for day in known["days"]] == [(1, 0)]
        assert known["lastSuccess"]["refreshId"] == refresh["requestId"]
        assert [run["status"] for run in known["runs"]] == ["Completed"]


def test_a_terminated_run_is_repaired(managed: tuple[World, Client]) -> None:
    """A run that was terminated by hand is started again by its request, and follows the refresh in progress."""
    world, host = managed
    model = world.model(seconds=LONG)
    uri = world.ask(model)["statusUri"]
    run = world.until(uri, lambda status: status["status"] == "Refreshing")["runId"]
    assert host.manage("POST", f"/instances/{run}-g1/terminate").status_code == 202
    host.becomes(f"{run}-g1", "Terminated", END_SECONDS)
    host.becomes(f"{run}-g2", "Running", END_SECONDS)
    world.end(model)
    assert world.follow(uri).code == 200
    assert len(world.own(model)) == 1
    assert world.truth(model)["calls"]["start"] == 1


def test_the_status_of_a_terminated_request(managed: tuple[World, Client]) -> None:
    """The status is Terminated, and the run continues for the other requests."""
    world, host = managed
    model = world.model(seconds=LONG)
    terminated, other = world.ask(model), world.ask(model)
    for started in (terminated, other):
        world.until(started["statusUri"], lambda status: status["status"] == "Refreshing" or "position" in status)
    answer = host.manage("POST", f"/instances/{terminated['id']}/terminate?reason=by+hand")
    assert answer.status_code == 202
    result = world.follow(terminated["statusUri"])
    assert (result.code, result.body["status"], result.body["runtimeStatus"]) == (424, "Terminated", "Terminated")
    assert "by hand" in result.body["error"]["message"]
    ends(world, model, other["statusUri"])


def ends(world: World, model: str, uri: str) -> None:
    """Ends the refresh of a request and those before it, until the request has completed."""

    def over() -> bool:
        if any(refresh["state"] == "InProgress" for refresh in world.own(model)):
            world.end(model)
        return requests.get(uri, timeout=CALL_SECONDS).status_code != 202

    until(over, END_SECONDS)
    assert world.follow(uri).code == 200


POLLS = 300
"""The number of polls of one refresh: far more than one generation of its run makes (`STEPS`)."""
POLLING_SECONDS = 300.0
"""The time limit for these polls. On an idle machine they take less than a tenth of it."""
COUNTING = """
import importlib.util
from azure.durable_functions.models import TaskOrchestrationExecutor as module
execute = module.TaskOrchestrationExecutor.execute
def counting(self, context, history, fn):
    with open({sizes!r}, "a") as file:
        file.write(f"{{len(history)}}\\n")
    return execute(self, context, history, fn)
module.TaskOrchestrationExecutor.execute = counting
import sys
sys.path.insert(0, {root!r})
spec = importlib.util.spec_from_file_location("app_under_test", {root!r} + "/function_app.py")
real = importlib.util.module_from_spec(spec)
spec.loader.exec_module(real)
app = real.app
"""
"""The real app, which also writes down the size of the history of each episode."""


@pytest.mark.usefixtures("local")
def test_many_polls_stay_small(tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    """No matter how long a refresh takes, no episode replays more than 150 events."""
    sizes, app = tmp_path / "sizes", tmp_path / "app"
    app.mkdir()
    shutil.copy(ROOT / "host.json", app)
    text = COUNTING.format(sizes=str(sizes), root=str(ROOT))
    (app / "function_app.py").write_text(text, encoding="utf-8")
    fast = {"POLL_MIN_SECONDS": "0.001", "POLL_MAX_SECONDS": "0.001"}
    with mortal(tmp_path, PowerBiService(), app, **fast) as (world, _):
        model = world.model(seconds=LONG)
        uri = world.ask(model)["statusUri"]
        until(lambda: world.truth(model)["calls"]["history"] >= POLLS + 2, POLLING_SECONDS)
        world.control(model, "/end")
        assert world.follow(uri).code == 200
    counts = [int(size) for size in re.findall(r"\d+", sizes.read_text(encoding="utf-8"))]
    line = f"a run that polls {POLLS} times: {len(counts)} episodes, the largest with {max(counts)} history events"
    record_property("measured", line)
    assert len(counts) > 2 * POLLS
    assert max(counts) <= 150
