"""An app of the v2 model behaves as it does on the platform: requests, answers, settings, timers."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from devhost.app.threads import thread_count
from devhost_tests.conftest import Start
from devhost_tests.process import Client


def test_request_reaches_the_function_as_from_the_worker(host: Client) -> None:
    """Route values, query (without empty values), lower-case headers, body, cookies and status arrive."""
    answer = host.post("/api/v1/echo/5/x%20y?a=1&b=&c=2&c=3", data="hi", headers={"X-Test": "yes"})
    assert answer.status_code == 201
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.raw.headers.getlist("Set-Cookie") == ["one=1", "two=2"]
    assert answer.json() == {
        "method": "POST",
        "url": f"{host.base}/api/v1/echo/5/x%20y?a=1&b=&c=2&c=3",
        "params": {"a": "1", "c": "2,3"},
        "route": {"a": "5", "b": "x y"},
        "header": "yes",
        "body": "hi",
    }
    assert host.get("/api/v1/echo/5").json()["route"] == {"a": "5"}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/v1/echo/five", 404),
        ("PUT", "/api/v1/echo/5", 404),
        ("HEAD", "/api/v1/echo/5", 404),
        ("GET", "/api/echo/5", 404),
        ("GET", "/api/v1/broken", 500),
        ("GET", "/api/v1/nothing", 500),
        ("GET", "/", 404),
    ],
)
def test_refusals_are_empty(host: Client, method: str, path: str, status: int) -> None:
    """Unknown routes, wrong methods and unhandled exceptions get an answer without a body or a content type."""
    import requests

    answer = requests.request(method, host.base + path, timeout=30)
    assert (answer.status_code, answer.content) == (status, b"")
    assert "Content-Type" not in answer.headers


def test_text_and_context(host: Client) -> None:
    """A returned str is plain text; an unbound parameter `context` has the name of the function."""
    answer = host.get("/api/v1/text")
    assert (answer.text, answer.headers["Content-Type"]) == ("just text", "text/plain; charset=utf-8")
    assert host.get("/api/v1/open").text == "open_to_all hello"


@pytest.mark.parametrize(
    ("kind", "status", "type_", "body"),
    [
        ("empty", 204, "text/plain; charset=utf-8", b""),
        ("bytes", 200, "application/octet-stream", bytes(range(256))),
        ("latin", 200, "text/plain; charset=latin-1", "é".encode("latin-1")),
        ("own_length", 200, "text/plain; charset=utf-8", b"abc"),
        ("own_type", 200, "application/problem+json", b"{}"),
        ("object", 418, "application/json; charset=utf-8", b'{"a":1}'),
        ("dict", 500, None, b""),
        ("bad_header", 500, None, b""),
    ],
)
def test_answers(host: Client, kind: str, status: int, type_: str | None, body: bytes) -> None:
    """The function's result is sent unchanged. An invalid result becomes an empty 500, as with the worker."""
    answer = host.get(f"/api/v1/answers/{kind}")
    assert (answer.status_code, answer.headers.get("Content-Type"), answer.content) == (status, type_, body)


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_a_function_that_exits_is_a_500(host: Client, kind: str) -> None:
    """SystemExit ends the worker on Azure; here only the request fails."""
    assert host.get(f"/api/v1/exits/{kind}").status_code == 500
    assert host.get("/api/v1/text").status_code == 200


@pytest.mark.parametrize("name", ["exits_in_activity", "exits_in_async_activity", "exit"])
def test_durable_functions_that_exit_fail(host: Client, name: str) -> None:
    """The orchestration fails and shows SystemExit instead of hanging. There are more calls than the host has threads,
    and each of them fails, so no call blocks a thread permanently."""
    instances = [f"{name}-{n}" for n in range(thread_count() + 1)]
    for instance in instances:
        host.post(f"/api/v1/start/calls/{instance}", json={"name": name})
    for instance in instances:
        ended = host.wait_for_end(instance)
        assert ended["runtimeStatus"] == "Failed"
        assert "SystemExit: 3" in ended["output"]


def test_a_form_can_be_posted(host: Client) -> None:
    """The body of a request arrives unchanged, whatever its content type is."""
    answer = host.post("/api/v1/echo/1", files={"f": ("n.txt", b"content")})
    assert "content" in answer.json()["body"]


