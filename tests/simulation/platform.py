"""The platform under the real app, in one thread: its functions, a durable client and a transport without sockets.

Imports of the app are replaced only where it would leave the process or read the time: the SDK's HTTP calls, the
page of the engine's list, threads, clocks, the random tokens, and the calls of Power BI and callbacks. All other code
is the deployed code.
"""

import functools
import importlib
import json
import os
import secrets
import types
import warnings
from collections.abc import Callable, Coroutine, Sequence
from contextvars import ContextVar
from typing import Any, Protocol
from urllib.parse import parse_qsl, unquote, urlsplit

from azure.functions import meta
from azure.functions.durable_functions import ActivityTriggerConverter
from multidict import CIMultiDict

from dev.power_bi.messages import Request, Response
from devhost.app.index import Function, durable_functions, index
from devhost.app.invoke import handle
from devhost.app.sdk import make_faster
from devhost.engine import Call, Functions, Outcome, Raised, Refused, Returned
from devhost.engine.store import Changes, Loaded
from durable.engine import Engine
from outbound.exchange import Limits, NoAnswerError, Outgoing, Received
from outbound.pools import Pool
from power_bi.client import PowerBiClient
from power_bi.credentials import CachedTokens
from refresh import clock
from refresh.settings import current_settings

Json = dict[str, Any]
RPC = "http://rpc/durabletask/"
BINDING = json.dumps(
    {
        "taskHubName": "Simulation",
        "creationUrls": {"createNewInstancePostUri": RPC, "createAndWaitOnNewInstancePostUri": RPC},
        "managementUrls": {"id": "INSTANCEID", "statusQueryGetUri": f"{RPC}instances/INSTANCEID"},
        "requiredQueryStringParameters": "code=secret of the simulated app",
        "rpcBaseUrl": RPC,
    }
)
"""The text of the durable client binding that functions get."""
PROCESSES = 2
"""The number of worker processes of the app. Each has its own caches and its own pauses after throttling."""
PROCESS: ContextVar[int] = ContextVar("process", default=0)
"""The worker process of the current function call."""


class World(Protocol):
    """The surroundings of the app. `tests.simulation.world.World` implements it; so does the smaller world in
    `dev.bench.polling_run`."""

    @property
    def random(self) -> Any:
        """The source of all random decisions."""

    @property
    def now(self) -> Any:
        """The time (UTC)."""

    def seconds(self) -> float:
        """A monotonic clock."""

    async def sleep(self, seconds: float) -> None:
        """Waits in virtual time."""

    async def turn(self) -> None:
        """Lets other code run while a call is in transit."""

    async def rpc(self, method: str, url: str, data: Any) -> list[Any]:
        """The engine's answer to a call of the durable client: HTTP status and body."""

    def page(self, query: dict[str, str | None], continuation: str) -> tuple[list[Json], str]:
        """A page of the engine's list."""

    def power_bi(self, request: Request) -> Response:
        """Power BI's answer."""

    def callback(self, request: Request) -> Response:
        """The answer of a receiver of callbacks."""


@functools.cache
def app_functions() -> dict[tuple[str, str], Function]:
    """The app's functions by kind and name; that of HTTP and timer functions is `http`. A process loads them once."""
    os.environ.setdefault("POWER_BI_API_URL", "http://127.0.0.1:1")
    make_faster()
    app = importlib.import_module("function_app").app
    found: dict[tuple[str, str], Function] = {}
    for function in index(app):
        key = (function.kind, function.durable_name.lower()) if function.durable_name else ("http", function.name)
        found[key] = function
    return found


@functools.cache
def durable_names() -> Functions:
    """The names of the app's durable functions, for the engine."""
    return durable_functions(tuple(app_functions().values()))


def run_entity(call: Call) -> Outcome:
    """Runs a batch of operations of an entity."""
    return handle(app_functions()["entity", call.function.lower()].handler, call.value)


async def run_activity(call: Call) -> Outcome:
    """Runs an activity."""
    function = app_functions()["activity", call.function.lower()]
    arguments = {function.trigger["name"]: _decoded(call.value), **dict.fromkeys(function.clients, BINDING)}
    try:
        value = await function.handler(**arguments)
        return Returned(ActivityTriggerConverter.encode(value, expected_type=None).value)
    except Exception as problem:
        return Raised(f"{type(problem).__name__}: {problem}", str(problem))


def orchestrator(name: str) -> tuple[Callable[..., Any], type | None]:
    """The generator function of an orchestrator, and the declared type of its input."""
    handler: Any = app_functions()["orchestration", name.lower()].handler
    return handler.orchestrator_function, getattr(handler, "_df_input_type", None)


async def call_http(name: str, request: Any) -> Any:
    """Runs an HTTP function."""
    return await app_functions()["http", name].handler(req=request, engine=BINDING)


async def run_timer(name: str) -> None:
    """Runs a timer function."""
    await app_functions()["http", name].handler(timer=None, engine=BINDING)


def durable_engine() -> Engine:
    """The engine that functions get."""
    return Engine(BINDING)


def at_once(running: Coroutine[Any, Any, Any]) -> Any:
    """The result of a coroutine that never has to wait."""
    try:
        running.send(None)
    except StopIteration as end:
        return end.value
    raise AssertionError("a function of the app waits for something outside the simulation")


def _decoded(text: str) -> Any:
    return ActivityTriggerConverter.decode(meta.Datum(text, "json"), trigger_metadata={})


