"""The world of one seed: the real app on the engine of the devhost, a Power BI service, callers, and a scheduler that
chooses bad moments.

It has one thread and virtual time. Every next step that is possible in the real host is possible here; the seed
decides. Function calls are coroutines on a loop of this world: while one waits for the engine, for Power BI or for
time, all others may run."""

import asyncio
import heapq
import json
import random
from collections import Counter
from collections.abc import Callable, Coroutine
from datetime import datetime, timedelta
from itertools import count
from typing import Any, TypeVar

from dev.power_bi.messages import Request, Response
from devhost.engine import Call, Engine, Hub, Item, Outcome, Refused
from devhost.engine.model import Instance
from durable.codec import unwrapped
from refresh.ids import request_in_batch
from refresh.models.index import shard_of
from refresh.models.state import Entry, Record
from refresh.models.stored import load_record, load_shard
from refresh.queue.operations import Tidy
from refresh.queue.state import Queue
from refresh.queue.stored import load
from refresh.times import instant
from tests.simulation.batches import AcceptedBatch, Batches
from tests.simulation.callbacks import Receivers
from tests.simulation.callers import Callers
from tests.simulation.capacity import GROUP, Places
from tests.simulation.client import Client
from tests.simulation.episodes import Episodes
from tests.simulation.loop import Loop
from tests.simulation.platform import (
    PROCESS,
    PROCESSES,
    Histories,
    durable_engine,
    durable_names,
    run_activity,
    run_entity,
    run_timer,
)
from tests.simulation.power_bi import ASKED_FOR_PERMIT, ORDER, PowerBi
from tests.simulation.purge import Purge
from tests.simulation.reminders import Reminders
from tests.simulation.scenario import START, Scenario

MAX_STEPS = 500_000
HIDDEN_SECONDS = (60.0, 90.0)
"""How long the work of a dead worker stays hidden, with the visibility time-outs of host.json."""
STATUS_LOST = 0.1
"""The probability, on a day with crashes, that the status of an orchestration is lost when it ends."""
TERMINATED = 0.05
"""The probability that the instance of an episode is terminated soon, until the day's number of terminations is
reached."""
LATE_SECONDS = 20 * 60.0
"""The maximum delay of a duplicate."""
MIDWAY_SECONDS = 3.0
"""The maximum time after the start of an activity at which its worker dies."""
HTTP_DIES = 0.5
"""The probability that a crash also ends the HTTP calls: they may run on a different host from the durable
functions."""
TURNS = 0.4
"""The probability that a call lets others run before it takes effect, or before its answer arrives."""

T = TypeVar("T")
Json = dict[str, Any]


