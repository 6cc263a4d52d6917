"""An orchestration of the engine's list read as a request. Pure."""

import json
from typing import Any

from refresh.times import iso, parse_time
from refresh.queue.state import Queue
from refresh.reporting.status import Instance, Report, report
from refresh.request.state import RequestState

Json = dict[str, Any]
Found = tuple[Instance, RequestState]


def parse(status: Json) -> Found | None:
    """An instance of the management API as a request; None if it is of another kind."""
    given = decoded(status.get("input"))
    if status.get("name") != "refresh_request" or not isinstance(given, dict):
        return None
    custom = decoded(status.get("customStatus"))
    instance = Instance(
        id=status["instanceId"],
        status=status["runtimeStatus"],
        custom=custom if isinstance(custom, dict) else {},
        output=status.get("output"),
        updated=iso(parse_time(status.get("lastUpdatedTime"))),
    )
    return instance, RequestState.from_json(given)


def decoded(value: object) -> object:
    """A value that may be JSON in a JSON text, as inputs of orchestrations are that the SDK started."""
    if isinstance(value, str):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


def verdict(found: Found) -> Report | None:
    """What is told of a request that has ended; None while it goes on. Asks nobody: an ending is complete."""
    instance, state = found
    told = report(instance, state, Queue(), {}, state.deadline)
    return None if told.http_status == 202 else told
