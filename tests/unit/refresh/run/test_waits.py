"""A run bases its waits on earlier refreshes, but not so much that it would miss an event."""

from datetime import datetime, timedelta

import pytest

from durable.codec import decode, encode
from refresh.history.look import ExternalRefresh, Look
from refresh.history.progress import Progress
from refresh.queue.answers import Done
from refresh.queue.operations import WaitBehind
from refresh.run.orders import (
    Accepted,
    Appeared,
    CancelAccepted,
    CancelRefresh,
    HistoryRead,
    ReadHistory,
    ReadRefresh,
    RefreshRead,
    Throttled,
)
from refresh.run.state import Finishing, Looking, Polling, Reopening, RunState
from refresh.scope.scope import Scope
from refresh.times import instant
from tests.unit.refresh.run.incarnations import BLOCKER, ENHANCED, NOON, STANDARD, Incarnation

HOURS = (6 * 3600.0, 6.1 * 3600, 5.9 * 3600)
"""Durations of earlier refreshes: about six hours."""


def posted(estimate: tuple[float, ...], scope: Scope = STANDARD, *, adopted: bool = False) -> Incarnation:
    """A run up to the first read of its refresh, with these durations of earlier refreshes."""
    return Incarnation().until_polling(scope, adopted=adopted, estimate=estimate)


def test_a_refresh_that_usually_takes_hours_is_read_rarely() -> None:
    """The refresh is read once a minute only around its estimated end, which the status shows."""
    run = posted(HOURS).answer_read("Unknown")
    waits = []
    began = run.run.followed.posted_at
    assert run.status.expected_end == instant(NOON + timedelta(seconds=2, hours=6))
    while run.now - NOON < timedelta(hours=6, minutes=10):
        before = run.now
        run.wait().answer_read("Unknown")
        waits.append((before, (run.now - before).total_seconds()))
    assert len(waits) < 30
    assert max(wait for _, wait in waits) <= 3_600
    usual_end = NOON + timedelta(seconds=2, hours=6)
    around = [wait for at, wait in waits if at <= usual_end < at + timedelta(seconds=wait)]
    assert around[0] <= 61
    assert run.run.followed.posted_at == began


def test_without_history_there_is_no_estimate() -> None:
    """Two earlier refreshes are not enough for an estimate."""
    run = posted(HOURS[:2]).answer_read("Unknown")
    assert run.status.expected_end is None
    waits = []
    for _ in range(60):
        before = run.now
        run.wait().answer_read("Unknown")
        waits.append((run.now - before).total_seconds())
    assert waits[-1] == 60


def test_the_estimate_survives_histories_and_restarts() -> None:
    """The queue stores the estimate with the look before the POST."""
    run = posted(HOURS).answer_read("Unknown").continued()
    assert run.run.followed.durations == HOURS
    look = Look(service_time=instant(NOON), read_at=instant(NOON), durations=HOURS)
    again = Incarnation(NOON + timedelta(hours=1), number=2)
    again.answer_claim(permit=1, closed=True, look=look, refresh_id="r", posted_at=instant(NOON)).answer_read("Unknown")
    assert again.seconds > 60
    assert again.status.expected_end == instant(NOON + timedelta(hours=6))


def test_a_dropped_refresh_is_noticed_at_the_end_of_the_grace() -> None:
    """Until a refresh has been seen, the estimate does not matter, whatever the usual duration is."""
    run = posted(HOURS)
    posted_at = run.now - timedelta(seconds=5)
    reads = 0
    while run.answer_absent().phase is Polling:
        run.wait()
        reads += 1
        assert reads < 10
    assert timedelta(seconds=120) <= run.now - posted_at <= timedelta(seconds=126)
    run.answer_reopen().wait()
    assert (run.run.refresh, run.run.look, run.phase) == (None, None, Looking)


def test_a_refresh_that_was_not_seen_during_an_outage_is_read_soon_after() -> None:
    """The grace may have passed during an outage, so the refresh is read soon after it."""
    run = posted(HOURS).answer_unavailable(ReadRefresh).wait()
    run.now += timedelta(minutes=10)
    assert run.answer_absent(NOON).wait(5).answer_absent().phase is Reopening


def test_a_refresh_is_given_up_in_time() -> None:
    """A refresh is given up after thirty hours, not hours later, although a wait could be that long."""
    run = posted((86_000.0,) * 5).answer_read("Unknown")
    while run.phase is not Finishing:
        run.wait().answer_read("Unknown")
    run.check_outcome("OutcomeUnknown", "RefreshNeverEnded")
    assert timedelta(hours=30) <= run.now - NOON <= timedelta(hours=30, minutes=1)


def test_a_cancelled_refresh_is_read_without_delay() -> None:
    """The end of a cancelled refresh is near, even if its usual end is not."""
    run = Incarnation().until_cancelling(ENHANCED, HOURS)
    run.wait(5).answer(CancelRefresh, CancelAccepted())
    for _ in range(60):
        assert run.seconds <= 60
        run.wait().answer_read("Unknown")
    assert run.status.expected_end is None


@pytest.mark.parametrize("started", [NOON - timedelta(hours=5), NOON + timedelta(hours=1), None])
def test_an_adopted_refresh_began_before_it_was_found(started: datetime | None) -> None:
    """The estimate counts from the start in the row of the refresh, if it has one."""
    run = posted(HOURS, adopted=True).answer_read("Unknown", start=started)
    found = NOON + timedelta(seconds=2)
    began = started if started and started < found else found
    assert run.status.expected_end == instant(began + timedelta(hours=6))


