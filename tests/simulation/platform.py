"""The platform under the real app, in one thread: its functions, a durable client and a transport without sockets.

What the app imports is replaced only where it would leave the process: the SDK's two HTTP calls, the clock, the random
tokens, and the way to Power BI. Everything else is the deployed code.
"""

import functools
import importlib
import io
import json
import logging
import os
import secrets
import types
import warnings
from collections.abc import Callable, Coroutine
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import azure.durable_functions as df
import requests
from azure.functions import meta
from azure.functions.durable_functions import ActivityTriggerConverter
from multidict import CIMultiDict
from requests.structures import CaseInsensitiveDict

from dev.power_bi.messages import Request
from devhost.app.index import Function, durable_functions, index
from devhost.app.invoke import handle
from devhost.app.sdk import make_faster
from devhost.engine import Call, Functions, Outcome, Raised, Refused, Returned
from devhost.engine.store import Changes, Loaded
from outbound.exchange import Limits, NoAnswerError, Outgoing, Received
from power_bi.client import PowerBiClient
from power_bi.credentials import CachedTokens
from refresh import clock
from refresh.settings import current_settings

Json = dict[str, Any]
RPC = "http://rpc/durabletask/"
CLIENT = json.dumps(
    {
        "taskHubName": "Simulation",
        "creationUrls": {"createNewInstancePostUri": RPC, "createAndWaitOnNewInstancePostUri": RPC},
        "managementUrls": {"id": "INSTANCEID", "statusQueryGetUri": f"{RPC}instances/INSTANCEID"},
        "rpcBaseUrl": RPC,
    }
)


@functools.cache
def app_functions() -> dict[tuple[str, str], Function]:
    """The app's functions by kind and name; HTTP functions by `http` and name. Loaded once a process."""
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
    """What the engine has to know of the app."""
    return durable_functions(tuple(app_functions().values()))


def run_function(call: Call) -> Outcome:
    """Runs what the engine asks for."""
    kind = "orchestration" if call.kind == "episode" else call.kind
    function = app_functions()[kind, call.function.lower()]
    if kind != "activity":
        return handle(function.handler, call.value)
    arguments = {function.trigger["name"]: _decoded(call.value)}
    arguments.update(dict.fromkeys(function.clients, CLIENT))
    try:
        value = function.handler(**arguments)
        value = at_once(value) if function.is_async else value
        return Returned(ActivityTriggerConverter.encode(value, expected_type=None).value)
    except Exception as problem:
        return Raised(f"{type(problem).__name__}: {problem}", str(problem))


def orchestrator(name: str) -> tuple[Callable[..., Any], type | None]:
    """The generator function of an orchestrator, and the type its input is declared to have."""
    handler: Any = app_functions()["orchestration", name.lower()].handler
    return handler.orchestrator_function, getattr(handler, "_df_input_type", None)


def call_http(name: str, request: Any) -> Any:
    """Runs an HTTP function."""
    return at_once(app_functions()["http", name].handler(req=request, client=CLIENT))


def durable_client() -> df.DurableOrchestrationClient:
    """A client such as functions are given."""
    return df.DurableOrchestrationClient(CLIENT)


def run_timer(name: str) -> None:
    """Runs a timer function."""
    at_once(app_functions()["http", name].handler(timer=None, client=CLIENT))


def at_once(running: Coroutine[Any, Any, Any]) -> Any:
    """What a coroutine returns that never really waits, because nothing here does."""
    try:
        running.send(None)
    except StopIteration as end:
        return end.value
    raise AssertionError("a function of the app waits for something outside the simulation")


def _decoded(text: str) -> Any:
    return ActivityTriggerConverter.decode(meta.Datum(text, "json"), trigger_metadata={})


class Session:
    """Instead of the session of requests: hands each call to `answer`, without what requests does for a network."""

    def __init__(self, answer: Callable[[Request], Any]) -> None:
        self._answer = answer

    def request(
        self,
        method: str,
        url: str,
        *,
        data: bytes | None,
        headers: dict[str, str],
        auth: Any,
        timeout: tuple[float, float],
        **_: Any,
    ) -> requests.Response:
        """The service's answer; what it drops or gives too late is an error of requests."""
        prepared = requests.PreparedRequest()
        prepared.method, prepared.url, prepared.body = method, url, data
        prepared.headers = CaseInsensitiveDict(headers)
        sent = auth(prepared)
        answer = self._answer(Request(method, sent.path_url, dict(sent.headers), data or b""))
        if answer.delay_seconds >= timeout[1]:
            raise requests.ReadTimeout
        if answer.dropped:
            raise requests.ConnectionError
        response = requests.Response()
        response.status_code = answer.status
        response.headers = CaseInsensitiveDict(answer.headers)
        response.raw = io.BytesIO(answer.body)
        response.request, response.url = sent, url
        return response

    def post(self, url: str, **more: Any) -> requests.Response:
        """A POST."""
        return self.request("POST", url, **more)

    def __enter__(self) -> "Session":
        return self

    def __exit__(self, *problem: object) -> None:
        pass


