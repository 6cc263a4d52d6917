"""Changes to the Durable SDK that make it faster and leave its results the same.

In every episode the SDK parses the whole history again. It parses each timestamp with the free-form parser of dateutil,
reads an environment variable before each value, and processes events that have no effect. This takes most of the time
of an episode. The replacements return the same values (tests compare them with the SDK's own); unusual input still goes
to the SDK.
"""

from __future__ import annotations

import functools
import importlib
import types
from collections.abc import Callable
from datetime import datetime, tzinfo
from operator import attrgetter
from typing import Any

from devhost.engine import events as ev
from devhost.engine.text import to_text

_MODELS = "azure.durable_functions.models"
_NOTHING_TO_DO = frozenset({ev.TASK_SCHEDULED, ev.SUB_CREATED, ev.TIMER_CREATED, ev.ORCHESTRATOR_COMPLETED})
"""Events that have no effect in the SDK's executor."""
_REMEMBERED = 8192
"""The number of parsed texts that are cached for later episodes."""


def make_faster() -> None:
    """Replaces parts of the SDK. Parts that this version of the SDK does not have are skipped."""
    _replace(f"{_MODELS}.history.HistoryEvent", "dt_parse", _reader)
    _replace(f"{_MODELS}.history.HistoryEvent", "HistoryEvent.__init__", _history_event)
    _replace(
        f"{_MODELS}.history.HistoryEvent", "HistoryEvent.event_type", lambda _: property(attrgetter("_event_type"))
    )
    _replace(f"{_MODELS}.DurableOrchestrationStatus", "dt_parse", _reader)
    _replace(f"{_MODELS}.DurableOrchestrationContext", "parse_timespan_attrib", functools.lru_cache(16))
    _replace(f"{_MODELS}.TaskOrchestrationExecutor", "namedtuple", functools.cache)
    _replace(f"{_MODELS}.TaskOrchestrationExecutor", "json", _json_of_requests)
    _replace(f"{_MODELS}.TaskOrchestrationExecutor", "TaskOrchestrationExecutor.process_event", _process_event)
    _replace("azure.functions._durable_functions", "json", _json_of_values)
    # cached, because the SDK reads this setting of the process before each value
    _replace("azure.functions._durable_functions", "_is_strict_mode", functools.cache)


def _replace(module_name: str, path: str, make: Callable[[Any], Any]) -> None:
    owner: Any = importlib.import_module(module_name)
    *classes, name = path.split(".")
    done = vars(owner).setdefault("_devhost_faster", set())
    for step in classes:
        owner = getattr(owner, step, None)
    slow = getattr(owner, name, None)
    if slow is None or path in done:
        return
    setattr(owner, name, make(slow))
    done.add(path)


def _reader(slow: Any) -> Any:
    # The zone object that dateutil uses: tzutc() for UTC or, if the process runs in UTC, tzlocal().
    zone: tzinfo | None = slow("2026-01-01T00:00:00Z").tzinfo

    @functools.lru_cache(_REMEMBERED)
    def read(text: str) -> Any:
        return datetime.fromisoformat(text[:-1]).replace(tzinfo=zone)

    def parse(text: Any) -> Any:
        if isinstance(text, str) and len(text) > 18 and text[10] == "T" and text[-1] == "Z":
            try:
                return read(text)
            except ValueError:
                pass
        return slow(text)

    return parse


def _history_event(slow: Any) -> Any:
    """Sets the same attributes in one step."""
    parse: Callable[[str], Any] = slow.__globals__["dt_parse"]
    absent = dict.fromkeys(("Name", "InstanceId", "TaskScheduledId", "Reason", "Details", "Input"))

    @functools.wraps(slow)
    def init(self: Any, EventType: int, EventId: int, IsPlayed: bool, Timestamp: str, **more: Any) -> None:  # noqa: N803
        own = self.__dict__
        own["_event_type"] = EventType
        own["_event_id"] = EventId
        own["_is_played"] = IsPlayed
        own["_timestamp"] = parse(Timestamp)
        own["_is_processed"] = False
        own.update(absent)
        own.update(more)

    return init


def _json_of_requests(slow: Any) -> Any:
    """Caches the parsed requests to entities: the executor needs only their ids."""

    @functools.lru_cache(_REMEMBERED)
    def loads(text: str) -> Any:
        return types.MappingProxyType(slow.loads(text))

    return types.SimpleNamespace(loads=loads, dumps=slow.dumps)


def _json_of_values(slow: Any) -> Any:
    """Encodes plain values without a new encoder for each."""

    def dumps(value: Any, **more: Any) -> Any:
        if more:
            return slow.dumps(value, **more)
        try:
            return to_text(value)
        except RecursionError:
            return slow.dumps(value)  # reports a circular reference

    return types.SimpleNamespace(**{**vars(slow), "dumps": dumps})


def _process_event(slow: Any) -> Any:
    @functools.wraps(slow)
    def process_event(self: Any, event: Any) -> None:
        if event.event_type not in _NOTHING_TO_DO:
            slow(self, event)

    return process_event
