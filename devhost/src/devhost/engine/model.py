"""What the engine keeps: instances, entities, messages under way, and the names of the app's functions."""

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
    """A piece of work that can be begun now: an orchestration episode, an entity batch or one activity.

    `key` is the instance id, the entity id (`@name@key`) or the number of the activity's message.
    """

    kind: ItemKind
    key: str


@dataclass(frozen=True, slots=True)
class Call:
    """What has to be run for an item: the function's durable name and the JSON text to hand to it (`value`)."""

    kind: ItemKind
    function: str
    text: str | Callable[[], str]
    """The value, or what makes it."""
    instance_id: str = ""
    """For an activity the instance that asked for it, else the instance or entity itself."""

    @property
    def value(self) -> str:
        """The JSON text to hand to the function."""
        return self.text if isinstance(self.text, str) else self.text()


@dataclass(frozen=True, slots=True)
class Returned:
    """The function's answer, as JSON text."""

    value: str


@dataclass(frozen=True, slots=True)
class Raised:
    """The function raised. `message` is `Type: text`, `text` the exception's own text, `stack` the traceback."""

    message: str
    text: str
    stack: str = ""


Outcome = Returned | Raised


@dataclass(slots=True)
class Message:
    """Something on its way: an event to an instance, an operation to an entity, or an activity to be run."""

    number: int
    kind: MessageKind
    target: str
    body: dict[str, Any]
    execution_id: str | None = None
    """The life of the target (of the asking instance, for an activity) it belongs to; None: any life."""
    due: datetime | None = None
    _text: str = ""

    @property
    def text(self) -> str:
        """The body as JSON text, made once: it is kept with the message and handed to the app again."""
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
    """One orchestration. `history` is None when it is only in the store (finished, or not yet needed)."""

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
    """A generation made by continue-as-new whose first episode has not run: its events are already in `history`."""
    history: list[Event] | None = None
    texts: list[str] = field(default_factory=list)
    """`history` again, each event as JSON text, so that an episode need not write all of it anew."""
    inbox: deque[Message] = field(default_factory=deque)
    warned: set[str] = field(default_factory=set)
    walked: Any = None
    """Where the walk of its actions stood after the last episode (see `replay.Walker`)."""

    @property
    def terminal(self) -> bool:
        return self.status in TERMINAL


@dataclass(slots=True)
class Entity:
    """One entity. `state` is JSON text; it stays after deletion, because the real engine keeps the row."""

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
    """The durable names of an app; activities and orchestrators are looked up without regard to case."""

    def __init__(
        self, orchestrators: Iterable[str] = (), activities: Iterable[str] = (), entities: Iterable[str] = ()
    ) -> None:
        self.orchestrators = {n.lower(): n for n in orchestrators}
        self.activities = {n.lower(): n for n in activities}
        self.entities = {n.lower(): n.lower() for n in entities}

    @staticmethod
    def unknown(name: str, kind: str, known: dict[str, str]) -> str:
        """The sentence of the real extension for a name it does not know."""
        article = {"activity": "an activity", "entity": "an entity", "orchestrator": "an orchestrator"}[kind]
        names = ", ".join(f"'{n}'" for n in known.values())
        return (
            f"The function '{name}' doesn't exist, is disabled, or is not {article} function. "
            f"Additional info: The following are the known {kind} functions: {names}"
        )


def entity_id(name: str, key: str) -> str:
    return f"@{name.lower()}@{key}"
