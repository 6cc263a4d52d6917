"""A queue has limits: a request without room gets the time of its next attempt and is not stored."""

import pytest

from refresh.queue import room
from refresh.queue.answers import Ended, Enrolled, QueueFull
from refresh.queue.machine import apply
from refresh.queue.operations import Enroll
from tests.unit.refresh.queue.queues import COMPLETED, DATES, MODEL, SALES, WHOLE, Crowd, Desk, enhanced

FULL = QueueFull(retry_after=room.RETRY_AFTER_SECONDS)


@pytest.fixture
def desk() -> Desk:
    """An empty queue at noon."""
    return Desk()


def test_the_number_of_runs_is_limited(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request that joins a run still has room, and an enrolled request keeps its place."""
    monkeypatch.setattr(room, "MAX_RUNS", 2)
    desk.enroll("a", share=False)
    desk.enroll("b")
    before = desk.queue
    assert desk.enroll("c", share=False) == FULL
    assert desk.enroll("c", scope=MODEL) == FULL
    assert desk.queue == before
    assert desk.enrolled("d").run == "b-r1"
    assert desk.enrolled("a", share=False).run == "a-r1"
    desk.leave("a")
    assert desk.enrolled("c", share=False).run == "c-r1"


def test_the_number_of_members_is_limited(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The number of members is limited even if they share one run."""
    monkeypatch.setattr(room, "MAX_MEMBERS", 2)
    desk.enroll("a")
    desk.enroll("b")
    assert desk.enroll("c") == FULL
    assert isinstance(desk.enroll("b"), Enrolled)


@pytest.mark.parametrize(("bound", "most"), [("MAX_OBJECTS_WAITING", 2), ("MAX_NAMES", len("DimDateSales"))])
def test_the_number_of_objects_is_limited(desk: Desk, monkeypatch: pytest.MonkeyPatch, bound: str, most: int) -> None:
    """The number of objects and the characters of their names are limited. A scope whose objects already wait adds
    none."""
    monkeypatch.setattr(room, bound, most)
    desk.enroll("a", scope=SALES)
    desk.enroll("b", scope=DATES, share=False)
    assert desk.enroll("c", scope=enhanced("Stores")) == FULL
    assert isinstance(desk.enroll("d", scope=enhanced("DimDate", "Sales")), Enrolled)
    for request in ("a", "b", "d"):
        desk.leave(request)
    assert isinstance(desk.enroll("c", scope=enhanced("Stores")), Enrolled)


def test_refused_objects_do_not_fill_the_queue(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests that are refused leave no objects in the queue, no matter how often they come."""
    monkeypatch.setattr(room, "MAX_OBJECTS_WAITING", 2)
    desk.enroll("a", scope=SALES)
    for number in range(20):
        assert desk.enroll("b", scope=enhanced(*(f"T{number}-{each}" for each in range(3)))) == FULL
        assert len(desk.queue.scopes.objects) <= 2
    assert isinstance(desk.enroll("c", scope=DATES), Enrolled)


def test_a_refused_request_is_not_forgotten(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The cancellation of a refused request and the outcome of its previous attempt stay."""
    desk.finish(desk.posted("a"))
    desk.ended("a")
    monkeypatch.setattr(room, "MAX_RUNS", 0)
    desk.ask_to_leave("a")
    assert desk.enroll("a", attempt=2) == FULL
    assert desk.enroll("a", attempt=1) == Ended(run="a-r1", outcome=COMPLETED, shared_with=0, served_by="own")
    monkeypatch.undo()
    assert desk.enrolled("a", attempt=2).leaving


def test_a_start_can_check_in_advance_whether_the_queue_is_full(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A start applies the enrolment to its copy of the queue. The stored queue is not changed."""
    monkeypatch.setattr(room, "MAX_RUNS", 1)
    desk.enroll("a")
    operation = Enroll(at=desk.at, request="b", token="t", scope=SALES)
    assert apply(desk.queue, operation, desk.now)[1] == FULL
    assert desk.members == [["a"]]


def test_the_limits_leave_room_for_large_requests() -> None:
    """There is room for a hundred requests, each with a thousand tables of its own whose names have 40 characters. Then
    the tables fill the queue."""
    crowd = Crowd(100, lambda number: enhanced(*(f"{number:04}-{table:035}" for table in range(1_000))))
    assert len(crowd.queue.runs) == 100
    assert len(crowd.queue.runs) + 30 <= room.MAX_RUNS
    assert crowd.do(Enroll(at=crowd.at, request="new", token="t", scope=enhanced("Stores"))) == FULL
    assert isinstance(crowd.do(Enroll(at=crowd.at, request="new", token="t", scope=WHOLE)), Enrolled)
