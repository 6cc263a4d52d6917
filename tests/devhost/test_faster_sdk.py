"""What is put into the Durable SDK does the same as what was there, only faster."""

from __future__ import annotations

import importlib
from datetime import UTC, datetime
from typing import Any

import pytest

from devhost.app import sdk
from devhost.engine import events as ev

NOW = datetime(2026, 11, 24, 10, 0, 0, 120000, tzinfo=UTC)
EVENTS = [
    ev.execution_started(NOW, name="f", instance_id="i", execution_id="e", input_text='"x"'),
    ev.orchestrator_started(NOW),
    ev.orchestrator_completed(NOW),
    ev.task_scheduled(NOW, 0, "a"),
    ev.task_completed(NOW, 0, "1"),
    ev.task_failed(NOW, 0, "why", "more"),
    ev.sub_created(NOW, 1, "f", "i2", None),
    ev.timer_created(NOW, 2, "2026-11-24T10:00:05Z"),
    ev.timer_fired(NOW, 2, "2026-11-24T10:00:05Z"),
    ev.event_sent(NOW, 3, "@e@k", '{"id": "request", "input": {}}'),
    ev.event_raised(NOW, "name", "{}"),
]

_history: Any = importlib.import_module("azure.durable_functions.models.history.HistoryEvent")
_executors: Any = importlib.import_module("azure.durable_functions.models.TaskOrchestrationExecutor")


def original(function: Any) -> Any:
    """The SDK's own, whether or not something was put in its place in this process."""
    return getattr(function, "__wrapped__", function)


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: ev.NAMES[event["EventType"]])
def test_events_are_read_the_same(event: dict[str, Any]) -> None:
    """All attributes, also those that the event does not have."""
    sdk.make_faster()
    theirs, ours = (object.__new__(_history.HistoryEvent) for _ in range(2))
    original(_history.HistoryEvent.__init__)(theirs, **event)
    _history.HistoryEvent.__init__(ours, **event)
    assert vars(ours) == vars(theirs)
    assert (ours.event_type, ours.event_id, ours.is_played, ours.timestamp, ours.is_processed) == (
        *(event["EventType"], event["EventId"], event["IsPlayed"]),
        *(theirs._timestamp, False),
    )


@pytest.mark.parametrize("kind", sorted(sdk._NOTHING_TO_DO))
def test_what_is_passed_over_means_nothing_to_the_sdk(kind: int) -> None:
    """Its own executor touches nothing, not even its context, which is not there."""
    event = next(_history.HistoryEvent(**e) for e in EVENTS if e["EventType"] == kind)
    executor = _executors.TaskOrchestrationExecutor()
    before = dict(vars(executor))
    original(_executors.TaskOrchestrationExecutor.process_event)(executor, event)
    assert vars(executor) == before


def test_requests_of_entities_are_read_for_their_ids() -> None:
    """The same id; whoever would change what was read would change it for the next one, so nobody can."""
    read = sdk._json_of_requests(importlib.import_module("json")).loads('{"id": "request", "input": {}}')
    assert read["id"] == "request"
    with pytest.raises(TypeError):
        read["id"] = "other"


def test_doing_it_twice_changes_nothing() -> None:
    """Each app that is indexed asks for it."""
    sdk.make_faster()
    before = _history.HistoryEvent.__init__, _history.dt_parse
    sdk.make_faster()
    assert (_history.HistoryEvent.__init__, _history.dt_parse) == before


def test_what_is_not_there_stays_away() -> None:
    """A later SDK may have other modules inside."""
    sdk._replace(_history.__name__, "NoSuchClass.method", lambda slow: None)
    sdk._replace(_history.__name__, "no_such_name", lambda slow: None)
    assert not hasattr(_history, "NoSuchClass")
    assert not hasattr(_history, "no_such_name")
