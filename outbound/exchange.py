"""One HTTP exchange with limits on its bytes and on its time, from the name look-up to the last byte.

It uses aiohttp on an event loop of its own, because a time-out of aiohttp covers the whole exchange and closes the
socket, however slowly the other side sends. The blocking HTTP libraries (requests, urllib3, http.client) restart their
time-out with each byte, read the body of a redirect that they do not follow, and cannot be interrupted.

Nothing is kept between exchanges: no cookie, no connection. The other side may close a reused connection at the moment
of a POST, and then it is unknown whether the POST arrived.
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
"""The maximum number of bytes of one header, name and value together. Some Location and policy headers have several
kilobytes."""
HEADERS = 128
TURNS_TO_CLOSE = 3
"""How many iterations the event loop runs so that a connection that was shut down is closed."""

T = TypeVar("T")


@dataclass(frozen=True)
class Limits:
    """The limits of one exchange."""

    connect_seconds: float = 10.0
    """The time for name look-up, connection, proxy and TLS."""
    silence_seconds: float = 30.0
    """The longest time without a byte of the answer."""
    whole_seconds: float = 60.0
    """The longest time from the start to the last byte; less if the deadline of the work is earlier."""
    body_bytes: int = 16 * 1024 * 1024
    """A longer body is an error. 0: the body is not read, the connection is closed after the headers."""
    cut: bool = False
    """If true, a longer body is cut instead, because the caller only needs its beginning."""


@dataclass(frozen=True)
class Outgoing:
    """A request. Its URL may be a capability and its headers contain a token, so neither is in its repr."""

    method: str
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False, default_factory=dict)
    body: bytes | None = field(repr=False, default=None)


@dataclass(frozen=True)
class Received:
    """An answer. Header names are case-insensitive; of a repeated header, the first value counts."""

    status: int
    headers: Mapping[str, str]
    body: bytes = b""
    """As it was sent, never decompressed. Empty for a redirect, because the body of a redirect is not read."""
    incomplete_because: str | None = None
    """The names of the error types if the body is incomplete: it broke off, is too long, or took too long."""


class ExchangeError(Exception):
    """There was no answer. The message has only the names of error types, because the errors' own texts quote URLs and
    headers."""


class NotSentError(ExchangeError):
    """Certainly not sent: the name look-up, the connection, TLS or the proxy failed, or the deadline had passed."""


class NoAnswerError(ExchangeError):
    """A connection was made, so the request may have arrived; then silence, a reset, or an answer that is not HTTP."""


Transport = Callable[[Outgoing, Limits], Received]
"""Makes one exchange: `exchange`, or a replacement for the network."""


def exchange(request: Outgoing, limits: Limits) -> Received:
    """The answer to a request, whatever its status. Blocks for at most `limits.whole_seconds`.

    Redirects are not followed. Proxies come from the environment, except for this machine. TLS trusts
    REQUESTS_CA_BUNDLE if it is set, else the system's authorities (or SSL_CERT_FILE) and those of certifi.
    Raises NotSentError and NoAnswerError; RuntimeError on a thread with an event loop, because it would block the loop.
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
    """Like `asyncio.run`, but does not wait at the end for a thread that still looks up a name."""
    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(work)
    finally:
        work.close()
        loop.run_until_complete(_cancel_leftovers())
        loop.close()


async def _cancel_leftovers() -> None:
    """Ends everything that the exchange left behind: a name look-up, connections that are being closed."""
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
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
                force_close=True, ssl=_tls_context(), use_dns_cache=False, socket_factory=socket_of
            ) as connector,
            aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=timeout,
                trace_configs=[trace],
                middlewares=[_without_repeat],
                auto_decompress=False,
                max_field_size=HEADER_BYTES,
                max_headers=HEADERS,
            ) as session,
            session.request(
                request.method,
                # unchanged: a signed URL is valid only for exactly the characters that were signed
                URL(request.url, encoded=True),
                # a stream, which aiohttp sends piece by piece; its length is known
                data=None if request.body is None else io.BytesIO(request.body),
                # no compression: a small body could unpack to any size
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
            return Received(answer.status, answer.headers, incomplete_because=why)
        raise (NoAnswerError if connected.is_set() else NotSentError)(why) from None
    finally:
        # otherwise a connection would stay open if the other side does not read the whole request
        for sock in sockets:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)


class _BrokenConnection(aiohttp.ClientError):
    """Replaces the errors after which aiohttp would send a request a second time."""


async def _without_repeat(
    request: aiohttp.ClientRequest,
    send: Callable[[aiohttp.ClientRequest], Awaitable[aiohttp.ClientResponse]],
) -> aiohttp.ClientResponse:
    """A middleware that keeps aiohttp from repeating a request that may have arrived. Retries are decided elsewhere."""
    try:
        return await send(request)
    except aiohttp.ClientConnectorError:
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise _BrokenConnection from error


class _TooLongError(Exception):
    """The body is longer than allowed."""


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
    """Headers as text that can be encoded again. The text that aiohttp makes of bytes other than UTF-8 cannot be
    encoded."""
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
def _tls_context() -> ssl.SSLContext:
    bundle = os.environ.get("REQUESTS_CA_BUNDLE")
    if bundle and Path(bundle).is_dir():
        return ssl.create_default_context(capath=bundle)
    if bundle:
        return ssl.create_default_context(cafile=bundle)
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context
