"""What `dev.py bench polling` compares: ways to poll, the measurements of many refreshes, and the target."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from dev.bench.polling_run import EARLIER, Followed, follow
from refresh.polling.limits import Limits
from refresh.polling.schedule import quantile

DURATIONS = {"20 s": 20.0, "5 min": 300.0, "1 h": 3600.0, "6 h": 6 * 3600.0}
MAX_CALLS = 30
CALLS_PER_ROW = 15_000
"""Limits the work for one row: a way that makes many calls, such as polling every second for six hours, is measured
with fewer refreshes."""
MIN_REFRESHES = 2

RunMany = Callable[[Callable[[int], Followed], int], Sequence[Followed]]
"""Calls a function with the seeds 0 to n - 1 and returns the results."""


@dataclass(frozen=True)
class Way:
    """A way to poll: the limits of the settings, and the number of earlier refreshes in the history."""

    name: str
    limits: Limits
    earlier: int

    def estimated_calls(self, duration: float) -> float:
        """About how many calls a refresh of this many seconds takes."""
        if self.earlier:
            return MAX_CALLS
        return duration / self.limits.poll_max + (0 if self.limits.poll_min == self.limits.poll_max else MAX_CALLS)


WITH_HISTORY = Way(f"schedule, {EARLIER} earlier", Limits(), EARLIER)
WITHOUT_HISTORY = Way("schedule, no history", Limits(), 0)
FIXED = [Way(f"every {pace} s", Limits(poll_min=pace, poll_max=pace), 0) for pace in (1, 10, 30, 60)]
WAYS = [WITH_HISTORY, WITHOUT_HISTORY, *FIXED]


@dataclass(frozen=True)
class Measured:
    """Calls and delays (seconds) of many refreshes of one duration, polled in one way. Both lists are sorted."""

    duration: str
    way: Way
    calls: list[int]
    delays: list[float]

    @property
    def seconds(self) -> float:
        """Typical duration of these refreshes in seconds."""
        return DURATIONS[self.duration]

    @property
    def on_target(self) -> bool:
        """True if in 95 of 100 cases at most MAX_CALLS calls were made and the delay was at most `max_delay`."""
        return quantile(self.calls, 0.95) <= MAX_CALLS and quantile(self.delays, 0.95) <= max_delay(self.seconds)


def max_delay(duration: float) -> float:
    """Seconds after its end by which the outcome of a refresh should be known."""
    return max(5.0, 0.02 * duration)


def measure(duration: str, way: Way, refreshes: int, run_many: RunMany) -> Measured:
    """Follows up to `refreshes` refreshes, each with a seed of its own."""
    seconds = DURATIONS[duration]
    count = max(min(refreshes, int(CALLS_PER_ROW / way.estimated_calls(seconds))), MIN_REFRESHES)
    found = run_many(partial(follow, usual=seconds, limits=way.limits, earlier=way.earlier), count)
    return Measured(duration, way, sorted(one.calls for one in found), sorted(one.delay for one in found))


def one_by_one(one: Callable[[int], Followed], count: int) -> list[Followed]:
    """A RunMany that calls the function in this process, one call after the other."""
    return [one(seed) for seed in range(count)]


def seconds_text(value: float) -> str:
    """A duration as text: `4.2 s`, `250 s`, `12 min`."""
    if value < 100:
        return f"{value:.1f} s"
    return f"{value:.0f} s" if value < 600 else f"{value / 60:.0f} min"
