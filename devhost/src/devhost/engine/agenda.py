"""The work items: ready, staged until the next commit, in flight, hidden until a time (as after the death of a worker),
or due later."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from devhost.engine.events import Event
from devhost.engine.model import Entity, Instance, Item, Message


@dataclass(slots=True)
class Flight:
    """An item in flight: its owner and the messages that it took. If the item is abandoned, the messages go back."""

    subject: Instance | Entity | None
    """The instance or entity of the item, which may be purged while the item is in flight; None for an activity."""
    messages: list[Message]
    arrived: list[Event] = field(default_factory=list)
    """For an episode: its OrchestratorStarted and the events that it received."""
    texts: list[str] = field(default_factory=list)
    """`arrived` as JSON texts."""


class Agenda:
    """An item is staged when a message arrives for it and becomes ready with the commit that stores the message.

    An item has one state at a time. While it is in flight or hidden, messages that arrive for it have to wait.
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
        """Makes the staged items ready."""
        if self._staged:
            self.ready.update(self._staged)
            self._staged.clear()

    def take(self, item: Item, flight: Flight) -> None:
        del self.ready[item]
        self.flying[item] = flight

    def forget(self, item: Item) -> None:
        """Removes the item of a deleted instance or entity. An item in flight stays until it is completed or
        abandoned."""
        self.ready.pop(item, None)
        self._staged.pop(item, None)
        self._hidden.discard(item)

    def hide(self, item: Item, until: datetime, number: int) -> None:
        """Hides an item until a time; `number` orders items and messages that are due at the same time."""
        self.ready.pop(item, None)
        self._staged.pop(item, None)
        self._hidden.add(item)
        heapq.heappush(self._later, (until, number, item))

    def wait(self, message: Message, due: datetime) -> None:
        """Keeps a message for delivery at a time."""
        heapq.heappush(self._later, (due, message.number, message))

    def due(self, now: datetime) -> Iterator[Message]:
        """Yields the messages that are due and stages hidden items that are due."""
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
