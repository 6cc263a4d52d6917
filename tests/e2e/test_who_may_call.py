"""Access control with keys and with the platform's sign-in: the tests send its headers as the platform does."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from dev.power_bi.server import serve
from dev.power_bi.service import PowerBiService
from devhost_tests.process import KEY, ROOT, Devhost, until
from tests.e2e.world import CALL_SECONDS, FAST, LONG, WORKSPACE, World

pytestmark = pytest.mark.usefixtures("local")

FACTORY, STRANGER = "0a1b2c3d-0000-4000-8000-00000000000a", "0a1b2c3d-0000-4000-8000-00000000000b"
OTHER_FACTORY = "0a1b2c3d-0000-4000-8000-00000000000c"
READER = "0a1b2c3d-0000-4000-8000-00000000000d"
SIGN_IN = {
    "AUTH_MODE": "entra",
    "WEBSITE_AUTH_ENABLED": "True",
    "ALLOWED_CALLERS": f"{FACTORY},{OTHER_FACTORY}",
    "ALLOWED_READERS": READER,
}
OWN_TOKEN = {(method, f"{kind}/{{id}}") for method in ("GET", "DELETE") for kind in ("refreshes", "batches")}
"""The routes that need a token of their own instead of a sign-in or a key."""

OPEN = {("GET", "openapi.json"), ("GET", "health"), ("GET", "ui"), ("GET", "ui/{name}")}
"""The routes with public answers."""

Json = dict[str, Any]


def signed_in(principal: str, provider: str = "aad") -> dict[str, str]:
    """The headers that the platform's sign-in adds to a call."""
    return {
        "x-ms-client-principal-id": principal,
        "x-ms-client-principal-idp": provider,
        "x-ms-client-principal-name": principal,
        "x-ms-client-principal": "eyJhdXRoX3R5cCI6ImFhZCIsImNsYWltcyI6W119",
    }


def routes() -> list[tuple[str, str, str]]:
    """Method, route and level of all HTTP functions of the app with the sign-in."""
    code = """
import json, function_app
found = []
for function in function_app.app.get_functions():
    for binding in json.loads(str(function))["bindings"]:
        if binding["type"] == "httpTrigger":
            found += [[method, binding["route"], str(binding["authLevel"])] for method in binding["methods"]]
print(json.dumps(found))
"""
    environ = {**os.environ, **SIGN_IN}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], cwd=ROOT, env=environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return [(method, route, level) for method, route, level in json.loads(done.stdout.splitlines()[-1])]


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[World, Devhost]]:
    """An app behind the platform's sign-in, on a host that checks keys like the real host."""
    if os.environ.get("E2E_BASE_URL"):
        pytest.skip("the app under test runs elsewhere")
    with serve(PowerBiService()) as service:
        env = {**FAST, **SIGN_IN, "POWER_BI_API_URL": service.base_url}
        state = tmp_path_factory.mktemp("state")
        with Devhost(ROOT, state, "--keys", "--exact-timers", env=env) as host:
            yield World(host.base, service.base_url), host


def start(world: World, model: str, headers: dict[str, str], **more: object) -> requests.Response:
    """POST /api/refreshes with these headers."""
    body = {"workspaceId": WORKSPACE, "datasetId": model, **more}
    return requests.post(f"{world.app}/api/refreshes", json=body, headers=headers, timeout=CALL_SECONDS)


