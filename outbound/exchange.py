"""One HTTP exchange in which everything has a bound: the time from the first look at the name to the last byte, the
bytes of the headers and of the body, the connections (one).

It is aiohttp on an event loop of the exchange's own, because a time-out of aiohttp covers the whole exchange and closes
the socket, whatever the other side sends slowly. The HTTP libraries that block (requests, urllib3, http.client) start
their time-out again with each byte, read the body of a redirect that they are told not to follow, and cannot be
interrupted.

Nothing is kept between exchanges: no cookie, no connection. A connection that is used again may be closed by the other
side at the moment of a POST, and nobody could tell whether the POST arrived.
"""

import asyncio
import contextlib
import io
import os
import socket
import ssl
import urllib.request
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

import aiohttp
import certifi
from multidict import CIMultiDict
from yarl import URL

from outbound import deadline
from refresh.settings import is_loopback

CHUNK_BYTES = 64 * 1024
HEADER_BYTES = 16 * 1024
"""Of one header, name and value. Locations and policies of some kilobytes are seen."""
HEADERS = 128
TURNS_TO_CLOSE = 3
"""Of an event loop, until a connection that was shut down has noticed it and is closed."""

T = TypeVar("T")


@dataclass(frozen=True)
class Limits:
    """What one exchange may cost."""

    connect_seconds: float = 10.0
    """Name, connection, proxy and TLS."""
    silence_seconds: float = 30.0
    """Without a byte of the answer."""
    whole_seconds: float = 60.0
    """From the start to the last byte; less if the deadline of the work is nearer."""
    body_bytes: int = 16 * 1024 * 1024
    """More is a broken answer. 0: the body is not read at all, the connection is closed after the headers."""
    cut: bool = False
    """A body that has more is cut instead: the caller needs its beginning only."""


@dataclass(frozen=True)
class Outgoing:
    """A request. Its URL may be a capability and its headers hold a token: neither is part of its text."""

    method: str
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False, default_factory=dict)
    body: bytes | None = field(repr=False, default=None)


@dataclass(frozen=True)
class Received:
    """An answer. Header names are case-insensitive; of a header that came twice, the first value counts."""

    status: int
    headers: Mapping[str, str]
    body: bytes = b""
    """As it was sent, never decompressed. Empty for a redirect, whose body is not read."""
    broken: str | None = None
    """Why the body is not there as a whole, in names of error types: it broke off, is too long, or took too long."""


class ExchangeError(Exception):
    """There was no answer. The text names types of errors only: their own texts quote URLs and headers."""


class NotSentError(ExchangeError):
    """Certainly not sent: no name, no connection, no TLS, no proxy, or the deadline had passed."""


class NoAnswerError(ExchangeError):
    """A connection was made, so the request may have arrived; then silence, a reset, or no HTTP."""


Transport = Callable[[Outgoing, Limits], Received]
"""Makes one exchange: `exchange`, or what stands in for the network."""


def exchange(request: Outgoing, limits: Limits) -> Received:
    """The answer to a request, whatever its status. Blocks for at most `limits.whole_seconds`.

    Redirects are not followed. Proxies are those of the environment, none towards this machine. TLS trusts
    REQUESTS_CA_BUNDLE if that is set, else the system's authorities (or SSL_CERT_FILE) and those of certifi.
    Raises NotSentError and NoAnswerError; RuntimeError on a thread that runs an event loop, which it would block.
    """
    if _is_on_an_event_loop():
        raise RuntimeError("exchange() would block the event loop of this thread; call it on a thread of a pool")
    seconds = min(limits.whole_seconds, deadline.remaining())
    if seconds <= 0:
        raise NotSentError("DeadlinePassed")
    if not all(text.isascii() and text.isprintable() for header in request.headers.items() for text in header):
        raise NotSentError("InvalidHeader")
    if not (request.url.isascii() and request.url.isprintable() and " " not in request.url):
        raise NotSentError("InvalidUrl")
    return _run(_exchange(request, limits, seconds))


def _is_on_an_event_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _run(work: Coroutine[None, None, T]) -> T:
    """As `asyncio.run`, which at its end would wait for a thread that still looks up a name."""
    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(work)
    finally:
        work.close()
        loop.run_until_complete(_end_of_all())
        loop.close()


