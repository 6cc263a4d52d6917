"""If the engine loses the turn in which a request left, the request still ends with the same outcome. Each step uses a
real queue."""

from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from durable.codec import encode
from orchestrators.refresh_request import _turn
from refresh.queue.answers import LeaveReason
from refresh.queue.stored import handle
from refresh.request.outcomes import STARTED_TWICE, outcome_outside_the_queue
from refresh.request.spec import RequestSpec
from refresh.request.state import RequestOutcome, RequestState, Standing
from refresh.run.orders import CancelAccepted, Notified
from tests.unit.refresh.queue.queues import MODEL, NOON, CheckedQueue

ANSWERS = {"cancel_refresh": CancelAccepted(), "start_run": Notified(count=1)}


class Context:
    """The parts of the engine's context that such a turn uses: every activity succeeds."""

    instance_id = "a"
    is_replaying = True

    def __init__(self, queue: CheckedQueue) -> None:
        self.queue = queue
        self.activities: list[str] = []
        self.timers: list[datetime] = []
        self.current_utc_datetime = NOON

    def set_custom_status(self, _status: object) -> None:
        """Does nothing: the tests do not use the status."""

    def call_entity(self, _entity: object, operation: str, message: Any) -> Any:
        """The answer of the queue."""
        handled = handle(self.queue.stored, operation, message, self.current_utc_datetime)
        assert handled.problem is None
        self.queue.stored = handled.state
        return handled.answer

    def call_activity(self, name: str, _order: object) -> Any:
        """The answer of an activity."""
        self.activities.append(name)
        return encode(ANSWERS[name])

    def create_timer(self, at: datetime) -> Any:
        """A timer that has fired."""
        self.timers.append(at)
        return SimpleNamespace(is_completed=True)

    def wait_for_external_event(self, name: str) -> Any:
        """An event that does not come."""
        return SimpleNamespace(is_completed=False, name=name)

    def task_any(self, tasks: list[Any]) -> Any:
        """The first completed task."""
        return next(task for task in tasks if task.is_completed)


def turn(context: Any) -> tuple[RequestOutcome | None, RequestState]:
    """The result of a turn of request `a`; each step gets its answer at once."""
    state = RequestState(
        spec=RequestSpec(dataset_id="00000000-1111-2222-3333-444444444444", scope=MODEL),
        token="t",
        read_token="r",
        cancel_token="c",
        requested_at="2026-03-31T12:00:00.000Z",
        turn=3,
    )
    steps, answer = _turn(context, state), None
    try:
        while True:
            answer = steps.send(answer)
    except StopIteration as stop:
        outcome: tuple[RequestOutcome | None, RequestState] = stop.value
        return outcome


@pytest.mark.parametrize("reason", ["Cancelled", "TimedOut"])
def test_a_request_that_left_keeps_its_outcome(reason: LeaveReason) -> None:
    """The engine may lose the episode in which a request left, after its messages were sent. The outcome is then the
    same."""
    queue = CheckedQueue()
    queue.enroll("a", scope=MODEL)
    queue.post("a-r1")
    queue.leave("a", cancel=True, reason=reason)
    context = Context(queue)
    outcome, _ = turn(context)
    assert outcome is not None
    assert (outcome.status, outcome.refresh_id) == (reason, "r")
    assert outcome.error is not None
    assert "and Power BI was asked to cancel it" in outcome.error.message
    assert context.activities == ["cancel_refresh", "start_run"]


def test_the_run_of_a_cancelled_refresh_gets_a_new_incarnation() -> None:
    """The old incarnation may sleep for up to an hour before its next look, and the next run waits for it. So a new one
    starts."""
    queue = CheckedQueue()
    queue.enroll("a", scope=MODEL)
    queue.post("a-r1")
    queue.enroll("b")
    assert queue.runs[0].incarnation == 1
    context = Context(queue)
    queue.ask_to_leave("a")
    outcome, _ = turn(context)
    assert outcome is not None
    assert outcome.status == "Cancelled"
    assert context.activities == ["cancel_refresh", "start_run"]
    first = queue.runs[0]
    assert (first.incarnation, first.refresh_id) == (2, "r")


def test_a_request_that_the_queue_removed_by_mistake_enrols_again() -> None:
    """The clock of the host that removed the request is ahead, so the queue takes the enrolment for a late duplicate.
    The request is active, so it does not fail: it waits until the queue accepts it again."""
    queue = CheckedQueue()
    queue.enroll("a", scope=MODEL)
    queue.claim("a-r1")
    queue.close("a-r1")
    queue.later(minutes=4).drop("a-r1", "a")
    context = Context(queue)
    outcome, state = turn(context)
    assert (outcome, state.turn) == (None, 3)
    (until,) = context.timers
    assert NOON + timedelta(minutes=4) < until < NOON + timedelta(minutes=5)
    context.current_utc_datetime = until
    outcome, state = turn(context)
    assert (outcome, state.standing.run_id) == (None, "a-r1")


def test_the_outcome_of_a_request_that_the_queue_removed_by_mistake() -> None:
    """If it is cancelled before it enrols again, its outcome says where it was when it was last in the queue."""
    standing = Standing(status="Refreshing", run_id="a-r1", position=0, shared_with=2, refresh_id="r")
    outcome = outcome_outside_the_queue(RequestSpec(dataset_id="d", scope=MODEL), "Cancelled", standing)
    assert (outcome.status, outcome.run_id, outcome.refresh_id) == ("Cancelled", "a-r1", "r")
    assert outcome.error is not None
    assert "refresh r was running" in outcome.error.message


def test_a_request_that_was_started_twice_fails() -> None:
    """The outcome of the other start is forgotten, so this start cannot know it."""
    queue = CheckedQueue()
    queue.finish(queue.enroll_and_post("a"))
    queue.later(hours=23, minutes=59).outcome_of("a")
    queue.later(minutes=2).tidy()
    outcome, _ = turn(Context(queue))
    assert outcome is not None
    assert outcome.error is not None
    assert STARTED_TWICE in outcome.error.message
