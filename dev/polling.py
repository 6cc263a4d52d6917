"""One refresh followed by the app's own code in virtual time: how many calls, how late the verdict.

The run's state machine (`refresh.run.machine`), the queue, the activities and the Power BI client are those of the app; Power BI
is the development service. Only the durable engine is left out, and with it what its timers add to every wait.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from dev.power_bi.messages import Request, Response
from dev.power_bi.service import PowerBiService
from devhost.engine import Call, Returned
from refresh.polling.schedule import Limits
from refresh.queue.machine import apply
from refresh.run.machine import Step, advance, next_step
from refresh.run.state import RunState
from refresh.times import instant
from tests.simulation.platform import Installed, route, run_function

BEGIN = datetime(2026, 3, 30, 2, 0, 0, tzinfo=UTC)
MODEL = str(UUID(int=0xA))
SCOPE = {"workspace_id": str(UUID(int=1)), "refresh": None, "notify_option": "NoNotification"}
LONG = 5 * 3600.0
"""What takes longer has to be an enhanced refresh: Power BI ends standard ones after five hours."""
EARLIER = 20
"""Refreshes that the history holds, one a day: as many as it keeps at least."""
JITTER = 0.15
STRAGGLERS = 1 / 30
STRAGGLING = 0.25
ONE_WAY_SECONDS = (0.05, 0.1)
"""How long a call is on its way to Power BI, and its answer back."""
HIDDEN_SECONDS = 15.0
"""The history shows a new standard refresh after up to so long, as the development service does by default."""

Json = dict[str, Any]


@dataclass(frozen=True)
class Followed:
    """What it took to follow a refresh. `calls`: all to Power BI from the POST to the verdict; `lag` in seconds."""

    calls: int
    lag: float


def duration(chance: random.Random, usual: float) -> float:
    """Seconds that a refresh takes: within 15 % of the usual, and one in thirty far longer.

    By what that one exceeds the 15 % has an exponential distribution, a quarter of the usual in the mean.
    """
    if chance.random() < STRAGGLERS:
        return usual * (1 + JITTER + chance.expovariate(1 / STRAGGLING))
    return usual * chance.uniform(1 - JITTER, 1 + JITTER)


def follow(seed: int, usual: float, limits: Limits, *, earlier: int, part: float | None = None) -> Followed:
    """Follows a refresh that usually takes `usual` seconds, with `earlier` ones in the history.

    `part`: it fails after that part of the usual time, instead of ending when it likes.
    """
    world = _World(seed, usual, earlier, part)
    with Installed(world, {}):
        return world.follow(limits)


class _World:
    """A model, its history, one run. What `Installed` needs of a world, and no more."""

    def __init__(self, seed: int, usual: float, earlier: int, part: float | None) -> None:
        self.now = BEGIN
        self.random = random.Random(f"polling {seed} {float(usual)}")  # noqa: S311
        self._enhanced = usual >= LONG
        self._queue: Json | None = None
        self._calls: list[str] = []
        self._service = PowerBiService(seed)
        seconds = duration(self.random, usual) if part is None else part * usual
        outcome = {"outcome": "Completed" if part is None else "Failed", "seconds": round(seconds, 3)}
        self._service.set_knobs(MODEL, {"outcome": outcome, "visibilitySeconds": [0, HIDDEN_SECONDS]})
        for day in range(earlier, 0, -1):
            took = round(duration(self.random, usual), 3)
            kind = "ViaEnhancedApi" if self._enhanced else "ViaApi"
            before = {"refreshType": kind, "startsIn": -86_400 * day, "seconds": took, "outcome": "Completed"}
            self._service.add_external(MODEL, before, BEGIN)

    def follow(self, limits: Limits) -> Followed:
        """From the enrolment to the verdict."""
        options = {"type": "full", "timeout": "23:59:59"} if self._enhanced else None
        wished = {"scope": {**SCOPE, "refresh": options}, "share": True, "wake": "wake-1"}
        self._operation("enroll", {"request": "a", "token": "a", "at": instant(self.now), **wished})
        state = RunState("a-r1", MODEL, 1, "life", limits)
        while state.outcome is None:
            state = advance(state, self._answer(state, next_step(state)), self.now)
        refresh = self._service.seen(MODEL, self.now)["refreshes"][-1]
        if (refresh["requestId"], refresh["state"]) != (state.refresh_id, state.outcome["status"]):
            raise RuntimeError(f"a wrong verdict: {state.outcome} of {refresh}")
        lag = self.now - datetime.fromisoformat(refresh["endTime"])
        return Followed(len(self._calls) - self._calls.index("POST"), lag.total_seconds())

    def _answer(self, state: RunState, step: Step) -> Json:
        if step.kind == "wait":
            self.now += timedelta(seconds=step.seconds)
            return {}
        if step.kind == "queue":
            return self._operation(step.name, {**(step.input or {}), **state.identity(instant(self.now))})
        if step.name == "wake_requests":
            return {}
        done = run_function(Call("activity", step.name, json.dumps(step.input)))
        if not isinstance(done, Returned):
            raise RuntimeError(f"{step.name}: {done}")
        answer: Json = json.loads(done.value or "{}")
        return answer

    def _operation(self, name: str, arguments: Json) -> Json:
        self._queue, answer = apply(self._queue, name, arguments)
        return answer

    # ---- what the activities reach ------------------------------------------------------------------------------

    def power_bi(self, request: Request) -> Response:
        """A call and its way there and back."""
        self._calls.append(request.method)
        self.now += timedelta(seconds=self.random.uniform(*ONE_WAY_SECONDS))
        response = self._service.handle(request, self.now)
        self.now += timedelta(seconds=self.random.uniform(*ONE_WAY_SECONDS))
        return response

    def rpc_post(self, url: str, data: Any) -> list[Any]:
        """A signal to the queue."""
        _parts, query = route(url)
        self._operation(query["op"], json.loads(data))
        return [202, None]

    def rpc_get(self, url: str, _: Any = None) -> list[Any]:
        """The queue, or the one request, which lives."""
        parts, _query = route(url)
        if parts[0] == "entities":
            return [200, self._queue]
        times = dict.fromkeys(("createdTime", "lastUpdatedTime"), "2026-03-30T02:00:00Z")
        return [200, {"name": "refresh_request", "instanceId": parts[1], "runtimeStatus": "Running", **times}]

    async def sleep(self, seconds: float) -> None:
        """A moment in which the queue hears."""
        self.now += timedelta(seconds=seconds)