def test_an_allowed_caller_may_start(app: tuple[World, Devhost]) -> None:
    """The caller sends no key; the log names the principal."""
    world, host = app
    answer = start(world, world.model(), signed_in(FACTORY.upper()))
    assert answer.status_code == 202
    assert world.follow(answer.json()["statusUri"]).code == 200
    accepted = [line for line in host.log.splitlines() if answer.json()["id"] in line and "request.accepted" in line]
    assert [f'"principal": "{FACTORY}"' in line for line in accepted] == [True]


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, 401),
        ({"Authorization": "Bearer made-up"}, 401),
        ({"x-ms-client-principal-name": FACTORY}, 401),
        ({"x-ms-client-principal-idp": "aad"}, 401),
        ({"x-ms-client-principal-id": FACTORY}, 401),
        (signed_in(""), 401),
        (signed_in("the factory"), 401),
        (signed_in(f"{FACTORY},{STRANGER}"), 401),
        (signed_in(FACTORY, "google"), 401),
        (signed_in(FACTORY, "my-own-provider"), 401),
        (signed_in(STRANGER), 403),
    ],
)
def test_other_callers_may_not_start(app: tuple[World, Devhost], headers: dict[str, str], code: int) -> None:
    """401 without a sign-in, 403 for a principal that is not allowed. The first key is `error`; nothing is started."""
    world, host = app
    model = world.model()
    refused = f'"event": "auth.caller_refused", "principal": "{STRANGER}"'
    before = host.log.count(refused)
    answer = start(world, model, headers)
    assert answer.status_code == code
    body = answer.json()
    assert next(iter(body)) == "error"
    assert body["error"]["code"] == ("SignInRequired" if code == 401 else "CallerNotAllowed")
    assert ("WWW-Authenticate" in answer.headers) == (code == 401)
    if code == 403:
        assert STRANGER in body["error"]["message"]
        until(lambda: host.log.count(refused) > before, 20)
    url = f"{world.app}/api/refreshes?datasetId={model}"
    rows = requests.get(url, headers=signed_in(FACTORY), timeout=CALL_SECONDS)
    assert rows.json()["refreshes"] == []


def test_a_key_gives_no_access(app: tuple[World, Devhost]) -> None:
    """With the sign-in, keys have no effect, not even the host key."""
    world, host = app
    assert start(world, world.model(), {"x-functions-key": host.host_key()}).status_code == 401


def test_every_route_has_access_control(app: tuple[World, Devhost]) -> None:
    """Every route requires a sign-in, except the public routes and those that need a token of their own."""
    world, _ = app
    found = routes()
    assert {("POST", "refreshes"), ("GET", "refreshes"), *OWN_TOKEN, *OPEN} <= {route[:2] for route in found}
    for method, route, level in found:
        if (method, route) in OPEN:
            continue
        assert level.upper().endswith("ANONYMOUS"), (method, route)
        url = f"{world.app}/api/{re.sub(r'{[^}]*}', 'x', route)}"
        for headers in ({}, signed_in(STRANGER)):
            answer = requests.request(method, url, headers=headers, timeout=CALL_SECONDS)
            expected = 404 if (method, route) in OWN_TOKEN else 403 if headers else 401
            assert (answer.status_code, next(iter(answer.json()))) == (expected, "error"), (method, route)


def test_a_reader_may_look_and_nothing_else(app: tuple[World, Devhost]) -> None:
    """A reader has access to every GET route that needs a sign-in, and to no other route that needs one."""
    world, host = app
    model = world.model(seconds=LONG)
    started = start(world, model, signed_in(FACTORY)).json()
    places = {"{id}": started["id"], "{datasetId}": model}
    protected = [route for route in routes() if route[:2] not in OWN_TOKEN | OPEN]
    assert len(protected) > 8
    for method, route, _ in protected:
        path = route
        for place, value in places.items():
            path = path.replace(place, value)
        answer = requests.request(
            method, f"{world.app}/api/{path}", headers=signed_in(READER), json={}, timeout=CALL_SECONDS
        )
        if method == "GET":
            # 404: the model may not be known yet
            assert answer.status_code in (200, 202, 404), (method, route, answer.text)
        else:
            assert answer.status_code == 403, (method, route)
            assert answer.json()["error"]["code"] == "CallerMayOnlyRead"
    host.wait_for_log(f'"event": "auth.caller_refused", "principal": "{READER}", "method": "POST"')
    assert requests.get(started["statusUri"], timeout=CALL_SECONDS).status_code == 202
    assert requests.delete(started["cancelUri"], timeout=CALL_SECONDS).status_code == 202


def test_the_token_of_a_uri_is_enough(app: tuple[World, Devhost]) -> None:
    """Callers that send nothing but the URI get the outcome and may cancel."""
    world, _ = app
    started = start(world, world.model(seconds=LONG), signed_in(FACTORY)).json()
    assert requests.get(started["statusUri"], timeout=CALL_SECONDS).status_code == 202
    assert requests.delete(started["cancelUri"], timeout=CALL_SECONDS).status_code == 202
    assert world.follow(started["statusUri"]).body["status"] == "Cancelled"


