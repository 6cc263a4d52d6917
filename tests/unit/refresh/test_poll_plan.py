"""Waits follow the time that has been spent, between the limits of the operator."""

from hypothesis import given
from hypothesis import strategies as st

from refresh.poll_plan import Limits, backoff, next_wait

LIMITS = Limits(poll_min=5, poll_max=60)
spans = st.floats(min_value=-1e6, max_value=1e9, allow_nan=False)


def test_a_wait_is_a_tenth_of_the_time_spent() -> None:
    """Half a minute late after five minutes is what a person would not see."""
    assert [next_wait(spent, LIMITS) for spent in (0, 50, 300, 600, 36_000)] == [5, 5, 30, 60, 60]


def test_repeated_failures_double_the_wait() -> None:
    """Up to the longest one, however many there are."""
    assert [backoff(failures, LIMITS) for failures in (1, 2, 3, 4, 5, 1_000_000)] == [5, 10, 20, 40, 60, 60]


@given(spans, spans)
def test_waits_grow_and_keep_the_limits(one: float, other: float) -> None:
    """Also when clocks differ and the time spent is negative."""
    assert LIMITS.poll_min <= next_wait(one, LIMITS) <= LIMITS.poll_max
    shorter, longer = sorted((one, other))
    assert next_wait(shorter, LIMITS) <= next_wait(longer, LIMITS)


def test_fractions_of_seconds_are_kept() -> None:
    """Tests of the whole app run with very short waits."""
    fast = Limits(poll_min=0.01, poll_max=0.05)
    assert next_wait(0, fast) == 0.01
    assert backoff(9, fast) == 0.05
