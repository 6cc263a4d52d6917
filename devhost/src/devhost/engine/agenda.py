"""What could be worked on: ready, staged until the next commit, in flight, hidden, or waiting for the clock."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from devhost.engine.events import Event
from devhost.engine.model import Entity, Instance, Item, Message


@dataclass(slots=True)
class Flight:
    """An item that is being worked on: whose it is, what it took, and so what to undo if it is abandoned."""

    subject: Instance | Entity | None
    """The life the item was begun for; None for an activity. It may be purged meanwhile."""
    messages: list[Message]
    arrived: list[Event] = field(default_factory=list)
    """For an episode: its OrchestratorStarted and the events it received."""
    texts: list[str] = field(default_factory=list)
    """`arrived` as JSON texts."""


class Agenda:
    """Items are staged when something arrives for them and become ready with the commit that keeps it.

    An item is in one place only: while it is in flight or hidden, what arrives for it waits.
    """

    def __init__(self) -> None:
        self.ready: dict[Item, None] = {}
        self.flying: dict[Item, Flight] = {}
        self._staged: dict[Item, None] = {}
        self._later: list[tuple[datetime, int, Message | Item]] = []
        self._hidden: set[Item] = set()

    def stage(self, item: Item) -> None:
        if item not in self.flying and item not in self.ready and item not in self._hidden:
            self._staged[item] = None

    def release(self) -> None:
        """Makes what was staged ready."""
        if self._staged:
            self.ready.update(self._staged)
            self._staged.clear()

    def take(self, item: Item, flight: Flight) -> None:
        del self.ready[item]
        self.flying[item] = flight

    def forget(self, item: Item) -> None:
        """Its instance or entity is gone. In flight it stays: whoever works on it will want to complete it."""
        self.ready.pop(item, None)
        self._staged.pop(item, None)
        self._hidden.discard(item)

    def hide(self, item: Item, until: datetime, number: int) -> None:
        """Out of sight until a time; `number` orders what comes at the same time."""
        self.ready.pop(item, None)
        self._staged.pop(item, None)
        self._hidden.add(item)
        heapq.heappush(self._later, (until, number, item))

    def wait(self, message: Message, due: datetime) -> None:
        """A message that is delivered at a time."""
        heapq.heappush(self._later, (due, message.number, message))

    def due(self, now: datetime) -> Iterator[Message]:
        """The messages whose time has come; hidden items are staged again."""
        while self._later and self._later[0][0] <= now:
            _, _, what = heapq.heappop(self._later)
            if isinstance(what, Message):
                yield what
            elif what in self._hidden:
                self._hidden.discard(what)
                self.stage(what)

    def next_due(self) -> datetime | None:
        return self._later[0][0] if self._later else None

    @property
    def staged(self) -> bool:
        return bool(self._staged)

    @property
    def idle(self) -> bool:
        return not (self.ready or self._staged or self.flying or self._later)
