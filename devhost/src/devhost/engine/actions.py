"""The actions that an orchestrator requests, invoked one by one as tasks, as the Durable extension invokes them."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from devhost.engine import events as ev
from devhost.engine.events import Event
from devhost.engine.model import Functions
from devhost.engine.sentences import Scheduled
from devhost.engine.tasks import Action, Task, Walk, compound
from devhost.engine.times import iso, parse

HTTP_ACTIVITY = "BuiltIn::HttpActivity"


class Broken(Exception):  # noqa: N818
    """An action for which the extension itself fails the orchestration."""


class Actions:
    """The list of an orchestrator's actions and the tasks they become. `replay.Walker` completes the tasks.

    `new_request_id` makes the id of an entity request that is not in the history yet; `recorded_requests` has the ids
    that are in the history, by task id.
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
        self.tasks: dict[int, tuple[Task, str]] = {}
        self.waiters: dict[str, list[Task]] = defaultdict(list)
        self.buffered: dict[str, deque[Event]] = defaultdict(deque)
        self.walk = Walk()
        self.open_action: Action | None = None
        """The action that the walk waits for."""

    def advance(self) -> None:
        while self.position < len(self.actions):
            action = self.actions[self.position]
            self.position += 1
            task = self.invoke(action)
            if not task.done:
                self.open_action = action
                task.then(self.advance)
                return
        self.walk.finished = True
        self.open_action = None

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
        """The error message for an unknown activity or orchestrator; "" if it is known."""
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
        function_name = action["functionName"]
        problem = self._unknown(action)
        if problem:
            return self._swallow(problem)
        return self._schedule(
            ev.TASK_SCHEDULED, f"activity {function_name}", opened=True, name=function_name, input=action.get("input")
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
        """A task of several attempts: attempt, timer, attempt and so on. One more timer, due at once, follows the last
        failed attempt."""
        options = action["retryOptions"]
        interval = timedelta(milliseconds=options["firstRetryIntervalInMilliseconds"])
        attempts = options["maxNumberOfAttempts"]
        plain = {**action, "actionType": action["actionType"] - 1}
        problem = self._unknown(plain)
        if problem:
            return self._swallow(problem)  # there is no attempt, so nothing is retried
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

    def _now(self) -> datetime:
        """The current time of the orchestration, which never goes back. Parsed on demand: only retries need it."""
        return max(parse(text) for text in self.started)