class Histories:
    """A store that keeps what is asked for again, the histories: no engine is ever opened on it a second time."""

    def __init__(self) -> None:
        self._histories: dict[str, list[str]] = {}

    def load(self) -> Loaded:
        """Nothing."""
        return Loaded([], [], [])

    def commit(self, changes: Changes) -> None:
        """Keeps the histories."""
        for instance_id in changes.dropped:
            self._histories.pop(instance_id, None)
        for instance_id, chunks in changes.history.items():
            self._histories.setdefault(instance_id, []).extend(text for _, text in chunks)

    def history(self, instance_id: str) -> str:
        """The history of an instance as the text of a JSON array."""
        return "[" + ",".join(self._histories.get(instance_id, ())) + "]"

    def close(self) -> None:
        """Nothing to close."""


class Installed:
    """Puts a world under the app for as long as the block lasts. `world` has `now`, `random`, `rpc_post`,
    `rpc_get`, `page`, `power_bi`, `receivers` and `sleep`."""

    def __init__(self, world: Any, settings: dict[str, str]) -> None:
        self._world, self._settings = world, settings
        self._undo: list[Callable[[], None]] = []

    def __enter__(self) -> None:
        world = self._world
        app_functions()
        sdk = importlib.import_module("azure.durable_functions.models.DurableOrchestrationClient")
        self._set(sdk, "post_async_request", _answers(world.rpc_post))
        self._set(sdk, "get_async_request", _answers(world.rpc_get))
        self._set(clock, "now", lambda: world.now)
        self._set(secrets, "token_hex", lambda size=32: f"{world.random.getrandbits(8 * size):0{2 * size}x}")
        self._set(secrets, "token_urlsafe", lambda size=32: f"{world.random.getrandbits(8 * size):x}")
        token = f"development-{world.random.getrandbits(64):x}"
        tokens = CachedTokens(lambda: (token, 3600.0), clock=lambda: 0.0)
        client = PowerBiClient("http://127.0.0.1:1", tokens, transport=_transport(world.power_bi))
        self._set(importlib.import_module("activities.model"), "configured_client", lambda: client)
        post = importlib.import_module("activities.post")
        waiting = types.SimpleNamespace(to_thread=_inline, sleep=world.sleep)
        self._set(post, "asyncio", waiting)
        self._set(importlib.import_module("triggers.idempotency"), "asyncio", waiting)
        threads = types.SimpleNamespace(to_thread=_inline)
        calling, listing = (importlib.import_module(name) for name in ("activities.callback", "triggers.instances"))
        self._set(calling, "asyncio", threads)
        self._set(calling, "_session", lambda uri: Session(world.receivers.answer))
        self._set(listing, "asyncio", threads)
        self._set(listing, "_page", lambda client, query, token: world.page(query, token))
        for name, value in self._settings.items():
            os.environ[name] = value
        current_settings.cache_clear()
        self._warnings = warnings.catch_warnings()
        self._warnings.__enter__()
        warnings.simplefilter("ignore")  # the SDK warns of its own future

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


def _transport(serve: Callable[[Request], Any]) -> Callable[[Outgoing, Limits], Received]:
    def transport(request: Outgoing, limits: Limits) -> Received:
        parts = urlsplit(request.url)
        path = f"{parts.path}?{parts.query}" if parts.query else parts.path
        answer = serve(Request(request.method, path, dict(request.headers), request.body or b""))
        if answer.delay_seconds >= limits.silence_seconds or answer.dropped:
            raise NoAnswerError("ServerDisconnectedError")
        return Received(answer.status, CIMultiDict(answer.headers), answer.body)

    return transport


async def _inline(function: Callable[..., Any], *arguments: Any, **more: Any) -> Any:
    return function(*arguments, **more)


def _answers(serve: Callable[..., list[Any]]) -> Callable[..., Coroutine[Any, Any, list[Any]]]:
    async def request(url: str, data: Any = None, *_: Any, **__: Any) -> list[Any]:
        return serve(url, data)

    return request


def route(url: str) -> tuple[list[str], dict[str, str]]:
    """The parts of an RPC URL's path, and its query."""
    parts = urlsplit(url)
    return [unquote(part) for part in parts.path.split("/")[2:] if part], dict(parse_qsl(parts.query))


def refused(problem: Refused) -> list[Any]:
    """How the RPC tells of a refusal."""
    return [problem.status, problem.body]


class LogLines(logging.Handler):
    """Hands the app's own log lines to the timeline."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        super().__init__()
        self._tell = tell

    def emit(self, record: logging.LogRecord) -> None:
        """One line."""
        self._tell(record.getMessage())
