"""The durable client's calls in the simulated world, with the latency and the failures of the platform.

A new message wakes the reader of the queue only in the process that adds it; other processes look every few seconds. So
signals and events of a client may become visible up to ten seconds later, in any order. A start is a partial exception,
as on Azure Storage: the client itself writes the row of the instance (`Pending`) before it gets the answer, so only the
first episode is late. Reads fail while their blob is rewritten.
"""

import json
from typing import TYPE_CHECKING, Any

import requests

from devhost.engine import Item, Refused
from devhost.engine.hub import Query
from tests.simulation.platform import refused, route
from tests.simulation.power_bi import ASKED_FOR_PERMIT

if TYPE_CHECKING:
    from tests.simulation.world import World

LATE_SIGNAL_SECONDS = 10.0
UNREADABLE_SECONDS = 4.0
"""The maximum time for which reads of one blob fail. A real rewrite takes far less."""
READABLE_SECONDS = 5.0
"""The minimum time for which reads of the blob succeed afterwards."""
LARGE = 3_000
"""A number of characters: reads of a state of this size fail twice as often as reads of an empty state."""
PAGE_ROWS = 4
"""The number of rows of a page. It is small, so that much can happen between the reads of two pages."""
BUSY: list[Any] = [500, {"Message": "The operation failed: the specified blob does not exist."}]

Json = dict[str, Any]


class Client:
    """The engine's side of the durable client."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._unreadable: dict[str, tuple[float, float]] = {}
        """By id: the time until which reads fail, and a later time until which they succeed in any case."""
        self.refused_starts: list[float] = []
        """The times at which the engine answered a start with an error."""

    async def rpc(self, method: str, url: str, data: Any) -> list[Any]:
        """A call and its answer, each with a delay."""
        await self._world.turn()
        try:
            answer = self._answer(method, url, data)
        except Refused as problem:
            answer = refused(problem)
        await self._world.turn()
        return answer

    def _answer(self, method: str, url: str, data: Any) -> list[Any]:
        world, (parts, query) = self._world, route(url)
        text = None if data is None else json.dumps(data)
        match method, parts:
            case "POST", ["orchestrators", name, instance]:
                return self._start(name, instance, text)
            case "POST", ["instances", instance, "raiseEvent", event]:
                world.hub.must_live(instance)
                if not (event.startswith(("wake", "ModelEnded")) and world.chance("wake_lost")):
                    self._send(lambda: world.hub.raise_event(instance, event, text, world.now))
                return [202, None]
            case "POST", ["entities", name, key]:
                ASKED_FOR_PERMIT.set(ASKED_FOR_PERMIT.get() or query["op"] == "take_permit")
                self._send(lambda: world.hub.signal(name, key, query["op"], text, world.now))
                return [202, None]
            case "GET", ["instances", instance]:
                if self._fails(instance):
                    return BUSY
                status = world.hub.status(instance)
                return [404, ""] if status is None else [200, status]
            case "GET", ["entities", name, key]:
                if self._fails(f"@{name}@{key}"):
                    return BUSY
                return [200, world.hub.entity_state(name, key)]
        raise AssertionError(f"the simulation has no {method} {url}")

    def page(self, query: dict[str, str | None], continuation: str) -> tuple[list[Json], str]:
        """A page of the engine's list."""
        prefix = query.get("instanceIdPrefix") or ""
        if self._fails(f"list {prefix}"):
            raise requests.HTTPError("500 Server Error")
        statuses = frozenset(filter(None, (query.get("runtimeStatus") or "").split(",")))
        return self._world.hub.query(Query(prefix, statuses=statuses, after=continuation, top=PAGE_ROWS))

    def _send(self, send: Any) -> None:
        """Sends a message to an orchestration or an entity, which may have ended when the message arrives."""
        world = self._world

        def arrive() -> None:
            try:
                send()
            except Refused:
                world.note(world.now, "a message arrives after its receiver has ended")

        if world.chance("signals_late"):
            world.after(world.random.uniform(0, LATE_SIGNAL_SECONDS), arrive)
        else:
            send()

    def _start(self, name: str, instance: str, text: str | None) -> list[Any]:
        world = self._world
        refusal, taken = world.chance("starts_refused"), True
        if refusal:
            self.refused_starts.append(world.seconds())
            taken = world.random.random() < 0.5
        if taken:
            world.hub.start(name, instance, text, world.now)
            world.started(name, instance, text)
            if world.chance("signals_late"):
                until = world.later(0, LATE_SIGNAL_SECONDS)
                if world.engine.instances[instance].status == "Pending" and not world.engine.flying(
                    Item("episode", instance)
                ):
                    world.engine.hide(Item("episode", instance), until)
        return [500, {"Message": "Something went wrong."}] if refusal else [202, {"id": instance}]

    def _fails(self, name: str) -> bool:
        world = self._world
        if not world.rates.reads_fail:
            return False
        now = world.seconds()
        until, quiet = self._unreadable.get(name, (0.0, 0.0))
        if now >= quiet and world.chance("reads_fail", 1 + self._size(name) / LARGE):
            until = now + world.random.uniform(0, UNREADABLE_SECONDS)
            self._unreadable[name] = until, until + READABLE_SECONDS
        return now < until

    def _size(self, name: str) -> int:
        engine = self._world.engine
        if name in engine.instances:
            return len(engine.instances[name].input or "")
        return len(engine.entities[name].state or "") if name in engine.entities else 0