def test_only_the_same_caller_gets_the_cancel_uri_again(app: tuple[World, Devhost]) -> None:
    """Another caller that knows or guesses the key sees the request, but gets no URI to cancel it."""
    world, _ = app
    model = world.model(seconds=LONG)
    first, other, again = (
        start(world, model, signed_in(principal), idempotencyKey="k").json()
        for principal in (FACTORY, OTHER_FACTORY, FACTORY.upper())
    )
    for body, repeated in ((other, True), (again, True), (first, False)):
        del body["status"]
        assert body.pop("repeated", False) is repeated
    assert again == first
    assert other == {name: uri for name, uri in first.items() if name != "cancelUri"}
    assert requests.delete(other["statusUri"], timeout=CALL_SECONDS).status_code == 403
    assert requests.delete(first["cancelUri"], timeout=CALL_SECONDS).status_code == 202


def without_token(world: World, headers: dict[str, str], denied: dict[str, str]) -> None:
    """Checks that callers that may start a refresh can read its status and cancel it with the id alone."""
    started = start(world, world.model(seconds=LONG), headers).json()
    by_id = f"{world.app}/api/refreshes/{started['id']}"
    assert requests.get(f"{by_id}/status", headers=denied, timeout=CALL_SECONDS).status_code in (401, 403)
    assert requests.post(f"{by_id}/cancel", headers=denied, timeout=CALL_SECONDS).status_code in (401, 403)
    answer = requests.get(f"{by_id}/status", headers=headers, timeout=CALL_SECONDS)
    assert (answer.status_code, answer.json()["id"]) == (202, started["id"])
    assert answer.headers["Location"] == f"{by_id}/status"
    assert "token" not in answer.text
    unknown = requests.get(f"{world.app}/api/refreshes/{'0' * 32}-0/status", headers=headers, timeout=CALL_SECONDS)
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "RequestNotFound")
    answer = requests.post(f"{by_id}/cancel", headers=headers, timeout=CALL_SECONDS)
    assert (answer.status_code, answer.headers["Location"]) == (202, f"{by_id}/status")
    assert world.follow(started["statusUri"]).body["status"] == "Cancelled"
    last = requests.get(f"{by_id}/status", headers=headers, timeout=CALL_SECONDS)
    assert (last.status_code, last.json()["status"]) == (424, "Cancelled")
    assert requests.post(f"{by_id}/cancel", headers=headers, timeout=CALL_SECONDS).status_code == 200


def test_an_allowed_caller_needs_no_token(app: tuple[World, Devhost]) -> None:
    """A signed-in caller reads the status and cancels with the id alone."""
    without_token(app[0], signed_in(FACTORY), signed_in(STRANGER))


def test_a_caller_with_a_key_needs_no_token(tmp_path: Path) -> None:
    """A caller with a function key reads the status and cancels with the id alone. With AUTH_MODE key, headers of a
    sign-in have no effect."""
    with serve(PowerBiService()) as service:
        env = {**FAST, "POWER_BI_API_URL": service.base_url}
        with Devhost(ROOT, tmp_path, "--keys", "--exact-timers", env=env) as host:
            world = World(host.base, service.base_url)
            without_token(world, {"x-functions-key": host.host_key()}, signed_in(FACTORY))


@pytest.mark.parametrize(
    ("changed", "name"),
    [({"WEBSITE_AUTH_ENABLED": ""}, "AUTH_MODE"), ({"ALLOWED_CALLERS": ""}, "ALLOWED_CALLERS")],
)
def test_without_the_platforms_sign_in_the_app_does_not_start(
    tmp_path: Path, changed: dict[str, str], name: str
) -> None:
    """Without the platform's sign-in, any caller could forge its headers, so the app does not start. Nor does it start
    without ALLOWED_CALLERS."""
    host = Devhost(ROOT, tmp_path, "--key", KEY, env={**SIGN_IN, **changed})
    assert host.ready == ""
    assert host.process.wait(15) != 0
    host.wait_for_log(f"App setting {name}: ")
    host.stop()
