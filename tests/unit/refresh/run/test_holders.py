"""A run has one holder, and a POST has one execution. The refresh of another execution is searched for, not
repeated."""

from datetime import timedelta
from typing import Any

import pytest

from refresh.history.look import LostWindow
from refresh.queue.answers import Finished, PermitTaken
from refresh.queue.operations import Claim, Drop, Finish, Operation, Record, Reopen, WaitBehind
from refresh.run.orders import (
    Accepted,
    Blocked,
    HistoryRead,
    Notified,
    PostAnswer,
    ReadHistory,
    Stale,
    StartRun,
    Throttled,
    Unavailable,
    Unwanted,
)
from refresh.run.phases.claiming import MAX_INCARNATIONS
from refresh.run.state import (
    Polling,
    Reconciling,
    Recording,
)
from refresh.times import instant
from tests.unit.refresh.run.incarnations import (
    BLOCKER,
    EXECUTION,
    LOOK,
    NEXT,
    NOON,
    REFUSED,
    Incarnation,
)

BUSY = Throttled(seconds=3_000, error="HTTP 429")


def test_a_stale_permit_is_checked_and_used_again() -> None:
    """The activity may have read the queue before it had the permit. So the run claims itself again. If it gets the
    run, the activity posts."""
    run = Incarnation().closed().posted(Stale()).wait(5).claimed().posted(Accepted(refresh_id="r"))
    assert run.phase is Recording
    assert Incarnation().closed().posted(Stale()).wait(5).superseded(Claim).over


@pytest.mark.parametrize(
    ("kind", "answer"),
    [
        (Record, Accepted(refresh_id="r")),
        (Reopen, Blocked()),
        (Drop, Unwanted(requests=("a",))),
    ],
)
def test_an_incarnation_that_lost_the_run_ends(kind: type[Operation[object]], answer: PostAnswer) -> None:
    """If another incarnation has taken over, the old one ends, and does not finish the run."""
    run = Incarnation().closed().posted(answer).superseded(kind, NEXT).answer(StartRun, Notified(), turn=NEXT)
    assert run.over


def test_an_incarnation_whose_report_is_refused_ends() -> None:
    """The answer to a report says that this incarnation has lost the run."""
    busy = HistoryRead(look=LOOK, running=BLOCKER)
    run = Incarnation().claimed().answer(ReadHistory, busy).superseded(WaitBehind, NEXT)
    assert run.answer(StartRun, Notified(), turn=NEXT).over


NOTHING_STARTED: list[tuple[PostAnswer, type[Operation[Any]]]] = [
    (Unavailable(error="HTTP 503"), Reopen),
    (BUSY, Reopen),
    (Blocked(), Reopen),
    (Unwanted(requests=("a",)), Drop),
    (REFUSED, Finish),
]
"""Results of an execution that started nothing, each with the run's next operation."""


@pytest.mark.parametrize(("result", "kind"), NOTHING_STARTED, ids=lambda value: type(value).__name__)
def test_a_permit_that_another_execution_took_is_not_returned(result: PostAnswer, kind: type[Operation[Any]]) -> None:
    """The engine ran the activity twice. The other execution posts or has posted, so the run searches for its
    refresh."""
    run = Incarnation().closed()
    look = run.run.look
    run.posted(result).answer(kind, PermitTaken(at=instant(NOON + timedelta(seconds=3))), execution=EXECUTION)
    assert run.phase is Reconciling
    assert run.run.outcome is None
    # the look has the clock of the run
    run.history(look=look, lost=LostWindow(since=instant(NOON + timedelta(seconds=3)))).wait()
    run.history(adoptable="r").recorded().wait().reads("Completed").ended("Completed")


@pytest.mark.parametrize(("result", "kind"), NOTHING_STARTED, ids=lambda value: type(value).__name__)
def test_a_permit_that_another_execution_took_is_withdrawn_after_the_search(
    result: PostAnswer, kind: type[Operation[Any]]
) -> None:
    """If no refresh appears within the grace, the other execution started none. The permit is then withdrawn."""
    run = Incarnation().closed().posted(result).answer(kind, PermitTaken(at=instant(NOON)))
    while run.history().phase is Reconciling:
        run.wait()
    run.reopened(permit=1, execution=None)


def test_an_outcome_after_the_post_does_not_depend_on_an_execution() -> None:
    """Once the refresh is known, it does not matter which execution started it."""
    assert Incarnation().polling().reads("Completed").asks.execution is None
    assert Incarnation().polling(adopted=True).reads("Failed").asks.execution is None


def test_a_run_of_too_many_incarnations_ends() -> None:
    """The orchestration of the run fails again and again, possibly after its POST. One more could start another
    refresh."""
    Incarnation(number=MAX_INCARNATIONS).claimed().history()
    run = Incarnation(number=MAX_INCARNATIONS + 1).claimed()
    outcome = run.ended("Failed", "InternalError")
    assert outcome.error is not None
    assert f"failed {MAX_INCARNATIONS} times" in outcome.error.message
    assert run.answer(Finish, Finished()).over


def test_a_run_of_too_many_incarnations_has_an_unknown_outcome() -> None:
    """If the refresh of such a run is recorded and still running, its end is not known."""
    run = Incarnation(number=MAX_INCARNATIONS + 1)
    run.claimed(
        permit=1, closed=True, look=LOOK, refresh_id="r", posted_at=instant(NOON), permit_taken_at=instant(NOON)
    )
    assert run.ended("OutcomeUnknown", "InternalError").refresh_id == "r"


def test_a_continued_run_of_many_incarnations_continues() -> None:
    """Only new incarnations are counted, not new histories of an incarnation."""
    run = Incarnation(number=MAX_INCARNATIONS).polling().reads("Unknown")
    for _ in range(2 * MAX_INCARNATIONS):
        run.continued().reads("Unknown")
    assert run.phase is Polling
