"""One exchange: request, answer, exceptions, and cleaning up."""

import asyncio
import os
from pathlib import Path

import pytest

from outbound import deadline
from outbound.exchange import ExchangeError, Limits, NoAnswerError, NotSentError, Outgoing, exchange
from tests.unit.outbound.calls import PATIENT, get, hurried, within_its_limit
from tests.unit.outbound.hostile import OK, Peer, answering, dripping, serving


def test_an_answer_is_status_headers_and_body() -> None:
    """Names of headers are case-insensitive. The request is sent unchanged, with a header that forbids compression."""
    with serving(answering(b"HTTP/1.1 404 Not Found\r\nX-Ms-Thing: 1\r\nContent-Length: 2\r\n\r\nno")) as server:
        received = get(server, Authorization="Bearer t")
    assert (received.status, received.headers["x-ms-thing"], received.body) == (404, "1", b"no")
    assert received.incomplete_because is None
    head = server.peers[0].received.decode().lower()
    assert "authorization: bearer t\r\n" in head
    assert "accept-encoding: identity\r\n" in head


def test_a_post_is_sent_once_with_its_length() -> None:
    """A POST is sent as one body, not in chunks."""

    def script(peer: Peer) -> None:
        while not peer.received.endswith(b"{}"):
            peer.received += peer.connection.recv(65536)
        peer.send(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")

    with serving(script) as server:
        received = exchange(Outgoing("POST", server.url, {"Content-Type": "application/json"}, b"{}"), PATIENT)
    assert received.status == 202
    assert b"\r\nContent-Length: 2\r\n" in server.peers[0].received
    assert b"\r\nContent-Type: application/json\r\n" in server.peers[0].received


@pytest.mark.parametrize("method", ["GET", "DELETE", "POST"])
def test_a_request_is_never_repeated(method: str) -> None:
    """A request whose connection ends without an answer is not repeated. aiohttp alone would repeat a GET or a
    DELETE."""

    def script(peer: Peer) -> None:
        peer.request()
        peer.reset()

    with serving(script) as server:
        with pytest.raises(NoAnswerError):
            exchange(Outgoing(method, server.url), PATIENT)
        assert server.connection_is_over()
    assert len(server.peers) == 1


def test_no_cookie_is_kept() -> None:
    """Cookies are not sent back, because one could bind the app to a failing server of the service."""
    with serving(answering(OK, b"Set-Cookie: a=b; Path=/\r\nContent-Length: 0\r\n\r\n")) as server:
        get(server)
        get(server)
    assert b"cookie" not in server.peers[1].received.lower()


def test_no_password_comes_from_a_netrc_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No password is taken from the file that the environment variable NETRC names."""
    netrc = tmp_path / "netrc"
    netrc.write_text("default login someone password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    with serving(answering(OK, b"Content-Length: 0\r\n\r\n")) as server:
        get(server)
    assert b"authorization" not in server.peers[0].received.lower()


def test_no_proxy_for_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls of this machine use no proxy, even if the environment has one for all hosts."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    with serving(answering(OK, b"Content-Length: 0\r\n\r\n")) as server:
        assert get(server).status == 200


def test_nothing_listens() -> None:
    """If nothing listens, the request was certainly not sent."""
    with pytest.raises(NotSentError, match="ConnectionRefusedError"):
        exchange(Outgoing("GET", "http://127.0.0.1:9/"), PATIENT)


def test_a_name_that_does_not_exist() -> None:
    """A request to an unknown name was certainly not sent. Names under .invalid never exist (RFC 6761)."""
    with pytest.raises(NotSentError, match="DNS"):
        exchange(Outgoing("GET", "http://power-bi.invalid/"), PATIENT)


@pytest.mark.parametrize("url", ["", "x", "http://", "ftp://127.0.0.1/", "http://127.0.0.1:99999/", "http://[::1"])
def test_an_invalid_url_is_not_sent(url: str) -> None:
    """An invalid URL, which may be a mistyped callback URI, is an error before anything is sent."""
    with pytest.raises(NotSentError):
        exchange(Outgoing("GET", url), PATIENT)


@pytest.mark.parametrize("value", ["a\r\nX: 1", "a\nb", "\ud800"])
def test_an_invalid_header_is_not_sent(value: str) -> None:
    """A request with an invalid header is not sent. The text of the header is not in the error."""
    with serving(answering()) as server, pytest.raises(NotSentError) as caught:
        get(server, Authorization=value)
    assert value not in str(caught.value)
    assert server.peers == []


def test_several_exchanges_share_one_deadline() -> None:
    """The second exchange has only the time that the first one left, so an endless answer breaks off. After the
    deadline, nothing is sent."""
    found: list[tuple[bool, int]] = []
    good, endless = answering(OK, b"Content-Length: 0\r\n\r\n"), dripping(OK + b"\r\n", b"x")

    def in_time(limits: Limits) -> tuple[bool, int]:
        scripts = iter((good, endless))
        with serving(lambda peer: next(scripts)(peer)) as server, deadline.within(limits.whole_seconds):
            first, second = get(server), get(server)
            if first.incomplete_because:
                raise NotSentError("the machine was too slow")
            with pytest.raises(NotSentError, match="Deadline"):
                get(server)
        return bool(second.incomplete_because), len(server.peers)

    within_its_limit(lambda: found.append(hurried(in_time)))
    assert found == [(True, 2)]


def test_a_deadline_never_grows() -> None:
    """Of several deadlines, the nearest counts. A deadline ends with its block."""
    assert deadline.remaining() == float("inf")
    with deadline.within(10):
        with deadline.within(100):
            assert deadline.remaining() <= 10
        with deadline.within(1):
            assert deadline.remaining() <= 1
        assert 1 < deadline.remaining() <= 10
    assert deadline.remaining() == float("inf")


def test_neither_the_text_of_a_request_nor_that_of_an_error_shows_a_secret() -> None:
    """A URL may contain a secret, and a header a token. Neither is shown."""
    request = Outgoing("GET", "http://127.0.0.1:1/secret?sig=secret", {"Authorization": "Bearer secret"}, b"secret")
    assert "secret" not in repr(request)
    with pytest.raises(NotSentError) as caught:
        exchange(request, PATIENT)
    assert "secret" not in f"{caught.value!r} {caught.value.__cause__!r}"


def test_a_thread_with_a_running_loop_is_not_blocked() -> None:
    """A call in a thread with a running loop is refused, because it would stop the loop."""

    async def calls() -> None:
        with pytest.raises(RuntimeError):
            exchange(Outgoing("GET", "http://127.0.0.1:1/"), PATIENT)

    asyncio.run(calls())


def test_an_exchange_leaves_nothing_open() -> None:
    """An exchange leaves no socket and no loop open, with or without success."""
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    with serving(dripping(OK + b"\r\n", b"x")) as server:
        hurried(lambda limits: get(server, limits), ExchangeError)
        assert server.connection_is_over()
    for _ in range(3):
        with pytest.raises(NotSentError):
            exchange(Outgoing("GET", "http://127.0.0.1:1/"), PATIENT)
    assert len(os.listdir("/proc/self/fd")) <= before  # noqa: PTH208
