"""The service over HTTP, on 127.0.0.1, in a thread of its own."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from aiohttp import web

from dev.loops import running
from dev.power_bi.messages import Request
from dev.power_bi.refusals import token_expired
from dev.power_bi.service import PowerBiService

log = logging.getLogger("dev.power_bi")

Clock = Callable[[], datetime]


class PortTaken(Exception):  # noqa: N818
    """The port is in use."""

    def __init__(self, port: int) -> None:
        super().__init__(f"port {port} is in use; choose a different --port")


@dataclass(frozen=True)
class Serving:
    """A running service; `base_url` has no trailing slash."""

    service: PowerBiService
    base_url: str


@contextmanager
def serve(
    service: PowerBiService,
    port: int = 0,
    clock: Clock | None = None,
    *,
    tls: ssl.SSLContext | None = None,
    accepts: Callable[[str], bool] | None = None,
) -> Iterator[Serving]:
    """Serves until the block ends. `port` 0 picks a free one; `clock` returns the time (UTC). Raises PortTaken.

    `tls`: serves over TLS with this certificate. `accepts`: decides which tokens are valid; a call with an invalid
    token gets the answer for an expired token. Without `accepts`, every token is valid."""
    with running("power-bi") as call:
        app = _app(service, clock or _now, accepts)
        runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=0.1)
        try:
            bound_port = call(_listen(runner, port, tls))
            yield Serving(service, f"{'https' if tls else 'http'}://127.0.0.1:{bound_port}")
        finally:
            call(runner.cleanup())


async def _listen(runner: web.AppRunner, port: int, tls: ssl.SSLContext | None) -> int:
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port, ssl_context=tls).start()
    except OSError:
        raise PortTaken(port) from None
    return int(runner.addresses[0][1])


def _app(service: PowerBiService, clock: Clock, accepts: Callable[[str], bool] | None) -> web.Application:
    async def entry(request: web.Request) -> web.StreamResponse:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        body = await request.read()
        incoming = Request(request.method, request.raw_path, dict(request.headers), body)
        good = accepts is None or request.path.startswith("/control") or accepts(token)
        response = service.handle(incoming, clock()) if good else token_expired()
        result = "dropped" if response.dropped else str(response.status)
        late = f" after {response.delay_seconds:g} s" if response.delay_seconds else ""
        log.info("%s %s %s%s", request.method, request.raw_path, result, late)
        if response.delay_seconds:
            await asyncio.sleep(response.delay_seconds)
        if response.dropped and request.transport is not None:
            request.transport.abort()
        # a dropped response is never sent, so its status does not matter
        return web.Response(status=response.status or 500, body=response.body or None, headers=response.headers)

    app = web.Application(client_max_size=16 * 1024 * 1024)
    app.router.add_route("*", "/{tail:.*}", entry)
    return app


def _now() -> datetime:
    return datetime.now(UTC)
