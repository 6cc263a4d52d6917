"""The replacements for parts of the Durable SDK do the same as the originals, only faster."""

from __future__ import annotations

import importlib
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devhost.app import sdk
from devhost.engine import events as ev
from devhost.engine.text import to_text

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
    """The SDK's own function, even if it has been replaced in this process."""
    return getattr(function, "__wrapped__", function)


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: ev.NAMES[event["EventType"]])
def test_events_are_read_the_same(event: dict[str, Any]) -> None:
    """The faster constructor of an event sets the same attributes as the original, and leaves out the same ones."""
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
def test_skipped_events_have_no_effect_in_the_sdk(kind: int) -> None:
    """The SDK's own executor does not use the skipped events. It does not even need its context, which is missing
    here."""
    event = next(_history.HistoryEvent(**e) for e in EVENTS if e["EventType"] == kind)
    executor = _executors.TaskOrchestrationExecutor()
    before = dict(vars(executor))
    original(_executors.TaskOrchestrationExecutor.process_event)(executor, event)
    assert vars(executor) == before


def test_requests_of_entities_are_read_for_their_ids() -> None:
    """The id of a parsed request is that of the text. The request is cached, so it is read-only."""
    read = sdk._json_of_requests(importlib.import_module("json")).loads('{"id": "request", "input": {}}')
    assert read["id"] == "request"
    with pytest.raises(TypeError):
        read["id"] = "other"


def test_replacing_twice_has_no_effect() -> None:
    """The parts are replaced again for each app that is indexed. A second replacement changes nothing."""
    sdk.make_faster()
    before = _history.HistoryEvent.__init__, _history.dt_parse
    sdk.make_faster()
    assert (_history.HistoryEvent.__init__, _history.dt_parse) == before


def test_a_missing_module_is_not_replaced() -> None:
    """A part that the SDK does not have is left out, because a later SDK may have different internal modules."""
    sdk._replace(_history.__name__, "NoSuchClass.method", lambda slow: None)
    sdk._replace(_history.__name__, "no_such_name", lambda slow: None)
    assert not hasattr(_history, "NoSuchClass")
    assert not hasattr(_history, "no_such_name")


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


@given(VALUES)
def test_values_are_written_as_json_writes_them(value: Any) -> None:
    """The texts are equal character by character, because stored values are compared as text."""
    assert sdk._json_of_values(json).dumps(value) == to_text(value) == json.dumps(value)


def test_a_circle_raises_the_exception_of_json() -> None:
    """A value that contains itself raises the exception of the json module. So do values that JSON cannot express."""
    circle: list[Any] = []
    circle.append(circle)
    for value in (circle, {1, 2}):
        with pytest.raises((ValueError, TypeError)) as theirs:
            json.dumps(value)
        with pytest.raises((ValueError, TypeError)) as ours:
            sdk._json_of_values(json).dumps(value)
        assert str(ours.value) == str(theirs.value)
