"""The app killed with -9 and started again on the same state: the right verdict, and no more refreshes than needed."""

import re
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import pytest

from dev.power_bi.messages import Request, Response
from dev.power_bi.server import serve
from dev.power_bi.service import PowerBiService
from devhost_tests.process import KEY, ROOT, Devhost, until
from tests.e2e.world import FAST, World

pytestmark = pytest.mark.usefixtures("local")


class Mortal:
    """An app that can be killed and started again on the same state and port."""

    def __init__(self, app: Path, state: Path, service: str, **settings: str) -> None:
        self._app, self._state = app, state
        self._env = {**FAST, **settings, "POWER_BI_API_URL": service}
        self.host = self._start("0")
        self.base = self.host.base
        assert self.base, self.host.log
        self.killed = threading.Event()

    def kill(self) -> None:
        """kill -9."""
        self.host.process.kill()
        self.killed.set()

    def start_again(self) -> None:
        """A new process with what the killed one left behind."""
        self.host.kill()
        self.host = self._start(self.base.rsplit(":", 1)[1])
        assert self.host.base == self.base, self.host.log

    def _start(self, port: str) -> Devhost:
        return Devhost(self._app, self._state, "--key", KEY, "--exact-timers", "--port", port, env=self._env)


class DeadlyService(PowerBiService):
    """Kills its caller when a POST has been accepted and before it is answered."""

    victim: Mortal | None = None

    def handle(self, request: Request, now: datetime) -> Response:
        """The answer, which nobody may be there to hear."""
        response = super().handle(request, now)
        if request.method == "POST" and request.path.endswith("/refreshes") and response.status == 202 and self.victim:
            victim, self.victim = self.victim, None
            victim.kill()
        return response


@contextmanager
def mortal(
    tmp_path: Path, service: PowerBiService, app: Path = ROOT, **settings: str
) -> Iterator[tuple[World, Mortal]]:
    """The app, the service, and the world around them."""
    with serve(service) as serving:
        victim = Mortal(app, tmp_path / "state", serving.base_url, **settings)
        try:
            yield World(victim.base, serving.base_url), victim
        finally:
            victim.host.stop()


def test_killed_while_it_waits_for_an_idle_model(tmp_path: Path) -> None:
    """One POST, after the other refresh has ended."""
    with mortal(tmp_path, PowerBiService()) as (world, victim):
        model = world.model()
        world.control(model, "/external", {"refreshType": "Scheduled", "seconds": 5, "visibilitySeconds": 0})
        uri = world.ask(model)["statusUri"]
        world.until(uri, lambda status: status["waitsFor"])
        victim.kill()
        victim.start_again()
        assert world.follow(uri).code == 200
        other, ours = world.truth(model)["refreshes"]
        assert ours["startTime"] >= other["endTime"]
        assert world.truth(model)["calls"]["start"] == 1


@pytest.mark.parametrize("visible", [0, 2])
def test_killed_right_after_the_post(tmp_path: Path, visible: float) -> None:
    """The answer is lost with the process. At most two POSTs, and one refresh even if the history shows it late."""
    service = DeadlyService()
    with mortal(tmp_path, service) as (world, victim):
        model = world.model(seconds=4, visibilitySeconds=visible)
        service.victim = victim
        uri = world.ask(model)["statusUri"]
        assert victim.killed.wait(30)
        victim.start_again()
        told = world.follow(uri)
        (refresh,) = world.own(model)
        assert (told.code, told.body["refreshId"]) == (200, refresh["requestId"])
        assert world.truth(model)["calls"]["start"] <= 2


def test_killed_while_it_polls(tmp_path: Path) -> None:
    """The recorded refresh is followed to its end."""
    with mortal(tmp_path, PowerBiService()) as (world, victim):
        model = world.model(seconds=5)
        uri = world.ask(model)["statusUri"]
        world.until(uri, lambda status: status["status"] == "Refreshing")
        looked = world.truth(model)["calls"]["history"]
        until(lambda: world.truth(model)["calls"]["history"] > looked + 2, 20)
        victim.kill()
        victim.start_again()
        told = world.follow(uri)
        (refresh,) = world.own(model)
        assert (told.code, told.body["refreshId"]) == (200, refresh["requestId"])
        assert world.truth(model)["calls"]["start"] == 1


def test_a_terminated_run_is_repaired(tmp_path: Path) -> None:
    """Terminated by hand: the request starts it anew on its slow tick, and the refresh in flight is adopted."""
    with mortal(tmp_path, PowerBiService()) as (world, victim):
        model = world.model(seconds=5)
        uri = world.ask(model)["statusUri"]
        run = world.until(uri, lambda status: status["status"] == "Refreshing")["runId"]
        instance = f"{victim.base}/runtime/webhooks/durabletask/instances/{run}-g1"
        assert victim.host.post(f"{instance.removeprefix(victim.base)}/terminate?code={KEY}").status_code == 202
        assert world.follow(uri).code == 200
        assert len(world.own(model)) == 1
        assert world.truth(model)["calls"]["start"] == 1


def test_a_terminated_request_is_told_so(tmp_path: Path) -> None:
    """Its status is Terminated, and the run of the others is not hurt."""
    with mortal(tmp_path, PowerBiService()) as (world, victim):
        model = world.model(seconds=3)
        dying, living = world.ask(model), world.ask(model)
        world.until(dying["statusUri"], lambda status: status["status"] == "Refreshing")
        path = f"/runtime/webhooks/durabletask/instances/{dying['id']}/terminate?code={KEY}&reason=by+hand"
        assert victim.host.post(path).status_code == 202
        told = world.follow(dying["statusUri"])
        assert (told.code, told.body["status"], told.body["runtimeStatus"]) == (424, "Terminated", "Terminated")
        assert "by hand" in told.body["error"]["message"]
        assert world.follow(living["statusUri"]).code == 200


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
"""The real app, with the size of the history of each episode written down."""


def test_a_thousand_polls_stay_small(tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    """However long a refresh lasts, no episode has more than 150 events of history to replay."""
    sizes, app = tmp_path / "sizes", tmp_path / "app"
    app.mkdir()
    shutil.copy(ROOT / "host.json", app)
    text = COUNTING.format(sizes=str(sizes), root=str(ROOT))
    (app / "function_app.py").write_text(text, encoding="utf-8")
    fast = {"POLL_MIN_SECONDS": "0.001", "POLL_MAX_SECONDS": "0.001"}
    with mortal(tmp_path, PowerBiService(), app, **fast) as (world, _):
        model = world.model(seconds=3000)
        uri = world.ask(model)["statusUri"]
        until(lambda: world.truth(model)["calls"]["history"] >= 1002, 100)
        world.control(model, "/end")
        assert world.follow(uri).code == 200
    counts = [int(size) for size in re.findall(r"\d+", sizes.read_text(encoding="utf-8"))]
    line = f"a run that polls 1,000 times: {len(counts)} episodes, the largest with {max(counts)} history events"
    record_property("measured", line)
    assert len(counts) > 2000
    assert max(counts) <= 150
