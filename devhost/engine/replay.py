"""The walk of an orchestrator's actions against its history, as the Durable extension does it.

The SDK's `isDone` does not end an orchestration: the extension replays the list of actions itself, one by one, and the
instance ends when that walk is over and nothing it opened is still open. Where SDK and walk disagree an orchestration
hangs on Azure; a walk that is copied faithfully hangs in the same places.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from devhost.engine import events as ev
from devhost.engine.events import Event
from devhost.engine.model import Functions
from devhost.engine.sentences import Scheduled, describe, not_scheduled, scheduled_otherwise
from devhost.engine.tasks import Action, Task, Walk, compound
from devhost.engine.times import iso, parse

HTTP_ACTIVITY = "BuiltIn::HttpActivity"


class NonDeterminism(Exception):  # noqa: N818  (the engine's own word)
    """History and actions disagree."""


class Broken(Exception):  # noqa: N818
    """An action that makes the extension itself fail the orchestration."""


class Walker:
    """Replays an orchestrator's actions against its history: all of it once, then what each episode adds.

    `new_request_id` makes the id of an entity request that is not in the history yet; `recorded_requests` holds those
    that are, by task id.
    """

    def __init__(
        self,
        *,
        functions: Functions,
        instance_id: str,
        execution_id: str,
        parent_id: str | None,
        new_request_id: Callable[[], str],
        recorded_requests: dict[int, str],
    ) -> None:
        self.actions: Sequence[Action] = ()
        self.functions = functions
        self.instance_id = instance_id
        self.execution_id = execution_id
        self.parent_id = parent_id
        self.new_request_id = new_request_id
        self.recorded_requests = recorded_requests
        self.position = 0
        self.counter = 0
        self.started: list[str] = []
        self.map: dict[int, Scheduled] = {}
        self.parked: dict[int, Scheduled] = {}
        self.tasks: dict[int, tuple[Task, str]] = {}
        self.waiters: dict[str, list[Task]] = defaultdict(list)
        self.buffered: dict[str, deque[Event]] = defaultdict(deque)
        self.while_suspended: deque[Event] = deque()
        self.walk = Walk()
        self.standing: Action | None = None
        """What the walk stands at."""
        self.walked = 0
        """How many events of the history it has seen."""
        self.last: Event | None = None

    def can_go_on(self, execution_id: str, actions: Sequence[Action], history: Sequence[Event]) -> bool:
        """Whether actions and history only add to what was walked."""
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
        """What is new, what is open and whether the end was reached.

        Never raises for what an app can do: non-determinism and broken actions are in the result.
        """
        result, self.actions = self.walk, actions
        added = history[self.walked :]
        self.walked, self.last = len(history), history[-1]
        try:
            for event in added:
                self.process(event)
            result.waiting = describe(self.standing) if self.standing else ""
        except NonDeterminism as problem:
            result.nondeterminism = str(problem)
        except Broken as problem:
            result.error = str(problem)
        except (AttributeError, KeyError, TypeError, ValueError) as problem:
            # An action that says nonsense (a name that is no text, a time that is none) is the app's mistake, not ours.
            result.error = f"an action cannot be understood: {type(problem).__name__}: {problem}"
        result.scheduled = [self.map[task_id] for task_id in sorted(self.map)]
        result.open = [what for _, what in self.tasks.values()]
        result.next_id = self.counter
        return result

    # ---- the list -----------------------------------------------------------------------------------------------

    def advance(self) -> None:
        while self.position < len(self.actions):
            action = self.actions[self.position]
            self.position += 1
            task = self.invoke(action)
            if not task.done:
                self.standing = action
                task.then(self.advance)
                return
        self.walk.finished = True
        self.standing = None

    def invoke(self, action: Action) -> Task:
        kind = action["actionType"]
        if kind in (0, 8):
            return self._activity(action)
        if kind == 2:
            return self._sub(action)
        if kind in (1, 3):
            return self._with_retry(action)
        if kind == 4:
            self.walk.continue_as_new = action["input"]
            return Task(done=True)
        if kind == 5:
            return self._timer(iso(parse(action["fireAt"])), bool(action.get("isCanceled")))
        if kind == 6:
            return self._wait(action["externalEventName"])
        if kind in (7, 9):
            return self._entity(action, signal=kind == 9)
        if kind in (11, 12):
            return self._compound(action["compoundActions"], any_of=kind == 11)
        raise Broken(f"unknown action type {kind}")

    def _schedule(self, kind: int, what: str, *, opened: bool, **fields: Any) -> Task:
        task_id = self.counter
        self.counter += 1
        self.map[task_id] = Scheduled(task_id, kind, **fields)
        task = Task(done=not opened)
        if opened:
            self.tasks[task_id] = (task, what)
        return task

    def _swallow(self, problem: str) -> Task:
        self.walk.swallowed.append(problem)
        return Task(done=True, failed=True)

    def _unknown(self, action: Action) -> str:
        """The sentence about an activity or orchestrator that is not there; "" when it is."""
        name, functions = action["functionName"], self.functions
        kind = "activity" if action["actionType"] == 0 else "orchestrator"
        known = functions.activities if kind == "activity" else functions.orchestrators
        return "" if name.lower() in known else functions.unknown(name, kind, known)

    def _activity(self, action: Action) -> Task:
        if action["actionType"] == 8:
            name, text = HTTP_ACTIVITY, action["httpRequest"]
            return self._schedule(
                ev.TASK_SCHEDULED, f"HTTP call to {text.get('uri')}", opened=True, name=name, input=text
            )
        asked = action["functionName"]
        problem = self._unknown(action)
        if problem:
            return self._swallow(problem)
        return self._schedule(
            ev.TASK_SCHEDULED, f"activity {asked}", opened=True, name=asked, input=action.get("input")
        )

    def _sub(self, action: Action) -> Task:
        name, target = action["functionName"], action.get("instanceId")
        problem = self._unknown(action)
        if problem:
            return self._swallow(problem)
        if target and target.startswith("@"):
            return self._swallow(f"the sub-orchestration id {target!r} starts with @")
        if target and target in (self.instance_id, self.parent_id):
            return self._swallow(f"the sub-orchestration id {target!r} is the instance's own or its parent's")
        target = target or f"{self.execution_id}:{self.counter}"
        return self._schedule(
            ev.SUB_CREATED,
            f"sub-orchestration {target}",
            opened=True,
            name=name,
            input=action.get("input"),
            target=target,
            version=action.get("version"),
        )

    def _timer(self, fire_at: str, cancelled: bool) -> Task:
        return self._schedule(
            ev.TIMER_CREATED, f"timer due {fire_at}", opened=not cancelled, fire_at=fire_at, cancelled=cancelled
        )

    def _wait(self, name: str) -> Task:
        early = self.buffered.get(name.lower())
        if early:
            early.popleft()
            return Task(done=True)
        task = Task()
        self.waiters[name.lower()].append(task)
        return task

    def _entity(self, action: Action, *, signal: bool) -> Task:
        target = action["instanceId"]
        _, name, key = target.split("@", 2)
        if name.lower() not in self.functions.entities:
            problem = self.functions.unknown(name, "entity", self.functions.entities)
            if signal:
                raise Broken(problem)
            return self._swallow(problem)
        task_id = self.counter
        request_id = self.recorded_requests.get(task_id) or self.new_request_id()
        self._schedule(
            ev.EVENT_SENT,
            "",
            opened=False,
            name=action["operation"],
            input=action.get("input"),
            target=f"@{name.lower()}@{key}",
            request_id=request_id,
            signal=signal,
        )
        return Task(done=True) if signal else self._wait(request_id)

    def _compound(self, children: Sequence[Action], *, any_of: bool) -> Task:
        return compound([self.invoke(child) for child in children], any_of=any_of)

    def _with_retry(self, action: Action) -> Task:
        """Attempt, timer, attempt ...; after the last failure one more timer that is due at once."""
        options = action["retryOptions"]
        interval = timedelta(milliseconds=options["firstRetryIntervalInMilliseconds"])
        attempts = options["maxNumberOfAttempts"]
        plain = {**action, "actionType": action["actionType"] - 1}
        problem = self._unknown(plain)
        if problem:
            return self._swallow(problem)  # no attempt is made, so nothing is retried
        whole = Task()

        def attempt(number: int) -> None:
            task = self.invoke(plain)
            task.then(lambda: after(number, task))

        def after(number: int, task: Task) -> None:
            if not task.failed:
                whole.finish()
                return
            last = number >= attempts
            timer = self._timer(iso(self._now() + (timedelta() if last else interval)), cancelled=False)
            timer.then(lambda: whole.finish(failed=True) if last else attempt(number + 1))

        attempt(1)
        return whole

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

    def _now(self) -> datetime:
        """The orchestration's present time; it never goes back. Only retries need it, so it is read only for them."""
        return max(parse(text) for text in self.started)

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
        """Holds recorded work against the work the walk asked for under the same id."""
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
"""What each kind of event means for a walk; the others mean nothing."""
