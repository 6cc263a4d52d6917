"""The events of an orchestration history, with the same fields and nulls that the real engine passes to Python.

An event is a plain dict, because it is stored and sent as JSON and the SDK reads it by key. A missing key is not the
same as a null: the SDK raises AttributeError if a field that it reads is missing.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from devhost.engine.times import iso

Event = dict[str, Any]

EXECUTION_STARTED = 0
EXECUTION_COMPLETED = 1
EXECUTION_TERMINATED = 3
TASK_SCHEDULED = 4
TASK_COMPLETED = 5
TASK_FAILED = 6
SUB_CREATED = 7
SUB_COMPLETED = 8
SUB_FAILED = 9
TIMER_CREATED = 10
TIMER_FIRED = 11
ORCHESTRATOR_STARTED = 12
ORCHESTRATOR_COMPLETED = 13
EVENT_SENT = 14
EVENT_RAISED = 15
GENERIC = 17
EXECUTION_SUSPENDED = 19
EXECUTION_RESUMED = 20

SCHEDULING = (TASK_SCHEDULED, SUB_CREATED, TIMER_CREATED, EVENT_SENT)
"""Events that record scheduled work; their EventId is the id of the task."""

NAMES = {
    EXECUTION_STARTED: "ExecutionStarted",
    EXECUTION_COMPLETED: "ExecutionCompleted",
    EXECUTION_TERMINATED: "ExecutionTerminated",
    TASK_SCHEDULED: "TaskScheduled",
    TASK_COMPLETED: "TaskCompleted",
    TASK_FAILED: "TaskFailed",
    SUB_CREATED: "SubOrchestrationInstanceCreated",
    SUB_COMPLETED: "SubOrchestrationInstanceCompleted",
    SUB_FAILED: "SubOrchestrationInstanceFailed",
    TIMER_CREATED: "TimerCreated",
    TIMER_FIRED: "TimerFired",
    ORCHESTRATOR_STARTED: "OrchestratorStarted",
    ORCHESTRATOR_COMPLETED: "OrchestratorCompleted",
    EVENT_SENT: "EventSent",
    EVENT_RAISED: "EventRaised",
    GENERIC: "GenericEvent",
    EXECUTION_SUSPENDED: "ExecutionSuspended",
    EXECUTION_RESUMED: "ExecutionResumed",
}


def _event(kind: int, now: datetime, event_id: int = -1, **fields: Any) -> Event:
    return {**fields, "EventType": kind, "EventId": event_id, "IsPlayed": False, "Timestamp": iso(now)}


def execution_started(
    now: datetime,
    *,
    name: str,
    instance_id: str,
    execution_id: str,
    input_text: str | None,
    parent: Event | None = None,
    version: str | None = None,
) -> Event:
    """The first message of an execution; `input_text` is the JSON text of the input."""
    return _event(
        EXECUTION_STARTED,
        now,
        OrchestrationInstance={"InstanceId": instance_id, "ExecutionId": execution_id},
        ParentInstance=parent,
        Name=name,
        Version=version,
        Input=input_text,
        Tags=None,
        Correlation=None,
        ParentTraceContext=None,
        ScheduledStartTime=None,
        Generation=0,
        GenerateNewTrace=False,
    )


def orchestrator_started(now: datetime) -> Event:
    return _event(ORCHESTRATOR_STARTED, now)


def orchestrator_completed(now: datetime) -> Event:
    return _event(ORCHESTRATOR_COMPLETED, now)


def execution_completed(now: datetime, event_id: int, status: str, result: str | None) -> Event:
    return _event(EXECUTION_COMPLETED, now, event_id, OrchestrationStatus=status, Result=result, FailureDetails=None)


def execution_terminated(now: datetime, reason: str | None) -> Event:
    return _event(EXECUTION_TERMINATED, now, Input=reason)


def execution_suspended(now: datetime, reason: str | None) -> Event:
    return _event(EXECUTION_SUSPENDED, now, Reason=reason)


def execution_resumed(now: datetime, reason: str | None) -> Event:
    return _event(EXECUTION_RESUMED, now, Reason=reason)


def task_scheduled(now: datetime, task_id: int, name: str) -> Event:
    return _event(TASK_SCHEDULED, now, task_id, Name=name, Version="", Input=None, ParentTraceContext=None, Tags=None)


def task_completed(now: datetime, task_id: int, result: str | None) -> Event:
    return _event(TASK_COMPLETED, now, TaskScheduledId=task_id, Result=result)


def task_failed(now: datetime, task_id: int, reason: str, details: str | None) -> Event:
    return _event(TASK_FAILED, now, TaskScheduledId=task_id, Reason=reason, Details=details, FailureDetails=None)


def sub_created(now: datetime, task_id: int, name: str, instance_id: str, version: str | None) -> Event:
    return _event(
        SUB_CREATED,
        now,
        task_id,
        Name=name,
        Version=version,
        InstanceId=instance_id,
        Input=None,
        ClientSpanId=None,
        Tags=None,
    )


def sub_completed(now: datetime, task_id: int, result: str | None) -> Event:
    return _event(SUB_COMPLETED, now, TaskScheduledId=task_id, Result=result)


def sub_failed(now: datetime, task_id: int, reason: str | None, details: str | None) -> Event:
    return _event(SUB_FAILED, now, TaskScheduledId=task_id, Reason=reason, Details=details, FailureDetails=None)


def timer_created(now: datetime, task_id: int, fire_at: str) -> Event:
    return _event(TIMER_CREATED, now, task_id, FireAt=fire_at)


def timer_fired(now: datetime, task_id: int, fire_at: str) -> Event:
    return _event(TIMER_FIRED, now, TimerId=task_id, FireAt=fire_at)


def event_sent(now: datetime, task_id: int, instance_id: str, request: str) -> Event:
    return _event(EVENT_SENT, now, task_id, InstanceId=instance_id, Name="op", Input=request)


def event_raised(now: datetime, name: str, input_text: str | None) -> Event:
    return _event(EVENT_RAISED, now, Name=name, Input=input_text, ParentTraceContext=None)


def generic(now: datetime, data: str | None) -> Event:
    return _event(GENERIC, now, Data=data)
