"""After a POST without a clear answer, exactly one new refresh may be ours, and nothing proves that it is."""

from refresh.run.orders import AnswerLost, ReadHistory
from refresh.run.state import Finishing, Reconciling, Recording, Reopening
from tests.unit.refresh.run.incarnations import ENHANCED, Incarnation

SOLE = ("r", "digest")


def test_the_only_candidate_is_adopted_after_a_202() -> None:
    """Power BI answered 202 without an id. The run adopts the refresh after the grace, in which another one could
    appear."""
    run = Incarnation().until_permitted(ENHANCED).answer_post(AnswerLost(accepted=True))
    while run.answer_history(sole=SOLE).phase is Reconciling:
        run.wait()
    assert run.phase is Recording
    assert (run.run.refresh_id, run.run.followed.adopted, run.run.followed.after_loss) == ("r", True, True)


def test_the_only_candidate_is_not_adopted_if_the_post_may_have_failed() -> None:
    """The refresh may be a partial external one, so the run starts its own."""
    run = Incarnation().until_permitted(ENHANCED).answer_post(AnswerLost())
    while run.answer_history(sole=SOLE).phase is Reconciling:
        run.wait()
    assert run.phase is Reopening


def test_two_equal_candidates_prove_nothing() -> None:
    """Both refreshes may be external ones of the same part. So the run does not search by the objects of the first."""
    run = Incarnation().until_permitted(ENHANCED).answer_post(AnswerLost())
    while run.answer_history(sole=SOLE).phase is Reconciling:
        run.wait()
    run.answer_reopen().wait().answer_history().wait().answer_close().answer_post(AnswerLost())
    assert isinstance(run.order, ReadHistory)
    assert run.order.objects is None
    while run.answer_history(sole=("s", SOLE[1])).phase is Reconciling:
        run.wait()
    assert run.phase is Reopening


def test_repeated_candidates_lead_to_an_unknown_outcome() -> None:
    """Refreshes appeared, but none of them is known to be ours, so the outcome is unknown, not failed."""
    run = Incarnation().until_permitted(ENHANCED).answer_post(AnswerLost())
    for number in range(20):
        while run.answer_history(sole=(f"r{number}", f"digest {number}")).phase is Reconciling:
            run.wait()
        if run.phase is Finishing:
            break
        run.answer_reopen().wait().answer_history().wait().answer_close().answer_post(AnswerLost())
    outcome = run.run.outcome
    assert outcome is not None
    assert outcome.error is not None
    assert (outcome.status, outcome.error.code) == ("OutcomeUnknown", "RefreshUnproven")
