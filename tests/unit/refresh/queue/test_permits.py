"""At most one execution uses a permit to POST, in any order of takes, returns and their duplicates."""

from itertools import permutations
from typing import Any

import pytest

from refresh.queue.answers import Done, PermitTaken
from refresh.queue.operations import Drop, Finish, Operation, Reopen, ReturnPermit, TakePermit
from refresh.queue.runs import MAX_UNUSED_EXECUTIONS
from tests.unit.refresh.queue.queues import CheckedQueue, failed

RUN = "a-r1"


@pytest.fixture
def queue() -> CheckedQueue:
    """A queue whose only run is closed."""
    queue = CheckedQueue()
    queue.enroll("a")
    queue.claim(RUN)
    queue.close(RUN)
    return queue


def test_one_execution_gets_the_permit(queue: CheckedQueue) -> None:
    """Parallel and later executions learn which execution has the permit. The next permit is free again."""
    assert queue.take(RUN, "other orchestration", token="other") is None
    assert queue.take(RUN, "first") == "first"
    assert queue.take(RUN, "twin") == "first"
    assert queue.runs[0].permit_taken_at == queue.at
    queue.reopen(RUN)
    queue.close(RUN, permit=2)
    assert queue.take(RUN, "late", permit=1) is None
    assert queue.take(RUN, "second", permit=2) == "second"


def test_a_returned_permit_is_free_for_the_next_execution(queue: CheckedQueue) -> None:
    """The execution that returned the permit has not posted and never will, so its duplicates change nothing."""
    queue.take(RUN, "first")
    assert queue.return_permit(RUN, "first") is None
    assert queue.runs[0].permit_taken_at is None
    assert queue.claim_ok(RUN).permit_taken_at is None
    assert queue.take(RUN, "first") is None
    assert queue.take(RUN, "second") == "second"
    assert queue.return_permit(RUN, "first") == "second"
    assert queue.take(RUN, "first") == "second"


def test_a_permit_that_is_returned_before_it_is_taken_is_not_taken(queue: CheckedQueue) -> None:
    """Signals can arrive in any order, so a return also counts before the permit is taken."""
    assert queue.return_permit(RUN, "first") is None
    assert queue.take(RUN, "first") is None
    assert queue.take(RUN, "second") == "second"


def test_the_permit_of_another_execution_is_not_returned(queue: CheckedQueue) -> None:
    """An execution can return only its own permit."""
    queue.take(RUN, "first")
    assert queue.return_permit(RUN, "second") == "first"
    assert queue.take(RUN, "second") == "first"


def test_a_permit_can_be_returned_after_a_restart(queue: CheckedQueue) -> None:
    """An execution that has not posted may return it in any incarnation of the run."""
    queue.take(RUN, "first")
    queue.restart(RUN)
    assert queue.claim_ok(RUN, incarnation=2, token="new").permit_taken_at == queue.at
    assert queue.return_permit(RUN, "first") is None
    assert queue.claim_ok(RUN, incarnation=2, token="new").permit_taken_at is None


def test_a_return_applies_to_one_permit_of_one_run(queue: CheckedQueue) -> None:
    """A late return changes neither the next permit nor another run."""
    queue.take(RUN, "first")
    assert queue.return_permit("z-r1", "first") == "first"
    assert queue.return_permit(RUN, "first", permit=2) == "first"
    queue.reopen(RUN)
    queue.close(RUN, permit=2)
    queue.take(RUN, "first", permit=2)
    assert queue.return_permit(RUN, "first", permit=1) == "first"
    assert queue.return_permit(RUN, "first", permit=2) is None


@pytest.mark.parametrize("returning", [set(), {"first"}, {"second"}, {"first", "second"}])
def test_any_order_of_takes_and_returns_has_the_same_end(returning: set[str]) -> None:
    """At the end, an execution that returned the permit never has it. If every operation arrives twice, and at least
    one execution did not return the permit, one of those executions has it."""
    operations = [("take", "first"), ("take", "second"), *(("return", name) for name in sorted(returning))]
    for order in permutations(operations):
        for twice in (False, True):
            queue = CheckedQueue()
            queue.enroll("a")
            queue.claim(RUN)
            queue.close(RUN)
            for kind, name in (*order, *(order if twice else ())):
                fields: Any = {"at": queue.at, "holder": queue.holder(RUN), "permit": 1, "execution": name}
                operation: Operation[Any] = TakePermit(**fields) if kind == "take" else ReturnPermit(**fields)
                queue.do(operation)
            holder = queue.runs[0].execution
            assert holder not in returning
            if len(returning) < 2 and twice:
                assert holder in {"first", "second"} - returning


def test_a_new_permit_is_free(queue: CheckedQueue) -> None:
    """A new permit is free even if the run never returned the previous one."""
    queue.return_permit(RUN, "zeroth")
    queue.take(RUN, "first")
    queue.close(RUN, permit=2)
    assert queue.claim_ok(RUN).permit_taken_at is None
    assert queue.take(RUN, "zeroth", permit=2) == "zeroth"


def test_the_number_of_stored_returns_is_limited(queue: CheckedQueue) -> None:
    """Only the last returns of a permit are stored."""
    for number in range(MAX_UNUSED_EXECUTIONS + 5):
        queue.return_permit(RUN, f"e{number}")
    assert len(queue.runs[0].unused_executions) == MAX_UNUSED_EXECUTIONS
    assert queue.take(RUN, f"e{MAX_UNUSED_EXECUTIONS + 4}") is None


@pytest.mark.parametrize("operation", ["reopen", "drop", "finish"])
def test_a_permit_that_another_execution_took_is_not_given_up(queue: CheckedQueue, operation: str) -> None:
    """The other execution posts or has posted. The run has to search for its refresh, and its members stay."""

    def tell(execution: str | None) -> Any:
        fields: Any = {"at": queue.at, "holder": queue.holder(RUN), "execution": execution}
        match operation:
            case "reopen":
                return queue.do(Reopen(**fields, permit=1))
            case "drop":
                return queue.do(Drop(**fields, permit=1, requests=("a",)))
            case _:
                return queue.do(Finish(**fields, permit=1, outcome=failed(refresh_id=None)))

    taken_at = queue.at
    queue.take(RUN, "second")
    queue.later(seconds=1)
    for _ in range(2):
        assert tell("first") == PermitTaken(at=taken_at)
    assert queue.members == [["a"]]
    assert queue.state.permitted(queue.holder(RUN), 1)
    queue.return_permit(RUN, "second")
    assert not isinstance(tell("first"), PermitTaken)


def test_a_permit_is_withdrawn_if_no_other_execution_took_it(queue: CheckedQueue) -> None:
    """A permit is also withdrawn if no execution took it, or if the run has looked for the refresh of any execution."""
    queue.take(RUN, "first")
    assert queue.reopen(RUN, execution="first") == Done()
    queue.close(RUN, permit=2)
    queue.take(RUN, "second", permit=2)
    assert queue.reopen(RUN, permit=2) == Done()
    queue.close(RUN, permit=3)
    assert queue.reopen(RUN, permit=3, execution="third") == Done()
    assert queue.take(RUN, "fourth", permit=3) is None


def test_a_late_reopen_of_an_execution_finds_the_next_permit_untouched(queue: CheckedQueue) -> None:
    """A late reopen of an execution with an earlier permit leaves the next permit unchanged."""
    queue.reopen(RUN, execution="first")
    queue.close(RUN, permit=2)
    queue.take(RUN, "second", permit=2)
    assert queue.reopen(RUN, execution="first") == Done()
    assert queue.runs[0].execution == "second"
