"""A start is refused if its request would find no room, and only then."""

from datetime import timedelta

import pytest

from refresh.queue import room
from refresh.queue.answers import QueueFull
from refresh.request.decision import Full, New, admit
from refresh.request.spec import RequestSpec
from refresh.scope.scope import Scope
from tests.unit.refresh.queue.queues import DATES, MODEL, NOON, SALES, WHOLE, CheckedQueue, enhanced

DATASET = "22222222-aaaa-bbbb-cccc-000000000001"


def spec(scope: Scope, *, share: bool = True) -> RequestSpec:
    """A request of one caller."""
    return RequestSpec(dataset_id=DATASET, scope=scope, share=share)


@pytest.fixture
def queue() -> CheckedQueue:
    """A queue with two runs."""
    queue = CheckedQueue()
    queue.enroll("a", scope=SALES)
    queue.enroll("b", scope=MODEL, share=False)
    return queue


@pytest.mark.parametrize(("bound", "most"), [("MAX_RUNS", 2), ("MAX_MEMBERS", 2), ("MAX_OBJECTS_WAITING", 1),
                                             ("MAX_NAMES", 5), ("MAX_NAMES", 10**9)])  # fmt: skip
@pytest.mark.parametrize("share", [True, False])
@pytest.mark.parametrize("scope", [WHOLE, MODEL, SALES, DATES, enhanced("Sales", "DimDate")])
def test_a_start_gets_the_answer_of_its_request(
    queue: CheckedQueue, monkeypatch: pytest.MonkeyPatch, bound: str, most: int, scope: Scope, *, share: bool
) -> None:
    """At each limit and for each scope, a start gets the answer that its request would get. The queue is not
    changed."""
    monkeypatch.setattr(room, bound, most)
    before = queue.state
    answer = admit(New(3), spec(scope, share=share), queue.state, NOON + timedelta(seconds=1))
    assert queue.state == before
    enrolled = queue.later(seconds=1).enroll("c", scope=scope, share=share)
    assert answer == (Full(enrolled.retry_after) if isinstance(enrolled, QueueFull) else New(3))


def test_a_queue_with_room_costs_only_a_look(queue: CheckedQueue, monkeypatch: pytest.MonkeyPatch) -> None:
    """If a queue has room for any request, the enrolment is not applied to it."""
    monkeypatch.setattr("refresh.request.decision.apply", None)
    assert admit(New(), spec(SALES), queue.state, NOON) == New()
