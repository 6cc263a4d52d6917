"""The surroundings of the app in a tenant: a key vault, callback addresses and tokens."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.callers.clients.adf_http import Answer, Call

Respond = Callable[[Call], Answer]

SILENT = Answer(0)
"""An answer for `serving`: it closes the connection without a response."""
VAULT_AUDIENCE = "https://vault.azure.net"
SECRET_NAME = "refresh-function-key"


@contextmanager
def serving(respond: Respond) -> Iterator[str]:
    """Serves a function that gets a call (with path and query as its `url`) and returns the answer. Yields the base
    URL."""

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = self.rfile.read(length).decode() if length else None
            headers = {name.lower(): value for name, value in self.headers.items()}
            answer = respond(Call(self.command, self.path, 0.0, headers, body))
            self.close_connection = True
            if answer == SILENT:
                return
            self.send_response(answer.status)
            for name, value in {"Content-Length": str(len(answer.body)), **answer.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer.body)

        do_GET = do_POST = do_DELETE = answer  # noqa: N815

        def log_message(self, *_: object) -> None:
            """Logs nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()


def json_answer(value: object, status: int = 200, **headers: str) -> Answer:
    """A JSON answer. In names of headers, underscores stand for hyphens."""
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return Answer(status, json.dumps(value).encode(), {"Content-Type": "application/json", **named})


def token_for(resource: str) -> str:
    """The token of a managed identity for a resource."""
    return f"token for {resource}"


def vault(secret: str) -> Respond:
    """A key vault with one secret, which can be read with a token for key vaults."""

    def respond(call: Call) -> Answer:
        if call.headers.get("authorization") != f"Bearer {token_for(VAULT_AUDIENCE)}":
            return json_answer({"error": {"code": "Unauthorized", "message": "AKV10000"}}, 401)
        if call.url != f"/secrets/{SECRET_NAME}?api-version=7.4":
            return json_answer({"error": {"code": "SecretNotFound", "message": call.url}}, 404)
        return json_answer({"value": secret, "id": f"https://vault/{SECRET_NAME}/1"})

    return respond


@dataclass
class Post:
    """The callback addresses of the data factory service. Each accepts one call and refuses further ones."""

    base: str = ""
    refused: list[str] = field(default_factory=list)
    _calls: dict[str, bytes] = field(default_factory=dict)
    _known: set[str] = field(default_factory=set)
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def address(self, name: str) -> str:
        """The URI of a new address."""
        with self._changed:
            self._known.add(name)
        return f"{self.base}/callback/{name}?sig=0123456789"

    def take(self, name: str, seconds: float) -> bytes | None:
        """Waits for the call to an address. Returns its body, or None if there was no call. Later calls are refused."""
        with self._changed:
            self._changed.wait_for(lambda: name in self._calls, seconds)
            self._known.discard(name)
            return self._calls.get(name)

    def respond(self, call: Call) -> Answer:
        """200 for the first call to an address, 404 for any other."""
        name = call.url.rsplit("/", 1)[-1].split("?")[0]
        with self._changed:
            if call.method != "POST" or name not in self._known or name in self._calls:
                self.refused.append(name)
                return Answer(404)
            self._calls[name] = (call.body or "").encode()
            self._changed.notify_all()
            return Answer(200)


@contextmanager
def post_office() -> Iterator[Post]:
    """A server for callback addresses."""
    post = Post()
    with serving(post.respond) as base:
        post.base = base
        yield post
