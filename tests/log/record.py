"""Records the lines that the app logs, in the form that the queries of the alerts and the workbook get. From the root:

    PYTHONPATH=devhost/tests .venv/bin/python -m tests.log.record

It runs the app on the devhost with callers of every kind and the development service, and stores the app's lines of
each story in `tests/data/log/STORY.jsonl`: the seconds since the first line, the level and the message, in the order in
which they were logged. Run it again after a change to the events. `tests/unit/test_queries.py` puts the stories on a
time line. Two stories come from a copy of the app with an added bug, because the app has no known bug that logs these
lines."""

from __future__ import annotations

import json
import re
import shutil
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import requests

from dev.power_bi.server import serve
from dev.power_bi.service import PowerBiService
from devhost_tests.process import KEY, ROOT, Devhost, until
from infra import package
from tests.e2e import engine_stub
from tests.e2e.receiver import receiving
from tests.e2e.test_who_may_call import FACTORY, SIGN_IN, signed_in
from tests.e2e.world import FAST, WORKSPACE, World

FOLDER = ROOT / "tests" / "data" / "log"
LINE = re.compile(r"(?P<time>\S+ \S+) (?P<level>\w+) +(?P<logger>\S+): (?P<message>\{.*)")
CALLER = {"pipeline": "Load sales", "runId": "5d6f7c1e-0000-4000-8000-000000000001"}
BATCH = {"workspaceId": "00000000-0000-4000-8000-0000000000bb", "all": True, "caller": CALLER}
"""All models of a workspace without models."""
BROKEN_ACTIVITY = ("activities/read.py", "job: orders.ReadRefresh = ", "raise KeyError('status')\n    ")
BROKEN_STEP = (
    "refresh/run/phases/polling.py",
    "    match answer:\n        case RefreshRead():",
    "    raise KeyError('phase')\n",
)
NO_SETTINGS: Mapping[str, str] = {}

Json = dict[str, Any]


@dataclass(frozen=True)
class Line:
    """One line of the app."""

    at: datetime
    level: str
    message: str

    @property
    def event(self) -> str:
        """The name of the event."""
        return str(json.loads(self.message)["event"])


def lines(app: Devhost) -> list[Line]:
    """All lines of events that the app has logged so far."""
    found = [match for line in list(app.lines) if (match := LINE.fullmatch(line))]
    return [
        Line(datetime.strptime(match["time"], "%Y-%m-%d %H:%M:%S,%f"), match["level"], match["message"])  # noqa: DTZ007
        for match in found
        if '"event"' in match["message"]
    ]


@dataclass(frozen=True)
class Stage:
    """An app and the services that it uses."""

    app: Devhost
    world: World
    state: Path

    @contextmanager
    def story(self, name: str, last: str, *, app: Devhost | None = None) -> Iterator[None]:
        """Waits for the event `last` after the block. Stores the lines that the app logs from the beginning of
        the block to this event."""
        app = app or self.app
        before = len(lines(app))
        yield
        until(lambda: last in [line.event for line in lines(app)[before:]], 60, lambda: f"{name}\n{app.log}")
        recorded = lines(app)[before:]
        end = max(index for index, line in enumerate(recorded) if line.event == last)
        keep(name, recorded[: end + 1])

    def start(self, model: str, headers: dict[str, str] | None = None, **more: Any) -> Json:
        """Starts a request that is accepted. Returns the answer."""
        body = {"workspaceId": WORKSPACE, "datasetId": model, "caller": CALLER, **more}
        answer = requests.post(f"{self.world.app}/api/refreshes", json=body, headers=headers, timeout=30)
        assert answer.ok, answer.text
        return dict(answer.json())

    def refresh(self, model: str, **more: Any) -> None:
        """Starts a request and waits for its end."""
        self.world.follow(self.start(model, **more)["statusUri"])


def keep(name: str, recorded: list[Line]) -> None:
    """Writes a story."""
    rows = [
        {"seconds": round((line.at - recorded[0].at).total_seconds(), 3), "level": line.level, "message": line.message}
        for line in recorded
    ]
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    print(f"{name}: {', '.join(line.event for line in recorded)}")


@contextmanager
def stage(folder: Path, *, app: Path = ROOT, settings: Mapping[str, str] = NO_SETTINGS) -> Iterator[Stage]:
    """An app for the stories; only one story is played at a time."""
    with ExitStack() as stack:
        service = stack.enter_context(serve(PowerBiService()))
        env = {**FAST, "POWER_BI_API_URL": service.base_url, **settings}
        state = folder / uuid.uuid4().hex
        host = stack.enter_context(Devhost(app, state, "--key", KEY, "--exact-timers", "--no-schedules", env=env))
        yield Stage(host, World(host.base, service.base_url), state)


def broken(folder: Path, fault: tuple[str, str, str]) -> Path:
    """A copy of the app with a text inserted before the only place of another text."""
    name, place, text = fault
    target = folder / uuid.uuid4().hex
    package.build("azureStorage", target)
    shutil.copyfile(ROOT / "host.json", target / "host.json")
    source = (target / name).read_text("utf-8")
    assert source.count(place) == 1, f"{name}: {place}"
    (target / name).write_text(source.replace(place, text + place), "utf-8")
    return target


# ---- the stories ----------------------------------------------------------------------------------------------------


