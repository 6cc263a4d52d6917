"""Times: how they are written and read.

Stored times have one fixed length (`2026-03-31T06:00:00.000Z`), so that they can be compared as strings.
"""

import re
from datetime import UTC, datetime, timedelta, timezone

TIMER_EARLY = timedelta(seconds=1)
"""How much too early a timer may fire."""
AHEAD = timedelta(minutes=5)
"""How far the time in a message to an entity may be ahead of the clock of the entity's host."""

_TIME = re.compile(
    r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:\.(\d{0,12}))?\s*(?:Z|([+-])(\d\d):?(\d\d))?", re.ASCII | re.IGNORECASE
)


def parse_time(value: object) -> datetime | None:
    """A time in UTC; a time without offset counts as UTC. Digits beyond microseconds are dropped.

    None if the text is not a time, and for the year 1, which .NET writes for "never".
    """
    match = _TIME.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        return None
    date, clock, fraction, sign, hours, minutes = match.groups()
    try:
        time = datetime.fromisoformat(f"{date}T{clock}.{(fraction or '0')[:6]:0<6}")
        offset = timedelta(hours=int(hours or 0), minutes=int(minutes or 0))
        time = time.replace(tzinfo=timezone(-offset if sign == "-" else offset)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return time if 1 < time.year < 9999 else None


def iso(time: datetime | None) -> str | None:
    """An aware time in the form of `instant`; None for None."""
    return instant(time) if time else None


def instant(time: datetime) -> str:
    """An aware time as ISO 8601 in UTC with milliseconds and `Z`."""
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def time_of(text: str) -> datetime:
    """A time that `instant` wrote. Raises ValueError if the text is not ISO 8601."""
    return datetime.fromisoformat(text)
