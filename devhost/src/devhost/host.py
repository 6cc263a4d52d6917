"""One hosted app, with its functions, its engine and its ports."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from devhost.app.index import durable_functions, load
from devhost.app.invoke import Invoker
from devhost.app.settings import HostSettings, load_app_settings, load_host_settings
from devhost.app.timers import Timers
from devhost.engine import Call, Engine, Outcome, SqliteStore, exact, whole_seconds
from devhost.faults import FaultControl, Faults
from devhost.histories import Recorder
from devhost.http_only import Running
from devhost.logs import LostLines
from devhost.runner import Runner
from devhost.web.admin import ADMIN, Admin
from devhost.web.keys import Keys
from devhost.web.management import Management
from devhost.web.messages import Answer, Request
from devhost.web.payloads import RPC, WEBHOOKS, Links
from devhost.web.server import Server, bind, bind_rpc
from devhost.web.triggers import triggers

log = logging.getLogger("devhost")


@dataclass(frozen=True, slots=True)
class Options:
    """The options of the command line."""

    app: Path
    state: Path
    port: int = 7071
    key: str | None = None
    check_keys: bool = False
    exact_timers: bool = False
    faults: Faults = field(default_factory=Faults)
    record: Path | None = None
    """Folder for the history of each generation that ends; None: no recording."""
    schedules: bool = True
    """Whether timer functions run on their schedules. If not, they run only when a request to /admin runs them."""


class Host:
    """Hosts one app until stop(). The constructor raises IndexingError, BadSettings, StateInUse or PortTaken.

    `seen` gets every call of the app's durable functions; it is called on the thread of the engine. `lost` is the
    filter of the log handlers, if they have one.
    """

    def __init__(
        self, options: Options, seen: Callable[[Call], None] | None = None, lost: LostLines | None = None
    ) -> None:
        app, state = options.app.resolve(), options.state.resolve()
        self.store = SqliteStore(state)
        self.socket = bind(options.port)
        self.port: int = self.socket.getsockname()[1]
        load_app_settings(app)
        settings = load_host_settings(app)
        self.keys = Keys.load(self.store.value, self.store.keep, system=options.key, checked=options.check_keys)
        self.functions = load(app)
        self._start(options, settings, seen, lost or LostLines())

    def _start(
        self, options: Options, settings: HostSettings, seen: Callable[[Call], None] | None, lost: LostLines
    ) -> None:
        self.base = f"http://127.0.0.1:{self.port}"
        rpc = bind_rpc()
        rpc_base = f"http://127.0.0.1:{rpc.getsockname()[1]}"
        links = Links(settings.hub_name, self.keys.system)

        def client_text(binding: Mapping[str, Any]) -> str:
            return links.client_text(self.base, rpc_base, binding)

        invoker = Invoker(self.functions, client_text, lost.invocations)
        self._faults = FaultControl(options.faults)
        engine = Engine(
            self.store,
            durable_functions(self.functions),
            timers=exact if options.exact_timers else whole_seconds,
            batch_size=settings.entity_batch_size,
            versioning=settings.versioning,
            latency=self._faults.latency,
            blob_reads=self._faults.blob_reads,
        )
        if options.record is not None:
            engine.recorder = Recorder(options.record)

        def run(call: Call, done: Callable[[Outcome], None]) -> None:
            if seen:
                seen(call)
            invoker.run(call, done)

        self.runner = Runner(engine, run)
        self._management = Management(self.runner, links)
        self._triggers = triggers(self.functions, settings.route_prefix, invoker, self.keys)
        self._timers = Timers(self.functions, invoker, self.store.value, self._remember)
        self._admin = Admin(self.keys, lost, self._timers, self._with_faults)
        self.store.keep(*Running(self.base, rpc_base, self.keys.system, options.check_keys).text())
        self.server = Server()
        self.server.serve(rpc, self._answer_rpc)
        self.runner.start()
        self.server.serve(self.socket, self._answer)
        if options.schedules:
            self.server.run(self._timers.start)

    def _remember(self, key: str, value: str) -> None:
        # Only the thread of the engine may use the store.
        self.runner.submit(lambda hub, now: self.store.keep(key, value))

    def _with_faults(self, operation: Callable[[FaultControl], dict[str, float]]) -> Future[dict[str, float]]:
        return self.runner.submit(lambda hub, now: operation(self._faults))

    async def _answer(self, request: Request) -> Answer:
        path = request.raw_path.lower()
        if path.startswith(WEBHOOKS):
            if not self.keys.may_manage(request.headers, request.query):
                return Answer(401)
            return await self._management.answer(request, request.raw_path[len(WEBHOOKS) :])
        if path.startswith(ADMIN):
            return await self._admin.answer(request)
        return await self._triggers.answer(request)

    async def _answer_rpc(self, request: Request) -> Answer:
        if not request.raw_path.lower().startswith(RPC + "/"):
            return Answer(404)
        return await self._management.answer(request, request.raw_path[len(RPC) :])

    def stop(self) -> None:
        """Stops serving. Completed work is stored; work in flight is handed out again at the next start."""
        self.server.stop()
        self.runner.stop()
        self.store.close()
