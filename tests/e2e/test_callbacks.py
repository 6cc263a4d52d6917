"""Callers with a callback get one call with the outcome that the status shows, in spite of all faults."""

import json
from pathlib import Path
from typing import Any

import pytest
import requests

from devhost_tests.process import Client, Devhost, until
from refresh.reporting.callback import LOOKS
from refresh.times import iso, parse_time
from tests.e2e.engine_stub import NOWHERE
from tests.e2e.receiver import SECRET, Receiver, receiving
from tests.e2e.test_crashes import Mortal, MortalElsewhere, killable
from tests.e2e.world import CALL_SECONDS, END_SECONDS, LONG, WORKSPACE, World

Json = dict[str, Any]
App = tuple[World, Client]


def ask(world: World, model: str, uri: str, **options: Any) -> Json:
    """Starts a request with a callback. Returns the body of the 200."""
    answer = world.post({"workspaceId": WORKSPACE, "datasetId": model, "callBackUri": uri, **options})
    assert answer.status_code == 200, answer.text
    assert "Location" not in answer.headers
    return dict(answer.json())


def callbacks(host: Client, request_id: str) -> list[Json]:
    """The callbacks of a request in the engine."""
    return list(host.manage("GET", f"/instances?instanceIdPrefix=callback-{request_id}&showInput=true").json())


def with_exact_times(report: Json) -> Json:
    """A report with its times in the one form in which the app writes them."""
    return {key: iso(parse_time(value)) if key.endswith("At") else value for key, value in report.items()}


def settled(host: Client, request_id: str, how: str) -> Json:
    """The only callback of a request, after the orchestration of the callback has ended."""
    until(lambda: [row["runtimeStatus"] for row in callbacks(host, request_id)] == ["Completed"], END_SECONDS)
    (row,) = callbacks(host, request_id)
    assert row["output"] == how
    return row


@pytest.mark.parametrize(("outcome", "code"), [("Completed", "200"), ("Failed", "424")])
def test_one_callback_with_the_outcome(calling_back: App, outcome: str, code: str) -> None:
    """The callback has the keys of the WebHook activity and those of the status."""
    world, host = calling_back
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
    output = call.body["Output"]
    assert with_exact_times(output) == output
    # the real engine removes the last zeros of the times in a status
    assert output == with_exact_times({key: status[key] for key in output})
    assert {key: value for key, value in call.body.items() if key in status} == {
        key: value for key, value in output.items() if key != "error"
    }
    assert output.get("error") == error
    assert {"id", "status", "datasetId", "caller", "refreshId", "endedAt"} <= set(output)
    for uri in ("statusUri", "cancelUri"):
        assert started[uri].split("token=")[1] not in str(call.body)


def test_a_failing_receiver_is_called_again(calling_back: App) -> None:
    """The app retries after 500, no answer, 429 with Retry-After and 408, and waits as long as the receiver asks."""
    world, host = calling_back
    with receiving(500, None, (429, {"Retry-After": "2"}), 408, 200) as receiver:
        started = ask(world, world.model(), receiver.uri)
        receiver.called(5)
        assert receiver.calls[3].at - receiver.calls[2].at > 1.5
        assert settled(host, started["id"], "delivered")["customStatus"]["failures"] == 4
        assert len({str(call.body) for call in receiver.calls}) == 1
        assert len(receiver.calls) == 5
    logged(host, '"event": "callback.failed"', started["id"])


def test_a_closed_port_is_called_again(calling_back: App) -> None:
    """A refused connection is not an answer, so the app calls again."""
    world, host = calling_back
    started = ask(world, world.model(), f"{NOWHERE}/callback")
    world.follow(started["statusUri"])
    until(lambda: (callbacks(host, started["id"])[0]["customStatus"] or {}).get("failures", 0) >= 2, END_SECONDS)
    (row,) = callbacks(host, started["id"])
    assert row["runtimeStatus"] == "Running"
    assert "ConnectionRefused" in row["customStatus"]["answer"]


@pytest.mark.parametrize("status", [404, 409])
def test_a_receiver_that_does_not_listen_yet_is_called_again(calling_back: App, status: int) -> None:
    """The receiver may not listen before it has the answer to its own call."""
    world, host = calling_back
    with receiving(status, 200) as receiver:
        started = ask(world, world.model(), receiver.uri)
        settled(host, started["id"], "delivered")
        assert len(receiver.calls) == 2


def test_a_repeat_revives_an_abandoned_callback(calling_back: App) -> None:
    """The app tries the callback again when the caller repeats its request with the idempotency key."""
    world, host = calling_back
    with receiving(410, 200) as receiver:
        model = world.model()
        started = ask(world, model, receiver.uri, idempotencyKey="k")
        settled(host, started["id"], "abandoned")
        options = {"workspaceId": WORKSPACE, "datasetId": model, "idempotencyKey": "k"}
        assert world.post({**options, "callBackUri": receiver.uri}).status_code == 200
        settled(host, started["id"], "delivered")
        assert len(receiver.calls) == 2


