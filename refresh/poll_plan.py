"""When to look again: a pure function of what is known, so that waiting can be reasoned about and tested."""

from dataclasses import dataclass

GROWTH = 0.1
"""A wait is a tenth of the time already spent: half a minute late after five minutes is what a person would not see."""


@dataclass(frozen=True)
class Limits:
    """The waits an operator allows, in seconds. Kept in the input of a run, so that a changed setting cannot make
    the replay of a running orchestration differ from its history."""

    poll_min: float = 5
    poll_max: float = 60
    grace: float = 120
    outage: float = 900


def next_wait(spent_seconds: float, limits: Limits) -> float:
    """Seconds until the next look at something that has gone on for `spent_seconds`."""
    return min(max(spent_seconds * GROWTH, limits.poll_min), limits.poll_max)


def backoff(failures: int, limits: Limits) -> float:
    """Seconds until the next try after `failures` failed ones in a row (1 or more): doubling, up to poll_max."""
    return float(min(limits.poll_min * 2 ** min(failures - 1, 10), limits.poll_max))


def rest(failed_tries: int, limits: Limits) -> float:
    """Seconds until a request tries again after its `failed_tries`-th transient failure (1 or more).

    Doubling from poll_max (a minute unless set otherwise) to fifteen times that: what evicted a model or overloaded a
    gateway needs minutes to pass.
    """
    return float(limits.poll_max * min(2 ** (failed_tries - 1), 15))
