"""What a walk of actions works with: tasks that end, and what came of the walk."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from devhost.engine.events import Event
from devhost.engine.sentences import Scheduled

Action = dict[str, Any]


@dataclass(slots=True)
class Walk:
    """What came of a walk."""

    scheduled: list[Scheduled] = field(default_factory=list)
    """New work in the order of its ids: not yet in the history."""
    finished: bool = False
    """The end of the list was reached."""
    open: list[str] = field(default_factory=list)
    """Tasks (not event waits) still open, in words."""
    waiting: str = ""
    """What the walk stands at, in words, when it is not finished."""
    continue_as_new: str | None = None
    carried: list[Event] = field(default_factory=list)
    """Events that arrived after continue_as_new and belong to the next generation."""
    suspended: bool = False
    terminated: Event | None = None
    swallowed: list[str] = field(default_factory=list)
    """Errors the real extension keeps to itself: the instance will hang."""
    error: str | None = None
    nondeterminism: str | None = None
    next_id: int = 0


class Task:
    __slots__ = ("callbacks", "done", "failed")

    def __init__(self, done: bool = False, failed: bool = False) -> None:
        self.done = done
        self.failed = failed
        self.callbacks: list[Callable[[], None]] = []

    def finish(self, failed: bool = False) -> None:
        if self.done:
            return
        self.done, self.failed = True, failed
        callbacks, self.callbacks = self.callbacks, []
        for callback in callbacks:
            callback()

    def then(self, callback: Callable[[], None]) -> None:
        if self.done:
            callback()
        else:
            self.callbacks.append(callback)


def compound(tasks: Sequence[Task], *, any_of: bool) -> Task:
    """Ends with all of `tasks`, even after a failure; `any_of`: with the first, failed or not."""
    whole = Task()

    def check() -> None:
        done = sum(t.done for t in tasks)
        if done == len(tasks) or (any_of and done):
            whole.finish(failed=any(t.failed for t in tasks))

    for task in tasks:
        task.then(check)
    check()
    return whole
