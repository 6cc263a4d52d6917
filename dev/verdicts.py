"""Is what a caller was told true? Held against what Power BI itself says of its refreshes, not against the app."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from dev.callers import Ask, Seen

SLACK = timedelta(seconds=2)
"""Clocks differ a little, and the history of Power BI has milliseconds only."""


@dataclass(frozen=True)
class Truth:
    """One refresh as Power BI knows it."""

    refresh_id: str
    state: str
    start: datetime
    end: datetime | None = None
    external: bool = False


@dataclass(frozen=True)
class Verdict:
    """What one caller was told, and whether that is right. `right` None: nobody could check."""

    ask: Ask
    status: str
    refresh_id: str
    waited: float | None
    refreshed: float | None
    right: bool | None
    why: str
    message: str
    """The sentence the caller got with any end but success."""


def judge(ask: Ask, seen: Seen, truths: Sequence[Truth] | None, slack: timedelta = timedelta(0)) -> Verdict:
    """The verdict on a verdict. `truths` None: Power BI could not be asked."""
    told = seen.told
    refresh_id = str(told.get("refreshId") or "")
    truth = next((truth for truth in truths or () if truth.refresh_id.lower() == refresh_id.lower()), None)
    wrong = _wrong(seen, truth, slack) if truths is not None or seen.problem or not seen.over else None
    error = told.get("error")
    requested, started, ended = (parse_time(told.get(key)) for key in ("requestedAt", "startedAt", "endedAt"))
    return Verdict(
        ask=ask,
        status="none" if seen.problem or not seen.over else seen.status,
        refresh_id=refresh_id,
        waited=_seconds(requested or seen.sent, started),
        refreshed=_seconds(started, ended),
        right=None if wrong is None else not wrong,
        why=wrong or "",
        message=str(error.get("message", "")) if isinstance(error, dict) else "",
    )


def _wrong(seen: Seen, truth: Truth | None, slack: timedelta) -> str:
    """Why the verdict is wrong; empty if it is right."""
    if seen.problem:
        return seen.problem
    if not seen.over or seen.sent is None:
        return "it was never told how it ended"
    if (seen.code == 200) != (seen.status == "Completed"):
        return f"HTTP {seen.code} does not go with {seen.status}"
    if truth is None:
        return "Power BI knows no such refresh" if seen.told.get("refreshId") else "it names no refresh"
    if truth.state != seen.status:
        return f"Power BI says {truth.state}"
    if truth.start < seen.sent - slack:
        return "that refresh started before the caller asked"
    return ""


def exit_code(verdicts: Sequence[Verdict]) -> int:
    """0 only if every verdict is right, or at least nobody could check it and there is one."""
    good = bool(verdicts) and all(v.right or (v.right is None and v.status == "Completed") for v in verdicts)
    return 0 if good else 1


def shared_with(verdict: Verdict, all_of_them: Sequence[Verdict]) -> int:
    """How many other callers got the same refresh."""
    if not verdict.refresh_id:
        return 0
    return sum(other.refresh_id == verdict.refresh_id for other in all_of_them) - 1


def numbers(verdicts: Sequence[Verdict]) -> dict[str, int]:
    """A short number for each refresh, in the order in which the callers are listed."""
    ids = dict.fromkeys(verdict.refresh_id for verdict in verdicts if verdict.refresh_id)
    return {refresh_id: number for number, refresh_id in enumerate(ids, 1)}


def parse_time(text: object) -> datetime | None:
    """A UTC time as the app and Power BI write them; None if it is none."""
    if not isinstance(text, str):
        return None
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None
    return time if time.tzinfo else datetime.fromisoformat(f"{text}+00:00")


def _seconds(begin: datetime | None, end: datetime | None) -> float | None:
    return max(0.0, (end - begin).total_seconds()) if begin and end else None
