"""Servers with invalid answers: the limits hold for all of them."""

import gzip
import threading
import tracemalloc
from collections.abc import Callable

import pytest

from outbound.exchange import (
    HEADER_BYTES,
    HEADERS,
    ExchangeError,
    Limits,
    NoAnswerError,
    NotSentError,
    Outgoing,
    Received,
    exchange,
)
from tests.unit.outbound.calls import LONG, PATIENT, SHORT, get, hurried, within_its_limit
from tests.unit.outbound.hostile import OK, Peer, Script, answering, dripping, flooding, serving, silent

ENDLESS = b"x" * 65536


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(silent, id="silence"),
        pytest.param(dripping(b"HTTP/1.1 200 ", b"O"), id="a status line, byte by byte"),
        pytest.param(dripping(OK, b"X: 1\r\n"), id="headers, one after the other"),
        pytest.param(dripping(OK + b"X: ", b"1"), id="one header, byte by byte"),
        pytest.param(dripping(b"", b"HTTP/1.1 102 Processing\r\n\r\n"), id="interim answers"),
        pytest.param(flooding(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 1000), id="a flood of interim answers"),
    ],
)
def test_no_answer_within_the_limit(script: Script) -> None:
    """The limit does not restart with each byte, and the socket is closed at the limit."""
    with serving(script) as server:
        with pytest.raises(NoAnswerError, match="Timeout"):
            within_its_limit(lambda: hurried(lambda limits: get(server, limits)))
        assert server.connection_is_over()


@pytest.mark.parametrize(
    ("head", "part"),
    [
        pytest.param(b"Content-Length: 1000000\r\n\r\n", b"x", id="with a length"),
        pytest.param(b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n", id="in chunks"),
        pytest.param(b"Transfer-Encoding: chunked\r\n\r\n", b"0", id="a chunk whose size does not end"),
        pytest.param(b"\r\n", b"x", id="until the connection closes"),
    ],
)
def test_a_body_that_is_incomplete_at_the_limit_is_broken(head: bytes, part: bytes) -> None:
    """The answer has its headers, which may be enough for the caller, but no body."""
    with serving(dripping(OK + b"RequestId: 7\r\n" + head, part)) as server:
        received: list[Received] = []
        within_its_limit(lambda: received.append(hurried(lambda limits: get(server, limits), ExchangeError)))
        assert server.connection_is_over()
    assert (received[0].status, received[0].headers["RequestId"], received[0].body) == (200, "7", b"")
    assert "Timeout" in (received[0].incomplete_because or "")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308, 300])
@pytest.mark.parametrize(
    "script",
    [dripping, flooding],
    ids=["drips", "floods"],
)
def test_a_redirect_is_neither_followed_nor_read(status: int, script: Callable[[bytes, bytes], Script]) -> None:
    """The answer is complete with the headers; the body is not needed, however long it is."""
    head = f"HTTP/1.1 {status} Elsewhere\r\nLocation: http://127.0.0.1:1/\r\nTransfer-Encoding: chunked\r\n\r\n"
    with serving(script(head.encode(), b"10000\r\n" + ENDLESS + b"\r\n")) as server:
        received = get(server)
        assert server.connection_is_over()
    assert (received.status, received.body, received.incomplete_because) == (status, b"", None)
    assert len(server.peers) == 1


def test_silence_has_its_own_limit() -> None:
    """A dead connection is closed sooner than a slow connection."""
    with serving(silent) as server, pytest.raises(NoAnswerError, match="Timeout"):
        within_its_limit(lambda: get(server, Limits(LONG, SHORT, LONG)))


@pytest.mark.parametrize(
    "head",
    [
        pytest.param(b"Content-Length: 4294967296\r\n\r\n", id="with a length"),
        pytest.param(b"\r\n", id="until the connection closes"),
    ],
)
def test_a_body_has_a_bound_in_memory(head: bytes) -> None:
    """Bytes over the limit are not stored, and no more bytes are read."""
    limits = Limits(LONG, LONG, LONG, 1024 * 1024)
    with serving(flooding(OK + head, ENDLESS)) as server:
        tracemalloc.start()
        received = get(server, limits)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert server.connection_is_over()
    assert (received.status, received.body) == (200, b"")
    assert "TooLong" in (received.incomplete_because or "")
    assert most < 8 * limits.body_bytes


