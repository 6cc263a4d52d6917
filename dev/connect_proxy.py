"""An HTTPS proxy on this machine that routes public host names to local servers.

An app with this proxy in HTTPS_PROXY calls `https://api.powerbi.com` with its own TLS, certificate check and proxy
code, but reaches the development service; nothing leaves the machine. For names without a route, the proxy answers 502.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from dev.loops import running

MAX_HEAD_BYTES = 16 * 1024
_ENDED = (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError)


@contextmanager
def serve(routes: Mapping[str, int]) -> Iterator[str]:
    """The proxy's URL. `routes`: "host:port" as the client requests it -> the port on 127.0.0.1."""
    with running("connect-proxy") as call:

        async def entry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with contextlib.closing(writer), contextlib.suppress(*_ENDED):
                await _tunnel(routes, reader, writer)

        server: asyncio.Server = call(asyncio.start_server(entry, "127.0.0.1", 0, limit=MAX_HEAD_BYTES))
        try:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        finally:
            call(_close(server))


async def _close(server: asyncio.Server) -> None:
    server.close()  # called on the thread of the loop, because the loop may be closing a connection at this moment


async def _tunnel(routes: Mapping[str, int], reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    method, _, rest = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").partition(" ")
    port = routes.get(rest.split(" ")[0]) if method == "CONNECT" else None
    if port is None:
        writer.write(b"HTTP/1.1 502 No Such Route\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        return
    target_reader, target_writer = await asyncio.open_connection("127.0.0.1", port)
    with contextlib.closing(target_writer):
        writer.write(b"HTTP/1.1 200 Connection Established\r\n\r\n")
        await asyncio.gather(_pump(reader, target_writer), _pump(target_reader, writer))


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Copies the data until the reader ends, then closes the writer, so that the other direction ends, too."""
    try:
        while data := await reader.read(64 * 1024):
            writer.write(data)
            await writer.drain()
    finally:
        writer.close()
