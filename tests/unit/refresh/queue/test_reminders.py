"""Which requests are reminded: those to which a message seems to be lost, and no others."""

from typing import Any

import pytest

from refresh.queue.reminders import MOST, is_unclaimed, to_remind
from tests.unit.refresh.queue.queues import Desk


@pytest.fixture
def desk() -> Desk:
    """An empty queue."""
    return Desk()


def reminded(desk: Desk, **later: Any) -> list[str]:
    """Whom the timer reminds, some time later."""
    desk.later(**later)
    return to_remind(desk.queue, desk.now)


def test_who_waits_for_a_refresh_is_left_alone(desk: Desk) -> None:
    """However long it takes: that is what makes a caller cost little."""
    desk.posted("a", "b")
    desk.enroll("c")
    assert reminded(desk, hours=9) == []


def test_an_outcome_that_is_not_collected_a_minute_later(desk: Desk) -> None:
    """Until then the notification may be on its way."""
    desk.finish(desk.posted("a", "b"))
    desk.collected("a")
    assert reminded(desk, seconds=60) == []
    assert reminded(desk, seconds=1) == ["b"]
    desk.enroll("b")
    assert reminded(desk, minutes=5) == []


def test_a_cancellation_that_the_request_has_not_heard_of(desk: Desk) -> None:
    """The event may be lost; the queue has it."""
    desk.enroll("a")
    desk.enroll("b")
    desk.ask_to_leave("b")
    assert reminded(desk) == ["b"]
    desk.leave("b")
    assert reminded(desk) == []


def test_a_request_that_was_thought_to_have_ended(desk: Desk) -> None:
    """If it is alive it enrolls again; if not, the event is not taken."""
    desk.enroll("a")
    desk.sweep("a")
    assert reminded(desk, seconds=1) == ["a"]
    desk.enroll("a")
    assert reminded(desk) == []


def test_no_visit_takes_for_ever(desk: Desk) -> None:
    """The others are reminded when these have heard."""
    desk.finish(desk.posted(*(f"request-{number}" for number in range(MOST + 1))))
    assert len(reminded(desk, minutes=2)) == MOST


def test_a_run_that_no_orchestration_claims(desk: Desk) -> None:
    """Its start failed, unless a request was asked for it just now."""
    desk.enroll("a")
    assert not is_unclaimed(desk.runs[0], desk.later(seconds=30).now)
    assert is_unclaimed(desk.runs[0], desk.later(seconds=1).now)
    desk.claim("a-r1")
    assert not is_unclaimed(desk.runs[0], desk.later(hours=1).now)
    desk.restart("a-r1")
    assert is_unclaimed(desk.runs[0], desk.now)
