"""A run waits during throttling and outages, within its budget, and ends at once after a permanent refusal."""

from datetime import timedelta

import pytest

from refresh.failure.catalogue import failure
from refresh.queue.operations import Finish
from refresh.run.orders import (
    ActivityFailure,
    AnswerLost,
    Order,
    PostRefresh,
    ReadHistory,
    Refused,
    Throttled,
    Unavailable,
)
from refresh.run.state import (
    Closing,
    Looking,
    Reconciling,
    Reopening,
)
from refresh.times import instant
from tests.unit.refresh.run.incarnations import (
    BLOCKER,
    EXECUTION,
    MODEL,
    NOON,
    REFUSED,
    Incarnation,
)

BUSY = Throttled(seconds=3_000, error="HTTP 429")


def test_a_run_waits_for_the_pause_of_a_throttle() -> None:
    """The run waits with a durable timer. A throttle is not an outage, no matter how long it lasts."""
    run = Incarnation().answer_claim().answer(ReadHistory, BUSY).wait(3_000)
    assert run.status.last_call_error == "HTTP 429"
    run.answer_history().wait().answer_close().answer_post(BUSY)
    run.answer_reopen().wait(3_000).answer_history()
    assert run.phase is Closing
    assert Incarnation().answer_claim().answer(ReadHistory, Throttled(seconds=0)).seconds == 5


@pytest.mark.parametrize("kind", [ReadHistory, PostRefresh])
def test_a_permanent_refusal_fails_the_run_at_once(kind: type[Order[object]]) -> None:
    """The run fails with the message of the refusal, which is for users."""
    run = Incarnation().until_permitted() if kind is PostRefresh else Incarnation().answer_claim()
    run = run.answer_post(REFUSED) if kind is PostRefresh else run.answer(kind, REFUSED)
    outcome = run.check_outcome("Failed", "NotAuthorized")
    assert outcome.refresh_id is None
    assert outcome.error == REFUSED.failure
    execution = EXECUTION if kind is PostRefresh else None
    assert run.order == Finish(
        at=instant(run.now), holder=run.run.holder, outcome=outcome, permit=run.run.permit, execution=execution
    )


def test_a_refusal_while_searching_for_a_lost_answer_fails_the_run() -> None:
    """If the history can no longer be read, the search cannot continue."""
    run = Incarnation().until_permitted().answer_post(AnswerLost(error="x"))
    run.answer(ReadHistory, Refused(failure=failure("ModelNotFound", MODEL)))
    run.check_outcome("Failed", "ModelNotFound")


def test_an_outage_before_the_post_ends_the_run_when_its_budget_is_spent() -> None:
    """The waits double, and the outcome has the last error."""
    run = Incarnation().answer_claim()
    waits = []
    while run.answer_unavailable(ReadHistory, "no such host").phase is Looking:
        waits.append(run.seconds)
        run.wait()
    assert waits[:5] == [5, 10, 20, 40, 60]
    assert timedelta(seconds=900) <= run.now - NOON <= timedelta(seconds=960)
    error = run.check_outcome("Failed", "ServiceUnavailable").error
    assert error is not None
    assert "no such host" in error.message


def test_each_outage_has_its_own_budget() -> None:
    """The budget starts again after an outage has ended."""
    run = Incarnation().answer_claim()
    for _ in range(40):
        run.answer_unavailable(ReadHistory).wait().answer_unavailable(ReadHistory).wait().answer_history(BLOCKER).wait()
    assert run.phase is Looking
    assert run.status.last_call_error is None


def test_a_throttle_is_not_an_outage() -> None:
    """After a throttled answer, the outage budget starts again, because Power BI was reached."""
    run = Incarnation().answer_claim()
    for _ in range(3):
        begun = run.now
        while run.now - begun < timedelta(seconds=700):
            assert run.answer_unavailable(ReadHistory).phase is Looking
            run.wait()
        run.answer(ReadHistory, Throttled(seconds=20, error="HTTP 429")).wait(20)
    assert run.now - NOON > timedelta(seconds=2_000)
    run.answer_history()


def test_a_post_that_was_not_sent_opens_the_run_again() -> None:
    """If the POST was not sent, no refresh was accepted. So requests may join while the run waits."""
    run = Incarnation().until_permitted().answer_unavailable(PostRefresh).answer_reopen(permit=1).wait(5)
    assert run.phase is Looking


def test_the_outage_budget_also_applies_if_only_starts_fail() -> None:
    """The outage budget also applies if the history can always be read but no refresh can be started."""
    run = Incarnation().until_permitted()
    while run.answer_unavailable(PostRefresh, "no such host").phase is Reopening:
        run.answer_reopen().wait().answer_history().wait().answer_close()
    assert timedelta(seconds=900) <= run.now - NOON <= timedelta(seconds=960)
    error = run.check_outcome("Failed", "ServiceUnavailable").error
    assert error is not None
    assert "no such host" in error.message


def test_an_outage_does_not_end_the_search_for_a_lost_answer() -> None:
    """The search continues, because a refresh may be running. Giving up would allow another one at the same time."""
    run = Incarnation().until_permitted().answer_post(AnswerLost(error="x"))
    for _ in range(100):
        run.answer_unavailable(ReadHistory).wait()
    run.answer_history(adoptable="r").answer_record()


@pytest.mark.parametrize("answer", [Unavailable(error="HTTP 503"), ActivityFailure(error="KeyError: 'x'")])
def test_a_history_that_is_never_read_again_does_not_block_the_queue_permanently(
    answer: Unavailable | ActivityFailure,
) -> None:
    """The run ends when its refresh can no longer run: none runs longer than thirty hours. Its outcome stays
    unknown."""
    run = Incarnation().until_permitted().answer_post(AnswerLost(error="x"))
    while run.answer(ReadHistory, answer).phase is Reconciling and run.now - NOON < timedelta(hours=31):
        run.wait()
    outcome = run.order.outcome
    assert outcome.status == "OutcomeUnknown"
    assert (outcome.error.code == "InternalError") is isinstance(answer, ActivityFailure)
