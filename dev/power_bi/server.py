"""The service over HTTP, on 127.0.0.1, from a thread of its own."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from aiohttp import web

from dev.power_bi.messages import Request
from dev.power_bi.service import PowerBiService

log = logging.getLogger("dev.power_bi")

Clock = Callable[[], datetime]


class PortTaken(Exception):  # noqa: N818
    """The port is in use."""

    def __init__(self, port: int) -> None:
        super().__init__(f"port {port} is in use; give another --port")


@dataclass(frozen=True)
class Serving:
    """A service that can be called; `base_url` without a slash at its end."""

    service: PowerBiService
    base_url: str


@contextmanager
def serve(service: PowerBiService, port: int = 0, clock: Clock | None = None) -> Iterator[Serving]:
    """Serves until the block ends. `port` 0 takes a free one; `clock` gives the time (UTC). Raises PortTaken."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="power-bi", daemon=True)
    thread.start()
    runner = web.AppRunner(_app(service, clock or _now), access_log=None, handle_signals=False, shutdown_timeout=0.1)
    try:
        taken = asyncio.run_coroutine_threadsafe(_listen(runner, port), loop).result(30)
        yield Serving(service, f"http://127.0.0.1:{taken}")
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(30)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(30)
        loop.close()


async def _listen(runner: web.AppRunner, port: int) -> int:
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
    except OSError:
        raise PortTaken(port) from None
    return int(runner.addresses[0][1])


def _app(service: PowerBiService, clock: Clock) -> web.Application:
    async def entry(request: web.Request) -> web.StreamResponse:
        body = await request.read()
        asked = Request(request.method, request.raw_path, dict(request.headers), body)
        response = service.handle(asked, clock())
        told = "dropped" if response.dropped else str(response.status)
        late = f" after {response.delay_seconds:g} s" if response.delay_seconds else ""
        log.info("%s %s %s%s", request.method, request.raw_path, told, late)
        if response.delay_seconds:
            await asyncio.sleep(response.delay_seconds)
        if response.dropped and request.transport is not None:
            request.transport.abort()
        # a response that is dropped is never sent, whatever its status
        return web.Response(status=response.status or 500, body=response.body or None, headers=response.headers)

    app = web.Application(client_max_size=16 * 1024 * 1024)
    app.router.add_route("*", "/{tail:.*}", entry)
    return app


def _now() -> datetime:
    return datetime.now(UTC)
