"""How a refresh ended, from what Power BI says of it to what a caller is told."""

from typing import Literal

from refresh.failure.catalogue import Failure, ModelNames, failure
from refresh.history.rows import RefreshObject, RefreshRow
from refresh.messages import Shown
from refresh.scope.options import MAX_NAME
from refresh.scope.scope import TableRef
from refresh.times import iso

MAX_FAILED_OBJECTS = 50
"""Of thousands of partitions: a caller whose object is not named gets another try, alone."""

Status = Literal["Completed", "Failed", "Cancelled", "OutcomeUnknown"]


class Outcome(Shown, frozen=True, kw_only=True):
    """The end of a refresh. Times are ISO 8601 with a `Z`; `error` is what `failure` builds."""

    status: Status
    refresh_id: str | None = None
    refresh_type: str | None = None
    started_at: str | None = None
    ended_at: str | None = None
    error: Failure | None = None
    failed_objects: tuple[TableRef, ...] = ()
    """Up to 50 of the tables and partitions that failed."""
    adopted: bool = False
    """The refresh is not known to be one of ours."""


def judge(row: RefreshRow, dataset_id: str, names: ModelNames | None = None) -> Outcome | None:
    """The outcome of a refresh of this model; None while it has not ended. `names` are shown in the message."""
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
    """The objects that failed, up to a bound, without those that no request can have named."""
    failed: list[TableRef] = []
    for entry in objects:
        if entry.status.lower() == "failed" and _usable(entry.table) and _usable(entry.partition or ""):
            failed.append(TableRef(entry.table, entry.partition))
            if len(failed) == MAX_FAILED_OBJECTS:
                break
    return tuple(failed)


def _usable(name: str) -> bool:
    """Whether a name may be stored: not longer than that of a request, and not with half a character."""
    return len(name) <= MAX_NAME and not any("\ud800" <= character <= "\udfff" for character in name)


def _error(row: RefreshRow, dataset_id: str, code: str, names: ModelNames | None) -> Failure:
    said = row.error
    return failure(
        code,
        dataset_id,
        detail=said.text if said else None,
        service_code=said.code if said else None,
        table=said.table if said else None,
        partition=said.partition if said else None,
        refresh_id=row.request_id,
        names=names,
    )
