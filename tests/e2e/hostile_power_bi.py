"""A Power BI service that gives invalid answers for some models, and good answers for all others.

A script gets the transport of one connection after the request was read, and writes any bytes to it; the connection
ends when the script ends. Only the client limits how much a script can send.
"""

import asyncio
import json
import random
import re
import zlib
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

from aiohttp import web

from dev.loops import running
from dev.power_bi.messages import Request
from dev.power_bi.service import PowerBiService

DRIP_SECONDS = 0.05
CHUNK = b"x" * 65536
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"

Script = Callable[[asyncio.Transport], Awaitable[None]]


@dataclass
class HostilePowerBi:
    """`scripts`, by dataset id, return the script for a call, or None for a good answer. `calls`: the scripts so
    far."""

    service: PowerBiService = field(default_factory=PowerBiService)
    scripts: dict[str, Callable[[], Script | None]] = field(default_factory=dict)
    calls: dict[str, int] = field(default_factory=dict)
    more_rows: dict[str, bytes] = field(default_factory=dict)
    """By dataset id: rows that are appended to an otherwise good history. `calls` also counts these answers."""
    base_url: str = ""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answers one call."""
        body = await request.read()
        found = re.search(r"/datasets/([0-9a-f-]{36})", request.path)
        chosen = None if request.path.startswith("/control") or not found else self.scripts.get(found[1])
        script = chosen() if chosen else None
        if script is not None and found and isinstance(request.transport, asyncio.Transport):
            self.calls[found[1]] = self.calls.get(found[1], 0) + 1
            await script(request.transport)
            if request.transport:
                request.transport.close()
            return web.Response(status=500)
        call = Request(request.method, request.raw_path, dict(request.headers), body)
        answer = self.service.handle(call, datetime.now(UTC))
        if found and found[1] in self.more_rows and request.method == "GET" and request.path.endswith("/refreshes"):
            self.calls[found[1]] = self.calls.get(found[1], 0) + 1
            rows = json.dumps(json.loads(answer.body)["value"]).encode()[1:-1]
            body = b'{"value":[' + b",".join(filter(None, (rows, self.more_rows[found[1]]))) + b"]}"
            return web.Response(body=body, content_type="application/json")
        if answer.dropped and request.transport is not None:
            request.transport.abort()
        return web.Response(status=answer.status or 500, body=answer.body or None, headers=answer.headers)


@contextmanager
def serving_hostile() -> Iterator[HostilePowerBi]:
    """Serves until the block ends."""
    power_bi = HostilePowerBi()

    async def start(runner: web.AppRunner) -> None:
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()

    with running("hostile-power-bi") as call:
        app = web.Application(client_max_size=16 * 1024 * 1024)
        app.router.add_route("*", "/{tail:.*}", power_bi.handle)
        runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=0.1)
        try:
            call(start(runner))
            power_bi.base_url = f"http://127.0.0.1:{runner.addresses[0][1]}"
            yield power_bi
        finally:
            call(runner.cleanup())


def sending(*parts: bytes) -> Script:
    """A script that sends these bytes and closes the connection."""

    async def script(transport: asyncio.Transport) -> None:
        for part in parts:
            transport.write(part)
        await _drained(transport)

    return script


def dripping(head: bytes, part: bytes = b" ") -> Script:
    """A script that sends the head at once, and then a few bytes again and again, until the client disconnects."""

    async def script(transport: asyncio.Transport) -> None:
        transport.write(head)
        while not transport.is_closing():
            transport.write(part)
            await asyncio.sleep(DRIP_SECONDS)

    return script


def flooding(head: bytes, part: bytes = CHUNK) -> Script:
    """A script that sends the head, and then bytes endlessly, as fast as the client reads them."""

    async def script(transport: asyncio.Transport) -> None:
        transport.write(head)
        while not transport.is_closing():
            transport.write(part)
            await _drained(transport)

    return script


async def resetting(transport: asyncio.Transport) -> None:
    """A script that ends the connection without an answer."""
    transport.abort()


async def _drained(transport: asyncio.Transport) -> None:
    while transport.get_write_buffer_size() > 0 and not transport.is_closing():  # noqa: ASYNC110 - the transport has no event for it
        await asyncio.sleep(0.001)


def with_length(body: bytes, head: bytes = OK) -> bytes:
    """An answer with a body."""
    return head + b"Content-Length: %d\r\n\r\n" % len(body) + body


def old_rows(count: int = 20_000, *, start_times: bool = True) -> bytes:
    """Rows of completed refreshes, far more than a real service returns."""
    began = b'"startTime":"2020-03-31T00:00:00.000Z",' if start_times else b""
    row = b'{"requestId":"00000000-0000-4000-8000-%012d","refreshType":"ViaApi",%b"status":"Completed"}'
    return b",".join(row % (number, began) for number in range(count))


def hostile_answer(chance: random.Random) -> Script:
    """A random script, with an unusual size or encoding, a drip, a redirect, broken chunks, or an invalid head."""
    noise = chance.randbytes(chance.choice((1, 40, 5000)))
    rows = b'{"value":[' + b",".join([b'{"requestId":5,"status":[],"startTime":{}}'] * chance.choice((1, 1000))) + b"]}"
    name = "\u202e\u0085\u2028".encode() * chance.choice((1, 60_000))
    failed = (
        b'{"requestId":"00000000-0000-4000-8000-000000000001","status":"Failed","refreshType":"%b","startTime":"%b"}'
    )
    encoding = chance.choice(("utf-16", "utf-32", "utf-8-sig", "utf-7", "cp037"))
    odd = b"Date: Thu, 99 Foo 2026 99:99:99 GMT\r\nRetry-After: \xff\r\nRequestId: \xe2\x80\xae" + b"y" * 5000
    scripts: list[Callable[[], Script]] = [
        lambda: resetting,
        lambda: sending(noise),
        lambda: sending(OK[: chance.randrange(len(OK))]),
        lambda: sending(with_length(noise)),
        lambda: sending(with_length(rows)),
        lambda: sending(with_length(b'{"value":[' + failed % (name, name) + b"]}")),
        lambda: sending(with_length(b"[" * 100_000)),
        lambda: sending(with_length(b'{"value":[' + b"{}," * 3_000_000 + b"{}]}")),
        lambda: sending(with_length(b'{"status":"Failed","objects":[' + b"{}," * 3_000_000 + b"{}]}")),
        lambda: sending(with_length('{"value":[]}'.encode(encoding))),
        lambda: sending(with_length(zlib.compress(b" " * 1_000_000), OK + b"Content-Encoding: deflate\r\n")),
        lambda: sending(with_length(noise, OK + b"Content-Type: text/html; charset=nonsense\r\n")),
        lambda: sending(OK + b"Content-Length: 1000000000000\r\n\r\n{}"),
        lambda: sending(OK + b"Content-Length: -1\r\n\r\n{}"),
        lambda: sending(OK + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}"),
        lambda: sending(OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n"),
        lambda: sending(OK + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n{}"),
        lambda: sending(OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n"),
        lambda: sending(OK + b"X-Many: " + b"x" * 200_000 + b"\r\n\r\n"),
        lambda: sending(OK, b"".join(b"X-%d: y\r\n" % number for number in range(5000)), b"\r\n"),
        lambda: sending(OK + odd + b"\r\n\r\n{}"),
        lambda: sending(b"HTTP/1.1 %d What\r\nContent-Length: 0\r\n\r\n" % chance.randrange(200, 600)),
        lambda: sending(b"HTTP/1.1 429 Slow\r\nRetry-After: 99999999999999999999\r\nContent-Length: 0\r\n\r\n"),
        lambda: sending(b"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n"),
        lambda: sending(b"HTTP/1.1 202 Accepted\r\nLocation: \xff\xfe/../..\r\nContent-Length: 0\r\n\r\n"),
        lambda: dripping(OK + b"Content-Length: 100\r\n\r\n"),
        lambda: flooding(b"HTTP/1.1 307 Again\r\nLocation: /\r\n\r\n"),
        lambda: flooding(OK + b"\r\n"),
        lambda: flooding(OK + b"X: "),
        lambda: flooding(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"10000\r\n" + CHUNK + b"\r\n"),
        # sent slowly: only the time limit ends such an answer, and a flood would use a whole core until then
        # (tests/unit/outbound has floods)
        lambda: dripping(b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\n"),
    ]
    return chance.choice(scripts)()
