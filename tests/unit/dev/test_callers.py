"""A caller of the demo, against a small server that answers as the app's contract says."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from dev.callers import Ask, Caller, Seen

Answer = tuple[int, Any]
ASK = Ask("Load orders", "Sales", "00000000-0000-4000-8000-000000000001", "00000000-0000-4000-8000-00000000000a")
WAITS = (202, {"status": "WaitingForIdle", "position": 0})
QUEUED = (202, {"status": "Queued", "position": 2})


class App:
    """Answers the POST with the first answer, each GET with the next one; the last one stays."""

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
def asked(app: App) -> Callable[[list[Answer]], Seen]:
    """What a caller has seen when it got these answers and is through."""

    def ask(answers: list[Answer]) -> Seen:
        app.answers = answers
        caller = Caller(ASK, app.base, poll_seconds=0.001)
        caller.start()
        caller.join()
        return caller.seen

    return ask


def test_from_the_request_to_the_verdict(app: App, asked: Callable[[list[Answer]], Seen]) -> None:
    """It asks for its model under its name, and reads until it is told the end."""
    seen = asked([QUEUED, WAITS, (202, {"status": "Refreshing"}), (200, {"status": "Completed"})])
    assert app.bodies == [ASK.body()]
    assert ASK.body()["caller"]["pipeline"] == "Load orders"
    assert (seen.over, seen.code, seen.status, seen.problem) == (True, 200, "Completed", "")
    assert seen.sent
    assert seen.ended
    assert seen.seconds(seen.sent) == (seen.ended - seen.sent).total_seconds()


@pytest.mark.parametrize(
    ("answers", "problem"),
    [
        ([(400, {"error": {"message": "datasetId is required."}})], "refused with HTTP 400: datasetId is required."),
        ([(500, "")], "refused with HTTP 500: (no body)"),
        ([QUEUED, (404, {"error": {"message": "no such request"}})], "the status is HTTP 404: no such request"),
        ([QUEUED, (500, "oh")], "the status is HTTP 500: oh"),
        ([(202, "oh")], "not an answer as documented"),
        ([QUEUED, (200, [])], "not an answer as documented"),
        ([QUEUED, (200, "oh")], "not an answer as documented"),
    ],
)
def test_no_verdict(asked: Callable[[list[Answer]], Seen], answers: list[Answer], problem: str) -> None:
    """Whatever is no verdict is a problem that says so, and never a success."""
    seen = asked(answers)
    assert seen.over
    assert seen.problem.startswith(problem)
    assert seen.phase == "no verdict"


def test_a_failure_is_a_verdict(asked: Callable[[list[Answer]], Seen]) -> None:
    """424 is an end like any other."""
    seen = asked([QUEUED, (424, {"status": "Failed", "error": {"message": "credentials"}})])
    assert (seen.code, seen.status, seen.problem) == (424, "Failed", "")


def test_an_app_that_is_not_there() -> None:
    """A problem, not a crash of the thread."""
    # port 9 (discard) is not served by anybody
    caller = Caller(ASK, "http://127.0.0.1:9")
    caller.start()
    caller.join()
    assert caller.seen.problem.startswith("the app cannot be reached")


@pytest.mark.parametrize(
    ("told", "phase", "position"),
    [
        ({"status": "Queued"}, "queued", ""),
        ({"status": "Queued", "position": 2}, "queued", "2 ahead"),
        ({"status": "WaitingForIdle", "position": 0}, "waits until the model is idle", "next"),
        ({"status": "Refreshing", "position": 0}, "refreshing", "its turn"),
        ({"status": "Surprising"}, "Surprising", ""),
        ({}, "asking", ""),
    ],
)
def test_words_for_people(told: dict[str, Any], phase: str, position: str) -> None:
    """The phase and the place in the line; an unknown status is shown as it is."""
    seen = Seen(sent=datetime.now(UTC), told=told)
    assert (seen.phase, seen.position) == (phase, position)
    assert Seen(told=told).phase == "not sent yet"
