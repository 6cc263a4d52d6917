"""Refreshes in the form of the API: rows of the history, and details by id.

Times have different formats: `2024-11-19T08:37:58.28Z` in the history, without `Z` in the details, with seven digits in
attempts. A running refresh has the status `Unknown`.
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

from dev.power_bi.knobs import Knobs, Outcome
from dev.power_bi.lifecycle import Refresh

Json = dict[str, Any]

_TRANSIENT = '{"errorCode":"ModelRefresh_ShortMessage_ProcessingError"}'
"""The error of a failed attempt if the outcome does not define one."""


def row(refresh: Refresh, now: datetime, knobs: Knobs) -> Json:
    """A row of the history."""
    skew, state = timedelta(seconds=knobs.clock_skew_seconds), refresh.state(now)
    over, end = refresh.has_ended(now), refresh.end
    body: Json = {
        "requestId": refresh.request_id,
        "id": refresh.number,
        "refreshType": refresh.refresh_type,
        "startTime": _trimmed(_shown_start(refresh, knobs)) + "Z",
    }
    if over and end:
        body["endTime"] = _trimmed(end + skew) + "Z"
    body["status"] = _ended(refresh, state) if over else knobs.running_status
    if refresh.enhanced:
        body["extendedStatus"] = _extended(refresh, state, over, knobs)
    if over and (exception := _exception(refresh.final)):
        body["serviceExceptionJson"] = exception
    if attempts := _attempts(refresh, now, skew):
        body["refreshAttempts"] = attempts
    return body


def details(refresh: Refresh, now: datetime, knobs: Knobs) -> Json:
    """A refresh read by id."""
    skew, state = timedelta(seconds=knobs.clock_skew_seconds), refresh.state(now)
    over, end = refresh.has_ended(now), refresh.end
    body: Json = {"startTime": _trimmed(_shown_start(refresh, knobs))}
    if over and end:
        body["endTime"] = _trimmed(end + skew)
    if refresh.enhanced:
        body |= {"type": refresh.type, "commitMode": refresh.commit_mode}
    body["status"] = _ended(refresh, state) if over else knobs.details_running_status
    attempts = _attempts(refresh, now, skew)
    if refresh.enhanced:
        extended = _extended(refresh, state, over, knobs)
        body |= {"extendedStatus": extended, "currentRefreshType": refresh.type}
    body["numberOfAttempts"] = len({attempt["attemptId"] for attempt in attempts})
    if refresh.enhanced and state != "NotStarted":
        body["objects"] = _objects(refresh, now)
    if not knobs.details_exception:
        attempts = [{key: attempt[key] for key in attempt if key != "serviceExceptionJson"} for attempt in attempts]
    if attempts:
        body["refreshAttempts"] = attempts
    if over and refresh.enhanced and refresh.final.messages:
        body["messages"] = list(refresh.final.messages)
    if over and knobs.details_exception and (exception := _exception(refresh.final)):
        body["serviceExceptionJson"] = exception
    body["initiatedBy"] = refresh.refresh_type
    return body


def _ended(refresh: Refresh, state: str) -> str:
    # it is an assumption that a time-out has the status Failed, and TimedOut only as its extended status
    return refresh.final.status or ("Failed" if state == "TimedOut" else state)


def _extended(refresh: Refresh, state: str, over: bool, knobs: Knobs) -> str:
    return (refresh.final.extended_status if over else knobs.running_extended_status) or state


def _shown_start(refresh: Refresh, knobs: Knobs) -> datetime:
    return refresh.start + timedelta(seconds=knobs.clock_skew_seconds + knobs.start_time_skew_seconds)


def _exception(outcome: Outcome) -> str | None:
    if outcome.service_exception_json is not None:
        return outcome.service_exception_json
    named = {"errorCode": outcome.error_code, "errorDescription": outcome.error_description}
    error = {key: text for key, text in named.items() if text}
    return json.dumps(error, separators=(",", ":")) if error else None


def _attempts(refresh: Refresh, now: datetime, skew: timedelta) -> list[Json]:
    """The attempts that have ended. Every attempt except the last one failed. The Query phase of an attempt follows its
    Data phase."""
    work, end, final = refresh.work_starts, refresh.end, refresh.final
    if not work or refresh.refresh_type == "ViaXmlaEndpoint" or final.outcome == "Disabled":
        return []
    attempts: list[Json] = []
    for number, (begun, finished) in enumerate(refresh.attempts(), 1):
        if finished > now:
            break
        last = finished == end
        good = last and final.outcome == "Completed"
        of = final if last else refresh.outcome
        exception = None if good else of.attempt_exception_json or _exception(of) or (None if last else _TRANSIENT)
        # only a standard refresh fills the tile caches, in a phase of its own
        queries = good and not refresh.enhanced
        between = begun + (finished - begun) * (0.9 if queries else 1)
        attempts.append(_attempt(number, "Data", begun + skew, between + skew, exception))
        if queries:
            attempts.append(_attempt(number, "Query", between + skew, finished + skew, None))
    return attempts


def _attempt(number: int, kind: str, start: datetime, end: datetime, exception: str | None) -> Json:
    attempt: Json = {"attemptId": number, "startTime": _long(start), "endTime": _long(end), "type": kind}
    return attempt | ({"serviceExceptionJson": exception} if exception else {})


def _objects(refresh: Refresh, now: datetime) -> list[Json]:
    over, final = refresh.has_ended(now), refresh.final
    if over and final.objects is not None:
        return list(final.objects)
    done = refresh.progress(now) * len(refresh.objects)
    objects = []
    for index, entry in enumerate(refresh.objects):
        status = "Completed" if index + 1 <= done else "InProgress" if index <= done else "NotStarted"
        objects.append({**entry, "status": final.outcome if over else status})
    return objects


def _trimmed(time: datetime) -> str:
    """Milliseconds without trailing zeros, as .NET writes them."""
    fraction = f"{time.microsecond // 1000:03d}".rstrip("0")
    return f"{time:%Y-%m-%dT%H:%M:%S}" + (f".{fraction}" if fraction else "")


def _long(time: datetime) -> str:
    return f"{time:%Y-%m-%dT%H:%M:%S}.{time.microsecond:06d}0Z"
