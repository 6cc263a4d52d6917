"""Receivers of callbacks in the simulated world: the calls that they get, and their faults."""

from __future__ import annotations

import contextlib
import json
import random
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from dev.power_bi.messages import Request, Response
from durable.engine import EngineUnavailable
from tests.simulation.platform import durable_engine, run_timer
from triggers.callbacks import add_callback

if TYPE_CHECKING:
    from tests.simulation.world import World

HOST = "https://prod-01.westeurope.logic.azure.com"
TIMER_SECONDS = 300

Json = dict[str, Any]


@dataclass
class Callback:
    """A callback URI of a request, and each call of it: when, with which body, and whether the answer was 200.

    `request` is None if the app refused the request, or if it is not known (`unknown`) because the answer to the start
    was lost. `later`: the URI was added after the start. The request may miss it if it is between two turns; then a
    timer finds it.
    """

    request: str | None
    added_at: datetime
    unknown: bool = True
    later: bool = False
    calls: list[tuple[datetime, Json, bool]] = field(default_factory=list)


class Receivers:
    """The receivers of all callbacks, and the app's timer for callbacks. On days with faulty services receivers
    fail."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._random = random.Random(f"receivers {world.day.seed}")  # noqa: S311
        self._unwell = max(world.rates.start_unavailable, world.rates.read_unavailable, world.rates.read_drop)
        self._timer_runs = False
        self.callbacks: list[Callback] = []

    def new_uri(self) -> str:
        """A new URI for a receiver. The URI does not belong to a request yet."""
        self.callbacks.append(Callback(None, self._world.now))
        self._run_timer()
        return f"{HOST}:443/workflows/{len(self.callbacks) - 1}/callback?sp=run&sig=secret"

    def wait(self, uri: str, request_id: str | None, *, later: bool = False) -> None:
        """From now on the URI waits for the end of a request; None if the app refused it."""
        callback = self.callbacks[int(uri.split("/")[4])]
        callback.request, callback.added_at, callback.unknown = request_id, self._world.now, False
        callback.later = later

    async def another(self, request_id: str, caller: dict[str, str]) -> None:
        """Adds a second receiver to a request, which may have ended already."""
        uri = self.new_uri()
        with contextlib.suppress(EngineUnavailable):
            added = await self._world.call(_added(request_id, uri, caller))
            if added and not self._world.callers.purged(request_id):
                self.wait(uri, request_id, later=True)

    def answer(self, request: Request) -> Response:
        """The answer of a receiver to a call; sometimes there is none."""
        number, body = int(request.path.split("/")[2]), json.loads(request.body)
        about = self.callbacks[number].request or "a request"
        self._world.note(self._world.now, f"the receiver of callback {number} is called: {about} is {body['status']}")
        unwell = self._random.random() < self._unwell
        self.callbacks[number].calls.append((self._world.now, body, not unwell))
        bad = [
            Response(500),
            Response(429, {"Retry-After": "30"}),
            Response(200, dropped=True),
            Response(200, delay_seconds=1000),
        ]
        return self._random.choice(bad) if unwell else Response(200)

    def _run_timer(self) -> None:
        if not self._timer_runs:
            self._timer_runs = True
            self._world.after(TIMER_SECONDS, lambda: self._world.spawn(self._deliver()))

    async def _deliver(self) -> None:
        """Runs the timer. It stops while no callback waits, because otherwise the world would never be quiet."""
        await self._world.call(run_timer("deliver_callbacks"))
        instances = self._world.engine.instances.values()
        self._timer_runs = False
        if any(i.name == "deliver_callback" and not i.terminal for i in instances):
            self._run_timer()


async def _added(request_id: str, uri: str, caller: dict[str, str]) -> bool:
    await add_callback(durable_engine(), request_id, uri, caller, to_running=True)
    return True