class World:
    """Runs a scenario. `note` gets a line for each event."""

    def __init__(self, day: Scenario, note: Callable[[datetime, str], None] = lambda now, line: None) -> None:
        self.day, self.rates, self.note = day, day.rates, note
        self.random = random.Random(f"world {day.seed}")  # noqa: S311
        self.now = START
        self.counts: Counter[str] = Counter()
        self.steps = 0
        self._ids = count(1)
        self.engine = Engine(
            Histories(),
            durable_names(),
            timers=self._timer,
            new_id=lambda: f"00000000-0000-0000-0000-{next(self._ids):012}",
        )
        self.hub = Hub(self.engine)
        self._episodes = Episodes(day.seed)
        self._numbers = count()
        self._agenda: list[tuple[datetime, int, Callable[[], object]]] = []
        self.loop = Loop(self.seconds, self.after)
        self.client = Client(self)
        self.service_side = PowerBi(self)
        self.service, self.posts, self.cancels = (
            self.service_side.service,
            self.service_side.posts,
            self.service_side.cancels,
        )
        self.truth, self.page, self.rpc = self.service_side.truth, self.client.page, self.client.rpc
        self.receivers = Receivers(self)
        self.callers = Callers(self)
        self.requests = self.callers.requests
        self.places = Places(self)
        self.batches = Batches(self)
        self.checked_posts = 0
        self.second_lives: set[str] = set()
        self.terminated: set[str] = set()
        """Instances that were terminated by hand."""
        self.recorded: set[str] = set()
        """Refreshes that a run reported to its queue."""
        self._activities: dict[Item, asyncio.Task[None]] = {}
        self._calls: dict[asyncio.Task[Any], None] = {}
        """HTTP calls in progress."""
        self.new_processes: Callable[[], None] = lambda: None
        for caller in day.callers:
            self._at(caller.at, lambda caller=caller: self.callers.arrive(caller))  # type: ignore[misc]
        for batch in day.batches:
            self._at(batch.at, lambda batch=batch: self.batches.arrive(batch))  # type: ignore[misc]
        for seconds in day.crash_times:
            self._at(seconds, self._crash)
        for seconds in day.purge_times:
            self._at(seconds, lambda: self.spawn(Purge(self).run()))
        self.reminders = Reminders(self)
        self._to_terminate = {
            "refresh_run": self.random.randint(0, day.rates.runs_terminated),
            "refresh_request": self.random.randint(0, day.rates.requests_terminated),
        }
        if day.batches:
            self._to_terminate["refresh_batch"] = self.random.choice([0, 0, 0, day.rates.requests_terminated])
        self.longest_history = 0
        self._ends = random.Random(f"{day.seed} ends")  # noqa: S311 - the same for each run of a day

    # ---- driving ------------------------------------------------------------------------------------------------

    def step(self) -> bool:
        """Lets one event happen. Returns False when the world is quiet."""
        self.steps += 1
        due_at = self.engine.next_due()
        if due_at is not None and due_at <= self.now:
            self.engine.ready(self.now)  # delivers due messages
            self.engine.commit()
        items, handles = self.engine.ready(self.now), self.loop.ready
        due = [entry for entry in self._agenda if entry[0] <= self.now]
        choices = len(items) + len(due) + len(handles)
        pick = self.random.randrange(choices) if choices > 1 else choices - 1
        if pick < 0:
            times = [self.engine.next_due(), self._agenda[0][0] if self._agenda else None]
            known = [time for time in times if time is not None]
            if not known:
                return False
            self.now = max(self.now, min(known))
            return True
        if pick < len(handles):
            self.loop.run(handles.pop(pick))
        elif pick < len(handles) + len(due):
            entry = due[pick - len(handles)]
            self._agenda.remove(entry)
            heapq.heapify(self._agenda)
            entry[2]()
        else:
            self._begin(items[pick - len(handles) - len(due)])
        self.engine.commit()
        return True

    def _at(self, seconds: float, act: Callable[[], object]) -> None:
        heapq.heappush(self._agenda, (START + timedelta(seconds=seconds), next(self._numbers), act))

    def after(self, seconds: float, act: Callable[[], object]) -> None:
        """Schedules a call this many seconds from now."""
        heapq.heappush(self._agenda, (self.now + timedelta(seconds=seconds), next(self._numbers), act))

    def later(self, least: float, most: float) -> datetime:
        """A random time in the future."""
        return self.now + timedelta(seconds=self.random.uniform(least, most))

    def seconds(self) -> float:
        """Seconds since the day began."""
        return (self.now - START).total_seconds()

    def chance(self, name: str, factor: float = 1.0) -> bool:
        """Whether a fault occurs now; if it does, it is counted."""
        rate = getattr(self.rates, name)
        struck = bool(rate > 0 and self.random.random() < rate * factor)
        self.counts[name] += struck
        return struck

    # ---- function calls -----------------------------------------------------------------------------------------

    async def sleep(self, seconds: float) -> None:
        """Waits in virtual time."""
        await asyncio.sleep(seconds)

    async def turn(self) -> None:
        """Lets other pending work run while a call is in transit."""
        if self.random.random() < TURNS:
            await asyncio.sleep(self.random.choice([0, 0, 0.01, 0.3]))

    def spawn(self, running: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
        """Starts a task that runs concurrently with all others."""
        return self.loop.create_task(running)

    async def call(self, running: Coroutine[Any, Any, T]) -> T | None:
        """The result of an HTTP or timer function in one of the worker processes; None if its host died."""
        PROCESS.set(self.random.randrange(PROCESSES))
        task = self.loop.create_task(running)
        self._calls[task] = None
        try:
            return await task
        except asyncio.CancelledError:
            return None
        finally:
            self._calls.pop(task, None)

    def finish(self, running: Coroutine[Any, Any, T]) -> T:
        """The result of a coroutine. While it runs, other events of the day happen."""
        task = self.spawn(running)
        while not task.done():
            self.step()
        return task.result()

    # ---- the engine's work ----------------------------------------------------------------------------------------

    def _begin(self, item: Item) -> None:
        if self.chance("work_hidden"):
            self.engine.hide(item, self.later(*HIDDEN_SECONDS))
            return
        if item.kind == "activity" and self.chance("activity_twice"):
            self.engine.duplicate(item)
        call = self.engine.begin(item, self.now)
        if call is None:
            return
        # all work takes a few milliseconds, so that an endless loop advances the time and ends with too many steps
        self.now += timedelta(milliseconds=self.random.randint(1, 20))
        if item.kind == "activity":
            self._activities[item] = self.spawn(self._activity(item, call))
            if self.chance("activity_dies_midway"):
                self.after(self.random.uniform(0, MIDWAY_SECONDS), lambda: self._kill(item))
        elif item.kind == "episode":
            instance = self.engine.instances[item.key]
            self._watch(instance)
            self._finish(item, self._episodes.run(call, instance, self.engine.agenda.flying[item]))
        else:
            self._remember_operations(item, call)
            self._finish(item, run_entity(call))
            if item.key == f"@capacity_group@{GROUP}":
                self.places.note(self.places.takers(call.value))

    def _finish(self, item: Item, outcome: Outcome) -> None:
        if self.chance("episode_lost"):
            self.engine.abandon(item)
        elif self.chance("episode_sent_twice"):
            self.engine.complete(item, outcome, self.now, keep=False)
        else:
            self.engine.complete(item, outcome, self.now)
        self._lose_status(item)

    def _lose_status(self, item: Item) -> None:
        """If a host dies while it writes the end of an orchestration, the engine completes the end without the
        status."""
        instance = self.engine.instances.get(item.key)
        if instance is None or instance.status not in ("Completed", "Failed") or not instance.custom_status:
            return
        if self.day.crash_times and self._ends.random() < STATUS_LOST:
            self.counts["status_lost"] += 1
            instance.custom_status = None

    async def _activity(self, item: Item, call: Call) -> None:
        """Runs an activity, which takes a while. Its worker may die before it, during it, or before its answer is
        stored."""
        ORDER.set(call.value)
        ASKED_FOR_PERMIT.set(False)
        PROCESS.set(self.random.randrange(PROCESSES))
        seconds, early = self.random.choice([0.0, 0.05, 0.3, 2.0]), self.random.random() < 0.5
        if not early:
            await self.sleep(seconds)
            if self.chance("activity_dies_before"):
                self._abandon(item)
                return
        outcome = await run_activity(call)
        if early:
            await self.sleep(seconds)
        if self.chance("activity_dies_after"):
            self._abandon(item)
            return
        del self._activities[item]
        self.engine.complete(item, outcome, self.now)

    def _kill(self, item: Item) -> None:
        task = self._activities.get(item)
        if task is not None:
            task.cancel()
            self._abandon(item)

    def _abandon(self, item: Item) -> None:
        del self._activities[item]
        self.engine.abandon(item, self.later(*HIDDEN_SECONDS))

    def _remember_operations(self, item: Item, call: Call) -> None:
        """Some operations arrive again later: a host sent them, and died before it had stored this."""
        again = self.rates.operation_again_late
        if not again and '"record"' not in call.value:
            return
        for operation in json.loads(call.value)["batch"]:
            if operation["name"] == "record":
                self.recorded.add(json.loads(json.loads(operation["input"]))["refresh_id"])
            if self.chance("operation_again_late"):
                body = {
                    "op": operation["name"],
                    "signal": True,
                    "id": self.engine.new_id(),
                    "input": operation["input"],
                }
                self.after(self._delay(), lambda body=body: self.engine.send("operation", item.key, body))  # type: ignore[misc]

    def _timer(self, due: datetime, now: datetime) -> datetime:
        """When a timer fires.

        As on Azure Storage, the delay is cut to whole seconds, so a timer fires up to a second early. Sometimes it
        fires late.
        """
        fires = now + timedelta(seconds=max(0, int((due - now).total_seconds())))
        return fires + timedelta(seconds=self.random.uniform(0, 12)) if self.chance("timers_late") else fires

    def _delay(self) -> float:
        return self.random.choice([0.0, self.random.uniform(0, 60), self.random.uniform(0, LATE_SECONDS)])

    def _crash(self) -> None:
        """The host dies. Work that was in progress is visible again only after a while."""
        self.counts["crashes"] += 1
        self.note(self.now, "the host crashes")
        for task in self._activities.values():
            task.cancel()
        self._activities.clear()
        if self.random.random() < HTTP_DIES:
            for call in self._calls:
                call.cancel()
        self.new_processes()
        self.engine.crash(self.later(*HIDDEN_SECONDS))

    def _watch(self, instance: Instance) -> None:
        self.longest_history = max(self.longest_history, len(instance.history or ()))
        if self._to_terminate.get(instance.name) and self.random.random() < TERMINATED:
            self._to_terminate[instance.name] -= 1
            self.after(self.random.uniform(0, 60), lambda: self._terminate(instance.name, instance.id))

    def _terminate(self, kind: str, victim: str) -> None:
        if victim not in self.engine.instances or self.engine.instances[victim].terminal:
            return
        self.counts[f"{kind} terminated"] += 1
        self.note(self.now, f"a person terminates {victim}")
        self.terminated.add(victim)
        self.hub.terminate(victim, "by hand", self.now)
        for request in self.requests:
            if request.id == victim:
                request.terminated_at = request.terminated_at or self.now

    def tidy_up(self) -> None:
        """Runs the timers a day later."""
        self.now += timedelta(hours=25)
        for dataset_id in self.day.knobs:
            self.spawn(durable_engine().tell_queue(dataset_id, Tidy(at=instant(self.now))))
        if self.day.capacity:
            self.spawn(self.places.tidy_up())
        self.spawn(run_timer("watch_models"))

    def started(self, name: str, instance: str, text: str | None) -> None:
        """The engine accepted a start, which may arrive a second time."""
        self.reminders.needed()
        if self.chance("start_again_late"):

            def again() -> None:
                try:
                    self.hub.start(name, instance, text, self.now)
                    self.second_lives.add(instance)
                    self.reminders.needed()
                    self.note(self.now, f"the engine delivers the start of {instance} a second time")
                except Refused:
                    pass

            self.after(self._delay(), again)

    # ---- outbound calls of the app ----------------------------------------------------------------------------------

    def power_bi(self, request: Request) -> Response:
        """Power BI's answer."""
        return self.service_side.answer(request)

    def callback(self, request: Request) -> Response:
        """The answer of a receiver of callbacks."""
        return self.receivers.answer(request)

    def happened(self) -> Counter[str]:
        """How often each event happened; for the faults of the service, how many calls they hit."""
        return self.counts + self.service_side.struck()

    def batch_requests(self, batch: AcceptedBatch) -> dict[str, str]:
        """The names of the models of a batch by the ids of their requests, even if these were not started."""
        listed = batch.final["models"]
        return {request_in_batch(batch.id, model["datasetId"], model["name"]): model["name"] for model in listed}

    def queue(self, dataset_id: str) -> Queue:
        """The stored queue of a dataset."""
        return load(self._state(f"@dataset_queue@{dataset_id}"))

    def model_entry(self, dataset_id: str) -> Entry | None:
        """The entry of a model in the index."""
        return load_shard(self._state(f"@model_index@{shard_of(dataset_id)}")).models.get(dataset_id)

    def model_record(self, dataset_id: str) -> Record:
        """The stored record of a model."""
        return load_record(self._state(f"@model_record@{dataset_id}"))

    def _state(self, name: str) -> object:
        entity = self.engine.entities.get(name)
        return unwrapped(json.loads(entity.state)) if entity and entity.exists and entity.state else None
