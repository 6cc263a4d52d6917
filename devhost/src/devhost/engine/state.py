"""The state of the engine, in memory and in its store: instances, entities, messages, and uncommitted changes."""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from itertools import count
from typing import Any

from devhost.engine import events as ev
from devhost.engine import times
from devhost.engine.agenda import Agenda
from devhost.engine.blobs import BlobReads
from devhost.engine.events import Event
from devhost.engine.latency import Latency
from devhost.engine.model import Entity, Functions, Instance, Item, Message, MessageKind, Parent
from devhost.engine.store import Changes, Store
from devhost.engine.text import to_text
from devhost.engine.versions import Versioning

log = logging.getLogger("devhost.engine")

TimerPolicy = Callable[[datetime, datetime], datetime]
"""(due time, now) -> the time at which the timer is delivered."""
Recorder = Callable[[Instance, str], None]
"""Called with an instance and the status with which its current generation ended, while the instance still has the
history of that generation."""


class State:
    """The contents of a task hub, and the methods that change them. The next commit() stores the changes."""

    def __init__(
        self,
        store: Store,
        functions: Functions,
        *,
        timers: TimerPolicy = times.whole_seconds,
        new_id: Callable[[], str] = lambda: str(uuid.uuid4()),
        batch_size: int = 50,
        versioning: Versioning | None = None,
        latency: Latency | None = None,
        blob_reads: BlobReads | None = None,
    ) -> None:
        """Loads the contents of `store`. Everything that was in flight is ready again.

        `timers` decides when a timer is delivered, `new_id` makes the ids of executions and entity requests,
        `batch_size` is the maximum number of operations in an entity batch. `versioning` has the version of the host,
        which is also the default for new orchestrations, and the rule for other versions. `latency` delays messages and
        `blob_reads` makes reads fail; by default neither does.
        """
        self.store = store
        self.functions = functions
        self.timers = timers
        self.new_id = new_id
        self.batch_size = batch_size
        self.versioning = versioning or Versioning()
        self.latency = latency or Latency()
        self.blob_reads = blob_reads or BlobReads()
        self.recorder: Recorder | None = None
        self.instances: dict[str, Instance] = {}
        self.entities: dict[str, Entity] = {}
        self.activities: dict[str, Message] = {}
        self.changes = Changes()
        self.agenda = Agenda()
        self._numbers = count(1)
        self._over: list[Instance] = []
        self._dropped: list[Message] = []
        self._born: list[Entity] = []
        self._load()

    def _load(self) -> None:
        loaded = self.store.load()
        self.instances = {i.id: i for i in loaded.instances}
        self.entities = {e.id: e for e in loaded.entities}
        last = 0
        for message in loaded.messages:
            last = max(last, message.number)
            if message.due is not None:
                self.agenda.wait(message, message.due)
                if message.kind == "operation" and "parent" in message.body:
                    self.latency.restore(message.target, message.due)
            else:
                self._deliver(message)
        self._numbers = count(last + 1)
        for instance in self.instances.values():
            if instance.fresh:
                self.stage(instance)
        self.blob_reads.loaded([*self.instances.values(), *self.entities.values()])
        self.agenda.release()

    def commit(self) -> None:
        """Stores all changes since the last commit in one transaction and makes the staged items ready."""
        self.consume(self._dropped)
        self._dropped.clear()
        for entity in self._born:
            if self.entities.get(entity.id) is entity:
                self.touch(entity)
        self._born.clear()
        if self.changes:
            changes, self.changes = self.changes, Changes()
            self.store.commit(changes)
            for written in (changes.instances, changes.entities):
                for key, thing in written.items():
                    self.blob_reads.written(key, thing)
            for instance in self._over:
                if instance.terminal:
                    instance.history, instance.texts = None, []
            self._over.clear()
        self.agenda.release()

    def flying(self, item: Item) -> bool:
        return item in self.agenda.flying

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
        *,
        sent: datetime | None = None,
        from_client: bool = False,
    ) -> None:
        """Sends a message.

        It arrives at `due` if that is given; otherwise after the latency if `sent` (the current time) is given;
        otherwise with the next commit.
        """
        if due is None and sent is not None:
            due = self.latency.due(target, sent, from_client=from_client, ordered=kind != "activity")
        message = Message(next(self._numbers), kind, target, body, execution_id, due)
        self.changes.sent[message.number] = message
        if due is None:
            if kind == "operation" and sent is not None:
                self.entity(target, sent)
            self._deliver(message)
        else:
            self.agenda.wait(message, due)

    def consume(self, messages: Iterable[Message]) -> None:
        for message in messages:
            self.changes.consume(message.number)

    def history(self, instance: Instance) -> list[Event]:
        """The history of an instance, read from the store if it is not in memory."""
        if instance.history is None:
            instance.history = json.loads(self.store.history(instance.id))
            for event in instance.history:
                if event["EventType"] not in ev.SCHEDULING and event["EventType"] not in (
                    ev.ORCHESTRATOR_STARTED,
                    ev.ORCHESTRATOR_COMPLETED,
                ):
                    event["IsPlayed"] = not instance.fresh
            instance.texts = [to_text(e) for e in instance.history]
        return instance.history

    def append(self, instance: Instance, events: Sequence[Event], texts: Sequence[str] | None = None) -> None:
        """Appends to the history of an instance, in memory and in the next transaction. `texts`: the events as JSON."""
        if not events:
            return
        history = self.history(instance)
        texts = texts or [to_text(e) for e in events]
        self.changes.add_history(instance.id, len(history), texts)
        history.extend(events)
        instance.texts.extend(texts)

    def create(
        self,
        name: str,
        instance_id: str,
        input_text: str | None,
        now: datetime,
        *,
        parent: Parent | None = None,
        version: str | None = None,
        from_client: bool = False,
    ) -> Instance:
        """Creates a new execution of `instance_id`, which replaces an existing one, and sends its start message.

        Events that were sent before an execution started belong to the id, so the new execution gets them.
        """
        before = self.instances.get(instance_id)
        execution_id = self.new_id()
        if version is None:
            version = self.versioning.default
        instance = Instance(
            instance_id, name, execution_id, input_text, "Pending", now, now, parent=parent, version=version, history=[]
        )
        if before is not None:
            instance.inbox.extend(m for m in before.inbox if m.execution_id is None and before.status == "Pending")
            self.consume(m for m in before.inbox if m not in instance.inbox)
            self.changes.drop_history(instance_id)
        self.instances[instance_id] = instance
        self.touch(instance)
        start = self.start_event(instance, now)
        self.send("event", instance_id, start, execution_id, sent=now, from_client=from_client)
        return instance

    def start_event(self, instance: Instance, now: datetime) -> Event:
        """The ExecutionStarted of the current execution of an instance."""
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
            version=instance.version,
        )

    def forget_history(self, instance: Instance) -> None:
        """Frees the history of an ended instance with the next commit. It is read from the store on demand."""
        self._over.append(instance)

    def entity(self, entity_id: str, now: datetime) -> Entity:
        if entity_id not in self.entities:
            self.entities[entity_id] = Entity(entity_id, now, now)
            self.touch(self.entities[entity_id])
        return self.entities[entity_id]

    def stage(self, instance: Instance) -> None:
        """Stages the episode of an instance, unless this host does not run instances of that version."""
        if self.versioning.runs(instance.version) or self.versioning.failure == "Fail":
            self.agenda.stage(Item("episode", instance.id))
        elif "version" not in instance.warned:
            instance.warned.add("version")
            log.warning(
                "instance %s (%s) has version %s and is not run: the host's version is %s, its rule %s",
                instance.id, instance.name, instance.version, self.versioning.default, self.versioning.match,
            )  # fmt: skip

    def deliver_due(self, now: datetime) -> None:
        """Delivers the messages that are due. They are stored already, so there is nothing to commit."""
        for message in self.agenda.due(now):
            if message.kind == "operation" and message.target not in self.entities:
                entity = self.entities[message.target] = Entity(message.target, now, now)
                self._born.append(entity)
            self._deliver(message)

    def _deliver(self, message: Message) -> None:
        """Puts a message into the inbox of its target; drops it if the target does not exist or has ended."""
        if message.kind == "activity":
            key = str(message.number)
            self.activities[key] = message
            self.agenda.stage(Item("activity", key))
        elif message.kind == "operation":
            entity = self.entities.get(message.target)
            if entity is None:
                self._dropped.append(message)
                return
            entity.inbox.append(message)
            self.agenda.stage(Item("entity", entity.id))
        else:
            instance = self.instances.get(message.target)
            if instance is None or instance.terminal or message.execution_id not in (None, instance.execution_id):
                self._dropped.append(message)
                return
            instance.inbox.append(message)
            if instance.status != "Pending" or any(_is_start(m) for m in instance.inbox):
                self.stage(instance)  # a message that overtakes the start message waits for it


def _is_start(message: Message) -> bool:
    return bool(message.body["EventType"] == ev.EXECUTION_STARTED)
