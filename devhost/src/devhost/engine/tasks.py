"""The tasks of a walk of actions, and its result."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from devhost.engine.events import Event
from devhost.engine.sentences import Scheduled

Action = dict[str, Any]


@dataclass(slots=True)
class Walk:
    """The result of a walk."""

    scheduled: list[Scheduled] = field(default_factory=list)
    """New work that is not in the history yet, in the order of its ids."""
    finished: bool = False
    """Whether the end of the list of actions was reached."""
    open: list[str] = field(default_factory=list)
    """Descriptions of the open tasks, without waits for events."""
    waiting: str = ""
    """A description of the action that the walk waits for; "" at the end."""
    continue_as_new: str | None = None
    carried: list[Event] = field(default_factory=list)
    """Events after continue_as_new, which belong to the next generation."""
    suspended: bool = False
    terminated: Event | None = None
    swallowed: list[str] = field(default_factory=list)
    """Errors that the real extension does not report; the instance hangs."""
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
    """A task that ends when all `tasks` have ended, even if one failed; with `any_of`, when the first one has ended."""
    whole = Task()

    def check() -> None:
        done = sum(t.done for t in tasks)
        if done == len(tasks) or (any_of and done):
            whole.finish(failed=any(t.failed for t in tasks))

    for task in tasks:
        task.then(check)
    check()
    return whole
