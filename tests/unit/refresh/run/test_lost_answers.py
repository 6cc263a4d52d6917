"""A run whose answer to the POST was lost searches for its refresh before it posts again."""

from datetime import timedelta

import pytest

from refresh.history.look import LostWindow
from refresh.queue.answers import Closed
from refresh.queue.operations import Close
from refresh.run.orders import (
    OTHER_EXECUTION,
    ActivityFailure,
    AnswerLost,
    Busy,
    PostAnswer,
    ReadHistory,
)
from refresh.run.state import (
    Finishing,
    Looking,
    Posting,
    Reconciling,
    Reopening,
)
from refresh.run.transitions import MAX_TRIES
from refresh.times import instant
from tests.unit.refresh.run.incarnations import (
    ENHANCED,
    LOOK,
    NEVER,
    NOON,
    Incarnation,
)


def test_a_changed_history_does_not_end_the_grace() -> None:
    """A new row may be an external refresh, and ours may appear later. So the run continues to search."""
    run = Incarnation().until_permitted().answer_post(AnswerLost()).answer_history(changed=True)
    assert run.phase is Reconciling
    assert run.wait().answer_history(adoptable="r").answer_record().run.followed.after_loss


@pytest.mark.parametrize("answer", [AnswerLost(error="no answer"), ActivityFailure(error="no answer")])
def test_a_lost_answer_is_searched_for_before_another_post(answer: PostAnswer | ActivityFailure) -> None:
    """The run does not post again while its refresh may still appear."""
    run = Incarnation().until_permitted()
    look = run.run.look
    run.answer_post(answer).answer_history(lost=LostWindow(), look=look)
    run.wait(5).answer_history().wait()
    run.answer_history(adoptable="r").answer_record()
    assert (run.run.refresh_id, run.run.followed.adopted, run.run.posts.lost) == ("r", True, 0)


def test_after_a_lost_answer_and_the_grace_the_run_posts_again() -> None:
    """If no refresh appears within the grace, none was accepted, and the run posts again."""
    run = Incarnation().until_permitted().answer_post(AnswerLost(error="no answer"))
    while run.answer_history().phase is Reconciling:
        run.wait()
    assert timedelta(seconds=120) <= run.now - NOON <= timedelta(seconds=140)
    run.answer_reopen(permit=1).wait(5).answer_history().wait(2.0).answer_close(permit=2)
    assert run.phase is Posting


def post_until_the_end(answer: PostAnswer | ActivityFailure) -> tuple[Incarnation, int]:
    """Plays a run whose POSTs all get this answer and whose refresh never appears. Returns the ended run and the number
    of POSTs."""
    run, posts = Incarnation().until_permitted(), 0
    while run.phase is not Finishing:
        assert posts < NEVER
        posts += 1
        run.answer_post(answer)
        while run.answer_history().phase is Reconciling:
            run.wait()
        if run.phase is Reopening:
            run.answer_reopen().wait().answer_history().wait().answer_close()
    return run, posts


def test_repeatedly_lost_answers_end_the_run() -> None:
    """The run ends after several attempts and the outage budget, with the last error."""
    run, posts = post_until_the_end(AnswerLost(error="connection reset"))
    assert posts >= MAX_TRIES
    assert run.now - NOON >= timedelta(seconds=900)
    error = run.check_outcome("Failed", "AnswerLost").error
    assert error is not None
    assert "no new refresh appeared. Last error: connection reset." in error.message


def test_lost_answers_do_not_add_up_over_hours() -> None:
    """A refresh that never ends keeps the model busy, so POSTs are refused for hours. Some answers are lost in between.
    These are far apart, so they are not counted together."""
    run = Incarnation().until_permitted()
    for number in range(3 * MAX_TRIES):
        run.answer_post(AnswerLost(error=OTHER_EXECUTION) if number % 2 else Busy())
        while run.answer_history().phase is Reconciling:
            run.wait()
        run.answer_reopen().wait().answer_history().wait().answer_close()
    assert run.now - NOON >= timedelta(seconds=900)
    assert run.phase is Posting


def test_an_exception_of_ours_in_every_post_is_not_blamed_on_power_bi() -> None:
    """The error names the exception of the app, because Power BI may never have been called."""
    run, posts = post_until_the_end(ActivityFailure(error="KeyError: 'x'"))
    assert posts >= MAX_TRIES
    error = run.check_outcome("Failed", "InternalError").error
    assert error is not None
    assert "KeyError: 'x'" in error.message


def test_an_exception_of_ours_before_the_post_is_not_blamed_on_power_bi() -> None:
    """An exception of the app before the POST has the same budget as an outage, because the host may be shutting
    down."""
    run = Incarnation().answer_claim()
    while run.answer_broke(ReadHistory).phase is Looking:
        run.wait()
    assert timedelta(seconds=900) <= run.now - NOON <= timedelta(seconds=960)
    error = run.check_outcome("Failed", "InternalError").error
    assert error is not None
    assert "KeyError" in error.message
    assert run.run.posts.lost == 0


def test_the_run_stores_when_its_lost_refresh_can_have_begun() -> None:
    """With the times between which its refresh can have begun, the run adopts no other refresh by mistake. After a POST
    with an exception, they are not known."""
    known = LostWindow(since="2026-03-31T12:00:05.000Z", until="2026-03-31T12:00:09.000Z")
    Incarnation().until_permitted().answer_post(AnswerLost(error="no answer", window=known)).answer_history(lost=known)
    Incarnation().until_permitted().answer_post(ActivityFailure(error="x")).answer_history(lost=LostWindow())


def test_a_lost_refresh_is_searched_for_by_the_objects_of_the_last_one() -> None:
    """The queue returns the objects with the claim, and again with the permit, because the scope may have changed."""
    run = Incarnation().answer_claim(ENHANCED, objects="old").answer_history().wait()
    run.answer(Close, Closed(scope=ENHANCED, objects="new")).answer_post(AnswerLost()).answer_history(objects="new")
    again = Incarnation(number=2).answer_claim(
        ENHANCED, objects="old", permit=1, closed=True, look=LOOK, permit_taken_at=instant(NOON)
    )
    again.answer_history(objects="old", lost=LostWindow(since=LOOK.service_time))
