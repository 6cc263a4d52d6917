"""The names of a model and its workspace: how a run reads them and passes them on."""

from refresh.failure.catalogue import ModelNames
from refresh.history.look import Look
from refresh.queue.operations import Close, WaitBehind
from refresh.run.orders import Accepted, HistoryRead, ReadHistory
from refresh.run.state import Finishing
from refresh.times import instant
from tests.unit.refresh.run.incarnations import BLOCKER, MODEL, NEVER, NOON, UNNAMED, Incarnation

BOTH = ModelNames(model="Sales", workspace="Finance")


def test_a_run_reports_the_names_to_the_queue_and_its_status() -> None:
    """The names come from the first successful look. A later look that cannot read them removes none."""
    run = Incarnation().answer_claim().answer_history(BLOCKER, names=BOTH)
    assert (run.status.model_name, run.status.workspace_name) == ("Sales", "Finance")
    run.wait().answer_history(names=UNNAMED).wait()
    assert isinstance(run.order, Close)
    assert run.order.names == BOTH


def test_a_waiting_run_reports_the_names_with_the_external_refresh() -> None:
    """A waiting run reports the names, because its requests may wait for hours."""
    run = Incarnation().answer_claim()
    look = Look(service_time=instant(NOON), read_at=instant(NOON))
    run.answer(ReadHistory, HistoryRead(look=look, running=BLOCKER, names=BOTH))
    assert isinstance(run.order, WaitBehind)
    assert run.order.names == BOTH


def test_a_run_gets_the_names_that_earlier_runs_read() -> None:
    """The queue returns them with the claim, so even the first failure of the run has them."""
    run = Incarnation().answer_claim(names=BOTH)
    assert run.run.names == BOTH
    assert run.answer_history(names=ModelNames(workspace="Finance 2")).run.names == ModelNames(
        model="Sales", workspace="Finance 2"
    )


def test_failures_of_a_run_name_the_model() -> None:
    """Failures that Power BI does not report, such as a refresh that never appeared, also name the model."""
    run = Incarnation().answer_claim().answer_history(names=BOTH).wait().answer_close()
    for _ in range(NEVER):
        run.answer_post(Accepted(refresh_id="r")).answer_record()
        run.run = run.run.replace(wait=run.run.limits.grace)
        run.wait().answer_absent()
        if run.phase is Finishing:
            break
        run.answer_reopen().wait().answer_history().wait().answer_close()
    outcome = run.check_outcome("Failed", "RefreshDropped")
    assert outcome.error is not None
    assert outcome.error.message.startswith("Semantic model Sales in workspace Finance: ")


def test_a_run_continues_without_names() -> None:
    """Names are optional. Without them, a failure has the id of the model."""
    run = Incarnation().until_polling().answer_read("Cancelled")
    outcome = run.check_outcome("Cancelled", "RefreshCancelled")
    assert outcome.error is not None
    assert outcome.error.message.startswith(f"Semantic model {MODEL}: ")
    assert run.status.model_name is None
