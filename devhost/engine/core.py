"""The durable engine: what is ready, what running it means, what it leaves behind.

It has no clock, thread or socket. Whoever drives it hands in the time, runs the functions and chooses what runs next:

    for item in engine.ready(now):          # choose one, or all
        call = engine.begin(item, now)      # what to run; None: the engine had nothing to ask the app
        engine.complete(item, outcome, now) # or engine.abandon(item): as if the process had died
    engine.commit()                         # one transaction; only now does new work become ready

Nothing that is not committed is ever ready, so whatever acts upon an item acts upon something that is kept.
"""

from __future__ import annotations

import heapq
import json
import logging
import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count
from typing import Any

from devhost.engine import events as ev
from devhost.engine import times
from devhost.engine.answers import activity_failure
from devhost.engine.entities import begin_batch, complete_batch
from devhost.engine.episodes import begin_episode, complete_episode
from devhost.engine.events import Event
from devhost.engine.model import (
    Call,
    Entity,
    Functions,
    Instance,
    Item,
    Message,
    MessageKind,
    Outcome,
    Parent,
    Raised,
)
from devhost.engine.store import Changes, Store

log = logging.getLogger("devhost.engine")

TimerPolicy = Callable[[datetime, datetime], datetime]
"""(due time, now) -> when the timer is delivered."""


@dataclass(slots=True)
class Flight:
    """An item that is being worked on: what it took, and what to undo if it is abandoned."""

    messages: list[Message]
    arrived: list[Event] = field(default_factory=list)
    """For an episode: its OrchestratorStarted and the events it received."""
    texts: list[str] = field(default_factory=list)
    """`arrived` as JSON texts."""


