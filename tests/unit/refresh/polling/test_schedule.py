"""Waits depend on the elapsed time and on the durations of earlier refreshes, within the limits of the settings."""

import random
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from dev.bench.polling_run import HIDDEN_SECONDS, ONE_WAY_SECONDS, duration
from refresh.polling.limits import Limits
from refresh.polling.schedule import (
    FAR_SHARE,
    MIN_DURATIONS,
    NEAR_LOOKS,
    backoff,
    expectation,
    next_wait,
    pause_before_attempt,
    planned_wait,
    quantile,
)

LIMITS = Limits(poll_min=5, poll_max=60)
CLOSE = 1 + 1e-6
"""The tolerance for sums of floats, as a factor."""
SELECTIVE = settings(suppress_health_check=[HealthCheck.filter_too_much])
"""For a test with `assume`: the share of the examples that it drops is a matter of chance and is no failure."""
spans = st.floats(min_value=-1e6, max_value=1e9, allow_nan=False)
histories = st.lists(st.floats(min_value=0.1, max_value=86_400), max_size=20)
alike = st.tuples(
    st.floats(min_value=20, max_value=86_400), st.lists(st.floats(0.9, 1.1), min_size=MIN_DURATIONS, max_size=20)
).map(lambda drawn: [drawn[0] * part for part in drawn[1]])
limits = st.tuples(st.floats(0.01, 60), st.floats(1, 20)).map(
    lambda drawn: Limits(poll_min=drawn[0], poll_max=drawn[0] * drawn[1])
)


def looks(durations: list[float], until: float, at: Limits = LIMITS) -> list[float]:
    """The times of the looks, up to the first one after this many seconds."""
    times = [at.poll_min]
    while times[-1] < until:
        times.append(times[-1] + planned_wait(times[-1], durations, at))
    return times


def test_a_wait_is_a_tenth_of_the_time_spent() -> None:
    """Without earlier refreshes, a wait is a tenth of the elapsed time. After five minutes, a delay of half a minute is
    hardly noticeable."""
    assert [next_wait(spent, LIMITS) for spent in (0, 50, 300, 600, 36_000)] == [5, 5, 30, 60, 60]


def test_repeated_failures_double_the_wait() -> None:
    """The waits grow up to the longest wait, no matter how many failures there are."""
    assert [backoff(failures, LIMITS) for failures in (1, 2, 3, 4, 5, 1_000_000)] == [5, 10, 20, 40, 60, 60]


def test_the_pauses_between_attempts_of_a_request_grow() -> None:
    """The pauses grow from poll_max to fifteen times poll_max, because the cause of an eviction lasts for minutes."""
    pauses = [pause_before_attempt(failed, LIMITS) for failed in (1, 2, 3, 4, 5, 100)]
    assert pauses == [60, 120, 240, 480, 900, 900]


@given(spans, spans)
def test_waits_grow_and_keep_the_limits(one: float, other: float) -> None:
    """The waits grow and keep the limits even if clocks differ and the elapsed time is negative."""
    assert LIMITS.poll_min <= next_wait(one, LIMITS) <= LIMITS.poll_max
    shorter, longer = sorted((one, other))
    assert next_wait(shorter, LIMITS) <= next_wait(longer, LIMITS)


def test_fractions_of_seconds_are_kept() -> None:
    """Waits may have fractions of seconds: tests of the whole app run with very short waits."""
    fast = Limits(poll_min=0.01, poll_max=0.05)
    assert next_wait(0, fast) == 0.01
    assert backoff(9, fast) == 0.05
    assert planned_wait(1.0, [1.0, 1.0, 1.1], fast) == pytest.approx(0.0185)


@given(spans, st.lists(st.floats(0.1, 86_400), max_size=MIN_DURATIONS - 1), limits)
def test_too_few_earlier_refreshes_are_ignored(spent: float, durations: list[float], at: Limits) -> None:
    """Two refreshes do not show how much durations vary."""
    assert expectation(durations) is None
    assert planned_wait(spent, durations, at) == next_wait(spent, at)


@given(histories.filter(lambda known: len(known) >= MIN_DURATIONS))
def test_the_usual_end_is_the_median(durations: list[float]) -> None:
    """The usual end is the median, between an early and a late end, in any order of the history."""
    expected = expectation(durations)
    assert expected is not None
    assert 0 <= expected.earliest <= expected.usual <= expected.latest <= 1.3 * expected.usual
    assert expected == expectation(sorted(durations, reverse=True))
    assert expected.usual == pytest.approx(quantile(sorted(durations), 0.5))


def test_single_refreshes_that_took_far_longer_change_little() -> None:
    """If one of ten refreshes took ten times as long, the estimate changes little."""
    plain, odd = expectation([600.0 + n for n in range(10)]), expectation([600.0 + n for n in range(9)] + [6_000.0])
    assert plain is not None
    assert odd is not None
    assert odd.usual == plain.usual
    assert odd.earliest == pytest.approx(plain.earliest, rel=0.01)
    assert odd.latest <= 1.3 * odd.usual


