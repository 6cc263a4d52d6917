"""Only requests that seem to have lost a message are reminded."""

from typing import Any

import pytest

from refresh.queue.reminders import MAX_REMINDED, answered_at, is_unclaimed, to_remind
from refresh.times import instant
from tests.unit.refresh.queue.queues import CheckedQueue


@pytest.fixture
def queue() -> CheckedQueue:
    """An empty queue."""
    return CheckedQueue()


def reminded(queue: CheckedQueue, **later: Any) -> list[str]:
    """The requests that the timer reminds, some time later."""
    queue.later(**later)
    return to_remind(queue.state, queue.now)


def test_a_request_that_waits_for_a_refresh_is_not_reminded(queue: CheckedQueue) -> None:
    """A request is not reminded, however long its refresh takes. So a waiting caller costs little."""
    queue.enroll_and_post("a", "b")
    queue.enroll("c")
    assert reminded(queue, hours=9) == []


def test_an_outcome_that_is_not_collected_a_minute_later(queue: CheckedQueue) -> None:
    """A request is reminded a minute after the end of its run. Before that, the notification may be on its way."""
    queue.finish(queue.enroll_and_post("a", "b"))
    queue.collect("a")
    assert reminded(queue, seconds=60) == []
    assert reminded(queue, seconds=1) == ["b"]
    queue.enroll("b")
    assert reminded(queue, minutes=5) == []


def test_a_cancellation_that_the_request_has_not_received(queue: CheckedQueue) -> None:
    """A request is reminded of its cancellation: the event may be lost, but the queue has the cancellation."""
    queue.enroll("a")
    queue.enroll("b")
    queue.ask_to_leave("b")
    assert reminded(queue) == ["b"]
    queue.leave("b")
    assert reminded(queue) == []


def test_a_request_that_was_dropped_as_ended(queue: CheckedQueue) -> None:
    """A dropped request is reminded. If it is active, it enrols again; otherwise the event has no effect."""
    queue.enroll("a")
    queue.sweep("a")
    assert reminded(queue, seconds=1) == ["a"]
    queue.enroll("a")
    assert reminded(queue) == []


def test_requests_that_should_have_ended_a_minute_after_their_answer(queue: CheckedQueue) -> None:
    """Requests that have their outcome, or have left, should have ended a minute later. A dropped request got no
    answer, so it is not among them."""
    for request in "abc":
        queue.enroll(request)
    queue.leave("b")
    queue.sweep("c")
    queue.finish(queue.enroll_and_post("a"))
    queue.collect("a")
    at = instant(queue.now)
    assert answered_at(queue.state, queue.later(seconds=60).now) == {}
    assert answered_at(queue.state, queue.later(seconds=1).now) == {"a": at, "b": at}


def test_the_number_of_reminders_at_a_time_is_limited(queue: CheckedQueue) -> None:
    """At a time, a limited number of requests of a queue are reminded. The others are reminded after these have
    collected their outcomes."""
    queue.finish(queue.enroll_and_post(*(f"request-{number}" for number in range(MAX_REMINDED + 1))))
    assert len(reminded(queue, minutes=2)) == MAX_REMINDED


def test_a_run_that_no_orchestration_claims(queue: CheckedQueue) -> None:
    """The start of a run that no orchestration claims has failed, unless a request was told to start it just now."""
    queue.enroll("a")
    assert not is_unclaimed(queue.runs[0], queue.later(seconds=30).now)
    assert is_unclaimed(queue.runs[0], queue.later(seconds=1).now)
    queue.claim("a-r1")
    assert not is_unclaimed(queue.runs[0], queue.later(hours=1).now)
    queue.restart("a-r1")
    assert is_unclaimed(queue.runs[0], queue.now)
