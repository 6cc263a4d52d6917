"""A queue uses the time of its senders, within limits: a wrong clock neither keeps everything nor expires it."""

from datetime import timedelta

import pytest

from refresh.queue.answers import Ended
from refresh.queue.machine import apply
from refresh.queue.memory import FROM_THE_FUTURE
from refresh.queue.operations import Tidy
from refresh.queue.state import Queue
from refresh.times import AHEAD, instant
from tests.unit.refresh.queue.queues import NOON, Desk


@pytest.fixture
def desk() -> Desk:
    """A queue in which one request has its outcome, another has not collected it, and a third was cancelled."""
    desk = Desk()
    desk.finish(desk.posted("a", "b"))
    desk.enroll("a")
    desk.ask_to_leave("c")
    return desk


def test_the_queue_takes_the_time_of_its_senders(desk: Desk) -> None:
    """The latest time of all senders counts. So a late duplicate gets the same time as the first message."""
    desk.clock = NOON + timedelta(minutes=3)
    desk.later(minutes=2).tidy()
    assert desk.queue.at == desk.at
    desk.later(minutes=-1).tidy()
    assert desk.queue.at == instant(NOON + timedelta(minutes=2))


@pytest.mark.parametrize("ahead", [timedelta(hours=1), timedelta(days=2), timedelta(days=36_500)])
def test_a_sender_whose_clock_is_ahead_expires_nothing(desk: Desk, ahead: timedelta) -> None:
    """The time of a sender counts as at most a few minutes ahead, so no entry expires too early."""
    desk.clock = NOON
    desk.now = NOON + ahead
    desk.tidy()
    assert desk.queue.at == instant(NOON + AHEAD)
    desk.now = NOON
    assert isinstance(desk.enroll("a"), Ended)
    assert isinstance(desk.enroll("b"), Ended)
    assert desk.enrolled("c").leaving


def test_entries_of_a_clock_that_is_ahead_expire_in_time(desk: Desk) -> None:
    """Entries of a sender whose clock is ahead do not stay until the time on its clock."""
    desk.clock = NOON
    desk.now = NOON + timedelta(days=400)
    desk.leave("d")
    desk.ask_to_leave("e")
    assert desk.queue.departed["d"].at == desk.queue.pending_cancellations["e"] == instant(NOON + AHEAD)
    desk.enroll("f")
    assert desk.runs[0].members["f"].since == instant(NOON + AHEAD)
    desk.clock = None
    desk.now = NOON + AHEAD + timedelta(minutes=31)
    desk.tidy()
    assert set(desk.queue.departed) == set(desk.queue.pending_cancellations) == set()


def test_a_queue_recovers_from_two_clocks_that_are_ahead(desk: Desk) -> None:
    """The host and a sender were a year ahead. Entries from this time expire at once, instead of staying for a year."""
    desk.later(days=365).leave("d")
    desk.ask_to_leave("x")
    desk.enroll("e")
    assert (set(desk.queue.departed), set(desk.queue.pending_cancellations)) == ({"d"}, {"x"})
    desk.now = NOON + timedelta(minutes=1)
    desk.tidy()
    assert desk.queue.at == instant(desk.now + AHEAD)
    assert (desk.queue.departed, desk.queue.pending_cancellations) == ({}, {})
    assert desk.members == [["e"]]


def test_a_host_whose_clock_is_behind_expires_nothing(desk: Desk) -> None:
    """Entries that are up to a day ahead of the host's time are kept until its clock is right again."""
    desk.clock = NOON - FROM_THE_FUTURE + timedelta(hours=1)
    desk.tidy()
    assert desk.queue.at < instant(NOON)
    desk.clock = None
    desk.later(minutes=1).tidy()
    assert desk.queue.at == desk.at
    assert isinstance(desk.enroll("a"), Ended)
    assert isinstance(desk.enroll("b"), Ended)
    assert desk.enrolled("c").leaving


def test_an_invalid_time_is_an_error() -> None:
    """An operation with an invalid time raises an error; the entity then refuses it."""
    with pytest.raises(ValueError, match="is not a time"):
        apply(Queue(), Tidy(at="soon"), NOON)
