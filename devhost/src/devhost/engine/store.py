"""The persistence of the engine's state: the interface, and a store in memory for tests and simulations.

All changes since the last commit must be stored in one transaction: the history of an episode, the messages it sent and
the messages it consumed belong together.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from devhost.engine.model import Entity, Instance, Message, Parent
from devhost.engine.times import iso, parse

Row = tuple[Any, ...]


@dataclass(slots=True)
class Changes:
    """The changes of one transaction. In `instances` and `entities`, the value None deletes the entry. `dropped` is
    applied before `history`."""

    instances: dict[str, Instance | None] = field(default_factory=dict)
    entities: dict[str, Entity | None] = field(default_factory=dict)
    dropped: set[str] = field(default_factory=set)
    history: dict[str, list[tuple[int, str]]] = field(default_factory=dict)
    """By instance: tuples of the position of the first event and the JSON texts of the events, joined by commas."""
    sent: dict[int, Message] = field(default_factory=dict)
    consumed: list[int] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.instances or self.entities or self.dropped or self.history or self.sent or self.consumed)

    def drop_history(self, instance_id: str) -> None:
        self.history.pop(instance_id, None)
        self.dropped.add(instance_id)

    def add_history(self, instance_id: str, position: int, texts: Iterable[str]) -> None:
        self.history.setdefault(instance_id, []).append((position, ",".join(texts)))

    def consume(self, number: int) -> None:
        if self.sent.pop(number, None) is None:
            self.consumed.append(number)


@dataclass(slots=True)
class Loaded:
    """The contents of a store when it is opened, without histories, which are read on demand."""

    instances: list[Instance]
    entities: list[Entity]
    messages: list[Message]


class Store(Protocol):
    def load(self) -> Loaded: ...

    def commit(self, changes: Changes) -> None:
        """Stores all changes; if the process dies meanwhile, none of them."""

    def history(self, instance_id: str) -> str:
        """The stored history of an instance as the text of a JSON array; `[]` if it has no history."""

    def close(self) -> None: ...


# ---- rows ---------------------------------------------------------------------------------------------------------


def instance_row(i: Instance) -> Row:
    parent = None
    if i.parent is not None:
        parent = json.dumps([i.parent.instance_id, i.parent.execution_id, i.parent.task_id, i.parent.name])
    return (
        i.id, i.name, i.execution_id, i.input, i.status, iso(i.created), iso(i.updated),
        i.custom_status, i.output, parent, int(i.fresh), i.version,
    )  # fmt: skip


def instance_from(row: Row) -> Instance:
    return Instance(
        id=row[0],
        name=row[1],
        execution_id=row[2],
        input=row[3],
        status=row[4],
        created=parse(row[5]),
        updated=parse(row[6]),
        custom_status=row[7],
        output=row[8],
        parent=Parent(*json.loads(row[9])) if row[9] else None,
        fresh=bool(row[10]),
        version=row[11],
    )


def entity_row(e: Entity) -> Row:
    return (e.id, iso(e.created), iso(e.updated), int(e.exists), e.state)


def entity_from(row: Row) -> Entity:
    return Entity(id=row[0], created=parse(row[1]), updated=parse(row[2]), exists=bool(row[3]), state=row[4])


def message_row(m: Message) -> Row:
    return (m.number, m.kind, m.target, m.text, m.execution_id, iso(m.due) if m.due else None)


def message_from(row: Row) -> Message:
    due: datetime | None = parse(row[5]) if row[5] else None
    return Message(row[0], row[1], row[2], json.loads(row[3]), row[4], due)


class MemoryStore:
    """A store in memory. It keeps rows, not objects, so that a second engine starts from the committed state only."""

    def __init__(self) -> None:
        self._instances: dict[str, Row] = {}
        self._entities: dict[str, Row] = {}
        self._messages: dict[int, Row] = {}
        self._history: dict[str, list[str]] = {}

    def load(self) -> Loaded:
        return Loaded(
            [instance_from(r) for r in self._instances.values()],
            [entity_from(r) for r in self._entities.values()],
            [message_from(self._messages[n]) for n in sorted(self._messages)],
        )

    def commit(self, changes: Changes) -> None:
        for instance_id in changes.dropped:
            self._history.pop(instance_id, None)
        for instance_id, chunks in changes.history.items():
            self._history.setdefault(instance_id, []).extend(text for _, text in chunks)
        for key, instance in changes.instances.items():
            if instance is None:
                self._instances.pop(key, None)
            else:
                self._instances[key] = instance_row(instance)
        for key, entity in changes.entities.items():
            if entity is None:
                self._entities.pop(key, None)
            else:
                self._entities[key] = entity_row(entity)
        for number in changes.consumed:
            self._messages.pop(number, None)
        for number, message in changes.sent.items():
            self._messages[number] = message_row(message)

    def history(self, instance_id: str) -> str:
        return "[" + ",".join(self._history.get(instance_id, ())) + "]"

    def close(self) -> None:
        pass
