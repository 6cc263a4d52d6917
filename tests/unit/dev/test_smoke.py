"""`dev.py smoke` with a server that answers like a platform with a missing or unhealthy app."""

import argparse
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from dev import smoke

Json = dict[str, Any]
WORKSPACE, DATASET = "11111111-aaaa-bbbb-cccc-000000000001", "22222222-aaaa-bbbb-cccc-000000000002"
HEALTHY: Json = {
    "status": "ok",
    "checks": {"engine": "passed", "storage": "passed", "token": "passed", "timers": {}},
}
Reply = tuple[int, Json | str, dict[str, str]]


class Server:
    """Gives the answers for method and path, and refuses every other call like an app. Records the calls."""

    def __init__(self) -> None:
        self.replies: dict[str, Reply] = {"GET /api/health": (200, HEALTHY, {})}
        self.calls: list[tuple[str, dict[str, str]]] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.reply()

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                self.reply()

            def reply(self) -> None:
                server.calls.append((f"{self.command} {self.path}", {k.lower(): v for k, v in self.headers.items()}))
                status, body, headers = server.replies.get(f"{self.command} {self.path}", (401, "", {}))
                content = (body if isinstance(body, str) else json.dumps(body)).encode()
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(content))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002 - the name of the base class
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"


@pytest.fixture
def server() -> Iterator[Server]:
    found = Server()
    thread = Thread(target=found.http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield found
    found.http.shutdown()
    thread.join()
    found.http.server_close()


def problems(url: str, headers: dict[str, str] | None = None, *, model: bool = False) -> dict[str, str]:
    """The problem of each failed check, by the name of the check."""
    ids = (WORKSPACE, DATASET) if model else (None, None)
    findings = smoke.Smoke(url, headers or {}).findings(*ids)
    return {finding.check: finding.problem for finding in findings if finding.problem}


STARTS = "POST /api/refreshes"


@pytest.mark.parametrize(
    ("reply", "sentence"),
    [
        ((503, "Function host is not running.", {}), "The host of the app is not running"),
        ((404, "", {}), "it has not started: look for 'App setting' in its log"),
        ((302, "", {"Location": "https://login.example/"}), "redirects (https://login.example/)"),
        ((400, {"error": {"code": "InvalidRequest"}}, {}), "Sign-in is off"),
        ((202, {"id": "a"}, {}), "Sign-in is off"),
        ((500, "", {}), "was answered with 500 instead of 401"),
    ],
)
def test_a_start_that_is_not_refused(server: Server, reply: Reply, sentence: str) -> None:
    """If a start without credentials is not refused, no further check runs. A redirect is not followed."""
    server.replies[STARTS] = reply
    found = problems(server.url)
    assert list(found) == ["a start without credentials is refused"]
    assert sentence in found["a start without credentials is refused"]
    assert [call for call, _ in server.calls] == [STARTS]


def test_a_host_without_its_storage_is_named() -> None:
    """Without its storage account, the host on the platform runs no function, so none answers."""
    text = smoke.Smoke("http://unused", {})._not_refused(smoke.Answer(503, {}, "Function host is not running.", ""))
    assert "the state of the storage account, its network rules and the roles of the app's identity" in text


def test_nothing_listens() -> None:
    assert "The app does not answer" in problems("http://127.0.0.1:9")["a start without credentials is refused"]


def test_no_address_at_all() -> None:
    assert "The app does not answer" in problems("no address")["a start without credentials is refused"]


@pytest.mark.parametrize(
    ("status", "body", "sentence"),
    [
        (401, "", "AllowAnonymous"),
        (404, "", "without a report"),
        (200, "<html>", "without a report"),
        (200, "[" * 200_000, "without a report"),
        (200, "x" * (smoke.MAX_BYTES + 1), "without a report"),
        (200, {"checks": "fine"}, "without a report"),
        (503, {"checks": {"engine": "failed", "storage": "unknown"}}, "The durable engine does not answer"),
        (503, {"checks": {"engine": "passed", "storage": "failed"}}, "The storage account cannot be reached"),
        (
            503,
            {"checks": {"engine": "passed", "storage": "passed", "token": "NewCode"}},
            "cannot get a token for Power BI: NewCode",
        ),
        (
            503,
            {"checks": {**HEALTHY["checks"], "timers": {"t": {"late": True, "lastRun": None}}}},
            "Timers are late: t",
        ),
        (503, HEALTHY, "that this version does not know"),
        (200, {**HEALTHY, "status": "unhealthy"}, "that this version does not know"),
    ],
)
def test_what_health_says_becomes_one_sentence(server: Server, status: int, body: Json | str, sentence: str) -> None:
    """Answers of other versions of the app also become one sentence. The check passes only for 200 and `ok`."""
    server.replies["GET /api/health"] = (status, body, {})
    found = problems(server.url)
    assert list(found) == ["/api/health"]
    assert sentence in found["/api/health"]
    assert "\n" not in found["/api/health"]


@pytest.mark.parametrize("code", smoke.ADVICE)
def test_each_known_code_has_its_message(server: Server, code: str) -> None:
    server.replies["POST /api/check"] = (200, {"ok": False, "error": {"code": code, "message": "As it is."}}, {})
    assert problems(server.url, model=True) == {"/api/check": f"{smoke.ADVICE[code]} ({code}: As it is.)"}


@pytest.mark.parametrize(
    ("status", "body"),
    [(200, {}), (200, {"ok": "yes"}), (200, "ok"), (400, {"error": {"message": "bad ids"}}), (500, "")],
)
def test_a_check_passes_only_with_ok(server: Server, status: int, body: Json | str) -> None:
    server.replies["POST /api/check"] = (status, body, {})
    assert f"answered {status}" in problems(server.url, model=True)["/api/check"]


def test_credentials_are_sent_to_the_check_only(server: Server, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A .netrc adds no credentials, so the first start really has none."""
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login a password b\n", "utf-8")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    server.replies["POST /api/check"] = (200, {"ok": True}, {})
    assert problems(server.url, {"x-functions-key": "key", "Authorization": "Bearer token"}, model=True) == {}
    with_key = [call for call, headers in server.calls if "x-functions-key" in headers or "authorization" in headers]
    assert with_key == ["POST /api/check"]
    assert len(server.calls) == 4


def options(**given: str) -> argparse.Namespace:
    return argparse.Namespace(**{"key": None, "token": None, **given})


def test_a_key_or_a_token_is_sent_unchanged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AUDIENCE", raising=False)
    assert smoke.credentials(options(key="k")) == {"x-functions-key": "k"}
    assert smoke.credentials(options(token="t")) == {"Authorization": "Bearer t"}
    assert smoke.credentials(options()) == {}


def test_az_returns_a_token_for_the_audience(tmp_path: Any, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    """Without `az` or without a sign-in, there are no credentials, and the reason is printed."""
    monkeypatch.setenv("AUDIENCE", "api://1")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert smoke.credentials(options()) == {}
    az = tmp_path / "az"
    az.write_text('#!/bin/sh\necho "Please run az login" >&2\nexit 1\n', "utf-8")
    az.chmod(0o755)
    assert smoke.credentials(options()) == {}
    assert "Please run az login" in capsys.readouterr().err
    az.write_text('#!/bin/sh\nif [ "$4" = api://1 ]; then echo the-token; fi\n', "utf-8")
    assert smoke.credentials(options()) == {"Authorization": "Bearer the-token"}