def refreshes(play: Stage) -> None:
    """The outcomes of requests."""
    with play.story("completed", "request.ended"):
        play.refresh(play.world.model(seconds=1))
    with play.story("failed", "request.ended"):
        play.refresh(play.world.model(outcome=["Failed"]))
    model = play.world.model()
    play.world.external(model)
    with play.story("waited", "request.ended"):
        started = play.start(model)
        play.app.wait_for_log('"event": "run.waiting"')
        play.world.end(model)
        play.world.follow(started["statusUri"])
    model = play.world.model()
    play.world.fault(model, "throttled", "history", count=1, seconds=1)
    with play.story("throttled", "request.ended"):
        play.refresh(model)
    model = play.world.model()
    play.world.fault(model, "unavailable", "history", count=1)
    with play.story("unavailable", "request.ended"):
        play.refresh(model)
    model = play.world.model()
    play.world.fault(model, "drop", "start", count=1, afterEffect=True)
    with play.story("adopted", "request.ended"):
        play.refresh(model)
    with play.story("unknown", "request.ended"):
        rolled_over(play)


def rolled_over(play: Stage) -> None:
    """A refresh that newer refreshes push out of the history before the app has read its end."""
    model = play.world.model(outcome="Stuck")
    started = play.start(model)
    play.world.until(started["statusUri"], lambda status: status["status"] == "Refreshing")
    until(lambda: any(refresh["state"] == "InProgress" for refresh in play.world.own(model)), 20)
    for _ in range(61):
        play.world.external(model, "DirectLakeFraming", seconds=0)
    play.world.follow(started["statusUri"])


def callbacks(play: Stage) -> None:
    """A callback that is delivered, and a callback that is tried again and then abandoned."""
    for name, answers, last in (
        ("callback_delivered", [200], "callback.delivered"),
        ("callback_abandoned", [503, 503, 410], "callback.abandoned"),
    ):
        with play.story(name, last), receiving(*answers) as receiver:
            play.refresh(play.world.model(), callBackUri=receiver.uri)
            receiver.wait_for_calls(len(answers))


def batches(play: Stage) -> None:
    """A batch that ends before it has requests, because its workspace has no models."""
    with play.story("batch_without_models", "batch.ended"):
        assert requests.post(f"{play.world.app}/api/batches", json=BATCH, timeout=30).status_code == 202


def timers(play: Stage) -> None:
    """Two timers that clean up, after some refreshes."""
    for timer, last in (("tidy_queues", "housekeeping.queues_tidied"), ("purge_ended", "housekeeping.purged")):
        with play.story(timer, last):
            assert play.app.post(f"/admin/functions/{timer}", json={}).status_code == 202


def not_understood(play: Stage) -> None:
    """Messages that only newer code could read."""
    with play.story("input_not_understood", "input.not_understood"):
        path = "/orchestrators/refresh_request/from-newer-code"
        assert play.app.manage("POST", path, json=json.dumps({"requestedAt": 7, "spec": 3})).status_code == 202
    with play.story("queue_not_understood", "queue.not_understood"):
        path = f"/entities/dataset_queue/{uuid.uuid4()}?op=newer_operation"
        assert play.app.manage("POST", path, json=json.dumps("{}")).status_code == 202


def without_engine(folder: Path) -> None:
    """The lines of HTTP functions whose engine is dead."""
    with (
        stage(folder) as play,
        Devhost(ROOT, play.state, "--http-only", env=FAST | {"POWER_BI_API_URL": "http://127.0.0.1:9"}) as beside,
    ):
        model = play.world.model()
        engine_stub.point_host_to(play.state, engine_stub.NOWHERE)
        with play.story("not_started", "request.not_started", app=beside):
            body = {"workspaceId": WORKSPACE, "datasetId": model, "caller": CALLER}
            assert beside.post("/api/refreshes", json=body).status_code == 503
        with play.story("batch_not_started", "request.not_started", app=beside):
            assert beside.post("/api/batches", json=BATCH).status_code == 503
        with play.story("engine_unavailable", "engine.unavailable", app=beside):
            assert beside.get(f"/api/queues/{model}").status_code == 503


def strangers(folder: Path) -> None:
    """An allowed caller and a caller that is not allowed, behind the platform's sign-in."""
    with stage(folder, settings=SIGN_IN) as play:
        with play.story("refused", "auth.caller_refused"):
            headers = signed_in(str(uuid.uuid4()))
            assert (
                requests.post(f"{play.world.app}/api/refreshes", json={}, headers=headers, timeout=30).status_code
                == 403
            )
        with play.story("accepted_with_sign_in", "request.accepted"):
            play.start(play.world.model(), signed_in(FACTORY))


def overdue(play: Stage) -> None:
    """A model that is overdue, and has failed since its last success."""
    model = play.world.model(outcome=["Completed", "Failed"])
    play.refresh(model, expectedEveryHours=0.0001)
    play.refresh(model)
    with play.story("overdue", "model.overdue"):
        assert play.app.post("/admin/functions/watch_models", json={}).status_code == 202


def faults(folder: Path) -> None:
    """The stories of copies of the app with a bug."""
    for name, fault, last in (
        ("activity_failed", BROKEN_ACTIVITY, "activity.failed"),
        ("step_failed", BROKEN_STEP, "run.step_failed"),
    ):
        with stage(folder, app=broken(folder, fault)) as play, play.story(name, last):
            play.start(play.world.model())


PLAYS: tuple[Callable[[Stage], None], ...] = (refreshes, callbacks, batches, timers, not_understood, overdue)


def main() -> int:
    """Records all stories again."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with stage(folder) as play:
            for part in PLAYS:
                part(play)
        without_engine(folder)
        strangers(folder)
        faults(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
