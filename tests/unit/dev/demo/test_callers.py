"""A caller of the demo, with a small server that answers by the app's HTTP contract."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from dev.demo.callers import Caller, RefreshRequest, Report

Answer = tuple[int, Any]
REQUEST = RefreshRequest(
    "Load orders", "Sales", "00000000-0000-4000-8000-000000000001", "00000000-0000-4000-8000-00000000000a"
)
WAITS = (202, {"status": "WaitingForIdle", "position": 0})
QUEUED = (202, {"status": "Queued", "position": 2})


class App:
    """A server that answers the POST with the first answer, each GET with the next one, and repeats the last one."""

    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self.bodies: list[Any] = []
        self.base = ""

    def next(self) -> Answer:
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@pytest.fixture
def app() -> Iterator[App]:
    """The server; set `answers` before a caller starts."""
    fake = App()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            fake.bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.do_GET()

        def do_GET(self) -> None:
            status, value = fake.next()
            if isinstance(value, dict) and status == 202 and self.command == "POST":
                value = {**value, "statusUri": f"{fake.base}/api/refreshes/1?token=x"}
            content = value.encode() if isinstance(value, str) else json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        fake.base = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield fake
        server.shutdown()
        thread.join()


@pytest.fixture
def call(app: App) -> Callable[[list[Answer]], Report]:
    """The final report of a caller that gets these answers."""

    def run(answers: list[Answer]) -> Report:
        app.answers = answers
        caller = Caller(REQUEST, app.base, poll_seconds=0.001)
        caller.start()
        caller.join()
        return caller.report

    return run


def test_from_the_request_to_the_outcome(app: App, call: Callable[[list[Answer]], Report]) -> None:
    """The caller requests a refresh of its model under its name, and polls until the request has ended."""
    report = call([QUEUED, WAITS, (202, {"status": "Refreshing"}), (200, {"status": "Completed"})])
    assert app.bodies == [REQUEST.body()]
    assert REQUEST.body()["caller"]["pipeline"] == "Load orders"
    assert (report.over, report.code, report.status, report.problem) == (True, 200, "Completed", "")
    assert report.sent
    assert report.ended
    assert report.seconds(report.sent) == (report.ended - report.sent).total_seconds()


@pytest.mark.parametrize(
    ("answers", "problem"),
    [
        (
            [(400, {"error": {"message": '"datasetId" is required.'}})],
            'refused with HTTP 400: "datasetId" is required.',
        ),
        ([(500, "")], "refused with HTTP 500: (no body)"),
        ([QUEUED, (404, {"error": {"message": "no such request"}})], "the status is HTTP 404: no such request"),
        ([QUEUED, (500, "oh")], "the status is HTTP 500: oh"),
        ([(202, "oh")], "the answer does not have the documented form"),
        ([QUEUED, (200, [])], "the answer does not have the documented form"),
        ([QUEUED, (200, "oh")], "the answer does not have the documented form"),
    ],
)
def test_no_outcome(call: Callable[[list[Answer]], Report], answers: list[Answer], problem: str) -> None:
    """An unexpected answer is a problem with a message, never a success."""
    report = call(answers)
    assert report.over
    assert report.problem.startswith(problem)
    assert report.phase == "no outcome"


def test_a_failure_is_an_outcome(call: Callable[[list[Answer]], Report]) -> None:
    """An answer with 424 is an outcome, not a problem: every outcome but Completed has this status."""
    report = call([QUEUED, (424, {"status": "Failed", "error": {"message": "credentials"}})])
    assert (report.code, report.status, report.problem) == (424, "Failed", "")


def test_an_unreachable_app() -> None:
    """The caller reports a problem; its thread does not crash."""
    # nothing listens on port 9 (discard)
    caller = Caller(REQUEST, "http://127.0.0.1:9")
    caller.start()
    caller.join()
    assert caller.report.problem.startswith("the app cannot be reached")


@pytest.mark.parametrize(
    ("body", "phase", "position"),
    [
        ({"status": "Queued"}, "queued", ""),
        ({"status": "Queued", "position": 2}, "queued", "2 ahead"),
        ({"status": "WaitingForIdle", "position": 0}, "waiting for idle model", "next"),
        ({"status": "Queued", "position": 0}, "queued", "next"),
        ({"status": "Refreshing", "position": 0}, "refreshing", ""),
        ({"status": "Surprising"}, "Surprising", ""),
        ({}, "sent", ""),
    ],
)
def test_phases_as_shown_to_people(body: dict[str, Any], phase: str, position: str) -> None:
    """The output has the phase and the position in the queue; an unknown status is shown unchanged."""
    report = Report(sent=datetime.now(UTC), body=body)
    assert (report.phase, report.position) == (phase, position)
    assert Report(body=body).phase == "not sent yet"
