"""The routes under /admin: they run a timer function now, list lost log lines, and show and change faults."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future

from devhost.app.timers import Timers
from devhost.faults import BadFaults, FaultControl
from devhost.logs import LostLines
from devhost.web.keys import Keys
from devhost.web.messages import Answer, Request, json_answer

ADMIN = "/admin/"
LOST_LOGS = "/admin/devhost/lost-logs"
_FAULTS = "/admin/devhost/faults"
_FUNCTIONS = "/admin/functions/"
_TIMERS = "/admin/devhost/timers/"

ChangeFaults = Callable[[Callable[[FaultControl], dict[str, float]]], Future[dict[str, float]]]
"""Runs an operation with the FaultControl on the thread of the engine."""


class Admin:
    """Answers requests under /admin, which need the master key if keys are checked.

    Without `timers` and `faults` it serves only the lost log lines, for a devhost with only HTTP functions.
    """

    def __init__(
        self, keys: Keys, lost: LostLines, timers: Timers | None = None, faults: ChangeFaults | None = None
    ) -> None:
        self._keys = keys
        self._lost = lost
        self._timers = timers
        self._faults = faults

    async def answer(self, request: Request) -> Answer:
        if not self._keys.may_call("ADMIN", request.headers, request.query):
            return Answer(401)
        method, path = request.method, request.raw_path.lower()
        if path == LOST_LOGS and method == "GET":
            return json_answer(200, self._lost.report())
        if path == LOST_LOGS and method == "DELETE":
            self._lost.forget()
            return Answer(204)
        if path == _FAULTS and method in ("GET", "POST") and self._faults is not None:
            return await self._change_faults(request, self._faults)
        if path.startswith(_FUNCTIONS) and method == "POST" and self._timers is not None:
            return self._start_timer(request.raw_path[len(_FUNCTIONS) :], self._timers)
        if path.startswith(_TIMERS) and method == "POST" and self._timers is not None:
            return await self._run_timer(request.raw_path[len(_TIMERS) :], self._timers)
        return Answer(404)

    @staticmethod
    async def _change_faults(request: Request, change: ChangeFaults) -> Answer:
        body = request.body if request.method == "POST" else b"{}"
        try:
            return json_answer(200, await asyncio.wrap_future(change(lambda control: control.change(body))))
        except BadFaults as problem:
            return json_answer(400, {"Message": str(problem)})

    def _start_timer(self, name: str, timers: Timers) -> Answer:
        """Starts a timer function. As in the real admin API, the response does not wait for it."""
        function = timers.named(name)
        if function is None:
            return Answer(404)
        self._running = asyncio.create_task(timers.run(function))
        return Answer(202)

    @staticmethod
    async def _run_timer(name: str, timers: Timers) -> Answer:
        """Runs a timer function and responds after its end."""
        function = timers.named(name)
        if function is None:
            return Answer(404)
        await timers.run(function)
        return Answer(200)