def test_a_refresh_of_our_own_began_when_it_was_accepted() -> None:
    """The estimate counts from the POST by our clock, because the service's clock may be wrong by minutes."""
    run = posted(HOURS).answer_read("Unknown", start=NOON - timedelta(minutes=10))
    assert run.run.followed.began_at == run.run.followed.posted_at


@pytest.mark.parametrize("began", ["0001-01-01T00:00:00", "9999-12-31T23:59:59Z", "yesterday", ""])
def test_an_impossible_start_is_ignored(began: str) -> None:
    """An impossible start is ignored, because an estimate must not end a run."""
    run = posted(HOURS, adopted=True).answer(ReadRefresh, RefreshRead(began_at=began))
    assert run.run.followed.began_at == run.run.followed.posted_at
    assert run.status.expected_end == instant(NOON + timedelta(seconds=2, hours=6))


def test_the_waits_for_an_external_refresh_follow_earlier_ones() -> None:
    """The waits are counted from the start of the external refresh, by the service's own clock. They are never very
    long, because callers wait."""
    run = Incarnation(NOON + timedelta(minutes=1)).answer_claim().answer_history(BLOCKER, durations=HOURS).wait(5)
    waits: list[float] = []
    while run.answer_history(BLOCKER, durations=HOURS).phase is Looking:
        waits.append(run.seconds)
        run.wait()
    assert max(waits) == 600
    assert len(waits) < 15
    # the hour after which the run posts anyway still applies
    assert timedelta(minutes=60) <= run.now - NOON - timedelta(minutes=1) <= timedelta(minutes=60, seconds=10)


def test_the_end_of_an_external_refresh_is_noticed_soon() -> None:
    """When the run first sees an external refresh, most of its time may have passed."""
    durations = (600.0, 605.0, 610.0)
    run = Incarnation(NOON + timedelta(minutes=9)).answer_claim().answer_history(BLOCKER, durations=durations).wait(5)
    while run.now < NOON + timedelta(seconds=620):
        run.answer_history(BLOCKER, durations=durations)
        before = run.now
        run.wait()
        assert run.now - before <= timedelta(seconds=60)


@pytest.mark.parametrize("service_time", [instant(NOON), "no time"])
def test_without_a_start_an_external_refresh_has_no_estimate(service_time: str) -> None:
    """A refresh without a start may just have been accepted. There is also no estimate if the service's clock is not
    known."""
    blocker = BLOCKER if service_time == "no time" else ExternalRefresh(refresh_id="theirs")
    run = Incarnation().answer_claim()
    for number in range(2):
        look = Look(service_time=service_time, read_at=instant(run.now))
        run.answer(ReadHistory, HistoryRead(look=look, running=blocker, durations=HOURS))
        if number == 0:
            run.answer(WaitBehind, Done())
        assert run.seconds == 5
        run.wait()


def test_progress_is_shown_until_the_refresh_is_over_or_given_up() -> None:
    """The status shows the progress of the last successful read."""
    progress = Progress(objects=2, by_status={"InProgress": 2}, tables=(), more_tables=0)
    run = posted(HOURS, ENHANCED).answer_read("Unknown", progress)
    assert run.status.progress == progress
    run.continued().answer_unavailable(ReadRefresh)
    assert run.status.progress == progress
    assert run.wait().answer_read("Unknown").status.progress is None


def test_a_throttled_read_waits_for_the_given_pause() -> None:
    """The run waits for the given pause, not for the planned time. The throttle does not count as a failure."""
    run = posted(HOURS).answer_read("Unknown").wait().answer(ReadRefresh, Throttled(seconds=77, error="HTTP 429"))
    assert (run.seconds, run.run.calls.failures) == (77, 0)


def test_a_throttle_without_a_time_backs_off() -> None:
    """If no pause is given, the waits grow. A throttle is not an outage: the request ends only at its own deadline."""
    run, waits = Incarnation().answer_claim(), list[float]()
    for _ in range(60):
        run.answer(ReadHistory, Throttled(error="HTTP 430"))
        waits.append(run.seconds)
        run.wait()
    assert waits[:5] == [5, 10, 20, 40, 60]
    assert set(waits[4:]) == {60}
    assert run.phase is Looking
    assert run.run.calls.failing_since is None
    assert run.answer_history().run.calls.failures == 0


def test_waits_for_a_throttled_post_grow_too() -> None:
    """The waits grow, although the history can be read between two POSTs."""
    run, waits = Incarnation().until_permitted(), list[float]()
    for _ in range(60):
        run.answer_post(Throttled(error="HTTP 430")).answer_reopen()
        waits.append(run.seconds)
        run.wait().answer_history().wait().answer_close()
    assert waits[:5] == [5, 10, 20, 40, 60]
    assert set(waits[4:]) == {60}
    run.answer_post(Accepted(refresh_id="r"))
    assert run.run.posts.failures == 0


def test_a_state_without_an_estimate_is_read() -> None:
    """A state of older code has no estimate, and keeps its waits."""
    run = posted(HOURS).answer_read("Unknown")
    stored = encode(run.run)
    del stored["refresh"]["durations"]
    run.run = decode(stored, RunState)
    assert run.run.followed.durations == ()
    run.wait().answer_read("Unknown")
    assert run.seconds <= 60


def test_a_run_continues_with_its_wait() -> None:
    """A new history does not shorten the wait."""
    run = posted(HOURS).answer_read("Unknown")
    seconds = run.seconds
    before = run.now
    run.continued()
    assert (run.now - before).total_seconds() == seconds
    assert run.phase is Polling


def test_an_adopted_refresh_has_the_estimate_of_ours() -> None:
    """An adopted refresh is equivalent to ours, so it has the same estimate."""
    run = Incarnation().until_permitted(STANDARD, HOURS).answer_post(Appeared(refresh_id="r"))
    assert run.run.followed.durations == HOURS
