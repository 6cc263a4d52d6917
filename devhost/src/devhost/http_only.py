"""A second process that serves only the HTTP functions of an app, while a devhost runs everything else.

On a Flex Consumption plan, HTTP functions and durable functions scale separately and never share a process. So they do
not share what the app keeps in a process (module variables, caches). This process serves the HTTP functions. Its
durable clients use the devhost that has the state open. It also forwards requests for the management API to that
devhost.
"""

from __future__ import annotations

import json
import logging
import socket
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from devhost.app.index import load
from devhost.app.invoke import Invoker
from devhost.app.settings import load_app_settings, load_host_settings
from devhost.engine.sqlite_store import StateReader
from devhost.logs import LostLines
from devhost.web.admin import ADMIN, LOST_LOGS, Admin
from devhost.web.keys import Keys
from devhost.web.messages import Answer, Request
from devhost.web.payloads import WEBHOOKS, Links
from devhost.web.server import Server, bind
from devhost.web.triggers import HttpTriggers, triggers

log = logging.getLogger("devhost")

_KEPT = "running"
_CONNECT_SECONDS = 5.0
_NOT_FORWARDED = frozenset({"content-length", "transfer-encoding", "connection", "keep-alive"})


class NoEngine(Exception):  # noqa: N818
    """No devhost uses the state."""

    def __init__(self, state: Path) -> None:
        super().__init__(
            f"no devhost uses the state {state}: first start a devhost with this state, then one with --http-only"
        )


@dataclass(frozen=True, slots=True)
class Running:
    """What a devhost stores for processes like this: its URLs, its management key, and whether it checks keys."""

    base: str
    rpc: str
    system_key: str
    checks_keys: bool

    def text(self) -> tuple[str, str]:
        """The name and the value for the store."""
        return _KEPT, json.dumps(asdict(self))


class Engine:
    """The devhost that uses a state directory. It may be restarted at any time. Thread-safe."""

    def __init__(self, state: Path) -> None:
        """Raises NoEngine."""
        self._state = state
        self._lock = threading.Lock()
        try:
            self._reader = StateReader(state)
        except FileNotFoundError:
            raise NoEngine(state) from None
        where = urlsplit(self.running().base)
        try:
            socket.create_connection((where.hostname or "", where.port or 0), _CONNECT_SECONDS).close()
        except OSError:
            raise NoEngine(state) from None

    def running(self) -> Running:
        with self._lock:
            text = self._reader.value(_KEPT)
        if text is None:
            raise NoEngine(self._state)
        return Running(**json.loads(text))

    def keys(self) -> Keys:
        running = self.running()
        with self._lock:
            host, master = (self._reader.value(f"key.{name}") or "" for name in ("host", "master"))
        return Keys(host, master, running.system_key, running.checks_keys)

    def close(self) -> None:
        self._reader.close()


class HttpOnlyHost:
    """Hosts the HTTP functions of an app until stop(). Raises NoEngine, IndexingError, BadSettings or PortTaken."""

    def __init__(self, app: Path, state: Path, port: int, lost: LostLines) -> None:
        self._engine = Engine(state.resolve())
        self.socket = bind(port)
        self.base = f"http://127.0.0.1:{self.socket.getsockname()[1]}"
        app = app.resolve()
        load_app_settings(app)
        settings = load_host_settings(app)
        self.keys = self._engine.keys()
        self.functions = load(app)
        links = Links(settings.hub_name, self.keys.system)

        def client_text(binding: Mapping[str, Any]) -> str:
            return links.client_text(self.base, self._engine.running().rpc, binding)

        invoker = Invoker(self.functions, client_text, lost.invocations)
        self._triggers: HttpTriggers = triggers(self.functions, settings.route_prefix, invoker, self.keys)
        self._admin = Admin(self.keys, lost)
        self._session: aiohttp.ClientSession | None = None
        self.server = Server()
        self.server.serve(self.socket, self._answer)

    async def _answer(self, request: Request) -> Answer:
        path = request.raw_path.lower()
        if path == LOST_LOGS:
            return await self._admin.answer(request)
        if path.startswith((WEBHOOKS, ADMIN)):
            return await self._forward(request)
        return await self._triggers.answer(request)

    async def _forward(self, request: Request) -> Answer:
        """The answer of the devhost with the engine; 502 if that devhost is not running."""
        if self._session is None:
            self._session = aiohttp.ClientSession(auto_decompress=False)
        url = self._engine.running().base + request.url.removeprefix(request.base)
        headers = {name: value for name, value in request.headers.items() if name not in _NOT_FORWARDED}
        try:
            async with self._session.request(
                request.method, url, headers=headers, data=request.body, allow_redirects=False
            ) as answer:
                forwarded = [(n, v) for n, v in answer.headers.items() if n.lower() not in _NOT_FORWARDED]
                return Answer(answer.status, forwarded, await answer.read())
        except aiohttp.ClientError as problem:
            log.warning("the devhost with the engine does not answer: %s", problem)
            return Answer(502)

    async def _close(self) -> None:
        if self._session is not None:
            await self._session.close()

    def stop(self) -> None:
        self.server.stop(self._close)
        self._engine.close()
