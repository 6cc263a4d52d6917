"""The bodies of the management API for instances, histories and entities."""

from __future__ import annotations

import json
from typing import Any

from devhost.engine import events as ev
from devhost.engine.events import NAMES, Event
from devhost.engine.model import Entity, Instance
from devhost.engine.times import iso_offset, iso_seconds, parse

_HIDDEN = {
    "EventId",
    "IsPlayed",
    "TaskScheduledId",
    "TimerId",
    "ParentInstance",
    "OrchestrationInstance",
    "Version",
    "Tags",
}
_ENDS = {ev.TASK_COMPLETED, ev.TASK_FAILED, ev.SUB_COMPLETED, ev.SUB_FAILED}


def loose(text: str | None) -> Any:
    """A stored value for a body: parsed if it is JSON, otherwise as text (such as a reason or a failure)."""
    if text is None:
        return None
    try:
        return json.loads(text)
    except ValueError:
        return text


def status(
    instance: Instance, *, show_input: bool = True, history: list[Event] | None = None, show_output: bool = False
) -> dict[str, Any]:
    """The status body. `history` adds `historyEvents`, which have results only with `show_output`."""
    body = {
        "name": instance.name,
        "instanceId": instance.id,
        "runtimeStatus": instance.status,
        "input": loose(instance.input) if show_input else None,
        "customStatus": loose(instance.custom_status),
        "output": loose(instance.output),
        "createdTime": iso_seconds(instance.created),
        "lastUpdatedTime": iso_seconds(instance.updated),
    }
    if history is not None:
        body["historyEvents"] = history_view(history, show_output=show_output)
    return body


def entity_status(entity: Entity, *, show_input: bool = True) -> dict[str, Any]:
    """The status body of an entity: in the storage, an entity is an instance that always runs and has its state as
    input."""
    state: dict[str, Any] = {"exists": True} if entity.exists else {}
    return {
        "name": entity.id,
        "instanceId": entity.id,
        "runtimeStatus": "Running",
        "input": {**state, "state": entity.state, "sorter": {}} if show_input else None,
        "customStatus": {"entityExists": True} if entity.exists else {},
        "output": None,
        "createdTime": iso_seconds(entity.created),
        "lastUpdatedTime": iso_seconds(entity.updated),
    }


def entity_item(entity: Entity, *, fetch_state: bool) -> dict[str, Any]:
    """One item of the list of entities."""
    return {
        "entityId": {"name": entity.name, "key": entity.key},
        "lastOperationTime": iso_seconds(entity.updated),
        "state": loose(entity.state) if fetch_state else None,
    }


def history_view(history: list[Event], *, show_output: bool) -> list[dict[str, Any]]:
    """The history for a body: scheduling events are merged into their completions, bookkeeping events are left out."""
    scheduled: dict[int, Event] = {}
    items: list[dict[str, Any]] = []
    for event in history:
        kind = event["EventType"]
        if kind in (ev.TASK_SCHEDULED, ev.SUB_CREATED):
            scheduled[event["EventId"]] = event
            continue
        if kind in (ev.ORCHESTRATOR_STARTED, ev.ORCHESTRATOR_COMPLETED):
            continue
        view = {k: v for k, v in event.items() if k not in _HIDDEN}
        view["EventType"] = NAMES[kind]
        if kind == ev.EXECUTION_STARTED:
            view["FunctionName"] = view.pop("Name")
        if kind in _ENDS:
            source = scheduled.get(event["TaskScheduledId"])
            if source is not None:
                view |= {
                    "ScheduledTime": iso_offset(parse(source["Timestamp"])),
                    "FunctionName": source["Name"],
                    "Input": None,
                }
        if "Result" in view:
            view["Result"] = loose(view["Result"])
            if not show_output:
                del view["Result"]
        items.append(view)
    return items