@pytest.mark.parametrize("status", [410, 400, 401])
def test_a_receiver_that_no_longer_exists_is_called_once(calling_back: App, status: int) -> None:
    """The pipeline of the receiver has ended, so there is one call and one line in the log."""
    world, host = calling_back
    with receiving(status) as receiver:
        started = ask(world, world.model(), receiver.uri)
        settled(host, started["id"], "abandoned")
        assert len(receiver.calls) == 1
    logged(host, '"event": "callback.abandoned"', started["id"], f"HTTP {status}")
    assert world.follow(started["statusUri"]).code == 200


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(calling_back: App, status: int) -> None:
    """A redirect of a receiver is not followed, because it could lead to a host that is not allowed."""
    world, host = calling_back
    with receiving() as elsewhere, receiving((status, {"Location": elsewhere.uri})) as receiver:
        started = ask(world, world.model(), receiver.uri)
        settled(host, started["id"], "abandoned")
        assert (len(receiver.calls), elsewhere.calls) == (1, [])


def test_a_cancelled_request_calls_back(calling_back: App) -> None:
    """A request that passes its deadline calls back, too."""
    world, _ = calling_back
    for options, status in (({}, "Cancelled"), ({"timeoutMinutes": 0.03}, "TimedOut")):
        with receiving() as receiver:
            started = ask(world, world.model(seconds=LONG), receiver.uri, **options)
            if status == "Cancelled":
                world.until(started["statusUri"], lambda seen: seen["status"] == "Refreshing")
                requests.delete(started["cancelUri"], timeout=CALL_SECONDS)
            body = receiver.called().body
            assert (body["StatusCode"], body["status"]) == ("424", status)


def test_the_receiver_of_a_repeat_is_called_too(calling_back: App) -> None:
    """A repeat with the same idempotency key adds its receiver. If the request has already ended, the receiver is
    called at once."""
    world, _ = calling_back
    with receiving() as first, receiving() as second, receiving() as late:
        model = world.model(seconds=LONG)
        started = ask(world, model, first.uri, idempotencyKey="run 1")
        again = ask(world, model, second.uri, idempotencyKey="run 1")
        assert (again["id"], again["repeated"]) == (started["id"], True)
        assert ask(world, model, first.uri, idempotencyKey="run 1")["id"] == started["id"]
        world.until(started["statusUri"], lambda seen: seen["status"] == "Refreshing")
        world.end(model)
        bodies = [receiver.called().body for receiver in (first, second)]
        assert ask(world, model, late.uri, idempotencyKey="run 1")["status"] == "Completed"
        bodies.append(late.called().body)
        assert [body["id"] for body in bodies] == [started["id"]] * 3
        assert [len(receiver.calls) for receiver in (first, second, late)] == [1, 1, 1]


def test_a_false_notification_is_not_the_end(calling_back: App) -> None:
    """If a callback is notified although its request has not ended, it looks a few times, and then waits for the
    end."""
    world, host = calling_back
    with receiving() as receiver:
        model = world.model(seconds=LONG)
        started = ask(world, model, receiver.uri)
        world.until(started["statusUri"], lambda seen: seen["status"] == "Refreshing")
        (row,) = callbacks(host, started["id"])
        alarm = f"/instances/{row['instanceId']}/raiseEvent/Ended"
        assert host.manage("POST", alarm, json={}).status_code == 202

        def looks() -> int:
            (row,) = callbacks(host, started["id"])
            given = row["input"]
            return int((json.loads(given) if isinstance(given, str) else given).get("looks", 0))

        until(lambda: looks() == LOOKS, END_SECONDS)
        assert host.manage("POST", alarm, json={}).status_code == 202
        assert receiver.calls == []
        world.control(model, "/end")
        assert receiver.called().body["status"] == "Completed"
        settled(host, started["id"], "delivered")


def test_the_timer_calls_back_for_a_terminated_request(calling_back: App) -> None:
    """The timer skips requests that can still call back, and requests that have called back."""
    world, host = calling_back
    with receiving() as receiver, receiving() as living:
        started = ask(world, world.model(seconds=LONG), receiver.uri)
        living_model = world.model(seconds=LONG)
        other = ask(world, living_model, living.uri)
        world.until(other["statusUri"], lambda seen: seen["status"] == "Refreshing")
        world.until(started["statusUri"], lambda seen: seen["status"] == "Refreshing")
        host.manage("POST", f"/instances/{started['id']}/terminate?reason=by+hand")
        assert world.follow(started["statusUri"]).body["status"] == "Terminated"
        # on the devhost, the timer does not run on its schedule
        assert receiver.calls == [] or not isinstance(host, Devhost)
        run_timer(host)
        body = receiver.called().body
        assert (body["StatusCode"], body["Error"]["ErrorCode"]) == ("424", "RequestTerminated")
        settled(host, started["id"], "delivered")
        world.end(living_model)
        assert living.called().body["status"] == "Completed"
        settled(host, other["id"], "delivered")
        run_timer(host)
        # the callback of a later request arrives, so the timer has run
        with receiving() as later:
            ask(world, world.model(), later.uri)
            later.called()
        assert (len(receiver.calls), len(living.calls)) == (1, 1)


