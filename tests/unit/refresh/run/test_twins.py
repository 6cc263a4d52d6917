"""Two executions of one POST: operations for one must not undo those of the other, no matter how late they come."""

from datetime import timedelta

import pytest

from refresh.queue.answers import AnyAnswer, Claimed, Enrolled, Holder, PermitTaken
from refresh.queue.machine import apply
from refresh.queue.operations import AnyOperation, Claim, Close, Enroll, Record, Reopen, TakePermit
from refresh.queue.state import Queue
from refresh.run.orders import Blocked, PostAnswer, Unavailable, Unwanted
from refresh.run.step import Ask
from refresh.times import instant
from tests.unit.refresh.run.incarnations import LOOK, NOON, REFUSED, STANDARD, Incarnation

AT = instant(NOON)
HOLDER = Holder(run="a-r1", incarnation=1, token="secret")
STARTED_NOTHING: list[PostAnswer] = [Unavailable(), Blocked(), Unwanted(requests=("a",)), REFUSED]


class Entity:
    """The queue of one model, with a run that is closed and whose permit the execution `theirs` took."""

    def __init__(self) -> None:
        self.queue = Queue()
        enrolled = self.ask(Enroll(at=AT, request="a", token="t", scope=STANDARD, wake_event="w"))
        assert isinstance(enrolled, Enrolled)
        assert enrolled.run == HOLDER.run
        self.ask(Claim(at=AT, holder=HOLDER))
        self.ask(Close(at=AT, holder=HOLDER, permit=1, look=LOOK))
        self.ask(TakePermit(at=AT, holder=HOLDER, permit=1, execution="theirs"))

    def ask(self, operation: AnyOperation) -> AnyAnswer:
        """The answer to an operation."""
        after, answer = apply(self.queue, operation, NOON + timedelta(minutes=1))
        self.queue = after or Queue()
        return answer


def operation_after(result: PostAnswer) -> AnyOperation:
    """The operation of a run after the execution `mine`, which started nothing."""
    run = Incarnation().until_permitted()
    step = run.answer_post(result).step
    assert isinstance(step, Ask)
    operation: AnyOperation = step.operation  # type: ignore[assignment]
    return operation


@pytest.mark.parametrize("result", STARTED_NOTHING, ids=lambda result: type(result).__name__)
def test_a_late_repeat_keeps_the_refresh_of_the_other_execution(result: PostAnswer) -> None:
    """The run learned that the other execution had the permit. It then found and recorded the refresh of that
    execution."""
    entity, operation = Entity(), operation_after(result)
    assert isinstance(entity.ask(operation), PermitTaken)
    entity.ask(Record(at=AT, holder=HOLDER, permit=1, refresh_id="r", posted_at=AT, adopted=True))
    assert isinstance(entity.ask(operation), PermitTaken)
    claimed = entity.ask(Claim(at=AT, holder=HOLDER))
    assert isinstance(claimed, Claimed)
    assert claimed.refresh_id == "r"


@pytest.mark.parametrize("closed", [False, True])
@pytest.mark.parametrize("result", STARTED_NOTHING, ids=lambda result: type(result).__name__)
def test_a_late_repeat_changes_nothing_after_the_search(result: PostAnswer, closed: bool) -> None:
    """No refresh of the other execution appeared. The run is open again, or has its next permit."""
    entity, operation = Entity(), operation_after(result)
    assert isinstance(entity.ask(operation), PermitTaken)
    entity.ask(Reopen(at=AT, holder=HOLDER, permit=1))
    if closed:
        entity.ask(Close(at=AT, holder=HOLDER, permit=2, look=LOOK))
    before = entity.ask(Claim(at=AT, holder=HOLDER))
    entity.ask(operation)
    assert entity.ask(Claim(at=AT, holder=HOLDER)) == before
    assert isinstance(before, Claimed)
    assert "a" in entity.queue.runs[0].members


def test_an_outcome_of_the_run_itself_is_accepted() -> None:
    """The outcome names no execution: the refresh is known, no matter which execution started it."""
    entity = Entity()
    entity.ask(Record(at=AT, holder=HOLDER, permit=1, refresh_id="r", posted_at=AT))
    run = Incarnation().until_polling().answer_read("Completed")
    assert run.check_outcome("Completed").refresh_id == "r"
    entity.ask(run.order)
    assert not entity.queue.runs
