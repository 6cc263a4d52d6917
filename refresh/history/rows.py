"""Parses rows of the refresh history, and refreshes read by id, into typed values.

Sources: Microsoft's references for refresh history, refresh execution details and enhanced refresh, and recorded
traffic. Fields are sometimes missing. Times have 0 to 7 fraction digits; they end in `Z` in the list, but not in a
refresh read by id. A running refresh is called `Unknown`, `NotStarted` or `InProgress`. Parsing never raises; a value
that cannot be read becomes None.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from refresh.failure.service_error import ServiceError, service_error
from refresh.ids import parse_guid
from refresh.text import cut
from refresh.times import parse_time

State = Literal["running", "completed", "failed", "cancelled", "disabled", "timedOut"]

_STATES: dict[str, State] = {
    "completed": "completed",
    "failed": "failed",
    "cancelled": "cancelled",
    "canceled": "cancelled",
    "disabled": "disabled",
    "timedout": "timedOut",
}
Json = dict[str, Any]


@dataclass(frozen=True)
class RefreshObject:
    """The state of one table or partition in an enhanced refresh; `status` in Power BI's words."""

    table: str
    partition: str | None
    status: str


@dataclass(frozen=True)
class RefreshRow:
    """One refresh of a model. `request_id` identifies it, a GUID in lower case; times are UTC."""

    request_id: str
    refresh_type: str
    status: str
    extended_status: str | None = None
    start: datetime | None = None
    end: datetime | None = None
    error: ServiceError | None = None
    type: str | None = None
    """Full, DataOnly and so on. Only an enhanced refresh that was read by id has it; the same applies to `commit_mode`
    and `objects`."""
    commit_mode: str | None = None
    objects: tuple[RefreshObject, ...] = field(default=(), compare=False, repr=False)
    """Left out of comparison and repr, because a model can have thousands of partitions."""

    @property
    def state(self) -> State:
        """The state of the refresh. An undocumented word counts as running, because the refresh may not have ended.

        `extendedStatus` counts if it is set and not `Unknown`, otherwise `status`. So `Completed` with the extended
        status `Unknown` means completed.
        """
        extended = (self.extended_status or "unknown").lower()
        return _STATES.get(self.status.lower() if extended == "unknown" else extended, "running")


def parse_row(value: object) -> RefreshRow | None:
    """A row of the history list; None if it has no `requestId`, because nothing else identifies a refresh."""
    request_id = parse_guid(value.get("requestId")) if isinstance(value, dict) else None
    return _row(value, request_id) if isinstance(value, dict) and request_id else None


def parse_details(value: object, refresh_id: str) -> RefreshRow | None:
    """The answer to reading a refresh by id (the answer does not repeat the id); None if it is not a JSON object."""
    return _row(value, parse_guid(refresh_id) or refresh_id.lower()) if isinstance(value, dict) else None


def _row(value: Json, request_id: str) -> RefreshRow:
    return RefreshRow(
        request_id=request_id,
        refresh_type=_word(value, "refreshType") or _word(value, "initiatedBy") or "Unknown",
        status=_word(value, "status") or "Unknown",
        extended_status=_word(value, "extendedStatus"),
        start=parse_time(value.get("startTime")),
        end=parse_time(value.get("endTime")),
        error=service_error(value),
        type=_word(value, "type") or _word(value, "currentRefreshType"),
        commit_mode=_word(value, "commitMode"),
        objects=tuple(_objects(value.get("objects"))),
    )


def _objects(value: object) -> list[RefreshObject]:
    objects = []
    for entry in value if isinstance(value, list) else ():
        table = entry.get("table") if isinstance(entry, dict) else None
        if isinstance(table, str):
            partition = entry.get("partition")
            name = partition if isinstance(partition, str) else None
            objects.append(RefreshObject(table, name, _word(entry, "status") or "Unknown"))
    return objects


def _word(value: Json, key: str) -> str | None:
    word = value.get(key)
    if not isinstance(word, str):
        return None
    # nearly all values are plain words that need no cleaning
    return word if word.isascii() and word.isalnum() and len(word) <= 64 else cut(word, 64) or None
