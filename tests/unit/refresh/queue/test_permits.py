"""At most one execution uses a permit to POST, in any order of takes, returns and their duplicates."""

from itertools import permutations
from typing import Any

import pytest

from refresh.queue.answers import Done, PermitTaken
from refresh.queue.operations import Drop, Finish, Operation, Reopen, ReturnPermit, TakePermit
from refresh.queue.runs import MAX_UNUSED_EXECUTIONS
from tests.unit.refresh.queue.queues import Desk, failed

RUN = "a-r1"


@pytest.fixture
def desk() -> Desk:
    """A queue whose only run is closed."""
    desk = Desk()
    desk.enroll("a")
    desk.claim(RUN)
    desk.close(RUN)
    return desk


def test_one_execution_gets_the_permit(desk: Desk) -> None:
    """Parallel and later executions learn which execution has the permit. The next permit is free again."""
    assert desk.take(RUN, "other orchestration", token="other") is None
    assert desk.take(RUN, "first") == "first"
    assert desk.take(RUN, "twin") == "first"
    assert desk.runs[0].permit_taken_at == desk.at
    desk.reopen(RUN)
    desk.close(RUN, permit=2)
    assert desk.take(RUN, "late", permit=1) is None
    assert desk.take(RUN, "second", permit=2) == "second"


def test_a_returned_permit_is_free_for_the_next_execution(desk: Desk) -> None:
    """The execution that returned the permit has not posted and never will, so its duplicates change nothing."""
    desk.take(RUN, "first")
    assert desk.return_permit(RUN, "first") is None
    assert desk.runs[0].permit_taken_at is None
    assert desk.claimed(RUN).permit_taken_at is None
    assert desk.take(RUN, "first") is None
    assert desk.take(RUN, "second") == "second"
    assert desk.return_permit(RUN, "first") == "second"
    assert desk.take(RUN, "first") == "second"


def test_a_permit_that_is_returned_before_it_is_taken_is_not_taken(desk: Desk) -> None:
    """Signals can arrive in any order, so a return also counts before the permit is taken."""
    assert desk.return_permit(RUN, "first") is None
    assert desk.take(RUN, "first") is None
    assert desk.take(RUN, "second") == "second"


def test_the_permit_of_another_execution_is_not_returned(desk: Desk) -> None:
    """An execution can return only its own permit."""
    desk.take(RUN, "first")
    assert desk.return_permit(RUN, "second") == "first"
    assert desk.take(RUN, "second") == "first"


def test_a_permit_can_be_returned_after_a_restart(desk: Desk) -> None:
    """An execution that has not posted may return it in any incarnation of the run."""
    desk.take(RUN, "first")
    desk.restart(RUN)
    assert desk.claimed(RUN, incarnation=2, token="new").permit_taken_at == desk.at
    assert desk.return_permit(RUN, "first") is None
    assert desk.claimed(RUN, incarnation=2, token="new").permit_taken_at is None


def test_a_return_applies_to_one_permit_of_one_run(desk: Desk) -> None:
    """A late return changes neither the next permit nor another run."""
    desk.take(RUN, "first")
    assert desk.return_permit("z-r1", "first") == "first"
    assert desk.return_permit(RUN, "first", permit=2) == "first"
    desk.reopen(RUN)
    desk.close(RUN, permit=2)
    desk.take(RUN, "first", permit=2)
    assert desk.return_permit(RUN, "first", permit=1) == "first"
    assert desk.return_permit(RUN, "first", permit=2) is None


@pytest.mark.parametrize("returning", [set(), {"first"}, {"second"}, {"first", "second"}])
def test_any_order_of_takes_and_returns_has_the_same_end(returning: set[str]) -> None:
    """In the end, no execution that returned the permit has it. If each operation arrives twice, an execution that did
    not return the permit has it, if there is one."""
    operations = [("take", "first"), ("take", "second"), *(("return", name) for name in sorted(returning))]
    for order in permutations(operations):
        for twice in (False, True):
            desk = Desk()
            desk.enroll("a")
            desk.claim(RUN)
            desk.close(RUN)
            for kind, name in (*order, *(order if twice else ())):
                fields: Any = {"at": desk.at, "holder": desk.holder(RUN), "permit": 1, "execution": name}
                operation: Operation[Any] = TakePermit(**fields) if kind == "take" else ReturnPermit(**fields)
                desk.do(operation)
            has_it = desk.runs[0].execution
            assert has_it not in returning
            if len(returning) < 2 and twice:
                assert has_it in {"first", "second"} - returning


def test_a_new_permit_is_free(desk: Desk) -> None:
    """A new permit is free even if the run never returned the previous one."""
    desk.return_permit(RUN, "zeroth")
    desk.take(RUN, "first")
    desk.close(RUN, permit=2)
    assert desk.claimed(RUN).permit_taken_at is None
    assert desk.take(RUN, "zeroth", permit=2) == "zeroth"


def test_the_number_of_stored_returns_is_limited(desk: Desk) -> None:
    """Only the last returns of a permit are stored."""
    for number in range(MAX_UNUSED_EXECUTIONS + 5):
        desk.return_permit(RUN, f"e{number}")
    assert len(desk.runs[0].unused_executions) == MAX_UNUSED_EXECUTIONS
    assert desk.take(RUN, f"e{MAX_UNUSED_EXECUTIONS + 4}") is None


@pytest.mark.parametrize("operation", ["reopen", "drop", "finish"])
def test_a_permit_that_another_execution_took_is_not_given_up(desk: Desk, operation: str) -> None:
    """The other execution posts or has posted. The run has to search for its refresh, and its members stay."""

    def tell(execution: str | None) -> Any:
        fields: Any = {"at": desk.at, "holder": desk.holder(RUN), "execution": execution}
        match operation:
            case "reopen":
                return desk.do(Reopen(**fields, permit=1))
            case "drop":
                return desk.do(Drop(**fields, permit=1, requests=("a",)))
            case _:
                return desk.do(Finish(**fields, permit=1, outcome=failed(refresh_id=None)))

    taken_at = desk.at
    desk.take(RUN, "second")
    desk.later(seconds=1)
    for _ in range(2):
        assert tell("first") == PermitTaken(at=taken_at)
    assert desk.members == [["a"]]
    assert desk.queue.permitted(desk.holder(RUN), 1)
    desk.return_permit(RUN, "second")
    assert not isinstance(tell("first"), PermitTaken)


def test_a_permit_is_withdrawn_if_no_other_execution_took_it(desk: Desk) -> None:
    """It is also withdrawn if the run has searched for the refresh of any execution, or if no execution took it."""
    desk.take(RUN, "first")
    assert desk.reopen(RUN, execution="first") == Done()
    desk.close(RUN, permit=2)
    desk.take(RUN, "second", permit=2)
    assert desk.reopen(RUN, permit=2) == Done()
    desk.close(RUN, permit=3)
    assert desk.reopen(RUN, permit=3, execution="third") == Done()
    assert desk.take(RUN, "fourth", permit=3) is None


def test_a_late_reopen_of_an_execution_finds_the_next_permit_untouched(desk: Desk) -> None:
    """A late reopen of an execution with an earlier permit leaves the next permit unchanged."""
    desk.reopen(RUN, execution="first")
    desk.close(RUN, permit=2)
    desk.take(RUN, "second", permit=2)
    assert desk.reopen(RUN, execution="first") == Done()
    assert desk.runs[0].execution == "second"
