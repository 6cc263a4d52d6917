"""A request that forgot that it left still ends as the one that it was, step by step against a real queue."""

from typing import Any

import pytest
from orchestrators.steps import Steps

from orchestrators.refresh_request import _turn
from refresh.request.spec import Scope, Wish
from refresh.request.state import Reason, RequestState
from tests.unit.refresh.queue.queues import NOON, Desk
from tests.unit.refresh.run.incarnations import MODEL

ENHANCED = Scope("w", {"type": "Full"})


class Context:
    """What the engine gives an orchestration, as far as such a turn asks for it."""

    instance_id = "a"
    current_utc_datetime = NOON
    is_replaying = True

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.activities: list[str] = []

    def set_custom_status(self, _status: object) -> None:
        """Nobody looks."""

    def call_entity(self, _entity: object, operation: str, arguments: dict[str, Any]) -> Any:
        """The answer of the queue."""
        return self.desk.do(operation, **arguments)

    def call_activity(self, name: str, _order: object) -> Any:
        """Every activity does what it is asked to."""
        self.activities.append(name)
        return {"kind": "cancelled"}


def played(steps: Steps) -> Any:
    """What the steps return, each of them answered at once with what it yields."""
    answer = None
    try:
        while True:
            answer = steps.send(answer)
    except StopIteration as stop:
        return stop.value


@pytest.mark.parametrize("reason", ["Cancelled", "TimedOut"])
def test_a_request_that_left_ends_as_it_left(reason: Reason) -> None:
    """The engine may forget the episode in which it left, after its messages have gone out."""
    desk = Desk()
    desk.posted("a")
    desk.leave("a", cancel=True, reason=reason)
    context = Context(desk)
    state = RequestState(Wish(MODEL, ENHANCED), "t", "r", "c", "2026-03-31T12:00:00.000Z", turn=3)
    ending, _ = played(_turn(context, state))
    assert (ending["status"], ending["refreshId"]) == (reason, "r")
    assert "which Power BI was asked to cancel" in ending["error"]["message"]
    assert context.activities == ["cancel_refresh", "start_run"]


def test_the_run_of_a_cancelled_refresh_gets_a_new_life() -> None:
    """The old one may sleep for an hour, as long as the refresh usually goes on, and the next run waits for it."""
    desk = Desk()
    desk.posted("a")
    desk.enroll("b")
    assert desk.queue.runs[0].generation == 1
    context = Context(desk)
    desk.do("ask_to_leave", request="a")
    played(_turn(context, RequestState(Wish(MODEL, ENHANCED), "t", "r", "c", "2026-03-31T12:00:00.000Z", turn=3)))
    assert context.activities == ["cancel_refresh", "start_run"]
    first = desk.queue.runs[0]
    assert (first.generation, first.token, first.cancel, first.refresh_id) == (2, None, True, "r")