def test_a_body_is_cut_if_its_beginning_is_enough() -> None:
    """If a caller needs only the beginning of a body, the rest is not read, and the body does not count as broken."""
    limits = Limits(LONG, LONG, LONG, 1000, cut=True)
    with serving(flooding(OK + b"Content-Length: 4294967296\r\n\r\n", ENDLESS)) as server:
        received = get(server, limits)
        assert server.connection_is_over()
    assert (received.status, received.body, received.incomplete_because) == (200, ENDLESS[:1000], None)


def test_a_body_of_exactly_the_limit_is_complete() -> None:
    """A body of exactly the limit is complete; with one byte more, it is not."""
    bodies = [b"x" * 1000, b"x" * 1001]
    heads = [OK + b"Content-Length: %d\r\n\r\n" % len(body) for body in bodies]
    limits = Limits(LONG, LONG, LONG, 1000)
    for head, body, whole in zip(heads, bodies, [True, False], strict=True):
        with serving(answering(head, body)) as server:
            received = get(server, limits)
        assert (received.incomplete_because is None) is whole
        assert received.body == (body if whole else b"")


def test_a_body_that_is_not_needed_is_not_read() -> None:
    """A caller that needs only the status gets no body: for example, that of a callback receiver does not matter."""
    with serving(flooding(OK + b"\r\n", ENDLESS)) as server:
        received = get(server, Limits(LONG, LONG, LONG, body_bytes=0))
        assert server.connection_is_over()
    assert (received.status, received.body, received.incomplete_because) == (200, b"", None)


@pytest.mark.parametrize(
    ("head", "part"),
    [
        pytest.param(b"", b"X: 1\r\n" * 1000, id="many headers"),
        pytest.param(b"X: ", ENDLESS, id="one endless header"),
        pytest.param(b"", b"X" * 65536, id="one endless name"),
    ],
)
def test_headers_have_a_bound(head: bytes, part: bytes) -> None:
    """Headers that are too long are refused, long before they fill the memory."""
    with serving(flooding(OK + head, part)) as server:
        tracemalloc.start()
        with pytest.raises(NoAnswerError):
            within_its_limit(lambda: get(server))
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert server.connection_is_over()
    assert most < 10 * HEADER_BYTES * HEADERS


def test_a_status_line_has_a_bound() -> None:
    """A status line has a limit, because it is also read into memory."""
    with serving(flooding(b"HTTP/1.1 200 ", b"O" * 65536)) as server, pytest.raises(NoAnswerError):
        within_its_limit(lambda: get(server))


def test_nothing_is_unpacked() -> None:
    """A body that was compressed without being requested is not unpacked."""
    bomb = gzip.compress(b" " * 50_000_000)
    head = OK + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(bomb)
    with serving(answering(head, bomb)) as server:
        received = get(server)
    assert received.body == bomb


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"Content-Length: 10\r\n\r\nshort", id="fewer bytes than promised"),
        pytest.param(b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", id="no last chunk"),
        pytest.param(b"Transfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n0\r\n\r\n", id="an invalid size"),
        pytest.param(b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello world\r\n0\r\n\r\n", id="a size too small"),
        pytest.param(b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n", id="a size beyond all numbers"),
    ],
)
def test_an_incomplete_body_is_broken(body: bytes) -> None:
    """Half an answer does not count as a complete answer."""
    with serving(answering(OK, body)) as server:
        try:
            received = get(server)
        except NoAnswerError:
            return  # the parser read head and body at once
    assert (received.status, received.body) == (200, b"")
    assert received.incomplete_because


def test_bytes_after_the_body_are_ignored() -> None:
    """Bytes after the body are ignored. On a reused connection, they would be the next answer."""
    with serving(answering(OK, b"Content-Length: 2\r\n\r\nokHTTP/1.1 500 No\r\n\r\n")) as server:
        received = get(server)
    assert (received.status, received.body) == (200, b"ok")


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00", id="TLS"),
        pytest.param(b"SSH-2.0-OpenSSH_9.6\r\n", id="another protocol"),
        pytest.param(b"HTTP/1.1 abc\r\n\r\n", id="no status"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", id="a negative length"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", id="two lengths"),
        pytest.param(b"HTTP/1.1 200 OK\r\nbad header\r\n\r\n", id="a header without a colon"),
    ],
)
def test_invalid_http_is_not_an_answer(answer: bytes) -> None:
    """After an invalid answer, the request is not repeated, because it may have arrived."""
    with serving(answering(answer)) as server:
        with pytest.raises(NoAnswerError):
            get(server)
        assert server.connection_is_over()
    assert len(server.peers) == 1