def test_large_bodies_arrive(host: Client) -> None:
    """A body of 3 MB is accepted, as on the platform (100 MB)."""
    assert len(host.post("/api/v1/echo/1", data="x" * 3_000_000).json()["body"]) == 3_000_000


def test_hub_name_comes_from_an_app_setting(host: Client) -> None:
    """%HUB_NAME% in host.json is replaced with the setting, and the name is in the management URLs."""
    links = host.post("/api/v1/start/generations/g1", data="0").json()
    assert "taskHub=testhub" in links["statusQueryGetUri"]
    assert links["statusQueryGetUri"].startswith(host.base)


def test_timer_function_runs_on_its_schedule(start: Start) -> None:
    """A timer trigger fires by the clock."""
    start(TICK_SCHEDULE="* * * * * *").wait_for_log("ticked, past due False")


def test_timer_function_can_be_run_by_hand(host: Client) -> None:
    """POST /admin/functions/NAME runs a timer function at once; other names are not found."""
    assert host.post("/admin/functions/tick", json={"input": ""}).status_code == 202
    host.wait_for_log("ticked")
    assert host.post("/admin/functions/echo", json={"input": ""}).status_code == 404


def test_without_schedules_a_timer_function_runs_only_by_hand(start: Start) -> None:
    """With --no-schedules, a timer function that is due each second has not run after three seconds. The management
    call runs it and returns after its end."""
    host = start("--no-schedules", TICK_SCHEDULE="* * * * * *")
    host.post("/api/v1/start/approval/wait", data="3")
    assert host.wait_for_end("wait")["output"] == "nobody answered"
    assert "ticked" not in host.log
    assert host.post("/admin/devhost/timers/nobody").status_code == 404
    assert host.post("/admin/devhost/timers/tick").status_code == 200
    host.wait_for_log("ticked")


def test_waiting_for_completion(host: Client) -> None:
    """wait_for_completion_or_create_check_status_response answers with the output."""
    host.post("/api/v1/start/generations/g2", data="3")
    answer = host.get("/api/v1/wait/g2")
    assert (answer.status_code, answer.text) == (200, "end"), "a text is sent unchanged"


def test_many_generations(host: Client) -> None:
    """After 500 generations of continue-as-new, the instance ends with the history of one generation."""
    host.post("/api/v1/start/generations/g3", data="500")
    assert host.wait_for_end("g3")["output"] == "end"
    history = host.status("g3", "?showHistory=true")["historyEvents"]
    assert [e["EventType"] for e in history] == ["ExecutionStarted", "TaskCompleted", "ExecutionCompleted"]


def test_fifty_callers_of_one_entity(host: Client) -> None:
    """If many orchestrations call one entity at the same time, their sum is exact."""
    for n in range(50):
        host.post(f"/api/v1/start/steps/c{n}", json={"n": 2, "key": "k"})
    for n in range(50):
        assert host.wait_for_end(f"c{n}")["output"] == 2
    assert host.manage("GET", "/entities/total/k").json() == 100


def test_human_interaction(host: Client) -> None:
    """An answer that arrives before the timer is used. Without an answer, the timer ends the wait."""
    host.post("/api/v1/start/approval/a1", data="60")
    host.wait_for_status("a1", "Running")
    host.manage("POST", "/instances/a1/raiseEvent/answer", json="yes")
    assert host.wait_for_end("a1")["output"] == "yes"
    host.post("/api/v1/start/approval/a2", data="0.2")
    assert host.wait_for_end("a2")["output"] == "nobody answered"


@pytest.fixture
def neighbour() -> Iterator[str]:
    """The URL of a small server for the test."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = json.dumps({"path": self.path}).encode()
            self.send_response(418)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_call_http(host: Client, neighbour: str) -> None:
    """call_http returns status and content to the orchestrator, even for an error."""
    host.post("/api/v1/start/fetches/h1", json=f"{neighbour}/x")
    assert host.wait_for_end("h1")["output"] == {"status": 418, "content": '{"path": "/x"}'}


def test_a_crashing_entity_is_reported(host: Client) -> None:
    """An entity sets a state that cannot be stored. On Azure this causes an endless loop; here it is logged, and the
    host continues."""
    host.manage("POST", "/entities/total/bad?op=crash")
    host.wait_for_log("entity @total@bad crashed")
    assert host.get("/api/v1/text").status_code == 200
