"""Times in the forms of the durable protocol: ISO 8601 in UTC with `Z`, and .NET time spans."""

from __future__ import annotations

import functools
from datetime import UTC, datetime, timedelta


@functools.lru_cache(256)  # all events of an episode have the same time
def iso(moment: datetime) -> str:
    """`moment` (UTC) in the form of histories: like .NET, without trailing zeros of the fraction."""
    text = moment.isoformat()  # ends with the zone
    return f"{text[:26].rstrip('0')}Z" if moment.microsecond else f"{text[:19]}Z"


def iso_seconds(moment: datetime) -> str:
    """`moment` with second resolution, in the form of status bodies."""
    return moment.replace(tzinfo=None, microsecond=0).isoformat() + "Z"


def iso_offset(moment: datetime) -> str:
    """`moment` with +00:00 and seven digits, in the form of `ScheduledTime` in history views."""
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond:06d}0+00:00"


def parse(text: str) -> datetime:
    """Parses an ISO time of any precision; a time without zone is UTC. Raises ValueError."""
    moment = datetime.fromisoformat(_six_digits(text.strip()))
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _six_digits(text: str) -> str:
    """Cuts the fraction to the six digits that a datetime has; .NET writes seven."""
    if "." not in text:
        return text
    head, tail = text.split(".", 1)
    digits = len(tail) - len(tail.lstrip("0123456789"))
    return f"{head}.{tail[: min(digits, 6)]}{tail[digits:]}"


def whole_seconds(fire_at: datetime, now: datetime) -> datetime:
    """The time at which Azure Storage delivers a timer: it cuts the delay to whole seconds, so the timer can be up to a
    second early."""
    return now + timedelta(seconds=max(0, int((fire_at - now).total_seconds())))


def exact(fire_at: datetime, now: datetime) -> datetime:
    """A timer policy that delivers neither early nor late."""
    return max(fire_at, now)


POISON_DELAY = timedelta(seconds=5)
"""The pause before a crashed entity batch is repeated. The real host does not pause; the devhost spares the CPU."""
