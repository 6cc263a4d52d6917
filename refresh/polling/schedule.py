"""Decides when to look again: a pure function of known facts, so that waits can be reasoned about and tested.

Power BI sends no notification when a refresh ends, so the app has to poll. Without an estimate the waits grow with the
elapsed time. With durations of earlier refreshes, looks are rare far from the usual end, frequent around it, and rarer
again once the refresh is long overdue.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from refresh.polling.limits import Limits

GROWTH = 0.1
"""A wait is a tenth of the elapsed time: after five minutes, a person does not notice half a minute more."""
MIN_DURATIONS = 3
"""The minimum number of earlier refreshes for an estimate: two do not show how much durations vary."""
FAR_GROWTH = 2.5
"""Far before the usual end, a wait is the elapsed time multiplied by this, because most early failures happen within
minutes."""
FAR_SHARE = 1 / 6
"""The longest wait far before the usual end, as a share of the usual duration: one hour for a refresh that takes six
hours."""
NEAR_SHARE = 0.0185
"""Around the usual end, a wait is this share of the usual duration. Together with the time of a call, the wait stays
below 2 %."""
NEAR_LOOKS = 15
"""In the span in which refreshes usually end, a wait is at most poll_max. If that would take more looks than this,
waits are longer: this many looks are spread evenly over the span, at most MAX_SHARE of the usual duration apart."""
MAX_SHARE = 0.02
MARGIN = 1.22
"""Refreshes usually end within a span around the median of the n earlier durations. Its length on each side is the
distance from the median to the 10th or the 90th percentile, times MARGIN * (1 + FEW / n). That factor is 2.4 for three
durations and 1.4 for twenty. `dev.py bench polling` measures the effect of all these values."""
FEW = 3
MIN_MARGIN = 0.03
"""The minimum length of that span on each side, as a share of the usual duration, even if all earlier durations were
equal."""
MAX_LATEST = 1.3
"""The maximum of `Expectation.latest`, as a multiple of the usual duration, even if individual refreshes took
longer."""


@dataclass(frozen=True)
class Expectation:
    """When a refresh usually ends, in seconds after its start: rarely before `earliest`, mostly by `latest`."""

    earliest: float
    usual: float
    latest: float


def next_wait(spent_seconds: float, limits: Limits) -> float:
    """Seconds until the next look at something that has taken `spent_seconds` so far, without an estimate."""
    return min(max(spent_seconds * GROWTH, limits.poll_min), limits.poll_max)


def expectation(durations: Sequence[float]) -> Expectation | None:
    """When a refresh ends if it resembles the earlier ones with these durations; None if there are too few.

    It uses the median and the 10th and 90th percentiles, so that a single refresh that took three times as long changes
    little.
    """
    if len(durations) < MIN_DURATIONS:
        return None
    known = sorted(durations)
    usual = quantile(known, 0.5)
    margin = MARGIN * (1 + FEW / len(known))
    earliest = usual - max(margin * (usual - quantile(known, 0.1)), usual * MIN_MARGIN)
    latest = usual + max(margin * (quantile(known, 0.9) - usual), usual * MIN_MARGIN)
    return Expectation(max(earliest, 0.0), usual, min(latest, usual * MAX_LATEST))


def planned_wait(spent_seconds: float, durations: Sequence[float], limits: Limits) -> float:
    """Seconds until the next look at a refresh that began `spent_seconds` ago, if earlier ones took `durations`.

    With too few durations it is `next_wait`. The wait is never less than poll_min. The wait that contains the usual end
    is never more than poll_max. The same holds for each wait in the span in which refreshes usually end, unless that
    span is longer than NEAR_LOOKS times poll_max.
    """
    expected = expectation(durations)
    if expected is None:
        return next_wait(spent_seconds, limits)
    spent = max(spent_seconds, 0.0)
    pace = _pace(expected, limits)
    longest = max(expected.usual * FAR_SHARE, limits.poll_max)
    # from here on, looks are one `pace` apart; this is the time of the first one, chosen so that one of the looks comes
    # just after `expected.latest`
    first = expected.latest + pace / 10 - pace * -(-(expected.latest - expected.earliest) // pace)
    first = min(first, expected.usual)
    if spent < first:
        far = max(min(spent * FAR_GROWTH, longest), next_wait(spent, limits))
        return _not_past(spent, far, first, limits)
    if pace > limits.poll_max and spent < expected.usual + limits.poll_max / 2:
        # the wait that contains the usual end
        around = expected.usual - limits.poll_max / 2
        return limits.poll_max if spent >= around - 1 else _not_past(spent, pace, around, limits)
    if spent > expected.latest:
        overdue = min((spent - expected.latest) / 2, spent * GROWTH, longest)
        return max(pace, overdue)
    return pace


def backoff(failures: int, limits: Limits) -> float:
    """Seconds until the next try after `failures` failures in a row (1 or more): doubles, up to poll_max."""
    return float(min(limits.poll_min * 2 ** min(failures - 1, 10), limits.poll_max))


def pause_before_attempt(failed_attempts: int, limits: Limits) -> float:
    """Seconds until a request tries again after its `failed_attempts`-th transient failure (1 or more).

    Doubles from poll_max (a minute by default) to fifteen times that: an evicted model or an overloaded gateway needs
    minutes to recover.
    """
    return float(limits.poll_max * min(2 ** (failed_attempts - 1), 15))


def quantile(ordered: Sequence[float], share: float) -> float:
    """The value at this share of the ordered values, interpolated between neighbours."""
    place = share * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def _pace(expected: Expectation, limits: Limits) -> float:
    """The wait in the span in which refreshes usually end."""
    pace = expected.usual * NEAR_SHARE
    if pace > limits.poll_max:
        spread = expected.latest - expected.earliest
        pace = max(min(spread / NEAR_LOOKS, expected.usual * MAX_SHARE), limits.poll_max)
    return max(pace, limits.poll_min)


def _not_past(spent: float, wait: float, at: float, limits: Limits) -> float:
    """The wait, changed to end at `at` if it would otherwise end later or only shortly before."""
    gap = at - spent
    return max(gap, limits.poll_min) if wait > gap - limits.poll_min else wait
