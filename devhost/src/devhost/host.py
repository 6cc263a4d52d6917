"""One hosted app: its functions, engine and ports put together."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from devhost.app.index import Function, IndexingError, durable_functions, load
from devhost.app.invoke import Invoker
from devhost.app.settings import HostSettings, load_app_settings, load_host_settings
from devhost.app.timers import Timers
from devhost.engine import Call, Engine, Outcome, SqliteStore, exact, whole_seconds
from devhost.runner import Runner
from devhost.web.constraints import BadTemplate
from devhost.web.keys import Keys
from devhost.web.management import Management
from devhost.web.messages import Answer, Request
from devhost.web.payloads import RPC, WEBHOOKS, Links
from devhost.web.server import Server, bind, bind_rpc
from devhost.web.triggers import HttpTriggers

log = logging.getLogger("devhost")


_ADMIN = "/admin/functions/"


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says."""

    app: Path
    state: Path
    port: int = 7071
    key: str | None = None
    check_keys: bool = False
    exact_timers: bool = False


class Host:
    """Hosts one app until stop(). Raises IndexingError, BadSettings, StateInUse or PortTaken at once.

    `seen` is told of every piece of work that goes to the app, on the engine's thread.
    """

    def __init__(self, options: Options, seen: Callable[[Call], None] | None = None) -> None:
        app, state = options.app.resolve(), options.state.resolve()
        self.store = SqliteStore(state)
        self.socket = bind(options.port)
        self.port: int = self.socket.getsockname()[1]
        load_app_settings(app)
        settings = load_host_settings(app)
        self.keys = Keys.load(self.store.value, self.store.keep, system=options.key, checked=options.check_keys)
        self.functions = load(app)
        self._start(options, settings, seen)

    def _start(self, options: Options, settings: HostSettings, seen: Callable[[Call], None] | None) -> None:
        self.base = f"http://127.0.0.1:{self.port}"
        rpc = bind_rpc()
        rpc_base = f"http://127.0.0.1:{rpc.getsockname()[1]}"
        links = Links(settings.hub_name, self.keys.system)

        def client_text(binding: Mapping[str, Any]) -> str:
            return links.client_text(self.base, rpc_base, binding)

        invoker = Invoker(self.functions, client_text)
        engine = Engine(
            self.store,
            durable_functions(self.functions),
            timers=exact if options.exact_timers else whole_seconds,
            batch_size=settings.entity_batch_size,
            default_version=settings.default_version,
        )

        def run(call: Call, done: Callable[[Outcome], None]) -> None:
            if seen:
                seen(call)
            invoker.run(call, done)

        self.runner = Runner(engine, run)
        self._management = Management(self.runner, links)
        self._triggers = _triggers(self.functions, settings.route_prefix, invoker, self.keys)
        self._timers = Timers(self.functions, invoker, self.store.value, self._remember)
        self.server = Server()
        self.server.serve(rpc, self._answer_rpc)
        self.runner.start()
        self.server.serve(self.socket, self._answer)
        self.server.run(self._timers.start)

    def _remember(self, key: str, value: str) -> None:
        # On the engine's thread, because its store is.
        self.runner.submit(lambda hub, now: self.store.keep(key, value))

    async def _answer(self, request: Request) -> Answer:
        if request.raw_path.lower().startswith(WEBHOOKS):
            if not self.keys.may_manage(request.headers, request.query):
                return Answer(401)
            return await self._management.answer(request, request.raw_path[len(WEBHOOKS) :])
        if request.method == "POST" and request.raw_path.lower().startswith(_ADMIN):
            return await self._run_by_hand(request)
        return await self._triggers.answer(request)

    async def _run_by_hand(self, request: Request) -> Answer:
        """`POST /admin/functions/NAME` runs a timer function now, as the real host's admin API does."""
        if not self.keys.may_call("ADMIN", request.headers, request.query):
            return Answer(401)
        function = self._timers.named(request.raw_path[len(_ADMIN) :])
        if function is None:
            return Answer(404)
        self._by_hand = asyncio.create_task(self._timers.run(function))
        return Answer(202)

    async def _answer_rpc(self, request: Request) -> Answer:
        if not request.raw_path.lower().startswith(RPC + "/"):
            return Answer(404)
        return await self._management.answer(request, request.raw_path[len(RPC) :])

    def stop(self) -> None:
        """Answers no more, keeps what is done; work in flight is handed out again at the next start."""
        self.server.stop()
        self.runner.stop()
        self.store.close()


def _triggers(functions: list[Function], prefix: str, invoker: Invoker, keys: Keys) -> HttpTriggers:
    try:
        return HttpTriggers(functions, prefix, invoker, keys)
    except BadTemplate as problem:
        raise IndexingError(str(problem)) from problem
