"""Rewinding a failed instance: its failures become GenericEvents, and it continues."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from devhost.engine import events as ev
from devhost.engine.events import Event
from devhost.engine.model import Instance

if TYPE_CHECKING:
    from devhost.engine.state import State


def rewind(state: State, instance: Instance, reason: str | None, now: datetime) -> None:
    """Replaces the failures in the history and wakes the instance. Failed sub-orchestrations are rewound, too."""
    history = state.history(instance)
    failed = {e["TaskScheduledId"] for e in history if e["EventType"] == ev.TASK_FAILED}
    failed_children = {e["TaskScheduledId"] for e in history if e["EventType"] == ev.SUB_FAILED}

    def meaningless(event: Event) -> bool:
        kind = event["EventType"]
        if kind == ev.TASK_SCHEDULED:
            return event["EventId"] in failed
        return kind in (ev.TASK_FAILED, ev.SUB_FAILED, ev.EXECUTION_COMPLETED)

    for event in history:
        if event["EventType"] == ev.SUB_CREATED and event["EventId"] in failed_children:
            child = state.instances.get(event["InstanceId"])
            if child is not None and child.status == "Failed":
                rewind(state, child, reason, now)
    rewritten = [_emptied(e) if meaningless(e) else e for e in history]
    state.changes.drop_history(instance.id)
    instance.history, instance.texts = [], []
    state.append(instance, rewritten)
    instance.status, instance.output, instance.updated = "Running", None, now
    state.touch(instance)
    state.send("event", instance.id, ev.generic(now, reason), instance.execution_id, sent=now, from_client=True)


def _emptied(event: Event) -> dict[str, Any]:
    return {
        "Data": None,
        "EventType": ev.GENERIC,
        "EventId": event["EventId"],
        "IsPlayed": event["IsPlayed"],
        "Timestamp": event["Timestamp"],
    }
