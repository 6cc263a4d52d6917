"""NCRONTAB expressions give the same times as on the platform."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from devhost.app.ncrontab import BadSchedule, Schedule


@pytest.mark.parametrize(
    ("text", "after", "due"),
    [
        ("0 */5 * * * *", "2026-11-24T10:02:03", "2026-11-24T10:05:00"),
        ("0 */5 * * * *", "2026-11-24T10:05:00", "2026-11-24T10:10:00"),
        ("*/5 * * * *", "2026-11-24T10:05:00", "2026-11-24T10:10:00"),
        ("30 9 2 * * *", "2026-11-24T10:00:00", "2026-11-25T02:09:30"),
        ("0 0 0 1 1 *", "2026-11-24T10:00:00", "2027-01-01T00:00:00"),
        ("0 0 9-17 * * 1-5", "2026-11-27T17:30:00", "2026-11-30T09:00:00"),
        ("0 0 9 * * mon,Wednesday", "2026-11-24T10:00:00", "2026-11-25T09:00:00"),
        ("0 0 9 * jan *", "2026-11-24T10:00:00", "2027-01-01T09:00:00"),
        ("0 0 0 29 2 *", "2026-11-24T10:00:00", "2028-02-29T00:00:00"),
        ("0 0 0 13 * 5", "2026-11-24T10:00:00", "2027-08-13T00:00:00"),
        ("0 0 0 * * 0", "2026-11-24T10:00:00", "2026-11-29T00:00:00"),
        ("0 0 0 * * su", "2026-11-24T10:00:00", "2026-11-29T00:00:00"),
        ("0 0 0 * * fri-Mon", "2026-11-28T00:00:00", "2026-11-30T00:00:00"),
        ("0 0 0 5-3 * *", "2026-11-24T10:00:00", "2026-12-03T00:00:00"),
        ("0 */0 * * * *", "2026-11-24T10:00:00", "2026-11-24T10:01:00"),
        ("0 0-30/10 * * * *", "2026-11-24T10:21:00", "2026-11-24T10:30:00"),
        ("0 5,10-12,50/5 8 * * *", "2026-11-24T08:13:00", "2026-11-24T08:50:00"),
        (" 0  0 0  1 JAN,December * ", "2026-11-24T10:00:00", "2026-12-01T00:00:00"),
        ("1.00:00:00", "2026-11-24T10:00:00", "2026-11-25T10:00:00"),
        ("10/20 * * * * *", "2026-11-24T10:00:11", "2026-11-24T10:00:30"),
        ("* * * * * *", "2026-12-31T23:59:59", "2027-01-01T00:00:00"),
        ("01:30:00", "2026-11-24T10:00:00", "2026-11-24T11:30:00"),
    ],
)
def test_next_time(text: str, after: str, due: str) -> None:
    """If a schedule restricts both day and weekday, both must match. A time span is an interval."""
    moment = datetime.fromisoformat(after).replace(tzinfo=UTC)
    assert Schedule.read(text).after(moment) == datetime.fromisoformat(due).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0 0 * *",
        "0 0 0 0 0 0 0",
        "60 * * * * *",
        "0 0 24 * * *",
        "0 0 0 0 * *",
        "0 0 0 30 2 *",
        "0 0 0 * * 7",
        "0 0 0 ? * *",
        "0 0 0 * * monx",
        "0 0 0 L * *",
        "a * * * * *",
        "*/a * * * * *",
        "1,,2 * * * * *",
        "-5 * * * * *",
        "@daily",
        "00:00:00",
    ],
)
def test_invalid_schedules(text: str) -> None:
    """An invalid schedule is refused when the app is loaded. The message contains the expression."""
    with pytest.raises(BadSchedule):
        Schedule.read(text)
