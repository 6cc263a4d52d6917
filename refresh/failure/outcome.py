"""How a refresh ended, from what Power BI says of it to what a caller is told."""

from dataclasses import dataclass
from typing import Any, Literal, get_args

from refresh.failure.catalogue import failure
from refresh.failure.causes import cause_of
from refresh.history.rows import RefreshRow, iso

Status = Literal["Completed", "Failed", "Cancelled", "OutcomeUnknown"]

Json = dict[str, Any]


@dataclass(frozen=True)
class Outcome:
    """The end of a refresh. Times are ISO 8601 with a `Z`; `error` is what `failure` builds."""

    status: Status
    refresh_id: str | None = None
    refresh_type: str | None = None
    started_at: str | None = None
    ended_at: str | None = None
    error: Json | None = None

    def to_json(self) -> Json:
        """Plain JSON for durable values and answers."""
        return {
            "status": self.status,
            "refreshId": self.refresh_id,
            "refreshType": self.refresh_type,
            "startedAt": self.started_at,
            "endedAt": self.ended_at,
            "error": self.error,
        }

    @classmethod
    def from_json(cls, value: Json) -> "Outcome":
        """The outcome that `to_json` wrote; keys that others added are left out."""
        status: Status = value["status"]
        if status not in get_args(Status):
            raise ValueError(f"{status!r} is no outcome")
        return cls(
            status=status,
            refresh_id=value.get("refreshId"),
            refresh_type=value.get("refreshType"),
            started_at=value.get("startedAt"),
            ended_at=value.get("endedAt"),
            error=value.get("error"),
        )


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


def judge_json(row: Json, dataset_id: str) -> Outcome | None:
    """`judge` for a row that `RefreshRow.to_json` wrote."""
    return judge(RefreshRow.from_json(row), dataset_id)


def _outcome(row: RefreshRow, status: Status, error: Json | None) -> Outcome:
    return Outcome(status, row.request_id, row.refresh_type, iso(row.start), iso(row.end), error)


def _failed(row: RefreshRow, dataset_id: str) -> Json:
    said = row.error
    if said is None:
        return _error(row, dataset_id, "RefreshFailed")
    cause = cause_of(said.code, said.text)
    return _error(row, dataset_id, cause.code if cause else "RefreshFailed", said.code)


def _error(row: RefreshRow, dataset_id: str, code: str, reported_as: str | None = None) -> Json:
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
