"""One exchange, with servers that answer as no server should. Limits are handed in, so no test waits for a long one.

`SHORT` is a limit that is meant to run out; every other limit is `LONG`, and a test that reaches it fails. So a slow
machine makes a test slower, never red.
"""

import asyncio
import gzip
import os
import threading
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from outbound import deadline
from outbound.exchange import HEADER_BYTES, HEADERS, Limits, NoAnswerError, NotSentError, Outgoing, Received, exchange
from tests.unit.outbound.hostile import OK, Peer, Script, Server, serving

SHORT, LONG = 0.5, 60.0
DRIP = 0.05
"""Between two bytes of a slow server: each of them would start a time-out of the usual kind again."""
PATIENT = Limits(LONG, LONG, LONG, 1024 * 1024)
HURRIED = Limits(LONG, LONG, SHORT, 1024 * 1024)
ENDLESS = b"x" * 65536


def get(server: Server, limits: Limits = PATIENT, **headers: str) -> Received:
    """A GET."""
    return exchange(Outgoing("GET", server.url, headers), limits)


def answering(*parts: bytes) -> Script:
    """A server that reads the request, sends this, and closes."""

    def script(peer: Peer) -> None:
        peer.request()
        peer.send(*parts)

    return script


def dripping(head: bytes, part: bytes) -> Script:
    """A server that sends the head at once, and then a little, again and again."""

    def script(peer: Peer) -> None:
        peer.request()
        peer.send(head)
        peer.drip(part, DRIP)

    return script


def flooding(head: bytes, part: bytes) -> Script:
    """A server that sends the head, and then without end."""

    def script(peer: Peer) -> None:
        peer.request()
        peer.send(head)
        peer.forever(part)

    return script


def silent(peer: Peer) -> None:
    """A server that takes the request and says nothing."""
    peer.gone()


def within_its_limit(call: Callable[[], object]) -> None:
    """Runs the call; far less than LONG must have gone by."""
    began = time.monotonic()
    call()
    assert time.monotonic() - began < LONG / 2


def test_an_answer_is_status_headers_and_body() -> None:
    """Whatever the case of the headers; what is sent is what was given, and that nothing may be compressed."""
    with serving(answering(b"HTTP/1.1 404 Not Found\r\nX-Ms-Thing: 1\r\nContent-Length: 2\r\n\r\nno")) as server:
        received = get(server, Authorization="Bearer t")
    assert (received.status, received.headers["x-ms-thing"], received.body) == (404, "1", b"no")
    assert received.broken is None
    head = server.peers[0].received.decode().lower()
    assert "authorization: bearer t\r\n" in head
    assert "accept-encoding: identity\r\n" in head


def test_a_post_is_sent_once_with_its_length() -> None:
    """As one body, not in chunks."""

    def script(peer: Peer) -> None:
        while not peer.received.endswith(b"{}"):
            peer.received += peer.connection.recv(65536)
        peer.send(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")

    with serving(script) as server:
        received = exchange(Outgoing("POST", server.url, {"Content-Type": "application/json"}, b"{}"), PATIENT)
    assert received.status == 202
    assert b"\r\nContent-Length: 2\r\n" in server.peers[0].received
    assert b"\r\nContent-Type: application/json\r\n" in server.peers[0].received


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
def test_no_answer_within_the_limit_is_no_answer(script: Script) -> None:
    """The clock does not start again with each byte, and the socket is closed when it has run out."""
    with serving(script) as server:
        with pytest.raises(NoAnswerError, match="Timeout"):
            within_its_limit(lambda: get(server, HURRIED))
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
def test_a_body_that_is_not_whole_within_the_limit_is_broken(head: bytes, part: bytes) -> None:
    """The headers had arrived, and may be all that matters."""
    with serving(dripping(OK + b"RequestId: 7\r\n" + head, part)) as server:
        received: list[Received] = []
        within_its_limit(lambda: received.append(get(server, HURRIED)))
        assert server.connection_is_over()
    assert (received[0].status, received[0].headers["RequestId"], received[0].body) == (200, "7", b"")
    assert "Timeout" in (received[0].broken or "")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308, 300])
@pytest.mark.parametrize(
    "script",
    [dripping, flooding],
    ids=["drips", "floods"],
)
def test_a_redirect_is_neither_followed_nor_read(status: int, script: Callable[[bytes, bytes], Script]) -> None:
    """Its body is of no use, however long it is: the answer is there with the headers."""
    head = f"HTTP/1.1 {status} Elsewhere\r\nLocation: http://127.0.0.1:1/\r\nTransfer-Encoding: chunked\r\n\r\n"
    with serving(script(head.encode(), b"10000\r\n" + ENDLESS + b"\r\n")) as server:
        received = get(server)
        assert server.connection_is_over()
    assert (received.status, received.body, received.broken) == (status, b"", None)
    assert len(server.peers) == 1


