"""How a refresh ended, from what Power BI says of it to what a caller is told."""

from typing import Literal

from refresh.failure.catalogue import Failure, failure
from refresh.failure.causes import cause_of
from refresh.history.rows import RefreshRow
from refresh.messages import Shown
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


def judge(row: RefreshRow, dataset_id: str) -> Outcome | None:
    """The outcome of a refresh of this model; None while it has not ended."""
    match row.state:
        case "running":
            return None
        case "completed":
            return _outcome(row, "Completed", None)
        case "cancelled":
            return _outcome(row, "Cancelled", _error(row, dataset_id, "RefreshCancelled"))
        case "disabled":
            return _outcome(row, "Failed", _error(row, dataset_id, "RefreshDisabled"))
        case "timedOut":
            return _outcome(row, "Failed", _error(row, dataset_id, "RefreshTimedOut"))
        case "failed":
            return _outcome(row, "Failed", _failed(row, dataset_id))


def _outcome(row: RefreshRow, status: Status, error: Failure | None) -> Outcome:
    failed = tuple(TableRef(entry.table, entry.partition) for entry in row.objects if entry.status.lower() == "failed")
    return Outcome(
        status=status,
        refresh_id=row.request_id,
        refresh_type=row.refresh_type,
        started_at=iso(row.start),
        ended_at=iso(row.end),
        error=error,
        failed_objects=failed[:MAX_FAILED_OBJECTS],
    )


def _failed(row: RefreshRow, dataset_id: str) -> Failure:
    said = row.error
    if said is None:
        return _error(row, dataset_id, "RefreshFailed")
    cause = cause_of(said.code, said.text)
    return _error(row, dataset_id, cause.code if cause else "RefreshFailed", said.code)


def _error(row: RefreshRow, dataset_id: str, code: str, reported_as: str | None = None) -> Failure:
    said = row.error
    return failure(
        code,
        dataset_id,
        detail=said.text if said else None,
        refresh_id=row.request_id,
        table=said.table if said else None,
        partition=said.partition if said else None,
        reported_as=reported_as,
    )
