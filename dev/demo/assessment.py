"""Whether the outcome that a caller received is correct, according to Power BI's own records, not the app's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from dev.demo.callers import RefreshRequest, Report

CLOCK_SLACK = timedelta(seconds=2)
"""The tolerated difference between the clocks of this machine and of Power BI."""


@dataclass(frozen=True)
class Refresh:
    """One refresh as Power BI records it."""

    refresh_id: str
    state: str
    start: datetime
    end: datetime | None = None
    external: bool = False


@dataclass(frozen=True)
class Assessment:
    """The outcome that one caller received, and whether it is correct. `correct` None: it could not be checked."""

    request: RefreshRequest
    status: str
    refresh_id: str
    waited: float | None
    refreshed: float | None
    correct: bool | None
    reason: str
    """Why the outcome is incorrect; empty otherwise."""
    message: str
    """The message of the error that the caller received; empty after success."""


def assess(
    request: RefreshRequest, report: Report, refreshes: Sequence[Refresh] | None, slack: timedelta = timedelta(0)
) -> Assessment:
    """Compares a caller's report with the refreshes of its model. `refreshes` None: they could not be read."""
    body = report.body
    refresh_id = str(body.get("refreshId") or "")
    refresh = next((one for one in refreshes or () if one.refresh_id.lower() == refresh_id.lower()), None)
    checkable = refreshes is not None or bool(report.problem) or not report.over
    reason = _contradiction(report, refresh, slack) if checkable else None
    error = body.get("error")
    requested, started, ended = (parse_time(body.get(key)) for key in ("requestedAt", "startedAt", "endedAt"))
    return Assessment(
        request=request,
        status="none" if report.problem or not report.over else report.status,
        refresh_id=refresh_id,
        waited=_seconds(requested or report.sent, started),
        refreshed=_seconds(started, ended),
        correct=None if reason is None else not reason,
        reason=reason or "",
        message=str(error.get("message", "")) if isinstance(error, dict) else "",
    )


def _contradiction(report: Report, refresh: Refresh | None, slack: timedelta) -> str:
    """Why the outcome is incorrect; empty if it is correct."""
    if report.problem:
        return report.problem
    if not report.over or report.sent is None:
        return "no outcome was reported"
    if (report.code == 200) != (report.status == "Completed"):
        return f"HTTP {report.code} contradicts the status {report.status}"
    if refresh is None:
        return "Power BI has no such refresh" if report.body.get("refreshId") else "the outcome names no refresh"
    if refresh.state != report.status:
        return f"the refresh is {refresh.state} in Power BI"
    if refresh.start < report.sent - slack:
        return "that refresh started before the request was sent"
    return ""


def exit_code(assessments: Sequence[Assessment]) -> int:
    """0 if there is at least one assessment, and each one is correct or an unchecked success."""
    good = bool(assessments) and all(a.correct or (a.correct is None and a.status == "Completed") for a in assessments)
    return 0 if good else 1


def shared_with(assessment: Assessment, assessments: Sequence[Assessment]) -> int:
    """The number of other callers that received the same refresh."""
    if not assessment.refresh_id:
        return 0
    return sum(other.refresh_id == assessment.refresh_id for other in assessments) - 1


def numbers(assessments: Sequence[Assessment]) -> dict[str, int]:
    """A short number for each refresh id, in the order of the callers."""
    ids = dict.fromkeys(one.refresh_id for one in assessments if one.refresh_id)
    return {refresh_id: number for number, refresh_id in enumerate(ids, 1)}


def parse_time(text: object) -> datetime | None:
    """A UTC time in the form of the app or of Power BI; None for anything else."""
    if not isinstance(text, str):
        return None
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None
    return time if time.tzinfo else datetime.fromisoformat(f"{text}+00:00")


def _seconds(begin: datetime | None, end: datetime | None) -> float | None:
    return max(0.0, (end - begin).total_seconds()) if begin and end else None
