"""Work that an orchestrator scheduled, and the messages about it: about non-determinism, and about open tasks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from devhost.engine import events as ev
from devhost.engine.events import Event

CHANGED = "Was a change made to the orchestrator code after this instance had already started running?"


@dataclass(slots=True)
class Scheduled:
    """One task that the walk scheduled. `kind` is the EventType that records it."""

    id: int
    kind: int
    name: str = ""
    input: str | None = None
    target: str = ""
    fire_at: str = ""
    cancelled: bool = False
    request_id: str = ""
    version: str | None = None
    signal: bool = False

    @property
    def action_class(self) -> str:
        """The .NET class in the messages about non-determinism."""
        return {
            ev.TASK_SCHEDULED: "ScheduleTaskOrchestratorAction",
            ev.SUB_CREATED: "CreateSubOrchestrationAction",
            ev.TIMER_CREATED: "CreateTimerOrchestratorAction",
            ev.EVENT_SENT: "SendEventOrchestratorAction",
        }[self.kind]


_KIND_WORDS = {
    ev.TASK_SCHEDULED: "an activity task",
    ev.SUB_CREATED: "a sub-orchestration task",
    ev.TIMER_CREATED: "a timer task",
    ev.EVENT_SENT: "a send event task",
}


def not_scheduled(event: Event) -> str:
    """The message if the history has work that the walk did not schedule."""
    kind, task_id = event["EventType"], event["EventId"]
    name, target = event.get("Name"), event.get("InstanceId")
    detail = {
        ev.TASK_SCHEDULED: f"sequence ID {task_id} and name '{name}' (version '')",
        ev.SUB_CREATED: f"sequence ID {task_id} and name '{name}' (version '', instance ID '{target}')",
        ev.TIMER_CREATED: f"sequence number {task_id}",
        ev.EVENT_SENT: f"sequence ID {task_id}, type 'EventSent' name '{name}', instance ID '{target}'",
    }[kind]
    return (
        f"A previous execution of this orchestration scheduled {_KIND_WORDS[kind]} with {detail}, "
        f"but the current replay execution hasn't (yet?) scheduled this task. {CHANGED}"
    )


def scheduled_otherwise(event: Event, mine: Scheduled) -> str:
    """The message if the walk scheduled different work under the same id."""
    kind, task_id = event["EventType"], event["EventId"]
    named = f" named '{event['Name']}'" if event.get("Name") else ""
    head = (
        f"A previous execution of this orchestration scheduled {_KIND_WORDS[kind]} "
        f"with sequence number {task_id}{named}"
    )
    if mine.kind != kind:
        return (
            f"{head}, but the current orchestration replay instead produced a {mine.action_class} action "
            f"with this sequence number. {CHANGED}"
        )
    return (
        f"{head}, but the current orchestration replay instead scheduled {_KIND_WORDS[kind]} named '{mine.name}' "
        f"with this sequence number.  {CHANGED}"
    )


def describe(action: dict[str, Any]) -> str:
    """A short description of an action, for log lines."""
    kind = action["actionType"]
    if kind in (0, 1):
        return f"activity {action['functionName']}"
    if kind in (2, 3):
        return f"sub-orchestration {action['functionName']}"
    if kind == 5:
        return f"timer due {action['fireAt']}"
    if kind == 6:
        return f"external event {action['externalEventName']!r}"
    if kind in (7, 9):
        return f"operation {action['operation']!r} of {action['instanceId']}"
    if kind in (11, 12):
        inner = ", ".join(describe(child) for child in action["compoundActions"])
        return f"{'any' if kind == 11 else 'all'} of [{inner}]"
    return "HTTP call" if kind == 8 else f"action {kind}"
