"""An app whose engine fails: the HTTP functions run on the devhost, and a stub replaces their engine.

The devhost keeps its state in memory, so a test cannot take its storage away. Instead, a second process with the HTTP
functions (`--http-only`) is connected to another engine: one that answers, like the Durable extension, 500 to every
call that needs the storage and 404 to unknown paths, or one that accepts connections and never answers.
"""

import asyncio
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Literal

from aiohttp import web

from dev.loops import running

Fault = Literal["storageUnreachable", "silent"]
STORAGE_ROUTES = ("/instances", "/entities", "/orchestrators")
UNREACHABLE = {
    "Message": "Something went wrong while processing your request",
    "ExceptionMessage": "This request is not authorized to perform this operation.",
    "ExceptionType": "Azure.RequestFailedException",
}

NOWHERE = "http://127.0.0.1:9"
"""An address where no process listens. The address of a killed devhost is not suitable, because another devhost may
soon use it."""


@contextmanager
def engine(fault: Fault) -> Iterator[str]:
    """The address of the engine, without a path."""

    async def respond(request: web.Request) -> web.Response:
        if fault == "silent":
            await asyncio.Event().wait()
        if any(route in request.path for route in STORAGE_ROUTES):
            return web.json_response(UNREACHABLE, status=500)
        return web.Response(status=404)

    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", respond)
    with running("engine-stub") as call:
        runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=0.1)

        async def listen() -> int:
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            return int(runner.addresses[0][1])

        try:
            yield f"http://127.0.0.1:{call(listen())}"
        finally:
            call(runner.cleanup())


def point_host_to(state: Path, address: str) -> None:
    """Connects the HTTP functions that use the devhost with `state` to the engine at `address`, from the next call
    on."""
    with closing(sqlite3.connect(state / "state.db", timeout=10)) as database, database:
        ((text,),) = database.execute("SELECT value FROM meta WHERE key = 'running'").fetchall()
        changed = json.dumps({**json.loads(text), "rpc": address})
        database.execute("UPDATE meta SET value = ? WHERE key = 'running'", (changed,))
