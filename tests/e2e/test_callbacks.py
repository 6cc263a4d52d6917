"""Callers that are called back: once, with the verdict that the status tells, whatever happened on the way."""

import json
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from dev.power_bi.server import serve
from dev.power_bi.service import PowerBiService
from devhost_tests.process import KEY, ROOT, Devhost, until
from refresh.reporting.callback import LOOKS
from tests.e2e.receiver import SECRET, Receiver, receiving
from tests.e2e.test_crashes import Mortal, mortal
from tests.e2e.world import FAST, WORKSPACE, World

pytestmark = pytest.mark.usefixtures("local")

Json = dict[str, Any]


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[World, Devhost]]:
    """An app whose log can be read."""
    if os.environ.get("E2E_BASE_URL"):
        pytest.skip("the app under test runs elsewhere: it cannot call this machine")
    with serve(PowerBiService()) as service:
        env = {**FAST, "POWER_BI_API_URL": service.base_url}
        state = tmp_path_factory.mktemp("state")
        with Devhost(ROOT, state, "--key", KEY, "--exact-timers", env=env) as host:
            yield World(host.base, service.base_url), host


def ask(world: World, model: str, uri: str, **wish: Any) -> Json:
    """A request that is to call back: the body of the 200."""
    answer = world.post({"workspaceId": WORKSPACE, "datasetId": model, "callBackUri": uri, **wish})
    assert answer.status_code == 200, answer.text
    assert "Location" not in answer.headers
    return dict(answer.json())


def callbacks(host: Devhost, request_id: str) -> list[Json]:
    """The callbacks of a request, as the engine shows them."""
    rows = host.get(f"/runtime/webhooks/durabletask/instances?instanceIdPrefix=callback-{request_id}&code={KEY}").json()
    return list(rows)


def settled(host: Devhost, request_id: str, how: str) -> Json:
    """The one callback of a request, once its orchestration has ended."""
    until(lambda: [row["runtimeStatus"] for row in callbacks(host, request_id)] == ["Completed"], 60)
    (row,) = callbacks(host, request_id)
    assert row["output"] == how
    return row


@pytest.mark.parametrize(("outcome", "code"), [("Completed", "200"), ("Failed", "424")])
def test_the_verdict_is_told_once(app: tuple[World, Devhost], outcome: str, code: str) -> None:
    """In the words of the WebHook activity, and in those of the status."""
    world, host = app
    with receiving() as receiver:
        started = ask(world, world.model(outcome=outcome), receiver.uri, caller={"pipeline": "Load sales"})
        assert set(started) == {"id", "status", "statusUri", "cancelUri", "statusQueryGetUri"}
        call = receiver.called()
        status = world.follow(started["statusUri"]).body
        settled(host, started["id"], "delivered")
        assert len(receiver.calls) == 1
    assert call.path == receiver.uri.removeprefix(receiver.base)
    assert call.headers["content-type"] == "application/json"
    assert "authorization" not in call.headers
    assert (call.body["StatusCode"], call.body["status"]) == (code, outcome)
    error = status.get("error")
    assert call.body.get("Error") == (error and {"ErrorCode": error["code"], "Message": error["message"]})
    told = call.body["Output"]
    assert told == {key: status[key] for key in told}
    assert {key: value for key, value in call.body.items() if key in status} == {
        key: value for key, value in told.items() if key != "error"
    }
    assert told.get("error") == error
    assert {"id", "status", "datasetId", "caller", "refreshId", "endedAt"} <= set(told)
    for uri in ("statusUri", "cancelUri"):
        assert started[uri].split("token=")[1] not in str(call.body)


def test_a_receiver_that_is_unwell_is_called_again(app: tuple[World, Devhost]) -> None:
    """500, no answer, 429 with Retry-After, 408: each is tried again, and what it asked for is waited."""
    world, host = app
    with receiving(500, None, (429, {"Retry-After": "2"}), 408, 200) as receiver:
        started = ask(world, world.model(), receiver.uri)
        receiver.called(3)
        heard = time.monotonic()
        receiver.called(4)
        assert time.monotonic() - heard > 1.5
        receiver.called(5)
        assert settled(host, started["id"], "delivered")["customStatus"]["failures"] == 4
        assert len({str(call.body) for call in receiver.calls}) == 1
        assert len(receiver.calls) == 5
    assert '"event": "callback.failed"' in host.log


def test_nobody_at_the_port_is_called_again(app: tuple[World, Devhost]) -> None:
    """A refused connection is no answer."""
    world, host = app
    with receiving() as gone:
        uri = gone.uri
    started = ask(world, world.model(), uri)
    world.follow(started["statusUri"])
    until(lambda: (callbacks(host, started["id"])[0]["customStatus"] or {}).get("failures", 0) >= 2, 30)
    (row,) = callbacks(host, started["id"])
    assert (row["runtimeStatus"], row["customStatus"]["answer"]) == ("Running", "ConnectionError")