def test_an_answer_may_come_before_the_request_was_read() -> None:
    """A gateway may answer like this when it refuses a request."""

    def script(peer: Peer) -> None:
        peer.send(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        peer.is_closed()

    with serving(script) as server:
        received = exchange(Outgoing("POST", server.url, {}, b"x" * 8_000_000), PATIENT)
        assert server.connection_is_over()
    assert received.status == 413


def test_a_request_that_the_server_does_not_read() -> None:
    """The server accepts the connection but reads nothing: the call fails at its limit."""
    given_up = threading.Event()

    def script(peer: Peer) -> None:
        given_up.wait(LONG)

    with serving(script) as server:
        request = Outgoing("POST", server.url, {}, b"x" * 50_000_000)
        with pytest.raises(NoAnswerError, match="Timeout"):
            within_its_limit(lambda: hurried(lambda limits: exchange(request, limits)))
        given_up.set()


@pytest.mark.parametrize("script", [dripping(b"", b"\x16"), flooding(b"", ENDLESS), silent])
def test_a_tls_handshake_counts_as_the_connection(script: Callable[[Peer], object]) -> None:
    """If the handshake fails in any way, nothing of the request was sent."""

    def play(peer: Peer) -> None:
        peer.connection.recv(1)
        peer.received = b"\r\n\r\n"
        script(peer)

    with serving(play) as server:
        url = server.url.replace("http://", "https://")
        with pytest.raises(NotSentError):
            within_its_limit(lambda: exchange(Outgoing("POST", url, {}, b"{}"), Limits(SHORT, LONG, LONG)))
        assert server.connection_is_over()


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(silent, id="silence"),
        pytest.param(dripping(b"HTTP/1.1 200 OK\r\n", b"X: 1\r\n"), id="headers, one after the other"),
        pytest.param(flooding(b"HTTP/1.1 200 OK\r\n", b"X: 1\r\n" * 1000), id="endless headers"),
        pytest.param(flooding(b"HTTP/1.1 407 No\r\n\r\n", ENDLESS), id="a refusal with an endless body"),
        pytest.param(flooding(b"HTTP/1.1 200 OK\r\n\r\n", ENDLESS), id="no TLS behind it"),
        pytest.param(answering(b"HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n"), id="a redirect"),
        pytest.param(answering(b"no HTTP\r\n\r\n"), id="another protocol"),
    ],
)
def test_a_proxy_without_a_connection_gets_no_request(script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request is sent through the tunnel of the proxy, or not at all."""
    with serving(script) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        monkeypatch.delenv("NO_PROXY", raising=False)
        request = Outgoing("POST", "https://power-bi.example/", {"Authorization": "Bearer secret"}, b"{}")
        with pytest.raises(NotSentError):
            within_its_limit(lambda: exchange(request, Limits(SHORT, LONG, LONG)))
        assert proxy.connection_is_over()
    assert len(proxy.peers) == 1
    assert b"secret" not in proxy.peers[0].received
