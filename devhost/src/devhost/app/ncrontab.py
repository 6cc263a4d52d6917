"""Schedules of timer triggers: six fields `second minute hour day month weekday`, as NCrontab reads them.

Unlike in Unix cron, day and weekday must both match, Sunday is 0 and never 7, there is no `?`, a name may be shortened
(`mo`), a range can go in either direction and a step of 0 counts as 1. With five fields, the second is 0. A time span
(`00:05:00`) is an interval. Times are UTC.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

_FIELDS = (("second", 0, 59), ("minute", 0, 59), ("hour", 0, 23), ("day", 1, 31), ("month", 1, 12), ("weekday", 0, 6))
_NAMES = {
    "month": (
        "january",
        "february",
        "march",
        "april",
        "may",
        "june",
        "july",
        "august",
        "september",
        "october",
        "november",
        "december",
    ),
    "weekday": ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"),
}
_HORIZON_YEARS = 8
"""A schedule without a date within this time, such as 30 February, has no date at all: even 29 February comes within 8
years."""


class BadSchedule(Exception):  # noqa: N818
    """The expression is not a schedule."""

    def __init__(self, text: str, problem: str) -> None:
        super().__init__(f"schedule {text!r}: {problem}")


@dataclass(frozen=True, slots=True)
class Schedule:
    """A schedule: `interval` for a time span, else the allowed values of each field."""

    fields: tuple[frozenset[int], ...] = ()
    interval: timedelta | None = None

    @classmethod
    def read(cls, text: str) -> Schedule:
        """Parses an expression. Raises BadSchedule."""
        span = re.fullmatch(r"(?:(\d+)\.)?(\d{1,2}):(\d{2}):(\d{2})", text.strip())
        if span:
            days, hours, minutes, seconds = (int(n or 0) for n in span.groups())
            interval = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
            if not interval:
                raise BadSchedule(text, "the interval is zero")
            return cls(interval=interval)
        parts = text.split()
        if len(parts) == 5:
            parts = ["0", *parts]
        if len(parts) != 6:
            raise BadSchedule(text, f"{len(parts)} fields; it takes six: second minute hour day month weekday")
        fields = [_field(part, *rule, text) for part, rule in zip(parts, _FIELDS, strict=True)]
        schedule = cls(tuple(fields))
        schedule.after(datetime(2024, 1, 1, tzinfo=UTC))
        return schedule

    def after(self, moment: datetime) -> datetime:
        """The first time after `moment`. Raises BadSchedule if there is no such time."""
        if self.interval is not None:
            return moment + self.interval
        seconds, minutes, hours, days, months, weekdays = self.fields
        at = moment.replace(microsecond=0) + timedelta(seconds=1)
        while at.year <= moment.year + _HORIZON_YEARS:
            if at.month not in months:
                at = (at.replace(day=1, hour=0, minute=0, second=0) + timedelta(days=32)).replace(day=1)
            elif at.day not in days or (at.isoweekday() % 7) not in weekdays:
                at = at.replace(hour=0, minute=0, second=0) + timedelta(days=1)
            elif at.hour not in hours:
                at = at.replace(minute=0, second=0) + timedelta(hours=1)
            elif at.minute not in minutes:
                at = at.replace(second=0) + timedelta(minutes=1)
            elif at.second not in seconds:
                at += timedelta(seconds=1)
            else:
                return at
        raise BadSchedule(str(self.fields), "no date matches")


def _field(text: str, name: str, low: int, high: int, whole: str) -> frozenset[int]:
    values: set[int] = set()
    for part in text.split(","):
        span, _, step = part.partition("/")
        if step and not step.isdigit():
            raise BadSchedule(whole, f"{part!r} is not a {name}")
        if span == "*":
            first, last = low, high
        else:
            head, dash, tail = span.partition("-")
            first = _number(head, name, low, high, whole)
            last = _number(tail, name, low, high, whole) if dash else (high if step else first)
        values.update(range(min(first, last), max(first, last) + 1, max(1, int(step or 1))))
    return frozenset(values)


def _number(text: str, name: str, low: int, high: int, whole: str) -> int:
    for n, word in enumerate(_NAMES.get(name, ())):
        if text and word.startswith(text.lower()):
            return n + low
    if not text.isdigit() or not low <= int(text) <= high:
        raise BadSchedule(whole, f"{text!r} is not a {name} ({low}-{high})")
    return int(text)