def test_silence_has_a_limit_of_its_own() -> None:
    """A dead connection is given up sooner than a slow one."""
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
    """What is over the bound is not kept, and no more of it is taken."""
    limits = Limits(LONG, LONG, LONG, 1024 * 1024)
    with serving(flooding(OK + head, ENDLESS)) as server:
        tracemalloc.start()
        received = get(server, limits)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert server.connection_is_over()
    assert (received.status, received.body) == (200, b"")
    assert "TooLong" in (received.broken or "")
    assert most < 8 * limits.body_bytes


def test_a_body_of_exactly_the_bound_is_whole() -> None:
    """One byte more is not."""
    bodies = [b"x" * 1000, b"x" * 1001]
    heads = [OK + b"Content-Length: %d\r\n\r\n" % len(body) for body in bodies]
    limits = Limits(LONG, LONG, LONG, 1000)
    for head, body, whole in zip(heads, bodies, [True, False], strict=True):
        with serving(answering(head, body)) as server:
            received = get(server, limits)
        assert (received.broken is None) is whole
        assert received.body == (body if whole else b"")


def test_a_body_that_is_not_wanted_is_not_read() -> None:
    """A callback receiver has nothing to say beside its status."""
    with serving(flooding(OK + b"\r\n", ENDLESS)) as server:
        received = get(server, Limits(LONG, LONG, LONG, body_bytes=0))
        assert server.connection_is_over()
    assert (received.status, received.body, received.broken) == (200, b"", None)


@pytest.mark.parametrize(
    ("head", "part"),
    [
        pytest.param(b"", b"X: 1\r\n" * 1000, id="many headers"),
        pytest.param(b"X: ", ENDLESS, id="one endless header"),
        pytest.param(b"", b"X" * 65536, id="one endless name"),
    ],
)
def test_headers_have_a_bound(head: bytes, part: bytes) -> None:
    """They are refused long before they fill the memory."""
    with serving(flooding(OK + head, part)) as server:
        tracemalloc.start()
        with pytest.raises(NoAnswerError):
            within_its_limit(lambda: get(server))
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert server.connection_is_over()
    assert most < 10 * HEADER_BYTES * HEADERS


def test_a_status_line_has_a_bound() -> None:
    """It is read into memory, too."""
    with serving(flooding(b"HTTP/1.1 200 ", b"O" * 65536)) as server, pytest.raises(NoAnswerError):
        within_its_limit(lambda: get(server))


def test_nothing_is_unpacked() -> None:
    """A body that was compressed although that was not asked for stays as small as it is."""
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
        pytest.param(b"Transfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n0\r\n\r\n", id="a size that is none"),
        pytest.param(b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello world\r\n0\r\n\r\n", id="a size too small"),
        pytest.param(b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n", id="a size beyond all numbers"),
    ],
)
def test_a_body_that_breaks_off_is_broken(body: bytes) -> None:
    """Half an answer is not taken for a whole one."""
    with serving(answering(OK, body)) as server:
        try:
            received = get(server)
        except NoAnswerError:
            return  # the parser looked at head and body at once
    assert (received.status, received.body) == (200, b"")
    assert received.broken


def test_bytes_behind_the_body_are_nobodys() -> None:
    """They would be the next answer on a connection that is used again."""
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
def test_what_is_no_http_is_no_answer(answer: bytes) -> None:
    """And the request is not sent a second time: it may have arrived."""
    with serving(answering(answer)) as server:
        with pytest.raises(NoAnswerError):
            get(server)
        assert server.connection_is_over()
    assert len(server.peers) == 1


@pytest.mark.parametrize("method", ["GET", "DELETE", "POST"])
def test_a_request_is_never_repeated(method: str) -> None:
    """aiohttp by itself would send a GET and a DELETE again when the connection ends without an answer."""

    def script(peer: Peer) -> None:
        peer.request()
        peer.reset()

    with serving(script) as server:
        with pytest.raises(NoAnswerError):
            exchange(Outgoing(method, server.url), PATIENT)
        assert server.connection_is_over()
    assert len(server.peers) == 1


