"""The stub of App Service's identity endpoint, and the proxy that connects to a service over TLS."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from dev import connect_proxy
from dev.identity_endpoint import API_VERSION, FAULTS, IdentityEndpoint, Serving, serve
from outbound.exchange import Limits, NotSentError, Outgoing, exchange
from tests.e2e.azure import POWER_BI, azure

RESOURCE = {"api-version": API_VERSION, "resource": "https://analysis.windows.net/powerbi/api"}


@pytest.fixture
def serving() -> Iterator[Serving]:
    """An endpoint."""
    with serve(IdentityEndpoint()) as endpoint:
        yield endpoint


def ask(serving: Serving, secret: str | None = None, **query: str) -> requests.Response:
    """A request for a token."""
    headers = {"X-IDENTITY-HEADER": serving.endpoint.secret if secret is None else secret}
    url = serving.settings["IDENTITY_ENDPOINT"]
    return requests.get(url, params={**RESOURCE, **query}, headers=headers, timeout=30)


def control(serving: Serving, method: str, route: str, body: object = None) -> requests.Response:
    """A control request."""
    return requests.request(method, f"{serving.base_url}/control{route}", json=body, timeout=30)


def test_a_token_has_the_form_of_the_protocol(serving: Serving) -> None:
    """A token has the keys of the protocol. `expires_on` is a text, as on the platform."""
    body = ask(serving, client_id="c").json()
    assert set(body) == {"access_token", "expires_on", "resource", "token_type", "client_id"}
    assert (body["token_type"], body["client_id"], body["resource"]) == ("Bearer", "c", RESOURCE["resource"])
    assert body["expires_on"].isdigit()
    assert serving.endpoint.accepts(body["access_token"])
    assert not serving.endpoint.accepts("another")


@pytest.mark.parametrize(
    ("secret", "query", "status"),
    [("wrong", {}, 403), ("", {}, 403), (None, {"api-version": "1"}, 400), (None, {"resource": ""}, 400)],
)
def test_a_request_of_another_form_is_refused(
    serving: Serving, secret: str | None, query: dict[str, str], status: int
) -> None:
    """A request needs the secret, the version and the resource."""
    answer = ask(serving, secret, **query)
    assert (answer.status_code, answer.json()["statusCode"]) == (status, status)


def test_faults_strike_the_given_number_of_times(serving: Serving) -> None:
    """A fault ends after the given number of calls, or when it is removed."""
    assert control(serving, "POST", "/fault", {"fault": "throttled", "times": 2}).ok
    assert [ask(serving).status_code for _ in range(3)] == [429, 429, 200]
    assert control(serving, "POST", "/fault", {"fault": "noIdentity"}).ok
    assert [ask(serving).status_code for _ in range(3)] == [400, 400, 400]
    assert control(serving, "DELETE", "/fault").ok
    assert ask(serving).status_code == 200
    with pytest.raises(KeyError):
        serving.endpoint.fail("unknown")


def test_tokens_can_be_short_lived_or_revoked(serving: Serving) -> None:
    """A service that uses the endpoint knows about a revocation at once."""
    now = 1000.0
    serving.endpoint.clock = lambda: now
    assert control(serving, "POST", "/tokens", {"lifeSeconds": 60}).ok
    first = ask(serving).json()["access_token"]
    now += 61
    assert not serving.endpoint.accepts(first)
    second = ask(serving).json()["access_token"]
    assert serving.endpoint.accepts(second)
    assert control(serving, "POST", "/revoke").ok
    assert not serving.endpoint.accepts(second)
    report = control(serving, "GET", "").json()
    assert (report["calls"], report["asked"]["resource"]) == (2, RESOURCE["resource"])


@pytest.mark.parametrize(
    ("method", "route", "body"),
    [
        ("POST", "/fault", {"fault": "unknown"}),
        ("POST", "/fault", {}),
        ("POST", "/tokens", {"lifeSeconds": "x"}),
        ("PUT", "/fault", {"fault": "drop"}),
        ("GET", "/nothing", None),
    ],
)
def test_invalid_control_requests_get_400(serving: Serving, method: str, route: str, body: object) -> None:
    """The answer to an invalid control request is 400 and lists the known faults."""
    answer = control(serving, method, route, body)
    assert answer.status_code == 400
    assert all(name in answer.json()["error"] for name in FAULTS)


def test_the_command_prints_the_settings() -> None:
    """The command prints the settings of an app. If the port is in use, it prints a message."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        command = [sys.executable, "-m", "dev.identity_endpoint", "--port", port]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 2
    assert port in ended.stderr
    command = [sys.executable, "-m", "dev.identity_endpoint", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(3)]
        process.terminate()
    assert lines[0].startswith("IDENTITY_ENDPOINT=http://127.0.0.1:")
    assert lines[1].startswith("IDENTITY_HEADER=")
    assert " ready: " in lines[2]
    assert process.returncode == 0


def test_power_bi_is_reached_under_its_own_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The app calls the real name through the proxy, with a valid certificate and a valid token."""
    with azure(tmp_path) as found:
        monkeypatch.setenv("HTTPS_PROXY", found.settings["HTTPS_PROXY"])
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", found.settings["REQUESTS_CA_BUNDLE"])
        from outbound import exchange as module

        module._tls_context.cache_clear()
        try:
            url = f"https://{POWER_BI}/v1.0/myorg/groups/x/datasets/y/refreshes"
            assert exchange(Outgoing("GET", url, {"Authorization": "Bearer made-up"}), Limits()).status == 403
            with pytest.raises(NotSentError, match="Proxy"):
                exchange(Outgoing("GET", "https://elsewhere.example/"), Limits())
            monkeypatch.delenv("REQUESTS_CA_BUNDLE")
            module._tls_context.cache_clear()
            with pytest.raises(NotSentError, match="Certificate"):
                exchange(Outgoing("GET", url), Limits())
        finally:
            module._tls_context.cache_clear()


@pytest.mark.parametrize("head", [b"GET http://x/ HTTP/1.1\r\n\r\n", b"CONNECT elsewhere:443 HTTP/1.1\r\n\r\n"])
def test_the_proxy_connects_to_no_other_host(head: bytes) -> None:
    """The proxy refuses every other host, so no call leaves the machine."""
    with connect_proxy.serve({}) as url:
        host, port = url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=30) as connection:
            connection.sendall(head)
            assert connection.recv(100).startswith(b"HTTP/1.1 502 ")
