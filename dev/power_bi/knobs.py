"""The behaviour of a semantic model: the knobs of the README, with their checks and defaults.

Names are camelCase in JSON and snake_case here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, get_args

from dev.power_bi import checks
from dev.power_bi.checks import Check, Range, Refusal

OutcomeName = Literal["Completed", "Failed", "Cancelled", "Disabled", "TimedOut", "Stuck"]
Json = dict[str, Any]

NEVER = "never"
REFRESH_TYPES = (
    "Scheduled",
    "OnDemand",
    "ViaApi",
    "ViaXmlaEndpoint",
    "ViaEnhancedApi",
    "OnDemandTraining",
    "DirectLakeFraming",
    "WebModeling",
    "DataFactory",
)
ID_HEADERS = ("RequestId", "x-ms-request-id", "Location")


@dataclass(frozen=True)
class Outcome:
    """How a refresh ends, with its error. `Stuck` never ends."""

    outcome: OutcomeName = "Completed"
    seconds: Range | None = None
    """Duration; None: that of the knob `seconds`."""
    attempts: int = 1
    """The number of attempts. The last one has this outcome; the attempts before it fail."""
    error_code: str | None = None
    error_description: str | None = None
    service_exception_json: str | None = None
    """The `serviceExceptionJson` to return unchanged; without it, one is built from code and description."""
    messages: tuple[Json, ...] | None = None
    objects: tuple[Json, ...] | None = None
    status: str | None = None
    """The status to report instead of the name of the outcome."""
    extended_status: str | None = None
    attempt_exception_json: str | None = None
    """The `serviceExceptionJson` of the failed attempts, returned unchanged."""


@dataclass(frozen=True)
class Knobs:
    """One model's behaviour; the README explains each knob."""

    exists: bool = True
    capacity: Literal["premium", "shared"] = "premium"
    seconds: Range = (10.0, 30.0)
    not_started_seconds: Range = (0.0, 2.0)
    outcome: tuple[Outcome, ...] = (Outcome(),)
    visibility_seconds: Range | None = (0.0, 15.0)
    details_visibility_seconds: Range | None = (0.0, 0.0)
    cancel_seconds: Range = (1.0, 5.0)
    conflict: Literal[400, 409, "queue"] = 400
    conflict_message: str = "Invalid dataset refresh request. Another refresh request is already executing"
    daily_limit: int = 8
    daily_limit_status: Literal[400, 429] = 400
    details_of_standard: bool = False
    details_exception: bool = True
    running_status: str = "Unknown"
    details_running_status: str = "Unknown"
    running_extended_status: str | None = None
    unknown_refresh_status: Literal[404, 400] = 404
    drop_headers: tuple[str, ...] = ()
    recorded_as: str | None = None
    app_only: bool = True
    strict_content_type: bool = True
    strict_enums: bool = False
    clock_skew_seconds: float = 0.0
    start_time_skew_seconds: float = 0.0
    objects: tuple[Json, ...] = (
        {"table": "Sales", "partition": "Sales-2026"},
        {"table": "DimDate", "partition": "DimDate"},
    )
    refresh_policies: tuple[str, ...] = ()
    name: str | None = None
    workspace_id: str | None = None
    is_refreshable: bool = True


_OUTCOME_KEYS: Mapping[str, Check] = {
    "outcome": checks.one_of(*get_args(OutcomeName)),
    "seconds": checks.seconds,
    "attempts": checks.whole(1),
    "errorCode": checks.optional(checks.text),
    "errorDescription": checks.optional(checks.text),
    "serviceExceptionJson": checks.text,
    "messages": checks.list_of(checks.fields(code=checks.text, message=checks.text, type=checks.text)),
    "objects": checks.list_of(checks.fields(table=checks.text, partition=checks.text, status=checks.text)),
    "status": checks.text,
    "extendedStatus": checks.text,
    "attemptExceptionJson": checks.text,
}


def outcome(value: object) -> Outcome:
    """An outcome, given by name or as an object with OUTCOME_KEYS. A failure without a cause gets a common cause."""
    found = checks.fields(**_OUTCOME_KEYS)({"outcome": value} if isinstance(value, str) else value)
    if found.get("outcome") == "Failed" and not {"errorCode", "serviceExceptionJson"} & found.keys():
        found["errorCode"] = "ModelRefreshFailed_CredentialsNotSpecified"
    return Outcome(**{snake(key): entry for key, entry in found.items()})