@pytest.mark.parametrize("status", [404, 409])
def test_a_receiver_that_does_not_listen_yet_is_called_again(app: tuple[World, Devhost], status: int) -> None:
    """It may have to hear the answer to its own call first."""
    world, host = app
    with receiving(status, 200) as receiver:
        started = ask(world, world.model(), receiver.uri)
        settled(host, started["id"], "delivered")
        assert len(receiver.calls) == 2


def test_a_callback_that_was_given_up_is_tried_again_when_it_is_asked_for_again(app: tuple[World, Devhost]) -> None:
    """By whoever repeats his request under its key."""
    world, host = app
    with receiving(410, 200) as receiver:
        model = world.model()
        started = ask(world, model, receiver.uri, idempotencyKey="k")
        settled(host, started["id"], "given up")
        wish = {"workspaceId": WORKSPACE, "datasetId": model, "idempotencyKey": "k"}
        assert world.post({**wish, "callBackUri": receiver.uri}).status_code == 200
        settled(host, started["id"], "delivered")
        assert len(receiver.calls) == 2


@pytest.mark.parametrize("status", [410, 400, 401])
def test_a_receiver_that_is_gone_is_left_alone(app: tuple[World, Devhost], status: int) -> None:
    """Its pipeline has ended: one call, one line in the log."""
    world, host = app
    with receiving(status) as receiver:
        started = ask(world, world.model(), receiver.uri)
        settled(host, started["id"], "given up")
        assert len(receiver.calls) == 1
    lines = [line for line in host.lines if "callback.abandoned" in line and started["id"] in line]
    assert len(lines) == 1
    assert f"HTTP {status}" in lines[0]
    assert world.follow(started["statusUri"]).code == 200


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(app: tuple[World, Devhost], status: int) -> None:
    """It would lead to a host that nobody allowed."""
    world, host = app
    with receiving() as elsewhere, receiving((status, {"Location": elsewhere.uri})) as receiver:
        started = ask(world, world.model(), receiver.uri)
        settled(host, started["id"], "given up")
        assert (len(receiver.calls), elsewhere.calls) == (1, [])


def test_a_cancelled_request_calls_back(app: tuple[World, Devhost]) -> None:
    """And one that is past its deadline."""
    world, _ = app
    for wish, status in (({}, "Cancelled"), ({"timeoutMinutes": 0.03}, "TimedOut")):
        with receiving() as receiver:
            started = ask(world, world.model(seconds=30), receiver.uri, **wish)
            if status == "Cancelled":
                world.until(started["statusUri"], lambda seen: seen["status"] == "Refreshing")
                requests.delete(started["cancelUri"], timeout=30)
            body = receiver.called().body
            assert (body["StatusCode"], body["status"]) == ("424", status)


def test_whoever_asks_again_is_called_too(app: tuple[World, Devhost]) -> None:
    """Under the same idempotency key: while the request goes on, and at once when it is over; each URI once."""
    world, _ = app
    with receiving() as first, receiving() as second, receiving() as late:
        model = world.model(seconds=3)
        started = ask(world, model, first.uri, idempotencyKey="run 1")
        again = ask(world, model, second.uri, idempotencyKey="run 1")
        assert (again["id"], again["repeated"]) == (started["id"], True)
        assert ask(world, model, first.uri, idempotencyKey="run 1")["id"] == started["id"]
        told = [receiver.called().body for receiver in (first, second)]
        assert ask(world, model, late.uri, idempotencyKey="run 1")["status"] == "Completed"
        told.append(late.called(seconds=20).body)
        assert [body["id"] for body in told] == [started["id"]] * 3
        assert [len(receiver.calls) for receiver in (first, second, late)] == [1, 1, 1]


def test_a_false_alarm_is_no_end(app: tuple[World, Devhost]) -> None:
    """Told of an end that is none, it looks again a few times, and goes on waiting for the true one."""
    world, host = app
    with receiving() as receiver:
        model = world.model(seconds=600)
        started = ask(world, model, receiver.uri)
        world.until(started["statusUri"], lambda seen: seen["status"] == "Refreshing")
        (row,) = callbacks(host, started["id"])
        alarm = f"/instances/{row['instanceId']}/raiseEvent/Ended"
        assert host.manage("POST", alarm, json={}).status_code == 202

        def looks() -> int:
            (row,) = callbacks(host, started["id"])
            given = row["input"]
            return int((json.loads(given) if isinstance(given, str) else given)["looks"])

        until(lambda: looks() == LOOKS, 20)
        assert host.manage("POST", alarm, json={}).status_code == 202
        assert receiver.calls == []
        world.control(model, "/end")
        assert receiver.called(seconds=20).body["status"] == "Completed"
        settled(host, started["id"], "delivered")


