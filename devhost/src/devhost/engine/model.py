"""The data of the engine: instances, entities, messages, work items, and the names of the app's functions."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from devhost.engine.events import Event
from devhost.engine.text import to_text

TERMINAL = frozenset({"Completed", "Failed", "Terminated", "Canceled"})

ItemKind = Literal["episode", "entity", "activity"]
MessageKind = Literal["event", "operation", "activity"]


@dataclass(frozen=True, order=True, slots=True)
class Item:
    """A work item: an orchestration episode, an entity batch or one activity.

    `key` is the instance id, the entity id (`@name@key`) or the number of the activity's message.
    """

    kind: ItemKind
    key: str


@dataclass(frozen=True, slots=True)
class Call:
    """The call for an item: the durable name of the function and its input as JSON text (`value`)."""

    kind: ItemKind
    function: str
    text: str | Callable[[], str]
    """The input, or a function that returns it."""
    instance_id: str = ""
    """For an activity, the instance that scheduled it; otherwise the id of the instance or entity itself."""

    @property
    def value(self) -> str:
        """The input of the function as JSON text."""
        return self.text if isinstance(self.text, str) else self.text()


@dataclass(frozen=True, slots=True)
class Returned:
    """The result of a function as JSON text."""

    value: str


@dataclass(frozen=True, slots=True)
class Raised:
    """The exception of a function. `message` is `Type: text`, `text` is str(exception), `stack` the traceback."""

    message: str
    text: str
    stack: str = ""


Outcome = Returned | Raised


@dataclass(slots=True)
class Message:
    """A message that is not consumed yet: an event for an instance, an operation for an entity, or an activity."""

    number: int
    kind: MessageKind
    target: str
    body: dict[str, Any]
    execution_id: str | None = None
    """The execution for which the message is meant: of the target or, for an activity, of the instance that scheduled
    it. None: any execution takes it."""
    due: datetime | None = None
    _text: str = ""

    @property
    def text(self) -> str:
        """The body as JSON text, encoded once: it is stored and also passed to the app."""
        if not self._text:
            self._text = to_text(self.body)
        return self._text


@dataclass(slots=True)
class Parent:
    instance_id: str
    execution_id: str
    task_id: int
    name: str


@dataclass(slots=True)
class Instance:
    """One orchestration. `history` is None if it is only in the store (the instance has ended, or was not used yet)."""

    id: str
    name: str
    execution_id: str
    input: str | None
    status: str
    created: datetime
    updated: datetime
    custom_status: str | None = None
    output: str | None = None
    parent: Parent | None = None
    version: str | None = None
    fresh: bool = False
    """Whether continue-as-new created a generation whose first episode has not run yet. Its events are already in
    `history`."""
    history: list[Event] | None = None
    texts: list[str] = field(default_factory=list)
    """The events of `history` as JSON texts, so that an episode does not encode all of them again."""
    inbox: deque[Message] = field(default_factory=deque)
    warned: set[str] = field(default_factory=set)
    walked: Any = None
    """The `replay.Walker` of its actions after the last episode."""

    @property
    def terminal(self) -> bool:
        return self.status in TERMINAL


@dataclass(slots=True)
class Entity:
    """One entity. `state` is JSON text. The object stays after the entity is deleted: the real engine keeps its row."""

    id: str
    created: datetime
    updated: datetime
    exists: bool = False
    state: str | None = None
    inbox: deque[Message] = field(default_factory=deque)

    @property
    def name(self) -> str:
        return self.id.split("@", 2)[1]

    @property
    def key(self) -> str:
        return self.id.split("@", 2)[2]


class Functions:
    """The durable names of an app by kind, keyed by their lower-case form: names match case-insensitively."""

    def __init__(
        self, orchestrators: Iterable[str] = (), activities: Iterable[str] = (), entities: Iterable[str] = ()
    ) -> None:
        self.orchestrators = {n.lower(): n for n in orchestrators}
        self.activities = {n.lower(): n for n in activities}
        self.entities = {n.lower(): n.lower() for n in entities}

    @staticmethod
    def unknown(name: str, kind: str, known: dict[str, str]) -> str:
        """The error message of the real extension for an unknown name."""
        article = {"activity": "an activity", "entity": "an entity", "orchestrator": "an orchestrator"}[kind]
        names = ", ".join(f"'{n}'" for n in known.values())
        return (
            f"The function '{name}' doesn't exist, is disabled, or is not {article} function. "
            f"Additional info: The following are the known {kind} functions: {names}"
        )


def entity_id(name: str, key: str) -> str:
    return f"@{name.lower()}@{key}"
