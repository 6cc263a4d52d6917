"""Whether a model is fresh: its age, and whether an expected success is overdue."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, TypeAlias

from refresh.models.state import Entry
from refresh.polling.schedule import quantile
from refresh.times import parse_time

Health: TypeAlias = Literal["overdue", "failing", "ok", "unknown"]


@dataclass(frozen=True)
class Durations:
    """Durations of the last completed refreshes, in seconds: the median and the 95th percentile."""

    usual: float
    p95: float
    count: int


def durations(entry: Entry) -> Durations | None:
    """The durations of at most the last twenty runs; None if none of them completed."""
    known = sorted(one.seconds for one in entry.recent if one.seconds is not None)
    if not known:
        return None
    return Durations(round(quantile(known, 0.5), 1), round(quantile(known, 0.95), 1), len(known))


def health_of(entry: Entry, *, overdue: bool) -> Health:
    """The health of the model. Overdue has priority over failing; unknown means that no run has completed or failed
    yet."""
    if overdue:
        return "overdue"
    if entry.failures:
        return "failing"
    return "ok" if entry.success or any(one.status == "Completed" for one in entry.recent) else "unknown"


def in_use(entry: Entry, since: str) -> bool:
    """Whether the model has an active run, or has had news since a time (ISO 8601 UTC)."""
    return entry.active is not None or max(entry.at, entry.known_since) >= since


def due_at(entry: Entry, expected_every_hours: float | None) -> datetime | None:
    """When the model becomes, or became, overdue; None if no success is expected."""
    fresh = parse_time(entry.fresh_at)
    if expected_every_hours is None or fresh is None:
        return None
    return fresh + timedelta(hours=expected_every_hours)


def expected_hours(dataset_id: str, entry: Entry, settings: Mapping[str, float]) -> float | None:
    """How often a success is expected, in hours: the value of the setting if it names the model, otherwise that of the
    last request with `expectedEveryHours`."""
    return settings.get(dataset_id, entry.expected_every_hours)