def visibility(value: object) -> Range | None:
    """Seconds, or None for "never"."""
    return None if value == NEVER else checks.seconds(value)


def _outcomes(value: object) -> tuple[Outcome, ...]:
    several = value if isinstance(value, list | tuple) else [value]
    if not several:
        raise Refusal("needs at least one outcome")
    return tuple(outcome(entry) for entry in several)


OUTCOME_KEYS = tuple(_OUTCOME_KEYS)
KNOBS: Mapping[str, Check] = {
    "exists": checks.flag,
    "capacity": checks.one_of("premium", "shared"),
    "seconds": checks.seconds,
    "notStartedSeconds": checks.seconds,
    "outcome": _outcomes,
    "visibilitySeconds": visibility,
    "detailsVisibilitySeconds": visibility,
    "cancelSeconds": checks.seconds,
    "conflict": checks.one_of(400, 409, "queue"),
    "conflictMessage": checks.text,
    "dailyLimit": checks.whole(0),
    "dailyLimitStatus": checks.one_of(400, 429),
    "detailsOfStandard": checks.flag,
    "detailsException": checks.flag,
    "runningStatus": checks.text,
    "detailsRunningStatus": checks.text,
    "runningExtendedStatus": checks.text,
    "unknownRefreshStatus": checks.one_of(404, 400),
    "dropHeaders": checks.list_of(checks.one_of(*ID_HEADERS)),
    "recordedAs": checks.one_of(*REFRESH_TYPES),
    "appOnly": checks.flag,
    "strictContentType": checks.flag,
    "strictEnums": checks.flag,
    "clockSkewSeconds": checks.number(-86_400, 86_400),
    "startTimeSkewSeconds": checks.number(-60, 60),
    "objects": checks.list_of(checks.fields(table=checks.text, partition=checks.text)),
    "refreshPolicies": checks.list_of(checks.text),
    "name": checks.text,
    "workspaceId": checks.text,
    "isRefreshable": checks.flag,
}


class Settings:
    """Values of some knobs; the values of all other knobs come from the level below."""

    def __init__(self) -> None:
        self._set: dict[str, Any] = {}

    def change(self, values: object) -> None:
        """Sets knobs from a JSON object; null resets a knob. Raises BadControl, and then changes nothing."""
        found = checks.checked(values, {key: checks.optional(check) for key, check in KNOBS.items()}, "knobs")
        for key, value in found.items():
            reset = isinstance(values, Mapping) and values[key] is None
            if reset:
                self._set.pop(snake(key), None)
            else:
                self._set[snake(key)] = value

    def applied_to(self, below: Knobs) -> Knobs:
        """The knobs below, with these values on top."""
        return replace(below, **self._set)


def to_json(knobs: Knobs) -> Json:
    """The knobs in the form of a control request."""
    return {camel(entry.name): _json_value(getattr(knobs, entry.name), entry.name) for entry in fields(knobs)}


def snake(name: str) -> str:
    """`visibilitySeconds` as `visibility_seconds`."""
    return re.sub(r"[A-Z]", lambda match: f"_{match[0].lower()}", name)


def camel(name: str) -> str:
    """`visibility_seconds` as `visibilitySeconds`."""
    return re.sub(r"_([a-z])", lambda match: match[1].upper(), name)


def _json_value(value: object, name: str) -> object:
    if value is None:
        return NEVER if name.endswith("visibility_seconds") else None
    if isinstance(value, tuple) and name.endswith("seconds"):
        return value[0] if value[0] == value[1] else list(value)
    if isinstance(value, Outcome):
        return _json_outcome(value)
    return [_json_value(entry, "") for entry in value] if isinstance(value, tuple) else value


def _json_outcome(value: Outcome) -> object:
    if value == Outcome(value.outcome) and value.outcome != "Failed":
        return value.outcome
    values = {entry.name: getattr(value, entry.name) for entry in fields(value)}
    result = {camel(key): _json_value(entry, key) for key, entry in values.items() if entry is not None}
    # None is written for a failure without a cause: without the key, it would get the common cause
    silent = value.outcome == "Failed" and value.error_code is None and value.service_exception_json is None
    return {**result, "errorCode": None} if silent else result
