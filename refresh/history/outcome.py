"""Turns the state of a refresh in Power BI into the outcome that callers get."""

from typing import Literal

from refresh.failure.catalogue import Failure, ModelNames, failure
from refresh.history.rows import RefreshObject, RefreshRow
from refresh.messages import ApiMessage
from refresh.scope.options import MAX_NAME
from refresh.scope.scope import TableRef
from refresh.times import iso

MAX_FAILED_OBJECTS = 50
"""The maximum number of failed objects in the list; there can be thousands. A caller whose object is missing in the
list gets a refresh of its own."""

Status = Literal["Completed", "Failed", "Cancelled", "OutcomeUnknown"]


class Outcome(ApiMessage, frozen=True, kw_only=True):
    """The outcome of a refresh. Times are ISO 8601 with a `Z`; `error` comes from `failure`."""

    status: Status
    refresh_id: str | None = None
    refresh_type: str | None = None
    started_at: str | None = None
    ended_at: str | None = None
    error: Failure | None = None
    failed_objects: tuple[TableRef, ...] = ()
    """Up to 50 of the tables and partitions that failed."""
    adopted: bool = False
    """The app did not start the refresh, or cannot be sure that it did."""


def judge(row: RefreshRow, dataset_id: str, names: ModelNames | None = None) -> Outcome | None:
    """The outcome of a refresh of this model; None while it runs. `names` appear in the error message."""
    match row.state:
        case "running":
            return None
        case "completed":
            return _outcome(row, "Completed", None)
        case "cancelled":
            return _outcome(row, "Cancelled", _error(row, dataset_id, "RefreshCancelled", names))
        case "disabled":
            return _outcome(row, "Failed", _error(row, dataset_id, "RefreshDisabled", names))
        case "timedOut":
            return _outcome(row, "Failed", _error(row, dataset_id, "RefreshTimedOut", names))
        case "failed":
            cause = row.error.cause if row.error else None
            return _outcome(row, "Failed", _error(row, dataset_id, cause or "RefreshFailed", names))


def _outcome(row: RefreshRow, status: Status, error: Failure | None) -> Outcome:
    return Outcome(
        status=status,
        refresh_id=row.request_id,
        refresh_type=row.refresh_type,
        started_at=iso(row.start),
        ended_at=iso(row.end),
        error=error,
        failed_objects=_failed_objects(row.objects),
    )


def _failed_objects(objects: tuple[RefreshObject, ...]) -> tuple[TableRef, ...]:
    """Up to 50 of the objects that failed, without names that no request can contain."""
    failed: list[TableRef] = []
    for entry in objects:
        if entry.status.lower() == "failed" and _usable(entry.table) and _usable(entry.partition or ""):
            failed.append(TableRef(entry.table, entry.partition))
            if len(failed) == MAX_FAILED_OBJECTS:
                break
    return tuple(failed)


def _usable(name: str) -> bool:
    """Whether a name can be stored: not longer than a request allows, and without unpaired surrogates."""
    return len(name) <= MAX_NAME and not any("\ud800" <= character <= "\udfff" for character in name)


def _error(row: RefreshRow, dataset_id: str, code: str, names: ModelNames | None) -> Failure:
    error = row.error
    return failure(
        code,
        dataset_id,
        detail=error.text if error else None,
        service_code=error.code if error else None,
        table=error.table if error else None,
        partition=error.partition if error else None,
        refresh_id=row.request_id,
        names=names,
    )