class Histories:
    """A store that keeps only the histories, because no second engine is opened on it."""

    def __init__(self) -> None:
        self._histories: dict[str, list[str]] = {}

    def load(self) -> Loaded:
        """Returns an empty state."""
        return Loaded([], [], [])

    def commit(self, changes: Changes) -> None:
        """Stores the histories."""
        for instance_id in changes.dropped:
            self._histories.pop(instance_id, None)
        for instance_id, chunks in changes.history.items():
            self._histories.setdefault(instance_id, []).extend(text for _, text in chunks)

    def history(self, instance_id: str) -> str:
        """The history of an instance as the text of a JSON array."""
        return "[" + ",".join(self._histories.get(instance_id, ())) + "]"

    def close(self) -> None:
        """Does nothing."""


class OfEachProcess:
    """A proxy for an object that exists once per worker process."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self.renew()

    def renew(self) -> None:
        """Drops the objects of all processes, as if all processes ended and new ones began."""
        self._each: Sequence[Any] = [self._make() for _ in range(PROCESSES)]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._each[PROCESS.get()], name)


class Installed:
    """Puts a world under the app during the block."""

    def __init__(self, world: World, settings: dict[str, str]) -> None:
        self._world, self._settings = world, settings
        self._undo: list[Callable[[], None]] = []
        self._processes: list[OfEachProcess] = []

    def __enter__(self) -> "Installed":
        app_functions()
        for name, value in self._settings.items():
            os.environ[name] = value
        current_settings.cache_clear()
        self._install_clocks()
        self._install_engine()
        self._install_network()
        self._warnings = warnings.catch_warnings()
        self._warnings.__enter__()
        warnings.simplefilter("ignore")  # the SDK warns about its own future changes
        return self

    def new_processes(self) -> None:
        """Replaces all worker processes, so that their caches are empty."""
        for each in self._processes:
            each.renew()

    def _install_clocks(self) -> None:
        world = self._world
        monotonic = types.SimpleNamespace(monotonic=world.seconds)
        self._set(clock, "now", lambda: world.now)
        for module in ("durable.waits", "activities.post"):
            self._set(importlib.import_module(module), "time", monotonic)
        self._set(importlib.import_module("durable.waits"), "sleep", world.sleep)
        looks = importlib.import_module("triggers.looks")
        for cache in ("_QUEUES", "_RUNS", "_GROUPS", "_SHARDS", "_RECORDS"):
            self._set(looks, cache, self._each(lambda: looks.Looks(world.seconds)))
        self._set(secrets, "token_hex", lambda size=32: f"{world.random.getrandbits(8 * size):0{2 * size}x}")
        self._set(secrets, "token_urlsafe", lambda size=32: f"{world.random.getrandbits(8 * size):x}")

    def _install_engine(self) -> None:
        world = self._world
        sdk = importlib.import_module("azure.durable_functions.models.DurableOrchestrationClient")
        for method in ("get", "post", "delete"):
            self._set(sdk, f"{method}_async_request", _answers(world, method.upper()))
        engine = importlib.import_module("durable.engine")
        self._set(engine, "fetch_page", lambda url, query, continuation: world.page(query, continuation))

    def _install_network(self) -> None:
        world = self._world

        async def run(_pool: Pool, function: Callable[..., Any], *arguments: Any, **_limits: Any) -> Any:
            """Runs the call without a thread. Time passes before it takes effect, and before its answer arrives."""
            await world.turn()
            value = function(*arguments)
            await world.turn()
            return value

        token = f"development-{world.random.getrandbits(64):x}"
        transport = _transport(world.power_bi)

        def client() -> PowerBiClient:
            return PowerBiClient(
                "http://127.0.0.1:1",
                CachedTokens(lambda: (token, 3600.0), clock=lambda: 0.0),
                transport=transport,
            )

        clients = self._each(client)
        self._set(Pool, "run", run)
        for module in ("activities.model", "activities.batch", "power_bi.busy", "power_bi.service"):
            self._set(importlib.import_module(module), "configured_client", lambda: clients)
        self._set(importlib.import_module("activities.callback"), "exchange", _transport(world.callback))

    def _each(self, make: Callable[[], Any]) -> OfEachProcess:
        self._processes.append(OfEachProcess(make))
        return self._processes[-1]

    def __exit__(self, *problem: object) -> None:
        self._warnings.__exit__(None, None, None)
        for undo in reversed(self._undo):
            undo()
        for name in self._settings:
            os.environ.pop(name, None)
        current_settings.cache_clear()

    def _set(self, owner: Any, name: str, value: Any) -> None:
        before = getattr(owner, name)
        self._undo.append(lambda: setattr(owner, name, before))
        setattr(owner, name, value)


def _transport(serve: Callable[[Request], Response]) -> Callable[[Outgoing, Limits], Received]:
    def transport(request: Outgoing, limits: Limits) -> Received:
        parts = urlsplit(request.url)
        path = f"{parts.path}?{parts.query}" if parts.query else parts.path
        answer = serve(Request(request.method, path, dict(request.headers), request.body or b""))
        if answer.delay_seconds >= limits.silence_seconds or answer.dropped:
            raise NoAnswerError("ServerDisconnectedError")
        return Received(answer.status, CIMultiDict(answer.headers), answer.body)

    return transport


def _answers(world: World, method: str) -> Callable[..., Coroutine[Any, Any, list[Any]]]:
    async def request(url: str, data: Any = None, *_: Any, **__: Any) -> list[Any]:
        return await world.rpc(method, url, data)

    return request


def route(url: str) -> tuple[list[str], dict[str, str]]:
    """The parts of an RPC URL's path, and its query."""
    parts = urlsplit(url)
    return [unquote(part) for part in parts.path.split("/")[2:] if part], dict(parse_qsl(parts.query))


def refused(problem: Refused) -> list[Any]:
    """The answer of the RPC for a refusal."""
    return [problem.status, problem.body]
