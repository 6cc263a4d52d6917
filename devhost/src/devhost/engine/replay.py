"""The walk of an orchestrator's actions against its history, by the rules of the Durable extension.

The SDK's `isDone` does not end an orchestration. The extension replays the list of actions itself, one by one, and the
instance ends when that walk has reached the end and no task is open. If the SDK and the walk disagree, an orchestration
hangs on Azure. This walk follows the same rules, so it hangs in the same places.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from devhost.engine import events as ev
from devhost.engine.actions import Actions, Broken
from devhost.engine.events import Event
from devhost.engine.sentences import Scheduled, describe, not_scheduled, scheduled_otherwise
from devhost.engine.tasks import Action, Walk


class NonDeterminism(Exception):  # noqa: N818  (the engine's own word)
    """History and actions disagree."""


class Walker(Actions):
    """Replays the actions of an orchestrator against its history: first the whole history, then what each episode adds.

    The arguments are those of `Actions`.
    """

    def __init__(self, **about: Any) -> None:
        super().__init__(**about)
        self.parked: dict[int, Scheduled] = {}
        self.while_suspended: deque[Event] = deque()
        self.walked = 0
        """The number of processed events."""
        self.last: Event | None = None

    def can_go_on(self, execution_id: str, actions: Sequence[Action], history: Sequence[Event]) -> bool:
        """Whether actions and history only extend those of the last walk."""
        walk, known = self.walk, len(self.actions)
        over = walk.finished or walk.suspended or walk.error is not None or walk.nondeterminism is not None
        return (
            not over
            and self.execution_id == execution_id
            and 0 < self.walked <= len(history)
            and history[self.walked - 1] is self.last
            and list(actions[:known]) == list(self.actions)
        )

    def go(self, actions: Sequence[Action], history: Sequence[Event]) -> Walk:
        """Processes the new events; returns the new work, the open tasks and whether the end was reached.

        It does not raise exceptions for mistakes of an app: non-determinism and broken actions are in the result.
        """
        result, self.actions = self.walk, actions
        added = history[self.walked :]
        self.walked, self.last = len(history), history[-1]
        try:
            for event in added:
                self.process(event)
            result.waiting = describe(self.open_action) if self.open_action else ""
        except NonDeterminism as problem:
            result.nondeterminism = str(problem)
        except Broken as problem:
            result.error = str(problem)
        except (AttributeError, KeyError, TypeError, ValueError) as problem:
            # A malformed action (a name that is not a string, an invalid time) is a mistake of the app.
            result.error = f"an action cannot be understood: {type(problem).__name__}: {problem}"
        result.scheduled = [self.map[task_id] for task_id in sorted(self.map)]
        result.open = [what for _, what in self.tasks.values()]
        result.next_id = self.counter
        return result

    # ---- the history --------------------------------------------------------------------------------------------

    def process(self, event: Event) -> None:
        kind = event["EventType"]
        if kind == ev.ORCHESTRATOR_COMPLETED:
            return
        if self.walk.suspended and kind not in (ev.EXECUTION_RESUMED, ev.EXECUTION_TERMINATED):
            self.while_suspended.append(event)
        elif kind in _PROCESS:
            _PROCESS[kind](self, event)

    def _suspend(self, event: Event) -> None:
        self.walk.suspended = True
        self.parked.update(self.map)
        self.map.clear()

    def _terminate(self, event: Event) -> None:
        self.walk.terminated = self.walk.terminated or event

    def _finish(self, task_id: int, *, failed: bool) -> None:
        known = self.tasks.pop(task_id, None)
        if known is not None:
            known[0].finish(failed)

    def _raised(self, event: Event) -> None:
        name = event["Name"].lower()
        if self.walk.continue_as_new is not None:
            self.walk.carried.append(event)
        elif self.waiters.get(name):
            self.waiters[name].pop().finish()
        else:
            self.buffered[name].append(event)

    def _resume(self, event: Event) -> None:
        self.walk.suspended = False
        self.map.update(self.parked)
        self.parked.clear()
        held, self.while_suspended = self.while_suspended, deque()
        for waiting in held:
            self.process(waiting)

    def _match(self, event: Event) -> None:
        """Compares recorded work with the work that the walk scheduled under the same id."""
        task_id = event["EventId"]
        mine = self.map.pop(task_id, None)
        if mine is None:
            raise NonDeterminism(not_scheduled(event))
        if mine.kind != event["EventType"] or (
            mine.kind in (ev.TASK_SCHEDULED, ev.SUB_CREATED) and mine.name.lower() != event["Name"].lower()
        ):
            raise NonDeterminism(scheduled_otherwise(event, mine))


_PROCESS: dict[int, Callable[[Walker, Event], None]] = {
    ev.ORCHESTRATOR_STARTED: lambda walker, event: walker.started.append(event["Timestamp"]),
    ev.EXECUTION_STARTED: lambda walker, event: walker.advance(),
    **dict.fromkeys(ev.SCHEDULING, Walker._match),
    ev.TASK_COMPLETED: lambda walker, event: walker._finish(event["TaskScheduledId"], failed=False),
    ev.SUB_COMPLETED: lambda walker, event: walker._finish(event["TaskScheduledId"], failed=False),
    ev.TASK_FAILED: lambda walker, event: walker._finish(event["TaskScheduledId"], failed=True),
    ev.SUB_FAILED: lambda walker, event: walker._finish(event["TaskScheduledId"], failed=True),
    ev.TIMER_FIRED: lambda walker, event: walker._finish(event["TimerId"], failed=False),
    ev.EVENT_RAISED: Walker._raised,
    ev.EXECUTION_SUSPENDED: Walker._suspend,
    ev.EXECUTION_RESUMED: Walker._resume,
    ev.EXECUTION_TERMINATED: Walker._terminate,
}
"""The effect of each kind of event on a walk; other kinds have none."""
