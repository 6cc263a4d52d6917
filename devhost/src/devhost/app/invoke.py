"""Calls the app's functions on the same kinds of threads as the platform's worker.

All synchronous functions (orchestrators, entities, activities, HTTP and timer functions) share one pool of threads, so
a blocked function can delay the others. All asynchronous functions share one loop; what they pass to
`asyncio.to_thread` runs on another pool, which belongs to the loop. The Durable SDK binds an aiohttp session to the
first loop that it sees, so there is only one loop as long as the host runs. User code may block this loop, so the host
runs no code of its own on it.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import traceback
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

import azure.functions as func
from azure.functions import meta
from azure.functions.durable_functions import ActivityTriggerConverter

from devhost.app.index import Function
from devhost.app.invocations import Invocations, new_id
from devhost.app.threads import Executor, Pool, thread_count
from devhost.engine import HTTP_ACTIVITY, Call, Outcome, Raised, Returned

log = logging.getLogger("devhost.app")

Done = Callable[[Outcome], None]

_HTTP_CALLS = 32
"""Maximum number of concurrent calls of `context.call_http`. On Azure the host makes them, so they use no threads of
the worker."""


class _Context(func.Context):
    """The value of an unbound parameter `context`."""

    def __init__(self, function: Function, invocation_id: str, local: threading.local) -> None:
        self._function = function
        self._invocation_id = invocation_id
        self._local = local

    @property
    def invocation_id(self) -> str:
        return self._invocation_id

    @property
    def thread_local_storage(self) -> Any:
        return self._local

    @property
    def function_name(self) -> str:
        return self._function.name

    @property
    def function_directory(self) -> str:
        return "."

    @property
    def trace_context(self) -> Any:
        return None

    @property
    def retry_context(self) -> Any:
        return None


class Invoker:
    """Runs functions of the app. `client_text` returns the JSON text of a durable client for a binding.

    `invocations` is updated when an invocation begins and ends.
    """

    def __init__(
        self,
        functions: Sequence[Function],
        client_text: Callable[[Mapping[str, Any]], str],
        invocations: Invocations | None = None,
    ) -> None:
        self._by_name = {(f.kind, f.durable_name.lower()): f for f in functions if f.durable_name}
        self._client_text = client_text
        self.invocations = invocations or Invocations()
        self._pool = Pool("function", thread_count())
        self._http_calls = Pool("call-http", _HTTP_CALLS)
        self.loop = asyncio.new_event_loop()
        self.loop.set_default_executor(Executor("app-executor", min(32, (os.cpu_count() or 1) + 4)))
        self.invocations.watch(self.loop)
        threading.Thread(target=self._run_loop, name="app-async", daemon=True).start()

    def _run_loop(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()

    # ---- durable work -------------------------------------------------------------------------------------------

    def run(self, call: Call, done: Done) -> None:
        """Runs a call of the engine; another thread then calls `done` with the outcome."""
        if call.function == HTTP_ACTIVITY:
            self._http_calls.put(lambda: done(handle(_call_http, call.value)))
            return
        kind = "orchestration" if call.kind == "episode" else call.kind
        function = self._by_name.get((kind, call.function.lower()))
        if function is None:
            # An older version of the app scheduled this call, and it is still in the state.
            problem = f"The function '{call.function}' doesn't exist, is disabled, or is not an {kind} function."
            log.error("instance %s: %s", call.instance_id, problem)
            self._pool.put(lambda: done(Raised(f"ArgumentException: {problem}", problem)))
        elif kind != "activity":
            self._pool.put(lambda: done(self._durable(function, call)))
        elif function.is_async:
            asyncio.run_coroutine_threadsafe(self._activity_async(function, call, done), self.loop)
        else:
            self._pool.put(lambda: done(self._activity(function, call)))

    def _durable(self, function: Function, call: Call) -> Outcome:
        with self.invocations.synchronous(new_id()):
            return handle(function.handler, call.value)

    def _activity(self, function: Function, call: Call) -> Outcome:
        invocation_id = new_id()
        with self.invocations.synchronous(invocation_id):
            try:
                return _encoded(function.handler(**self._arguments(function, _decoded(call.value), invocation_id)))
            except BaseException as problem:
                return _raised(problem)

    async def _activity_async(self, function: Function, call: Call, done: Done) -> None:
        invocation_id = new_id()
        try:
            arguments = self._arguments(function, _decoded(call.value), invocation_id)
            value = await self.invocations.asynchronous(invocation_id, function.handler(**arguments))
            outcome: Outcome = _encoded(value)
        except BaseException as problem:
            outcome = _raised(problem)
        done(outcome)

    # ---- everything else ----------------------------------------------------------------------------------------

    async def call(self, function: Function, trigger_value: Any) -> Any:
        """Runs an HTTP or timer function, called from any loop. Returns its result or raises its exception."""
        invocation_id = new_id()
        arguments = self._arguments(function, trigger_value, invocation_id)
        if function.is_async:
            invocation = self.invocations.asynchronous(invocation_id, function.handler(**arguments))
            running = asyncio.run_coroutine_threadsafe(_contained(invocation), self.loop)
            return await asyncio.wrap_future(running)
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()

        def job() -> None:
            try:
                with self.invocations.synchronous(invocation_id):
                    value = function.handler(**arguments)
            except BaseException as problem:
                loop.call_soon_threadsafe(_fail, future, problem)
            else:
                loop.call_soon_threadsafe(_answer, future, value)

        self._pool.put(job)
        return await future

    def _arguments(self, function: Function, trigger_value: Any, invocation_id: str) -> dict[str, Any]:
        arguments = {function.trigger["name"]: trigger_value}
        for parameter, binding in function.clients.items():
            arguments[parameter] = self._client_text(binding)
        if function.wants_context:
            arguments["context"] = _Context(function, invocation_id, self.invocations.local)
        return arguments


def handle(handler: Callable[..., Any], value: str) -> Outcome:
    """Runs the handler of an orchestrator or entity with the trigger value (JSON text)."""
    try:
        return Returned(handler(value))
    except BaseException as problem:
        return _raised(problem)


async def _contained(running: Coroutine[Any, Any, Any]) -> Any:
    """Turns exceptions that would end the loop, and with it the host, into a failure of the function."""
    try:
        return await running
    except (SystemExit, KeyboardInterrupt) as problem:
        raise RuntimeError(repr(problem)) from problem


def _call_http(text: str) -> str:
    # imported here, because it imports `requests`, and most apps do not use call_http
    from devhost.app.http_call import call_http

    return call_http(text)


def _fail(future: asyncio.Future[Any], problem: BaseException) -> None:
    if not future.done():
        future.set_exception(problem if isinstance(problem, Exception) else RuntimeError(repr(problem)))


def _answer(future: asyncio.Future[Any], value: Any) -> None:
    if not future.done():
        future.set_result(value)


def _decoded(text: str) -> Any:
    return ActivityTriggerConverter.decode(meta.Datum(text, "json"), trigger_metadata={})


def _encoded(value: Any) -> Returned:
    return Returned(ActivityTriggerConverter.encode(value, expected_type=None).value)


def _raised(problem: BaseException) -> Raised:
    """The outcome for any exception. SystemExit is also one: on Azure it ends the worker, here it must not end a
    thread."""
    text = str(problem)
    stack = "".join(traceback.format_tb(problem.__traceback__))
    return Raised(f"{type(problem).__name__}: {text}", text, stack)
