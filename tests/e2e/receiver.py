"""A caller that waits for a callback: a small HTTP server on this machine that records the calls."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from devhost_tests.process import until
from tests.e2e.world import END_SECONDS

SECRET = "capability-0123456789"
"""A text in every URI of a receiver. An output that contains it reveals a secret URI."""

Json = dict[str, Any]


@dataclass
class Call:
    """One callback. Header names are in lower case."""

    path: str
    headers: dict[str, str]
    body: Json
    at: float = field(default_factory=time.monotonic)
    """When the call arrived, in seconds of a monotonic clock."""


@dataclass
class Receiver:
    """Gives `answers` in turn and repeats the last one: a status, or a status and headers. None closes the connection
    without an answer. `before_answer` is called before each answer."""

    base: str = ""
    answers: list[Any] = field(default_factory=lambda: [200])
    calls: list[Call] = field(default_factory=list)
    before_answer: Any = None

    @property
    def uri(self) -> str:
        """A URI of this receiver, which contains a secret."""
        return f"{self.base}/workflows/1/callback?sp=%2Frun&sv=1.0&sig={SECRET}"

    def wait_for_calls(self, times: int = 1, seconds: float = END_SECONDS) -> Call:
        """Waits for this many calls and returns the last one."""
        until(lambda: len(self.calls) >= times, seconds, lambda: str(self.calls))
        return self.calls[times - 1]

    def next_answer(self) -> Any:
        """The answer to the latest call."""
        return self.answers[min(len(self.calls), len(self.answers)) - 1]


@contextmanager
def receiving(*answers: Any) -> Iterator[Receiver]:
    """A receiver with these answers; if none are given, it answers 200."""
    receiver = Receiver(answers=list(answers) or [200])

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            headers = {name.lower(): value for name, value in self.headers.items()}
            receiver.calls.append(Call(self.path, headers, json.loads(self.rfile.read(length))))
            if receiver.before_answer:
                receiver.before_answer()
            answer = receiver.next_answer()
            if answer is None:
                self.close_connection = True
                return
            status, more = answer if isinstance(answer, tuple) else (answer, {})
            self.send_response(status)
            for name, value in {"Content-Length": "0", **more}.items():
                self.send_header(name, value)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Writes no log lines."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    receiver.base = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()
