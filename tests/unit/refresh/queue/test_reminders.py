"""Only requests that seem to have lost a message are reminded."""

from typing import Any

import pytest

from refresh.queue.reminders import MAX_REMINDED, answered_at, is_unclaimed, to_remind
from refresh.times import instant
from tests.unit.refresh.queue.queues import Desk


@pytest.fixture
def desk() -> Desk:
    """An empty queue."""
    return Desk()


def reminded(desk: Desk, **later: Any) -> list[str]:
    """The requests that the timer reminds, some time later."""
    desk.later(**later)
    return to_remind(desk.queue, desk.now)


def test_a_request_that_waits_for_a_refresh_is_not_reminded(desk: Desk) -> None:
    """A request is not reminded, however long its refresh takes. So a waiting caller costs little."""
    desk.posted("a", "b")
    desk.enroll("c")
    assert reminded(desk, hours=9) == []


def test_an_outcome_that_is_not_collected_a_minute_later(desk: Desk) -> None:
    """A request is reminded a minute after the end of its run. Before that, the notification may be on its way."""
    desk.finish(desk.posted("a", "b"))
    desk.collected("a")
    assert reminded(desk, seconds=60) == []
    assert reminded(desk, seconds=1) == ["b"]
    desk.enroll("b")
    assert reminded(desk, minutes=5) == []


def test_a_cancellation_that_the_request_has_not_received(desk: Desk) -> None:
    """A request is reminded of its cancellation: the event may be lost, but the queue has the cancellation."""
    desk.enroll("a")
    desk.enroll("b")
    desk.ask_to_leave("b")
    assert reminded(desk) == ["b"]
    desk.leave("b")
    assert reminded(desk) == []


def test_a_request_that_was_dropped_as_ended(desk: Desk) -> None:
    """A dropped request is reminded. If it is active, it enrolls again; otherwise the event has no effect."""
    desk.enroll("a")
    desk.sweep("a")
    assert reminded(desk, seconds=1) == ["a"]
    desk.enroll("a")
    assert reminded(desk) == []


def test_requests_that_should_have_ended_a_minute_after_their_answer(desk: Desk) -> None:
    """Requests that have their outcome, or have left, should have ended a minute later. A dropped request got no
    answer, so it is not among them."""
    for request in "abc":
        desk.enroll(request)
    desk.leave("b")
    desk.sweep("c")
    desk.finish(desk.posted("a"))
    desk.collected("a")
    at = instant(desk.now)
    assert answered_at(desk.queue, desk.later(seconds=60).now) == {}
    assert answered_at(desk.queue, desk.later(seconds=1).now) == {"a": at, "b": at}


def test_the_number_of_reminders_at_a_time_is_limited(desk: Desk) -> None:
    """At a time, a limited number of requests of a queue are reminded. The others are reminded after these have
    collected their outcomes."""
    desk.finish(desk.posted(*(f"request-{number}" for number in range(MAX_REMINDED + 1))))
    assert len(reminded(desk, minutes=2)) == MAX_REMINDED


def test_a_run_that_no_orchestration_claims(desk: Desk) -> None:
    """The start of a run that no orchestration claims has failed, unless a request was told to start it just now."""
    desk.enroll("a")
    assert not is_unclaimed(desk.runs[0], desk.later(seconds=30).now)
    assert is_unclaimed(desk.runs[0], desk.later(seconds=1).now)
    desk.claim("a-r1")
    assert not is_unclaimed(desk.runs[0], desk.later(hours=1).now)
    desk.restart("a-r1")
    assert is_unclaimed(desk.runs[0], desk.now)
