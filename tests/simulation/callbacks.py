"""Those who wait to be called back in the simulated world: what they were told, and how badly they listen."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from dev.power_bi.messages import Request, Response
from tests.simulation.platform import at_once, durable_client, run_timer
from triggers.callbacks import add_callback

if TYPE_CHECKING:
    from tests.simulation.world import World

HOST = "https://prod-01.westeurope.logic.azure.com"
TIMER_SECONDS = 300

Json = dict[str, Any]


@dataclass
class Callback:
    """A URI that was handed in for a request (None: which was refused), and each call of it: when, with what, and
    whether it was answered 200."""

    request: str | None
    added_at: datetime
    calls: list[tuple[datetime, Json, bool]] = field(default_factory=list)


class Receivers:
    """The other side of all callbacks, and the timer that looks after them. On days on which services misbehave the
    receivers do, too."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._random = random.Random(f"receivers {world.day.seed}")  # noqa: S311
        self._unwell = max(world.rates.start_unavailable, world.rates.read_unavailable, world.rates.read_drop)
        self._timer_runs = False
        self.callbacks: list[Callback] = []

    def new_uri(self) -> str:
        """A URI that nobody else has; its callback waits for the end of no request yet."""
        self.callbacks.append(Callback(None, self._world.now))
        return f"{HOST}:443/workflows/{len(self.callbacks) - 1}/callback?sp=run&sig=secret"

    def wait(self, uri: str, request_id: str | None) -> None:
        """From now on the URI waits for the end of a request; None if that was refused."""
        number = int(uri.split("/")[4])
        self.callbacks[number].request = request_id
        self.callbacks[number].added_at = self._world.now
        if not self._timer_runs:
            self._timer_runs = True
            self._world.after(TIMER_SECONDS, self._deliver)

    def another(self, request_id: str) -> None:
        """A second caller of the same request waits, too, which may be over."""
        uri = self.new_uri()
        at_once(add_callback(durable_client(), request_id, uri))
        self.wait(uri, request_id)

    def answer(self, request: Request) -> Response:
        """The answer to a call, which may be none."""
        number, body = int(request.path.split("/")[2]), json.loads(request.body)
        self._world.told(self._world.now, f"callback {number} is told {body['status']}")
        unwell = self._random.random() < self._unwell
        self.callbacks[number].calls.append((self._world.now, body, not unwell))
        bad = [
            Response(500),
            Response(429, {"Retry-After": "30"}),
            Response(200, dropped=True),
            Response(200, delay_seconds=1000),
        ]
        return self._random.choice(bad) if unwell else Response(200)

    def _deliver(self) -> None:
        """The timer. It rests while nobody waits, or the world would never be quiet."""
        run_timer("deliver_callbacks")
        instances = self._world.engine.instances.values()
        self._timer_runs = any(i.name == "deliver_callback" and not i.terminal for i in instances)
        if self._timer_runs:
            self._world.after(TIMER_SECONDS, self._deliver)
