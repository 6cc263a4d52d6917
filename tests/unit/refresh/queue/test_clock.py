"""A queue uses the time of its senders, within limits: a wrong clock neither keeps everything nor expires it."""

from datetime import timedelta

import pytest

from refresh.queue.answers import Ended
from refresh.queue.machine import apply
from refresh.queue.memory import FROM_THE_FUTURE
from refresh.queue.operations import Tidy
from refresh.queue.state import Queue
from refresh.times import AHEAD, instant
from tests.unit.refresh.queue.queues import NOON, CheckedQueue


@pytest.fixture
def queue() -> CheckedQueue:
    """A queue in which one request has its outcome, another has not collected it, and a third was cancelled."""
    queue = CheckedQueue()
    queue.finish(queue.enroll_and_post("a", "b"))
    queue.enroll("a")
    queue.ask_to_leave("c")
    return queue


def test_the_queue_takes_the_time_of_its_senders(queue: CheckedQueue) -> None:
    """The latest time of all senders counts. So a late duplicate gets the same time as the first message."""
    queue.clock = NOON + timedelta(minutes=3)
    queue.later(minutes=2).tidy()
    assert queue.state.at == queue.at
    queue.later(minutes=-1).tidy()
    assert queue.state.at == instant(NOON + timedelta(minutes=2))


@pytest.mark.parametrize("ahead", [timedelta(hours=1), timedelta(days=2), timedelta(days=36_500)])
def test_a_sender_whose_clock_is_ahead_expires_nothing(queue: CheckedQueue, ahead: timedelta) -> None:
    """The time of a sender counts as at most a few minutes ahead, so no entry expires too early."""
    queue.clock = NOON
    queue.now = NOON + ahead
    queue.tidy()
    assert queue.state.at == instant(NOON + AHEAD)
    queue.now = NOON
    assert isinstance(queue.enroll("a"), Ended)
    assert isinstance(queue.enroll("b"), Ended)
    assert queue.enroll_ok("c").leaving


def test_entries_of_a_clock_that_is_ahead_expire_in_time(queue: CheckedQueue) -> None:
    """Entries of a sender whose clock is ahead do not stay until the time on its clock."""
    queue.clock = NOON
    queue.now = NOON + timedelta(days=400)
    queue.leave("d")
    queue.ask_to_leave("e")
    assert queue.state.departed["d"].at == queue.state.pending_cancellations["e"] == instant(NOON + AHEAD)
    queue.enroll("f")
    assert queue.runs[0].members["f"].since == instant(NOON + AHEAD)
    queue.clock = None
    queue.now = NOON + AHEAD + timedelta(minutes=31)
    queue.tidy()
    assert set(queue.state.departed) == set(queue.state.pending_cancellations) == set()


def test_a_queue_recovers_from_two_clocks_that_are_ahead(queue: CheckedQueue) -> None:
    """The host and a sender were a year ahead. Entries from this time expire at once, instead of staying for a year."""
    queue.later(days=365).leave("d")
    queue.ask_to_leave("x")
    queue.enroll("e")
    assert (set(queue.state.departed), set(queue.state.pending_cancellations)) == ({"d"}, {"x"})
    queue.now = NOON + timedelta(minutes=1)
    queue.tidy()
    assert queue.state.at == instant(queue.now + AHEAD)
    assert (queue.state.departed, queue.state.pending_cancellations) == ({}, {})
    assert queue.members == [["e"]]


def test_a_host_whose_clock_is_behind_expires_nothing(queue: CheckedQueue) -> None:
    """Entries that are up to a day ahead of the host's time are kept until its clock is right again."""
    queue.clock = NOON - FROM_THE_FUTURE + timedelta(hours=1)
    queue.tidy()
    assert queue.state.at < instant(NOON)
    queue.clock = None
    queue.later(minutes=1).tidy()
    assert queue.state.at == queue.at
    assert isinstance(queue.enroll("a"), Ended)
    assert isinstance(queue.enroll("b"), Ended)
    assert queue.enroll_ok("c").leaving


def test_an_invalid_time_is_an_error() -> None:
    """An operation with an invalid time raises an error; the entity then refuses it."""
    with pytest.raises(ValueError, match="is not a time"):
        apply(Queue(), Tidy(at="soon"), NOON)
