"""A POST without a clear answer, after which just one refresh appears that may be ours and is not shown to be."""

from refresh.run.orders import AnswerLost, ReadHistory
from refresh.run.state import Finishing, Reconciling, Recording, Reopening
from tests.unit.refresh.run.incarnations import ENHANCED, Incarnation

SOLE = ("r", "digest")


def test_an_accepted_one_is_the_only_one_that_appeared() -> None:
    """Power BI answered 202 without an id: after the grace, in which another one might appear, it is taken."""
    run = Incarnation().closed(ENHANCED).posted(AnswerLost(accepted=True))
    while run.history(sole=SOLE).phase is Reconciling:
        run.wait()
    assert run.phase is Recording
    assert (run.run.refresh_id, run.run.followed.adopted, run.run.followed.after_loss) == ("r", True, True)


def test_one_that_may_not_have_been_accepted_is_not_taken() -> None:
    """It may be an external refresh of a part of the model: another one is made."""
    run = Incarnation().closed(ENHANCED).posted(AnswerLost())
    while run.history(sole=SOLE).phase is Reconciling:
        run.wait()
    assert run.phase is Reopening


def test_two_that_are_alike_are_ours() -> None:
    """The second one is searched for by the objects of the first."""
    run = Incarnation().closed(ENHANCED).posted(AnswerLost())
    while run.history(sole=SOLE).phase is Reconciling:
        run.wait()
    run.reopened().wait().history().wait().permitted().posted(AnswerLost())
    assert isinstance(run.asks, ReadHistory)
    assert run.asks.objects == "digest"
    assert run.history(adoptable="s").run.refresh_id == "s"


def test_what_appeared_again_and_again_is_not_denied() -> None:
    """Refreshes appeared, none of them known to be ours: the outcome is unknown, it did not fail."""
    run = Incarnation().closed(ENHANCED).posted(AnswerLost())
    for number in range(20):
        while run.history(sole=(f"r{number}", f"digest {number}")).phase is Reconciling:
            run.wait()
        if run.phase is Finishing:
            break
        run.reopened().wait().history().wait().permitted().posted(AnswerLost())
    outcome = run.run.outcome
    assert outcome is not None
    assert outcome.error is not None
    assert (outcome.status, outcome.error.code) == ("OutcomeUnknown", "RefreshUnproven")