async def _end_of_all() -> None:
    """Ends what the exchange has left behind: the look-up of a name, connections that are being closed."""
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)
    for _ in range(TURNS_TO_CLOSE):
        await asyncio.sleep(0)


async def _exchange(request: Outgoing, limits: Limits, seconds: float) -> Received:
    connected = asyncio.Event()
    sockets: list[socket.socket] = []

    async def now_connected(*_: object) -> None:
        connected.set()

    def socket_of(address: aiohttp.AddrInfoType) -> socket.socket:
        sockets.append(socket.socket(*address[:3]))
        return sockets[-1]

    trace = aiohttp.TraceConfig()
    trace.on_connection_create_end.append(now_connected)
    timeout = aiohttp.ClientTimeout(None, connect=limits.connect_seconds, sock_read=limits.silence_seconds)
    answer: Received | None = None
    try:
        async with (
            asyncio.timeout(seconds),
            aiohttp.TCPConnector(
                force_close=True, ssl=_trusted(), use_dns_cache=False, socket_factory=socket_of
            ) as connector,
            aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=timeout,
                trace_configs=[trace],
                middlewares=[_once],
                auto_decompress=False,
                max_field_size=HEADER_BYTES,
                max_headers=HEADERS,
            ) as session,
            session.request(
                request.method,
                # as it is: a signed URL holds for the very characters that were signed
                URL(request.url, encoded=True),
                # a stream, of which aiohttp sends piece by piece; its length is known
                data=None if request.body is None else io.BytesIO(request.body),
                # not to be compressed: a small body could unpack to any size
                headers={"Accept-Encoding": "identity", **request.headers},
                allow_redirects=False,
                proxy=_proxy(request.url),
            ) as response,
        ):
            answer = Received(response.status, _headers(response))
            if limits.body_bytes == 0 or 300 <= response.status < 400:
                response.close()
                return answer
            body = await _body(response, limits)
            return Received(answer.status, answer.headers, body)
    except Exception as error:
        why = " ".join(dict.fromkeys(type(cause).__name__ for cause in _causes(error)))
        if answer is not None:
            return Received(answer.status, answer.headers, broken=why)
        raise (NoAnswerError if connected.is_set() else NotSentError)(why) from None
    finally:
        # a connection whose request is not taken would otherwise stay until it is
        for opened in sockets:
            with contextlib.suppress(OSError):
                opened.shutdown(socket.SHUT_RDWR)


class _BrokenConnection(aiohttp.ClientError):
    """In place of the errors after which aiohttp sends a request a second time by itself."""


async def _once(
    request: aiohttp.ClientRequest,
    send: Callable[[aiohttp.ClientRequest], Awaitable[aiohttp.ClientResponse]],
) -> aiohttp.ClientResponse:
    """A middleware that keeps aiohttp from repeating what may have arrived: how often we call is ours to decide."""
    try:
        return await send(request)
    except aiohttp.ClientConnectorError:
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise _BrokenConnection from error


class _TooLongError(Exception):
    """The body has more bytes than it may have."""


async def _body(response: aiohttp.ClientResponse, limits: Limits) -> bytes:
    body = bytearray()
    while chunk := await response.content.read(CHUNK_BYTES):
        body += chunk
        if len(body) > limits.body_bytes:
            if not limits.cut:
                raise _TooLongError
            response.close()
            return bytes(body[: limits.body_bytes])
    return bytes(body)


def _headers(response: aiohttp.ClientResponse) -> Mapping[str, str]:
    """Text that can be encoded again, which aiohttp's own cannot be if the bytes are no UTF-8."""
    return CIMultiDict(
        (name.decode("ascii", "replace"), value.decode("utf-8", "replace")) for name, value in response.raw_headers
    )


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None and not isinstance(error, asyncio.CancelledError):
        yield error
        error = error.__cause__ or getattr(error, "os_error", None)


def _proxy(url: str) -> str | None:
    parts = urlsplit(url)
    if is_loopback(url) or urllib.request.proxy_bypass(parts.hostname or ""):
        return None
    proxies = urllib.request.getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    return proxy if proxy is None or "://" in proxy else f"http://{proxy}"


@cache
def _trusted() -> ssl.SSLContext:
    bundle = os.environ.get("REQUESTS_CA_BUNDLE")
    if bundle and Path(bundle).is_dir():
        return ssl.create_default_context(capath=bundle)
    if bundle:
        return ssl.create_default_context(cafile=bundle)
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context