class Engine:
    """State and rules of all instances and entities of one task hub."""

    def __init__(
        self,
        store: Store,
        functions: Functions,
        *,
        timers: TimerPolicy = times.whole_seconds,
        new_id: Callable[[], str] = lambda: str(uuid.uuid4()),
        batch_size: int = 50,
    ) -> None:
        """Starts from what `store` holds: everything that was in flight is ready again.

        `timers` says when a timer is delivered, `new_id` makes the ids of executions and entity requests, `batch_size`
        bounds an entity's batch.
        """
        self.store = store
        self.functions = functions
        self.timers = timers
        self.new_id = new_id
        self.batch_size = batch_size
        self.instances: dict[str, Instance] = {}
        self.entities: dict[str, Entity] = {}
        self.activities: dict[str, Message] = {}
        self.changes = Changes()
        self._numbers = count(1)
        self._ready: dict[Item, None] = {}
        self._staged: dict[Item, None] = {}
        self._flying: dict[Item, Flight] = {}
        self._later: list[tuple[datetime, int, Message | Item]] = []
        self._hidden: set[Item] = set()
        self._over: list[Instance] = []
        self._load()

    def _load(self) -> None:
        loaded = self.store.load()
        self.instances = {i.id: i for i in loaded.instances}
        self.entities = {e.id: e for e in loaded.entities}
        last = 0
        for message in loaded.messages:
            last = max(last, message.number)
            if message.due is not None:
                heapq.heappush(self._later, (message.due, message.number, message))
            else:
                self._deliver(message)
        self._numbers = count(last + 1)
        for instance in self.instances.values():
            if instance.fresh:
                self._staged[Item("episode", instance.id)] = None
        self._ready, self._staged = self._staged, {}

    # ---- driving ------------------------------------------------------------------------------------------------

    def ready(self, now: datetime) -> list[Item]:
        """What can be begun at `now`, oldest first. Delivers the timers that are due."""
        while self._later and self._later[0][0] <= now:
            _, _, due = heapq.heappop(self._later)
            if isinstance(due, Item):
                self._hidden.discard(due)
                self._stage(due)
            else:
                self._deliver(due)
        if self._staged and not self.changes:
            self._release()
        return list(self._ready)

    def next_due(self) -> datetime | None:
        """When the next timer (or hidden work) comes; None: nothing is waiting for the clock."""
        return self._later[0][0] if self._later else None

    @property
    def idle(self) -> bool:
        """Nothing ready, in flight or waiting for the clock."""
        return not (self._ready or self._staged or self._flying or self._later)

    def in_flight(self) -> list[Item]:
        return list(self._flying)

    def begin(self, item: Item, now: datetime) -> Call | None:
        """Takes `item` and tells what to run. None: it is already done (a termination, nothing but stale messages)."""
        self._ready.pop(item)
        if item.kind == "episode":
            instance = self.instances[item.key]
            taken = [] if instance.fresh else list(instance.inbox)
            flight = Flight(taken)
            for _ in taken:
                instance.inbox.popleft()
            self._flying[item] = flight
            call = begin_episode(self, instance, flight, now)
        elif item.kind == "entity":
            entity = self.entities[item.key]
            taken = [entity.inbox.popleft() for _ in range(min(len(entity.inbox), self.batch_size))]
            self._flying[item] = Flight(taken)
            call = begin_batch(entity, taken)
        else:
            message = self.activities[item.key]
            self._flying[item] = Flight([message])
            call = Call("activity", message.body["name"], message.body["input"], message.target)
        if call is None:
            self._settle(item)
        return call

    def complete(self, item: Item, outcome: Outcome, now: datetime, *, keep: bool = True) -> None:
        """Applies what running `item` gave. Takes effect with the next commit().

        `keep=False` is a fault: the messages go out but history, state and consumption are not kept, as when the real
        host dies between sending and committing; the item is ready again and will do it all a second time.
        """
        flight = self._flying[item]
        if item.kind == "activity":
            self._complete_activity(flight.messages[0], outcome, now)
            if keep:
                self.activities.pop(item.key, None)
        elif item.kind == "entity":
            if not complete_batch(self, self.entities[item.key], flight.messages, outcome, now, keep=keep):
                self.abandon(item, hidden_until=self.poison_until(item, now))
                return
        else:
            complete_episode(self, self.instances[item.key], flight, outcome, now, keep=keep)
        if keep:
            self._settle(item)
        else:
            self.abandon(item)

    def abandon(self, item: Item, hidden_until: datetime | None = None) -> None:
        """Puts an item back as if whoever worked on it had died; with `hidden_until` it is seen again only then."""
        flight = self._flying.pop(item)
        if item.kind == "episode":
            self.instances[item.key].inbox.extendleft(reversed(flight.messages))
        elif item.kind == "entity":
            self.entities[item.key].inbox.extendleft(reversed(flight.messages))
        if hidden_until is None:
            self._stage(item)
        else:
            self._hidden.add(item)
            heapq.heappush(self._later, (hidden_until, next(self._numbers), item))

    def hide(self, item: Item, until: datetime) -> None:
        """Takes a ready item out of sight until a time, as a message is that another host had locked when it died."""
        self._ready.pop(item)
        self._hidden.add(item)
        heapq.heappush(self._later, (until, next(self._numbers), item))

    def crash(self, hidden_until: datetime | None = None) -> list[Item]:
        """All work in flight is lost, as when the host dies. Returns what it was."""
        lost = list(self._flying)
        for item in lost:
            self.abandon(item, hidden_until)
        return lost

    def commit(self) -> None:
        """Keeps everything since the last commit in one transaction and makes what it caused ready."""
        if self.changes:
            changes, self.changes = self.changes, Changes()
            self.store.commit(changes)
            for instance in self._over:
                if instance.terminal:
                    instance.history, instance.texts = None, []
            self._over.clear()
        self._release()

    def poison_until(self, item: Item, now: datetime) -> datetime:
        """When a batch whose entity function crashed is tried again: the real host repeats it for ever."""
        return now + times.POISON_DELAY

    # ---- inside: also used by the other modules of this package -----------------------------------------------------

    def flying(self, item: Item) -> bool:
        return item in self._flying

    def touch(self, thing: Instance | Entity) -> None:
        if isinstance(thing, Instance):
            self.changes.instances[thing.id] = thing
        else:
            self.changes.entities[thing.id] = thing

    def send(
        self,
        kind: MessageKind,
        target: str,
        body: dict[str, Any],
        execution_id: str | None = None,
        due: datetime | None = None,
    ) -> None:
        """Puts a message on its way; it arrives with the next commit, or at `due`."""
        message = Message(next(self._numbers), kind, target, body, execution_id, due)
        self.changes.sent[message.number] = message
        if due is None:
            self._deliver(message)
        else:
            heapq.heappush(self._later, (due, message.number, message))

    def consume(self, messages: Iterable[Message]) -> None:
        for message in messages:
            self.changes.consume(message.number)

    def history(self, instance: Instance) -> list[Event]:
        """The instance's history; read from the store when it is not in memory."""
        if instance.history is None:
            instance.history = json.loads(self.store.history(instance.id))
            for event in instance.history:
                if event["EventType"] not in ev.SCHEDULING and event["EventType"] not in (
                    ev.ORCHESTRATOR_STARTED,
                    ev.ORCHESTRATOR_COMPLETED,
                ):
                    event["IsPlayed"] = not instance.fresh
            instance.texts = [json.dumps(e) for e in instance.history]
        return instance.history

    def append(self, instance: Instance, events: Sequence[Event], texts: Sequence[str] | None = None) -> None:
        """Adds to an instance's history, in memory and in the next transaction. `texts`: the same as JSON."""
        if not events:
            return
        history = self.history(instance)
        texts = texts or [json.dumps(e) for e in events]
        self.changes.add_history(instance.id, len(history), texts)
        history.extend(events)
        instance.texts.extend(texts)

    def create(
        self, name: str, instance_id: str, input_text: str | None, now: datetime, parent: Parent | None = None
    ) -> Instance:
        """A new life of `instance_id`, whatever was there before; its start message is on its way."""
        before = self.instances.get(instance_id)
        execution_id = self.new_id()
        instance = Instance(instance_id, name, execution_id, input_text, "Pending", now, now, parent=parent, history=[])
        if before is not None:
            self.consume(before.inbox)
            self.changes.drop_history(instance_id)
        self.instances[instance_id] = instance
        self.touch(instance)
        self.send("event", instance_id, self.start_event(instance, now), execution_id)
        return instance

    def start_event(self, instance: Instance, now: datetime) -> Event:
        """The ExecutionStarted of the instance's present life."""
        parent = instance.parent
        parent_event: Event | None = (
            None
            if parent is None
            else {
                "OrchestrationInstance": {"InstanceId": parent.instance_id, "ExecutionId": parent.execution_id},
                "Name": parent.name,
                "TaskScheduleId": parent.task_id,
                "Version": "",
            }
        )
        return ev.execution_started(
            now,
            name=instance.name,
            instance_id=instance.id,
            execution_id=instance.execution_id,
            input_text=instance.input,
            parent=parent_event,
        )

    def forget_history(self, instance: Instance) -> None:
        """A finished instance's history is read from the store when somebody asks, once it is there: most never do."""
        self._over.append(instance)

    def entity(self, entity_id: str, now: datetime) -> Entity:
        if entity_id not in self.entities:
            self.entities[entity_id] = Entity(entity_id, now, now)
            self.touch(self.entities[entity_id])
        return self.entities[entity_id]

    def _deliver(self, message: Message) -> None:
        """Puts a message where it belongs; drops it if its target is gone or over."""
        if message.kind == "activity":
            key = str(message.number)
            self.activities[key] = message
            self._stage(Item("activity", key))
        elif message.kind == "operation":
            entity = self.entities.get(message.target)
            if entity is not None:
                entity.inbox.append(message)
                self._stage(Item("entity", entity.id))
        else:
            instance = self.instances.get(message.target)
            if instance is None or instance.terminal or message.execution_id not in (None, instance.execution_id):
                self.changes.consume(message.number)
                return
            instance.inbox.append(message)
            self._stage(Item("episode", instance.id))

    def _stage(self, item: Item) -> None:
        if item not in self._flying and item not in self._ready and item not in self._hidden:
            self._staged[item] = None

    def _release(self) -> None:
        self._ready.update(self._staged)
        self._staged.clear()

    def _settle(self, item: Item) -> None:
        """The item is done: its messages are consumed, and what came in meanwhile makes it ready again."""
        flight = self._flying.pop(item)
        self.consume(flight.messages)
        if item.kind == "episode":
            instance = self.instances.get(item.key)
            if instance is not None and (instance.fresh or (instance.inbox and not instance.terminal)):
                self._stage(item)
            elif instance is not None and instance.inbox:
                self.consume(instance.inbox)
                instance.inbox.clear()
        elif item.kind == "entity" and self.entities[item.key].inbox:
            self._stage(item)

    def _complete_activity(self, message: Message, outcome: Outcome, now: datetime) -> None:
        task_id = message.body["task"]
        if isinstance(outcome, Raised):
            event = ev.task_failed(now, task_id, *activity_failure(message.body["name"], outcome))
        else:
            event = ev.task_completed(now, task_id, None if outcome.value == "null" else outcome.value)
        self.send("event", message.target, event, message.execution_id)
