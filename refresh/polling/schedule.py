"""When to look again: a pure function of what is known, so that waiting can be reasoned about and tested.

Nobody is told when a refresh ends, so it is looked at again and again. Without knowledge the waits grow with the time
that it has gone on. With the durations of earlier refreshes there are few looks far from the usual end, many around
it, and ever fewer once it is long overdue.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from refresh.polling.limits import Limits

GROWTH = 0.1
"""A wait is a tenth of the time already spent: half a minute late after five minutes is what a person would not see."""
ENOUGH = 3
"""Earlier refreshes below which there is no usual end: two do not tell how much they differ."""
FAR_GROWTH = 2.5
"""Far before the usual end a wait is so many times the time spent: most that fails early fails in the first minutes."""
FAR_SHARE = 1 / 6
"""And no wait is longer than this part of the usual duration: an hour for six hours, if it fails half-way."""
NEAR_SHARE = 0.0185
"""Where ends are usual a wait is this part of the usual duration: with the time of a call it stays below 2 %."""
NEAR_LOOKS = 15
"""If that is more than poll_max, it is poll_max, unless ends differ by more than so many of them: then they are spread
evenly, by at most MOST_SHARE of the usual duration."""
MOST_SHARE = 0.02
MARGIN = 1.22
"""Ends are usual as far from the median as the outer tenths of the earlier ones, times this; a little farther (FEW) the
fewer there are. Chosen with `dev.py bench polling`, like all of these."""
FEW = 3
LEAST_MARGIN = 0.03
"""Of the usual duration, even if the earlier ones were all alike."""
MOST_LATE = 1.3
"""Times the usual duration: later ends are not usual, whatever single ones have taken."""


@dataclass(frozen=True)
class Expectation:
    """When a refresh usually ends, in seconds after it began: hardly before `early`, mostly until `late`."""

    early: float
    usual: float
    late: float


def next_wait(spent_seconds: float, limits: Limits) -> float:
    """Seconds until the next look at something that has gone on for `spent_seconds`, with nothing else known."""
    return min(max(spent_seconds * GROWTH, limits.poll_min), limits.poll_max)


def expectation(durations: Sequence[float]) -> Expectation | None:
    """When a refresh ends if it is like the earlier ones, whose durations are given; None if they are too few.

    Median and outer tenths, so that one that took three times as long changes little.
    """
    if len(durations) < ENOUGH:
        return None
    known = sorted(durations)
    usual = quantile(known, 0.5)
    margin = MARGIN * (1 + FEW / len(known))
    early = usual - max(margin * (usual - quantile(known, 0.1)), usual * LEAST_MARGIN)
    late = usual + max(margin * (quantile(known, 0.9) - usual), usual * LEAST_MARGIN)
    return Expectation(max(early, 0.0), usual, min(late, usual * MOST_LATE))


def planned_wait(spent_seconds: float, durations: Sequence[float], limits: Limits) -> float:
    """Seconds until the next look at a refresh that began `spent_seconds` ago, when earlier ones took `durations`.

    Without enough of them it is `next_wait`. Never less than poll_min. The wait in which the usual end lies is never
    more than poll_max, nor is any where ends are usual, unless these differ by more than NEAR_LOOKS times poll_max.
    """
    expected = expectation(durations)
    if expected is None:
        return next_wait(spent_seconds, limits)
    spent = max(spent_seconds, 0.0)
    pace = _pace(expected, limits)
    most = max(expected.usual * FAR_SHARE, limits.poll_max)
    # the first of the looks a pace apart of which the last comes just after the late end
    first = expected.late + pace / 10 - pace * -(-(expected.late - expected.early) // pace)
    first = min(first, expected.usual)
    if spent < first:
        far = max(min(spent * FAR_GROWTH, most), next_wait(spent, limits))
        return _not_past(spent, far, first, limits)
    if pace > limits.poll_max and spent < expected.usual + limits.poll_max / 2:
        # the pause in which the usual end lies
        around = expected.usual - limits.poll_max / 2
        return limits.poll_max if spent >= around - 1 else _not_past(spent, pace, around, limits)
    if spent > expected.late:
        overdue = min((spent - expected.late) / 2, spent * GROWTH, most)
        return max(pace, overdue)
    return pace


def backoff(failures: int, limits: Limits) -> float:
    """Seconds until the next try after `failures` failed ones in a row (1 or more): doubling, up to poll_max."""
    return float(min(limits.poll_min * 2 ** min(failures - 1, 10), limits.poll_max))


def pause_before_attempt(failed_attempts: int, limits: Limits) -> float:
    """Seconds until a request tries again after its `failed_attempts`-th passing failure (1 or more).

    Doubling from poll_max (a minute unless set otherwise) to fifteen times that: what evicted a model or overloaded a
    gateway needs minutes to pass.
    """
    return float(limits.poll_max * min(2 ** (failed_attempts - 1), 15))


def quantile(ordered: Sequence[float], share: float) -> float:
    """The value below which that share of the ordered values lies, between two of them in proportion."""
    place = share * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def _pace(expected: Expectation, limits: Limits) -> float:
    """The wait where ends are usual."""
    pace = expected.usual * NEAR_SHARE
    if pace > limits.poll_max:
        spread = expected.late - expected.early
        pace = max(min(spread / NEAR_LOOKS, expected.usual * MOST_SHARE), limits.poll_max)
    return max(pace, limits.poll_min)


def _not_past(spent: float, wait: float, at: float, limits: Limits) -> float:
    """A wait that ends at a moment to look at, if it would end after it or shortly before."""
    gap = at - spent
    return max(gap, limits.poll_min) if wait > gap - limits.poll_min else wait