def test_an_answer_may_come_before_the_request_was_read() -> None:
    """As a gateway answers that does not want it."""

    def script(peer: Peer) -> None:
        peer.send(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        peer.gone()

    with serving(script) as server:
        received = exchange(Outgoing("POST", server.url, {}, b"x" * 8_000_000), PATIENT)
        assert server.connection_is_over()
    assert received.status == 413


def test_a_request_that_is_not_taken_is_given_up() -> None:
    """The other side accepts the connection and reads nothing."""
    given_up = threading.Event()

    def script(peer: Peer) -> None:
        given_up.wait(LONG)

    with serving(script) as server:
        with pytest.raises(NoAnswerError, match="Timeout"):
            within_its_limit(lambda: exchange(Outgoing("POST", server.url, {}, b"x" * 50_000_000), HURRIED))
        given_up.set()


def test_no_cookie_is_kept() -> None:
    """It could pin us to a part of the service that is failing."""
    with serving(answering(OK, b"Set-Cookie: a=b; Path=/\r\nContent-Length: 0\r\n\r\n")) as server:
        get(server)
        get(server)
    assert b"cookie" not in server.peers[1].received.lower()


def test_no_password_comes_from_the_home_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not from ~/.netrc, and a URL's own is none of ours either."""
    netrc = tmp_path / "netrc"
    netrc.write_text("default login someone password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    with serving(answering(OK, b"Content-Length: 0\r\n\r\n")) as server:
        get(server)
    assert b"authorization" not in server.peers[0].received.lower()


def test_no_proxy_is_asked_on_the_way_to_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Even if the environment names one for all."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    with serving(answering(OK, b"Content-Length: 0\r\n\r\n")) as server:
        assert get(server).status == 200


def test_nothing_listens() -> None:
    """Certainly not sent."""
    with serving(answering()) as server:
        pass
    with pytest.raises(NotSentError, match="ConnectionRefusedError"):
        get(server)


def test_a_name_that_does_not_exist() -> None:
    """Names under .invalid never do (RFC 6761)."""
    with pytest.raises(NotSentError, match="DNS"):
        exchange(Outgoing("GET", "http://power-bi.invalid/"), PATIENT)


@pytest.mark.parametrize("script", [dripping(b"", b"\x16"), flooding(b"", ENDLESS), silent])
def test_a_tls_handshake_counts_as_the_connection(script: Callable[[Peer], object]) -> None:
    """Whatever the other side does in it, nothing of the request was sent."""

    def play(peer: Peer) -> None:
        peer.connection.recv(1)
        peer.received = b"\r\n\r\n"
        script(peer)

    with serving(play) as server:
        url = server.url.replace("http://", "https://")
        with pytest.raises(NotSentError):
            within_its_limit(lambda: exchange(Outgoing("POST", url, {}, b"{}"), Limits(SHORT, LONG, LONG)))
        assert server.connection_is_over()


@pytest.mark.parametrize("url", ["", "x", "http://", "ftp://127.0.0.1/", "http://127.0.0.1:99999/", "http://[::1"])
def test_what_is_no_url_is_not_sent(url: str) -> None:
    """A capability that somebody mistyped."""
    with pytest.raises(NotSentError):
        exchange(Outgoing("GET", url), PATIENT)


@pytest.mark.parametrize("value", ["a\r\nX: 1", "a\nb", "\ud800"])
def test_what_cannot_be_a_header_is_not_sent(value: str) -> None:
    """And its text is not in the error."""
    with serving(answering()) as server, pytest.raises(NotSentError) as caught:
        get(server, Authorization=value)
    assert value not in str(caught.value)
    assert server.peers == []


def test_several_exchanges_share_one_deadline() -> None:
    """What the first took is not there for the second, and after the deadline nothing is sent any more."""
    with serving(dripping(OK + b"\r\n", b"x")) as server, deadline.within(SHORT):
        began = time.monotonic()
        broken = [get(server).broken for _ in range(1)]
        assert time.monotonic() - began < LONG / 2
        assert broken[0]
        with pytest.raises(NotSentError, match="Deadline"):
            get(server)
    assert len(server.peers) == 1


def test_a_deadline_never_grows() -> None:
    """The nearest one counts, and it ends with its block."""
    assert deadline.remaining() == float("inf")
    with deadline.within(10):
        with deadline.within(100):
            assert deadline.remaining() <= 10
        with deadline.within(1):
            assert deadline.remaining() <= 1
        assert 1 < deadline.remaining() <= 10
    assert deadline.remaining() == float("inf")


def test_neither_the_text_of_a_request_nor_that_of_an_error_shows_a_secret() -> None:
    """A URL may be a capability, a header is a token."""
    request = Outgoing("GET", "http://127.0.0.1:1/secret?sig=secret", {"Authorization": "Bearer secret"}, b"secret")
    assert "secret" not in repr(request)
    with pytest.raises(NotSentError) as caught:
        exchange(request, PATIENT)
    assert "secret" not in f"{caught.value!r} {caught.value.__cause__!r}"


def test_a_thread_with_a_running_loop_is_not_blocked() -> None:
    """It is refused instead: the loop would stand still."""

    async def calls() -> None:
        with pytest.raises(RuntimeError):
            exchange(Outgoing("GET", "http://127.0.0.1:1/"), PATIENT)

    asyncio.run(calls())


def test_an_exchange_leaves_nothing_open() -> None:
    """No socket, no loop, whether it went well or not."""
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    with serving(dripping(OK + b"\r\n", b"x")) as server:
        get(server, HURRIED)
        assert server.connection_is_over()
    for _ in range(3):
        with pytest.raises(NotSentError):
            exchange(Outgoing("GET", "http://127.0.0.1:1/"), PATIENT)
    assert len(os.listdir("/proc/self/fd")) <= before  # noqa: PTH208
