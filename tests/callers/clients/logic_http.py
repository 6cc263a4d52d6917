"""The HTTP of the actions of Logic Apps: calls with their limit, the retry policy, and callback addresses.

Sources: "limits and configuration of Azure Logic Apps" (120 s per call); "handling errors and exceptions" (retries).
"""

import json
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import requests

from tests.callers.clients.logic_durations import seconds_of

Json = dict[str, Any]

CALL_SECONDS = 120.0
NO_ANSWER = 0
MAX_URI_CHARACTERS = 2048


@dataclass
class Answer:
    """An answer. The status is NO_ANSWER if there was no answer."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    text: str = ""

    @property
    def can_retry(self) -> bool:
        """True if the retry policy applies: 408, 429, 5xx and no answer."""
        return self.status in (NO_ANSWER, 408, 429) or self.status >= 500

    def header(self, name: str) -> str | None:
        """The value of a header; its name is case-insensitive."""
        return next((value for key, value in self.headers.items() if key.lower() == name.lower()), None)

    @property
    def body(self) -> Any:
        """The body: an object if the content type is JSON, otherwise a string; None if it is empty."""
        if not self.text:
            return None
        return json.loads(self.text) if "json" in (self.header("Content-Type") or "") else self.text


@dataclass
class Network:
    """The network to the app. `sign_in` turns the authentication of a managed identity into the headers of the
    platform.

    `lost`: how many answers to starts are lost after the app has processed the call. `broken`: how many calls do not
    reach the app and get the error page of a gateway.
    """

    sign_in: Callable[[Json], dict[str, str]]
    lost: int = 0
    broken: int = 0
    calls: list[tuple[str, str, int]] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def call(self, inputs: Json) -> Answer:
        """Makes the call that an action's inputs describe."""
        assert len(inputs["uri"]) <= MAX_URI_CHARACTERS
        headers = dict(inputs.get("headers", {}))
        if "authentication" in inputs:
            headers |= self.sign_in(inputs["authentication"])
        answer = self._send(inputs["method"], inputs["uri"], headers, inputs.get("body"))
        with self._lock:
            self.calls.append((inputs["method"], urlsplit(inputs["uri"]).path, answer.status))
        return answer

    def _send(self, method: str, uri: str, headers: dict[str, str], body: Any) -> Answer:
        if self._spend("broken"):
            return Answer(502, {"Content-Type": "text/html"}, "<html>Bad gateway</html>")
        data = None if body is None else json.dumps(body).encode()
        try:
            response = requests.request(
                method, uri, data=data, headers=headers, timeout=CALL_SECONDS, allow_redirects=False
            )
        except requests.RequestException:
            return Answer(NO_ANSWER)
        if method == "POST" and self._spend("lost"):
            return Answer(NO_ANSWER)
        return Answer(response.status_code, dict(response.headers), response.text)

    def _spend(self, fault: str) -> bool:
        with self._lock:
            left: int = getattr(self, fault)
            setattr(self, fault, max(0, left - 1))
            return left > 0


def retried(send: Callable[[], Answer], policy: Json | None, wait: Callable[[float], None]) -> Answer:
    """Sends until the answer is final or the policy is exhausted. By default there are four retries after growing
    pauses."""
    policy = policy or {"type": "exponential", "count": 4, "interval": "PT7S"}
    answer = send()
    for _ in range(0 if policy["type"] == "none" else policy["count"]):
        if not answer.can_retry:
            break
        wait(seconds_of(policy["interval"]) or 0)
        answer = send()
    return answer


class Callbacks:
    """Callback addresses. Each accepts one POST with its signature; refused calls are recorded."""

    def __init__(self, base: str) -> None:
        self.base = base
        self.refused: list[str] = []
        self._waiting: dict[str, tuple[str, threading.Event, list[Answer]]] = {}

    def make(self, run: str, action: str) -> tuple[str, threading.Event, list[Answer]]:
        """A new address, an event that is set by its call, and a list that gets the call."""
        path, secret = f"/workflows/{secrets.token_hex(16)}/runs/{run}/actions/{action}/run", secrets.token_urlsafe(32)
        called: tuple[str, threading.Event, list[Answer]] = (secret, threading.Event(), [])
        self._waiting[path] = called
        uri = f"{self.base}{path}?api-version=2016-10-01&sp=%2Fruns%2Factions%2Frun&sv=1.0&sig={secret}"
        return uri, called[1], called[2]

    def close(self, uri: str) -> None:
        """Closes an address: later calls to it are refused."""
        self._waiting.pop(urlsplit(uri).path, None)

    def take(self, path: str, headers: dict[str, str], text: str) -> int:
        """The answer to a POST: 200 for the first one with the right signature, 404 for all others."""
        parts = urlsplit(path)
        waiting = self._waiting.get(parts.path)
        signature = parse_qs(parts.query).get("sig", [""])[0]
        if waiting is None or not secrets.compare_digest(waiting[0], signature):
            self.refused.append(parts.path)
            return 404
        del self._waiting[parts.path]
        waiting[2].append(Answer(200, headers, text))
        waiting[1].set()
        return 200


@contextmanager
def callbacks() -> Iterator[Callbacks]:
    """A server for callback addresses on this machine."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            text = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
            status = served.take(self.path, dict(self.headers.items()), text)
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class has this name
            """Logs nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    served = Callbacks(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield served
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