def test_a_failed_callback_is_started_again(calling_back: App) -> None:
    """The orchestration of a callback fails only because the test starts it by hand with an invalid input.

    The timer starts it two more times and then stops.
    """
    world, host = calling_back
    with receiving(500, 200) as receiver, receiving(500) as hopeless:
        request_id = world.refreshed(world.model()).body["id"]
        broken = {"request": request_id, "added_at": "", "first_pause": 0.2, "failing_since": "none"}

        def start(name: str, uri: str) -> str:
            instance = f"callback-{request_id}-{name}"
            host.manage("POST", f"/orchestrators/deliver_callback/{instance}", json={**broken, "uri": uri})
            return instance

        first = start("0", hopeless.uri)
        for incarnation in (1, 2, 3):
            hopeless.called(incarnation)
            host.becomes(first, "Failed", END_SECONDS)
            if incarnation < 3:
                run_timer(host)
        second = start("1", receiver.uri)
        host.becomes(second, "Failed", END_SECONDS)
        run_timer(host)
        # the timer processes callbacks in the order of their names, so it has already processed the first callback
        host.becomes(second, "Completed", END_SECONDS)
        assert host.status(second)["output"] == "delivered"
        assert (len(receiver.calls), len(hopeless.calls)) == (2, 3)
        assert host.status(first)["runtimeStatus"] == "Failed"


def test_a_refused_host_starts_nothing(calling_back: App) -> None:
    """The answer is 400 with host and setting. There is no request, no callback, and no output with a part of the
    query."""
    world, _ = calling_back
    model = world.model()
    options = {"workspaceId": WORKSPACE, "datasetId": model}
    answer = world.post({**options, "callBackUri": f"https://evil.example/{SECRET}?sig={SECRET}"})
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["target"]) == (400, "CallbackHostNotAllowed", "callBackUri")
    assert "evil.example" in error["message"]
    assert "CALLBACK_ALLOWED_HOSTS" in error["message"]
    assert SECRET not in answer.text
    assert world.listing(datasetId=model).json()["refreshes"] == []


def test_killed_between_the_end_and_the_call(tmp_path: Path) -> None:
    """The receiver gets only the first call from the killed process; the next process calls it again."""
    with killable(tmp_path) as (world, victim), receiving(None, 200) as receiver:
        hear(receiver, victim)
        started = ask(world, world.model(), receiver.uri)
        assert victim.killed.wait(END_SECONDS)
        receiver.before_answer = None
        victim.start_again()
        body = receiver.called(2).body
        assert (body["id"], body["status"]) == (started["id"], "Completed")
        settled(victim.host, started["id"], "delivered")
        assert len(receiver.calls) == 2
        assert SECRET not in log_of(victim.host)


def test_callback_uris_are_not_shown(calling_back: App) -> None:
    """Log, status, list and custom status do not show query or path of a URI; only the input in the engine has them."""
    world, host = calling_back
    with receiving(500, 410) as receiver:
        model = world.model()
        started = ask(world, model, receiver.uri)
        row = settled(host, started["id"], "abandoned")
        assert SECRET in str(row.pop("input"))
        texts = [log_of(host), str(row), world.listing(datasetId=model).text, world.queue(model).text]
        texts.append(str(world.follow(started["statusUri"]).body))
        # with the prefix, because the first page of an app with many instances may not have it
        listed = host.manage("GET", f"/instances?instanceIdPrefix={started['id']}").json()
        (own,) = [r for r in listed if r["instanceId"] == started["id"]]
        for text in (*texts, str(own)):
            assert SECRET not in text
            assert "/workflows/1/callback" not in text
        logged(host, '"event": "callback.abandoned"', started["id"], '"host": "127.0.0.1"')


def log_of(host: Client) -> str:
    """The log of a host; empty if it cannot be read."""
    return host.log if isinstance(host, Devhost) else ""


def hear(receiver: Receiver, victim: Mortal | MortalElsewhere) -> None:
    """Kills the app when its call arrives at the receiver, before the receiver answers."""
    receiver.before_answer = victim.kill


def logged(host: Client, event: str, *texts: str) -> None:
    """Waits until the log has one line with this event and these texts. The log of an app elsewhere cannot be read."""
    if not isinstance(host, Devhost):
        return

    def lines() -> list[str]:
        return [line for line in host.lines if event in line and texts[0] in line]

    until(lines, END_SECONDS, lambda: host.log)
    assert all(text in lines()[-1] for text in texts)


def run_timer(host: Client) -> None:
    """Runs the timer for callbacks outside its schedule."""
    assert host.post("/admin/functions/deliver_callbacks", json={}).status_code == 202
