"""One refresh. Its whole course is decided when it is created; its state at any later time follows from that."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from dev.power_bi.knobs import Outcome

Json = dict[str, Any]

DAY = timedelta(days=1)
STANDARD_LIMIT = timedelta(hours=5)
SHARED_LIMIT = timedelta(hours=2)


@dataclass
class Refresh:
    """A refresh of one model. All times are true times, without clock skew or visibility delay."""

    request_id: str
    number: int
    """The integer `id` of the history."""
    refresh_type: str
    enhanced: bool
    start: datetime
    seconds: float
    not_started_seconds: float
    outcome: Outcome
    listed_from: datetime | None
    """The time from which the history shows it; None: never."""
    details_from: datetime | None
    external: bool = False
    blocks: bool = True
    """Whether it excludes other refreshes at the same time."""
    type: str = "Full"
    commit_mode: str = "Transactional"
    objects: tuple[Json, ...] = ()
    body: Json = field(default_factory=dict)
    """The body of the POST, unchanged."""
    after: Refresh | None = None
    """The refresh behind which it is queued: the work begins when that refresh ends."""
    begun: datetime | None = None
    """When its turn came, if it was queued."""
    cut: tuple[datetime, Outcome] | None = None
    """When and how a control call or a cancellation ends it. It counts only if it comes before the refresh's own
    end."""

    @property
    def work_starts(self) -> datetime | None:
        """When the work begins; None if that is unknown, because it waits for a refresh that is stuck."""
        origin = self._origin
        return origin and origin + timedelta(seconds=self.not_started_seconds)

    @property
    def end(self) -> datetime | None:
        """When it ends; None: never."""
        own = self._own_end
        if self.cut is None or (own is not None and own <= self.cut[0]):
            return own
        return self.cut[0]

    @property
    def _origin(self) -> datetime | None:
        """Its start; for a queued refresh, the end of the refresh before it."""
        return self.after.end if self.after else self.begun or self.start

    @property
    def _own_end(self) -> datetime | None:
        origin = self._origin
        if origin is None or self.outcome.outcome == "Stuck":
            return None
        return origin + timedelta(seconds=self.seconds)

    @property
    def final(self) -> Outcome:
        """How it ends: the cut counts if it comes before the refresh's own end."""
        own = self._own_end
        if self.cut and (own is None or self.cut[0] < own):
            return self.cut[1]
        return self.outcome

    def settle(self, now: datetime) -> None:
        """Drops the link to the refresh behind which it was queued, once that has ended, so that no chain of links
        grows."""
        if self.after and self.after.has_ended(now):
            self.begun, self.after = self.after.end, None

    def has_ended(self, now: datetime) -> bool:
        """Whether it has ended."""
        end = self.end
        return end is not None and end <= now

    def state(self, now: datetime) -> str:
        """Its true state: NotStarted, InProgress, or the name of the outcome."""
        if self.has_ended(now):
            return self.final.outcome
        work = self.work_starts
        return "InProgress" if work and work <= now else "NotStarted"

    def progress(self, now: datetime) -> float:
        """The elapsed part of its duration, 0 to 1; constant for a stuck refresh."""
        work, end = self.work_starts, self._own_end
        if work is None or now < work:
            return 0.0
        if end is None or end <= work:
            return 0.5
        return min((now - work) / (end - work), 1.0)

    def attempts(self) -> Iterator[tuple[datetime, datetime]]:
        """Start and end of each attempt that ends, in equal parts of the duration; a cut ends the last one."""
        work, own, end = self.work_starts, self._own_end, self.end
        if work is None or end is None:
            return
        count = self.outcome.attempts if own else 1
        length = ((own or end) - work) / count
        for number in range(count):
            start = work + length * number
            if start > end or (start == end and number):
                return
            # the last attempt ends exactly with the refresh, because rounding the parts can miss its end by a
            # microsecond
            yield start, end if number + 1 == count else min(start + length, end)


def limited(outcome: Outcome, seconds: float, limit: timedelta, retries: int) -> tuple[Outcome, float]:
    """The outcome and the seconds of a refresh that may take `limit` for each attempt and a day for all attempts."""
    if outcome.outcome == "Stuck" or seconds <= limit.total_seconds():
        return outcome, seconds
    attempts = retries + 1
    return Outcome("TimedOut", attempts=attempts), min(limit * attempts, DAY).total_seconds()