@given(spans, histories, limits)
def test_a_planned_wait_keeps_its_bounds(spent: float, durations: list[float], at: Limits) -> None:
    """A wait is at least POLL_MIN, and at most the longer of a sixth of the usual time and POLL_MAX, plus POLL_MIN."""
    wait = planned_wait(spent, durations, at)
    usual = quantile(sorted(durations), 0.5) if durations else 0
    assert wait >= at.poll_min
    assert wait <= (max(usual * FAR_SHARE, at.poll_max) + at.poll_min) * CLOSE


@SELECTIVE
@given(histories, limits)
def test_the_wait_around_the_usual_end_is_at_most_poll_max(durations: list[float], at: Limits) -> None:
    """The wait around the usual end is at most POLL_MAX, however much earlier refreshes vary."""
    expected = expectation(durations)
    assume(expected is not None and expected.usual <= 5_000 * at.poll_min)
    assert expected is not None
    times = looks(durations, expected.usual, at)
    assume(len(times) > 1)
    assert times[-1] - times[-2] <= at.poll_max * CLOSE


@SELECTIVE
@given(alike, limits)
def test_in_the_span_of_usual_ends_every_wait_is_at_most_poll_max(durations: list[float], at: Limits) -> None:
    """If the ends of earlier refreshes vary by at most fifteen times POLL_MAX, every wait in their span is at most
    POLL_MAX."""
    expected = expectation(durations)
    assert expected is not None
    assume(expected.latest - expected.earliest <= NEAR_LOOKS * at.poll_max and expected.usual <= 5_000 * at.poll_min)
    times = looks(durations, expected.latest, at)
    near = [then - now for now, then in pairwise(times) if now >= expected.earliest]
    assert all(wait <= at.poll_max * CLOSE for wait in near)


@pytest.mark.parametrize("usual", [20, 300, 3_600, 21_600, 86_000])
def test_an_early_end_is_noticed_in_time(usual: float) -> None:
    """An early end is noticed within 2.5 times its duration, and within a sixth of the usual time."""
    times = looks([usual * part for part in (0.9, 1, 1.1)], usual)
    for now, then in pairwise(times):
        assert then - now <= max(2.5 * now, 5) + 5
        assert then - now <= max(usual / 6, 60) + 5


@pytest.mark.parametrize("usual", [20, 300, 3_600, 21_600])
def test_an_overdue_refresh_is_read_less_and_less_often(usual: float) -> None:
    """The waits for an overdue refresh grow until it has taken three times as long. They are never longer than before
    the usual end."""
    times = looks([usual * part for part in (0.9, 1, 1.1)], 3 * usual)
    overdue = [then - now for now, then in pairwise(times) if now > 1.3 * usual]
    assert overdue == sorted(overdue)
    assert overdue[-1] <= max(usual / 6, 60)


def polled(seed: int, usual: float, earlier: int) -> tuple[int, float]:
    """The calls from the POST on and the delay, measured like `dev.bench.polling_run`, but with only the schedule."""
    chance = random.Random(f"plan {seed} {usual}")  # noqa: S311
    durations = [duration(chance, usual) for _ in range(earlier)]
    ends, visible = duration(chance, usual), chance.uniform(0, HIDDEN_SECONDS)
    now, calls, wait = chance.uniform(*ONE_WAY_SECONDS), 1, LIMITS.poll_min
    while True:
        read_at = now + wait + chance.uniform(*ONE_WAY_SECONDS)
        now, calls = read_at + chance.uniform(*ONE_WAY_SECONDS), calls + 1
        if read_at >= max(ends, visible):
            return calls, now - ends
        wait = planned_wait(now, durations, LIMITS)


@pytest.mark.parametrize("earlier", [20, 10])
@pytest.mark.parametrize("usual", [20, 300, 3_600, 21_600])
def test_a_known_refresh_takes_few_calls_and_a_short_delay(usual: float, earlier: int) -> None:
    """With twenty earlier refreshes, 95 of 100 refreshes take at most 30 calls and are noticed at most 5 seconds or 2 %
    late.

    With ten earlier ones, it may be a tenth more. `dev.py bench polling` measures the app as a whole.
    """
    found = [polled(seed, usual, earlier) for seed in range(1_000)]
    calls, late = sorted(calls for calls, _ in found), sorted(late for _, late in found)
    more = 1.0 if earlier == 20 else 1.1
    assert quantile(calls, 0.95) <= 30 * more
    assert quantile(late, 0.95) <= max(5.0, 0.02 * usual) * more
    assert calls[-1] <= 50


def test_without_history_it_takes_many_calls() -> None:
    """The number of calls without a history shows what the schedule saves, and that the measurement distinguishes good
    from bad."""
    found = [polled(seed, 3_600, 0) for seed in range(20)]
    assert min(calls for calls, _ in found) > 60
