"""One refresh followed by the app's own code in virtual time: the number of calls and the delay of the outcome.

The run's state machine, the queue, the activities and the Power BI client are the app's own; Power BI is the service
for development. Only the durable engine is left out, and with it the inaccuracy of its timers.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, assert_never
from uuid import UUID

from dev.power_bi.messages import Request, Response
from dev.power_bi.service import PowerBiService
from devhost.engine import Call, Returned
from durable.calls import ACTIVITIES
from durable.codec import decode, encode
from durable.names import REFRESH_REQUEST
from refresh.messages import typed
from refresh.polling.limits import Limits
from refresh.queue.machine import apply
from refresh.queue.operations import AnyOperation, Enroll
from refresh.queue.state import Queue
from refresh.queue.stored import dump
from refresh.run.machine import next_step
from refresh.run.orders import Order
from refresh.run.state import RunState
from refresh.run.step import Ask, AskGroup, Do, End, Step, Wait, WaitForEvent
from refresh.scope.scope import RefreshOptions, Scope
from refresh.times import instant
from tests.simulation.platform import Installed, at_once, route, run_activity

BEGIN = datetime(2026, 3, 30, 2, 0, 0, tzinfo=UTC)
MODEL = str(UUID(int=0xA))
WORKSPACE = str(UUID(int=1))
REQUEST = "a"
LONG = 5 * 3600.0
"""A refresh that takes this many seconds or more has to be enhanced: Power BI ends standard refreshes after five
hours."""
EARLIER = 20
"""The number of refreshes in the history, one a day: Power BI keeps at least this many."""
JITTER = 0.15
STRAGGLERS = 1 / 30
STRAGGLING = 0.25
ONE_WAY_SECONDS = (0.05, 0.1)
"""The minimum and maximum latency in seconds of one direction: of a call to Power BI, or of its answer."""
HIDDEN_SECONDS = 15.0
"""Maximum delay until the history shows a new standard refresh, as in the service for development."""

Json = dict[str, Any]


@dataclass(frozen=True)
class Followed:
    """The cost of following a refresh. `calls`: the calls to Power BI from the POST to the outcome; `delay`: the
    seconds from the end of the refresh to the outcome."""

    calls: int
    delay: float


def duration(chance: random.Random, usual: float) -> float:
    """A random duration of a refresh in seconds: within 15 % of `usual`, but far longer for one refresh in thirty.

    A long refresh exceeds these 15 % by an exponentially distributed time with a mean of a quarter of `usual`.
    """
    if chance.random() < STRAGGLERS:
        return usual * (1 + JITTER + chance.expovariate(1 / STRAGGLING))
    return usual * chance.uniform(1 - JITTER, 1 + JITTER)


def follow(seed: int, usual: float, limits: Limits, *, earlier: int, part: float | None = None) -> Followed:
    """Follows a refresh that usually takes `usual` seconds, with `earlier` refreshes in the history.

    If `part` is given, it fails after that part of the usual time; otherwise it completes after a random duration.
    """
    world = _World(seed, usual, earlier, part)
    with Installed(world, {}):
        return world.follow(limits)


class _World:
    """A model, its history and one run: the part of a simulated world that `Installed` needs."""

    def __init__(self, seed: int, usual: float, earlier: int, part: float | None) -> None:
        self.now = BEGIN
        self.random = random.Random(f"polling {seed} {float(usual)}")  # noqa: S311
        self._enhanced = usual >= LONG
        self._queue = Queue()
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
        """Follows the run from the enrolment to the outcome."""
        options = RefreshOptions(timeout="23:59:59") if self._enhanced else None
        scope = Scope(workspace_id=WORKSPACE, refresh=options)
        self._apply(Enroll(at=instant(self.now), request=REQUEST, token=REQUEST, scope=scope, wake_event="wake-1"))
        run = RunState(run=f"{REQUEST}-r1", dataset_id=MODEL, incarnation=1, token=REQUEST, limits=limits)
        while run.outcome is None:
            run = self._carry_out(next_step(run, instant(self.now)))
        refresh = self._service.report(MODEL, self.now)["refreshes"][-1]
        if (refresh["requestId"], refresh["state"]) != (run.refresh_id, run.outcome.status):
            raise RuntimeError(f"wrong outcome {run.outcome} of refresh {refresh}")
        delay = self.now - datetime.fromisoformat(refresh["endTime"])
        return Followed(len(self._calls) - self._calls.index("POST"), delay.total_seconds())

    def _carry_out(self, step: Step) -> RunState:
        match step:
            case Wait():
                self.now += timedelta(seconds=step.seconds)
                return step.then
            case Ask():
                answer = self._apply(step.operation)
                return step.then(answer, self.now).run
            case Do():
                answer = self._run_activity(step.order)
                return step.then(answer, self.now).run
            case AskGroup() | WaitForEvent():
                raise RuntimeError("no capacity limit applies here")
            case End():
                raise RuntimeError("the run ended without an outcome")
            case _:
                assert_never(step)

    def _run_activity(self, order: Order[Any]) -> Any:
        name, kind = ACTIVITIES[type(order)]
        outcome = at_once(run_activity(Call("activity", name, json.dumps(encode(order)))))
        if not isinstance(outcome, Returned):
            raise RuntimeError(f"{name}: {outcome}")
        return decode(json.loads(outcome.value), kind)

    def _apply(self, operation: Any) -> Any:
        queue, answer = apply(self._queue, operation, self.now)
        self._queue = queue or Queue()
        return answer

    # ---- reached by the activities ------------------------------------------------------------------------------

    def seconds(self) -> float:
        """A monotonic clock."""
        return (self.now - BEGIN).total_seconds()

    async def sleep(self, seconds: float) -> None:
        """The wait of an activity. Meanwhile the queue processes its signals."""
        self.now += timedelta(seconds=seconds)

    async def turn(self) -> None:
        """Does nothing: no other work is in progress."""

    def power_bi(self, request: Request) -> Response:
        """A call to Power BI, with the latency of both directions."""
        self._calls.append(request.method)
        self.now += timedelta(seconds=self.random.uniform(*ONE_WAY_SECONDS))
        response = self._service.handle(request, self.now)
        self.now += timedelta(seconds=self.random.uniform(*ONE_WAY_SECONDS))
        return response

    async def rpc(self, method: str, url: str, data: Any) -> list[Any]:
        """Answers the calls of the engine's client: a signal to the queue, and reads of the queue or of the only
        request."""
        parts, _query = route(url)
        if method == "POST":
            self._apply(typed(json.loads(data), AnyOperation))
            return [202, None]
        if parts[0] == "entities":
            return [200, dump(self._queue)]
        times = dict.fromkeys(("createdTime", "lastUpdatedTime"), "2026-03-30T02:00:00Z")
        return [200, {"name": REFRESH_REQUEST, "instanceId": parts[1], "runtimeStatus": "Running", **times}]

    def page(self, query: dict[str, str | None], continuation: str) -> tuple[list[Json], str]:
        """No activity of a run lists instances."""
        raise NotImplementedError

    def callback(self, request: Request) -> Response:
        """No activity of a run calls back."""
        raise NotImplementedError