def test_a_terminated_request_is_spoken_for(app: tuple[World, Devhost]) -> None:
    """By the timer, which leaves alone who can still speak, and who has spoken."""
    world, host = app
    with receiving() as receiver, receiving() as living:
        started = ask(world, world.model(seconds=5), receiver.uri)
        other = ask(world, world.model(seconds=5), living.uri)
        world.until(started["statusUri"], lambda seen: seen["status"] == "Refreshing")
        host.manage("POST", f"/instances/{started['id']}/terminate?reason=by+hand")
        assert world.follow(started["statusUri"]).body["status"] == "Terminated"
        assert receiver.calls == []
        run_timer(host)
        body = receiver.called().body
        assert (body["StatusCode"], body["Error"]["ErrorCode"]) == ("424", "RequestTerminated")
        settled(host, started["id"], "delivered")
        assert living.called().body["status"] == "Completed"
        settled(host, other["id"], "delivered")
        run_timer(host)
        # a request that comes later is told, so the timer had its turn
        with receiving() as later:
            ask(world, world.model(), later.uri)
            later.called()
        assert (len(receiver.calls), len(living.calls)) == (1, 1)


def test_a_callback_that_failed_is_revived(app: tuple[World, Devhost]) -> None:
    """Its orchestration cannot fail by itself; started by hand with an input that no code of ours writes it does.

    The timer starts it twice more; then it is left alone.
    """
    world, host = app
    with receiving(500, 200) as receiver, receiving(500) as hopeless:
        request_id = world.refreshed(world.model()).body["id"]
        broken = {"request": request_id, "added_at": "", "first_pause": 0.2, "failures": "none"}

        def start(name: str, uri: str) -> str:
            instance = f"callback-{request_id}-{name}"
            host.manage("POST", f"/orchestrators/deliver_callback/{instance}", json={**broken, "uri": uri})
            return instance

        first = start("0", hopeless.uri)
        for life in (1, 2, 3):
            hopeless.called(life)
            host.becomes(first, "Failed")
            if life < 3:
                run_timer(host)
        second = start("1", receiver.uri)
        host.becomes(second, "Failed")
        run_timer(host)
        # the timer goes through them in the order of their names, so it has seen the hopeless one before
        host.becomes(second, "Completed")
        assert host.status(second)["output"] == "delivered"
        assert (len(receiver.calls), len(hopeless.calls)) == (2, 3)
        assert host.status(first)["runtimeStatus"] == "Failed"


def test_a_refused_host_starts_nothing(app: tuple[World, Devhost]) -> None:
    """400 with host and setting; no request, no call, and nothing of the query anywhere."""
    world, _ = app
    model = world.model()
    wish = {"workspaceId": WORKSPACE, "datasetId": model}
    answer = world.post({**wish, "callBackUri": f"https://evil.example/{SECRET}?sig={SECRET}"})
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["target"]) == (400, "CallbackHostNotAllowed", "callBackUri")
    assert "evil.example" in error["message"]
    assert "CALLBACK_ALLOWED_HOSTS" in error["message"]
    assert SECRET not in answer.text
    assert world.listing(datasetId=model).json()["refreshes"] == []


def test_killed_between_the_end_and_the_call(tmp_path: Path) -> None:
    """The receiver hears the first attempt and no more of that process; the next one tells it."""
    with mortal(tmp_path, PowerBiService()) as (world, victim), receiving(None, 200) as receiver:
        hear(receiver, victim)
        started = ask(world, world.model(), receiver.uri)
        assert victim.killed.wait(60)
        receiver.heard = None
        victim.start_again()
        body = receiver.called(2).body
        assert (body["id"], body["status"]) == (started["id"], "Completed")
        settled(victim.host, started["id"], "delivered")
        assert len(receiver.calls) == 2
        assert SECRET not in victim.host.log


def test_capabilities_stay_out_of_sight(app: tuple[World, Devhost]) -> None:
    """Neither log, status, list nor custom status shows the query or path of a URI; the engine's input has it."""
    world, host = app
    with receiving(500, 410) as receiver:
        model = world.model()
        started = ask(world, model, receiver.uri)
        row = settled(host, started["id"], "given up")
        assert SECRET in str(row.pop("input"))
        shown = [host.log, str(row), world.listing(datasetId=model).text, world.queue(model).text]
        shown.append(str(world.follow(started["statusUri"]).body))
        (own,) = [r for r in host.manage("GET", "/instances").json() if r["instanceId"] == started["id"]]
        for text in (*shown, str(own)):
            assert SECRET not in text
            assert "/workflows/1/callback" not in text
        assert re.search(r'"host": "127\.0\.0\.1"', host.log)


def hear(receiver: Receiver, victim: Mortal) -> None:
    """Kills the app when the receiver has heard it."""
    receiver.heard = victim.kill


def run_timer(host: Devhost) -> None:
    """Runs the five-minute timer outside its schedule."""
    assert host.post("/admin/functions/deliver_callbacks", json={}).status_code == 202
