"""POST /api/check over HTTP: what is known before a refresh is started."""

import time
from pathlib import Path
from typing import Any

import pytest
import requests

from dev.power_bi.server import serve
from dev.power_bi.service import PowerBiService
from devhost_tests.process import KEY, ROOT, Devhost
from tests.e2e.world import FAST, WORKSPACE, World

HANGS = 50
"""Seconds for which the service hangs, far longer than a check may take."""

Json = dict[str, Any]


def check(world: World, model: str, **more: Any) -> requests.Response:
    """The answer to a check."""
    body = {"workspaceId": WORKSPACE, "datasetId": model, **more}
    headers = {"x-functions-key": world.key} if world.key else {}
    return requests.post(f"{world.app}/api/check", json=body, headers=headers, timeout=60)


def test_a_model_that_can_be_read(world: World) -> None:
    """The result is `ok`, nothing was started, and the running refresh is shown."""
    model = world.model()
    world.control(model, "/external", {"refreshType": "Scheduled", "seconds": 60, "visibilitySeconds": 0})
    answer = check(world, model)
    body = answer.json()
    assert (answer.status_code, body["ok"], body["datasetId"]) == (200, True, model)
    assert body["running"]["refreshType"] == "Scheduled"
    assert world.truth(model)["calls"] == {"start": 0, "history": 1, "details": 0, "cancel": 0, "dataset": 1}
    assert world.listing(datasetId=model).json()["refreshes"] == []


@pytest.mark.parametrize(
    ("fault", "code", "says"),
    [
        ("notAuthorized", "NotAuthorized", "Contributor, Member or Admin"),
        ("notAccessible", "ApiNotAccessible", "Service principals can call Fabric public APIs"),
        ("notFound", "ModelNotFound", "workspaceId"),
        ("unavailable", "ServiceUnavailable", "service health"),
    ],
)
def test_the_error_is_that_of_a_request(world: World, fault: str, code: str, says: str) -> None:
    """A check that finds an error answers 200 with `ok` false, because the check itself succeeded. The error is the one
    that a request would get."""
    model = world.model()
    world.fault(model, fault, "history")
    answer = check(world, model)
    body = answer.json()
    assert (answer.status_code, body["ok"], body["error"]["code"]) == (200, False, code)
    assert says in body["error"]["message"]


def test_a_body_that_a_start_would_refuse(world: World) -> None:
    """The error names the same key as that of a start, even for keys that a check does not need."""
    model = world.model()
    bodies: dict[str, dict[str, Any]] = {
        "datasetId": {"datasetId": "x"},
        "refresh.type": {"refresh": {"type": "Add"}},
        "waitSeconds": {"waitSeconds": -1},
        "callBackUri": {"callBackUri": "https://user@example.com"},
    }
    for target, more in bodies.items():
        answer = check(world, model, **more)
        assert (answer.status_code, answer.json()["error"]["target"]) == (400, target)
    assert check(world, model, refresh={"type": "full"}, timeoutMinutes=5).json()["ok"]


def test_a_check_does_not_wait_for_a_hanging_service(world: World) -> None:
    """The check answers in time, and says that Power BI did not."""
    model = world.model()
    world.fault(model, "hang", "history", seconds=HANGS)
    began = time.monotonic()
    body = check(world, model).json()
    assert 19 < time.monotonic() - began < HANGS
    assert (body["ok"], body["error"]["code"], body["checks"]["history"]) == (False, "ServiceUnavailable", "unknown")
    assert "no answer within 20 seconds" in body["error"]["message"]


@pytest.mark.usefixtures("local")
def test_access_to_checks(tmp_path: Path) -> None:
    """If the host checks keys, a check needs a key. For a workspace that is not allowed, Power BI is not called."""
    with serve(PowerBiService()) as service:
        env = {
            **FAST,
            "POWER_BI_API_URL": service.base_url,
            "ALLOWED_WORKSPACES": "99999999-0000-0000-0000-000000000001",
        }
        with Devhost(ROOT, tmp_path, "--keys", "--exact-timers", env=env) as app:
            app.wait_for_log("host key")
            key = next(line for line in app.lines if "host key" in line.lower()).split()[-1]
            world = World(app.base, service.base_url, key)
            model = world.model()
            assert check(World(app.base, service.base_url), model).status_code == 401
            answer = check(world, model)
            assert (answer.status_code, answer.json()["error"]["code"]) == (200, "WorkspaceNotAllowed")
            assert world.truth(model)["calls"]["history"] == 0


@pytest.mark.usefixtures("local")
def test_a_closed_port(tmp_path: Path) -> None:
    """A check reports that there is no connection; a request ends with this error after the outage budget."""
    env = {**FAST, "POWER_BI_API_URL": "http://127.0.0.1:1"}
    with Devhost(ROOT, tmp_path, "--key", KEY, "--exact-timers", env=env) as app:
        world, model = World(app.base, ""), "22222222-aaaa-bbbb-cccc-000000000001"
        body = check(world, model).json()
        assert (body["ok"], body["error"]["code"]) == (False, "ServiceUnavailable")
        result = world.refresh(model)
        assert (result.code, result.body["error"]["code"], result.body.get("refreshId")) == (
            424,
            "ServiceUnavailable",
            None,
        )
        assert result.body["error"]["retryable"] is True
