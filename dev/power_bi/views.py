"""Refreshes as the API shows them: rows of the history, and details by id.

The two write times differently: `2024-11-19T08:37:58.28Z` in the list, the same without `Z` by id, seven digits in
attempts. `Unknown` is how they say "running".
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

from dev.power_bi.knobs import Knobs, Outcome
from dev.power_bi.lifecycle import Refresh

Json = dict[str, Any]

_TRANSIENT = '{"errorCode":"ModelRefresh_ShortMessage_ProcessingError"}'
"""What an attempt died of if the outcome does not say."""


def row(refresh: Refresh, now: datetime, knobs: Knobs) -> Json:
    """A row of the history."""
    skew, state = timedelta(seconds=knobs.clock_skew_seconds), refresh.state(now)
    over, end = refresh.over(now), refresh.end
    shown: Json = {
        "requestId": refresh.request_id,
        "id": refresh.number,
        "refreshType": refresh.refresh_type,
        "startTime": _trimmed(_shown_start(refresh, knobs)) + "Z",
    }
    if over and end:
        shown["endTime"] = _trimmed(end + skew) + "Z"
    shown["status"] = _ended(refresh, state) if over else knobs.running_status
    if refresh.enhanced:
        shown["extendedStatus"] = _extended(refresh, state, over, knobs)
    if over and (exception := _exception(refresh.final)):
        shown["serviceExceptionJson"] = exception
    if attempts := _attempts(refresh, now, skew):
        shown["refreshAttempts"] = attempts
    return shown


def details(refresh: Refresh, now: datetime, knobs: Knobs) -> Json:
    """A refresh read by id."""
    skew, state = timedelta(seconds=knobs.clock_skew_seconds), refresh.state(now)
    over, end = refresh.over(now), refresh.end
    shown: Json = {"startTime": _trimmed(_shown_start(refresh, knobs))}
    if over and end:
        shown["endTime"] = _trimmed(end + skew)
    if refresh.enhanced:
        shown |= {"type": refresh.type, "commitMode": refresh.commit_mode}
    shown["status"] = _ended(refresh, state) if over else knobs.details_running_status
    attempts = _attempts(refresh, now, skew)
    if refresh.enhanced:
        extended = _extended(refresh, state, over, knobs)
        shown |= {"extendedStatus": extended, "currentRefreshType": refresh.type}
    shown["numberOfAttempts"] = len({attempt["attemptId"] for attempt in attempts})
    if refresh.enhanced and state != "NotStarted":
        shown["objects"] = _objects(refresh, now)
    if not knobs.details_exception:
        attempts = [{key: attempt[key] for key in attempt if key != "serviceExceptionJson"} for attempt in attempts]
    if attempts:
        shown["refreshAttempts"] = attempts
    if over and refresh.enhanced and refresh.final.messages:
        shown["messages"] = list(refresh.final.messages)
    if over and knobs.details_exception and (exception := _exception(refresh.final)):
        shown["serviceExceptionJson"] = exception
    shown["initiatedBy"] = refresh.refresh_type
    return shown


def _ended(refresh: Refresh, state: str) -> str:
    # the pairing of a time-out is assumed: Failed, with TimedOut as the extended status
    return refresh.final.status or ("Failed" if state == "TimedOut" else state)


def _extended(refresh: Refresh, state: str, over: bool, knobs: Knobs) -> str:
    return (refresh.final.extended_status if over else knobs.running_extended_status) or state


def _shown_start(refresh: Refresh, knobs: Knobs) -> datetime:
    return refresh.start + timedelta(seconds=knobs.clock_skew_seconds + knobs.start_time_skew_seconds)


def _exception(outcome: Outcome) -> str | None:
    if outcome.service_exception_json is not None:
        return outcome.service_exception_json
    named = {"errorCode": outcome.error_code, "errorDescription": outcome.error_description}
    said = {key: text for key, text in named.items() if text}
    return json.dumps(said, separators=(",", ":")) if said else None


def _attempts(refresh: Refresh, now: datetime, skew: timedelta) -> list[Json]:
    """The attempts that are over: those before the last one failed, its Query phase follows its Data phase."""
    work, end, final = refresh.work_starts, refresh.end, refresh.final
    if not work or refresh.refresh_type == "ViaXmlaEndpoint" or final.outcome == "Disabled":
        return []
    shown: list[Json] = []
    for number, (begun, finished) in enumerate(refresh.attempts(), 1):
        if finished > now:
            break
        last = finished == end
        good = last and final.outcome == "Completed"
        of = final if last else refresh.outcome
        exception = None if good else of.attempt_exception_json or _exception(of) or (None if last else _TRANSIENT)
        # only standard refreshes fill the caches of tiles, in a phase of their own
        queries = good and not refresh.enhanced
        between = begun + (finished - begun) * (0.9 if queries else 1)
        shown.append(_attempt(number, "Data", begun + skew, between + skew, exception))
        if queries:
            shown.append(_attempt(number, "Query", between + skew, finished + skew, None))
    return shown


def _attempt(number: int, kind: str, start: datetime, end: datetime, exception: str | None) -> Json:
    shown: Json = {"attemptId": number, "startTime": _long(start), "endTime": _long(end), "type": kind}
    return shown | ({"serviceExceptionJson": exception} if exception else {})


def _objects(refresh: Refresh, now: datetime) -> list[Json]:
    over, final = refresh.over(now), refresh.final
    if over and final.objects is not None:
        return list(final.objects)
    done = refresh.progress(now) * len(refresh.objects)
    shown = []
    for index, entry in enumerate(refresh.objects):
        status = "Completed" if index + 1 <= done else "InProgress" if index <= done else "NotStarted"
        shown.append({**entry, "status": final.outcome if over else status})
    return shown


def _trimmed(time: datetime) -> str:
    """Milliseconds without trailing zeros, as .NET writes them."""
    fraction = f"{time.microsecond // 1000:03d}".rstrip("0")
    return f"{time:%Y-%m-%dT%H:%M:%S}" + (f".{fraction}" if fraction else "")


def _long(time: datetime) -> str:
    return f"{time:%Y-%m-%dT%H:%M:%S}.{time.microsecond:06d}0Z"
