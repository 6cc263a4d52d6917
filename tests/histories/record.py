"""Records the histories of instances in flight for a release. From the root of the project:

    PYTHONPATH=devhost/tests .venv/bin/python -m tests.histories.record

It runs the app on the devhost with callers of every kind and the development service, and keeps for each orchestrator
the generations that differ in the kinds of their events. They are stored in `tests/histories/<version>/`, where the
version is `defaultVersion` of host.json. Run it once for each version, when it is released. Before the first release,
the same version may be recorded again.
"""

import json
import shutil
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import requests

from dev.power_bi.server import serve
from dev.power_bi.service import PowerBiService
from devhost_tests.process import KEY, ROOT, Devhost
from tests.e2e.receiver import receiving
from tests.e2e.world import FAST, WORKSPACE, World

FOLDER = Path(__file__).parent
MAX_OF_A_KIND = 1
"""The number of files to keep of generations with the same sequence of events."""
TABLE = {"table": "Sales"}
EVICTED = {"outcome": "Failed", "errorCode": "0xC11C0020", "errorDescription": "The model has been evicted."}

Json = dict[str, Any]


def version() -> str:
    """The version with which this code starts orchestrations."""
    host: Json = json.loads((ROOT / "host.json").read_text("utf-8"))
    return str(host["extensions"]["durableTask"]["defaultVersion"])


def main() -> int:
    """Records the histories, and prints the number of files."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        recorded = Path(folder) / "recorded"
        service = stack.enter_context(serve(PowerBiService()))
        arguments = ("--key", KEY, "--exact-timers", "--record", str(recorded))
        env = {**FAST, "POWER_BI_API_URL": service.base_url}
        app = stack.enter_context(Devhost(ROOT, Path(folder) / "state", *arguments, env=env))
        world = World(app.base, service.base_url)
        for play in PLAYS:
            play(world)
        kept = keep(recorded, FOLDER / version())
    print(f"{kept} histories in {FOLDER / version()}")
    return 0


def keep(recorded: Path, target: Path) -> int:
    """Copies MAX_OF_A_KIND files for each sequence of events. Returns the number of files."""
    seen: dict[tuple[str, ...], int] = {}
    if target.exists():
        shutil.rmtree(target)
    target.mkdir(parents=True)
    for path in sorted(recorded.rglob("*.json")):
        content: Json = json.loads(path.read_text("utf-8"))
        kinds = (content["orchestrator"], *(_kind(event) for event in content["history"]))
        seen[kinds] = seen.get(kinds, 0) + 1
        if seen[kinds] <= MAX_OF_A_KIND:
            shutil.copy(path, target / f"{content['orchestrator']}-{len(seen):03}.json")
    return sum(min(count, MAX_OF_A_KIND) for count in seen.values())


def _kind(event: Json) -> str:
    """The part of an event that is compared: its type, and the function that it calls."""
    request = event.get("Input") if event.get("Name") == "op" else None
    operation = json.loads(request).get("op", "") if isinstance(request, str) and request.startswith("{") else ""
    name = event.get("Name") or ""
    return f"{event['EventType']} {operation or ('' if len(name) == 36 else name)}"


# ---- the callers ----------------------------------------------------------------------------------------------------


def _shared(world: World) -> None:
    """Callers that share a refresh, a caller that is too late for it, and a caller whose model is busy."""
    model = world.model(seconds=2)
    first = [world.ask(model)["statusUri"] for _ in range(3)]
    world.until(first[0], lambda status: status["status"] == "Refreshing")
    late = world.ask(model, refresh={"objects": [TABLE]})["statusUri"]
    for uri in (*first, late):
        world.follow(uri)
    busy = world.model()
    world.external(busy, seconds=4)
    world.refresh(busy)


def _failed(world: World) -> None:
    """A refresh that fails, a refresh that fails at first, and a model that does not exist."""
    world.refresh(world.model(outcome=["Failed"]))
    world.refresh(world.model(outcome=[EVICTED, "Completed"]), retries=2)
    world.refresh(world.model(exists=False))


def _left(world: World) -> None:
    """Requests that are cancelled while they wait and while they refresh, and a request whose deadline passes."""
    model = world.model(seconds=30)
    started = world.ask(model, refresh={"type": "Full"})
    world.until(started["statusUri"], lambda status: status["status"] == "Refreshing")
    waiting = world.ask(model, refresh={"type": "Full"})
    requests.delete(waiting["cancelUri"], timeout=30)
    world.follow(waiting["statusUri"])
    requests.delete(started["cancelUri"], timeout=30)
    world.follow(started["statusUri"])
    world.refresh(world.model(seconds=30), timeoutMinutes=0.05)


def _unclear(world: World) -> None:
    """POSTs without a clear answer, refused POSTs, dropped refreshes, and a service that is unavailable for a while."""
    for fault in ("gatewayTimeout", "drop"):
        model = world.model()
        world.fault(model, fault, "start", count=1, afterEffect=True)
        world.refresh(model)
    model = world.model()
    world.fault(model, "acceptedButDropped", "start", count=1)
    world.refresh(model)
    model = world.model()
    world.fault(model, "unavailable", "history", count=2)
    world.fault(model, "throttled", "start", count=1, seconds=1)
    world.refresh(model)


def _called_back(world: World) -> None:
    """A callback that is delivered, a callback that is tried again, and a callback that is abandoned."""
    for answers in ([200], [503, 200], [410]):
        with receiving(*answers) as receiver:
            body = {"workspaceId": WORKSPACE, "datasetId": world.model(), "callBackUri": receiver.uri}
            started = world.post(body)
            assert started.status_code == 200, started.text
            receiver.wait_for_calls(len(answers))
            world.follow(started.json()["statusUri"])


def _batches(world: World) -> None:
    """Batches of two models, one of which depends on the other: completed, failed, and cancelled."""
    world.follow(_batch(world, world.model(seconds=0.3), world.model(seconds=0.3))["statusUri"])
    world.follow(_batch(world, world.model(outcome=["Failed"]), world.model())["statusUri"])
    cancelled = _batch(world, world.model(seconds=30), world.model(), refresh={"type": "Full"})
    world.until(cancelled["statusUri"], lambda status: status["counts"]["started"] == 1)
    requests.delete(cancelled["cancelUri"], timeout=30)
    world.follow(cancelled["statusUri"])


def _batch(world: World, first: str, second: str, **options: Any) -> Json:
    """Starts a batch and returns the answer. `options`: those of the first model."""
    models = [{"datasetId": first, "name": "First", **options}]
    models += [{"datasetId": second, "name": "Second", "dependsOn": ["First"]}]
    body = {"workspaceId": WORKSPACE, "models": models}
    started = requests.post(f"{world.app}/api/batches", json=body, headers=world.headers, timeout=30)
    assert started.status_code == 202, started.text
    return dict(started.json())


PLAYS: tuple[Callable[[World], None], ...] = (_shared, _failed, _left, _unclear, _called_back, _batches)

if __name__ == "__main__":
    sys.exit(main())
