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
    run = Incarnation().claimed().history(BLOCKER, names=BOTH)
    assert (run.status.model_name, run.status.workspace_name) == ("Sales", "Finance")
    run.wait().history(names=UNNAMED).wait()
    assert isinstance(run.asks, Close)
    assert run.asks.names == BOTH


def test_a_waiting_run_reports_the_names_with_the_external_refresh() -> None:
    """A waiting run reports the names, because its requests may wait for hours."""
    run = Incarnation().claimed()
    look = Look(service_time=instant(NOON), read_at=instant(NOON))
    run.answer(ReadHistory, HistoryRead(look=look, running=BLOCKER, names=BOTH))
    assert isinstance(run.asks, WaitBehind)
    assert run.asks.names == BOTH


def test_a_run_gets_the_names_that_earlier_runs_read() -> None:
    """The queue returns them with the claim, so even the first failure of the run has them."""
    run = Incarnation().claimed(names=BOTH)
    assert run.run.names == BOTH
    assert run.history(names=ModelNames(workspace="Finance 2")).run.names == ModelNames(
        model="Sales", workspace="Finance 2"
    )


def test_failures_of_a_run_name_the_model() -> None:
    """Failures that Power BI does not report, such as a refresh that never appeared, also name the model."""
    run = Incarnation().claimed().history(names=BOTH).wait().permitted()
    for _ in range(NEVER):
        run.posted(Accepted(refresh_id="r")).recorded()
        run.run = run.run.replace(wait=run.run.limits.grace)
        run.wait().absent()
        if run.phase is Finishing:
            break
        run.reopened().wait().history().wait().permitted()
    outcome = run.ended("Failed", "RefreshDropped")
    assert outcome.error is not None
    assert outcome.error.message.startswith("Semantic model Sales in workspace Finance: ")


def test_a_run_continues_without_names() -> None:
    """Names are optional. Without them, a failure has the id of the model."""
    run = Incarnation().polling().reads("Cancelled")
    outcome = run.ended("Cancelled", "RefreshCancelled")
    assert outcome.error is not None
    assert outcome.error.message.startswith(f"Semantic model {MODEL}: ")
    assert run.status.model_name is None
