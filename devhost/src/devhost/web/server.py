"""The sockets. One thread with its own loop serves the port of the app and the RPC port of the client."""

from __future__ import annotations

import asyncio
import logging
import random
import socket
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future

from aiohttp import hdrs, web

from devhost.logs import host_thread
from devhost.web.messages import Answer, Request

log = logging.getLogger("devhost.web")

Handler = Callable[[Request], Awaitable[Answer]]
_LARGEST_BODY = 210_000_000
"""The maximum number of bytes of a body, as in the Functions host."""


_OURS = frozenset({"transfer-encoding", "content-length", "connection"})
"""Headers of the connection, which a function must not set."""


class PortTaken(Exception):  # noqa: N818
    """The port is in use."""

    def __init__(self, port: int) -> None:
        super().__init__(f"port {port} is in use; choose a different --port")


class _Response(web.Response):
    """A response without a default Content-Type, as in the real host; aiohttp would add one."""

    typed = False

    async def _prepare_headers(self) -> None:
        await super()._prepare_headers()
        if not self.typed:
            self.headers.pop(hdrs.CONTENT_TYPE, None)


class Server:
    """Serves handlers on loopback ports on its own thread."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._runners: list[web.AppRunner] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._thread = threading.Thread(target=self._run, name="http", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        host_thread()
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    def serve(self, sock: socket.socket, handler: Handler) -> None:
        """Starts serving; returns when connections are accepted."""
        started: Future[None] = asyncio.run_coroutine_threadsafe(self._serve(sock, handler), self._loop)
        started.result(30)

    async def _serve(self, sock: socket.socket, handler: Handler) -> None:
        async def entry(request: web.Request) -> web.StreamResponse:
            try:
                answer = await handler(await _read(request))
            except (asyncio.CancelledError, web.HTTPException):
                raise
            except Exception:
                log.exception("%s %s", request.method, request.raw_path)
                answer = Answer(500)
            response = _Response(status=answer.status, body=answer.body or None)
            for name, value in answer.headers:
                if name.lower() == "content-type":
                    response.headers[hdrs.CONTENT_TYPE] = value
                    response.typed = True
                elif name.lower() not in _OURS:
                    response.headers.add(name, value)
            return response

        app = web.Application(client_max_size=_LARGEST_BODY)
        # a dot alone would not match line ends, which a path can contain (%0A)
        app.router.add_route("*", r"/{tail:(?s:.*)}", entry)
        runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=1)
        await runner.setup()
        await web.SockSite(runner, sock).start()
        self._runners.append(runner)

    def run(self, start: Callable[[], list[asyncio.Task[None]]]) -> None:
        """Starts tasks on the loop of the server; stop() cancels them."""

        async def begin() -> None:
            self._tasks += start()

        asyncio.run_coroutine_threadsafe(begin(), self._loop).result(30)

    def stop(self, close: Callable[[], Awaitable[None]] | None = None) -> None:
        """Cancels the tasks, stops the servers, and awaits `close` on the loop of the server."""

        async def cleanup() -> None:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            for runner in self._runners:
                await runner.cleanup()
            if close is not None:
                await close()

        asyncio.run_coroutine_threadsafe(cleanup(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)


async def _read(request: web.Request) -> Request:
    base = f"{request.scheme}://{request.host}"
    headers: dict[str, str] = {}
    for name, value in request.headers.items():
        key = name.lower()
        headers[key] = f"{headers[key]},{value}" if key in headers else value
    query: dict[str, str] = {}
    for name, value in request.query.items():
        query[name] = f"{query[name]},{value}" if name in query else value
    raw = request.raw_path if request.raw_path.startswith("/") else request.rel_url.raw_path_qs
    return Request(
        method=request.method,
        base=base,
        raw_path=raw.partition("?")[0],
        url=base + raw,
        query=query,
        headers=headers,
        body=await request.read(),
    )


def bind(port: int) -> socket.socket:
    """A listening loopback socket. Raises PortTaken."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    if hasattr(socket, "SO_EXCLUSIVEADDRUSE"):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
    else:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind(("127.0.0.1", port))
        sock.listen(1024)  # also fails if another process bound the port at the same time and listens already
    except OSError:
        sock.close()
        raise PortTaken(port) from None
    return sock


def bind_rpc() -> socket.socket:
    """A socket for the client's RPC port: 17071 as in the real extension, or, if that is taken, a port from 30000
    to 30999."""
    for port in (17071, *random.sample(range(30000, 31000), 50)):
        try:
            return bind(port)
        except PortTaken:
            continue
    raise PortTaken(17071)
