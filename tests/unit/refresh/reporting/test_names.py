"""Status and list show the names of model and workspace with their ids."""

from datetime import UTC, datetime
from typing import Any

import pytest

from refresh.failure.catalogue import ModelNames
from refresh.queue.state import Queue
from refresh.reporting.status import live_by_queue, live_by_run, report, summary
from refresh.request.spec import RequestSpec
from refresh.request.state import RequestOutcome, RequestState, Standing
from refresh.request.stored import StoredRequest
from refresh.run.status import RunStatus
from refresh.scope.scope import Scope

NOON = datetime(2026, 3, 31, 12, tzinfo=UTC)
NAMED: dict[str, Any] = {"model_name": "Sales", "workspace_name": "Finance"}
KNOWN = ModelNames(model="Sales by process", workspace="Finance by process")
SPEC = RequestSpec(dataset_id="m", scope=Scope(workspace_id="w"))
STATE = RequestState(spec=SPEC, token="t", read_token="r", cancel_token="c", requested_at="2026-03-31T12:00:00.000Z")


def stored(standing: Standing = Standing(), outcome: RequestOutcome | None = None) -> StoredRequest:  # noqa: B008
    """A request with this state or outcome."""
    return StoredRequest(id="id", engine_status="Running", state=STATE, standing=standing, outcome=outcome)


@pytest.mark.parametrize(
    "request_",
    [
        stored(Standing(run_id="x", **NAMED)),
        stored(outcome=RequestOutcome(status="Completed", **NAMED)),
        stored(outcome=RequestOutcome(status="TimedOut", **NAMED)),
    ],
)
def test_the_names_of_a_request_are_beside_the_ids(request_: StoredRequest) -> None:
    """A request has its names in progress and at its end, whatever names this process knows."""
    for body in (report(request_, NOON, names=KNOWN).body, summary(request_, names=KNOWN)):
        keys = list(body)
        assert (body["workspaceName"], body["modelName"]) == ("Finance", "Sales")
        assert keys.index("workspaceName") == keys.index("workspaceId") + 1
        assert keys.index("modelName") == keys.index("datasetId") + 1


def test_a_request_without_names_is_shown_with_those_of_the_process() -> None:
    """If the queue does not have the names yet, those that this process knows are shown."""
    for body in (report(stored(), NOON, names=KNOWN).body, summary(stored(), names=KNOWN)):
        assert (body["workspaceName"], body["modelName"]) == (KNOWN.workspace, KNOWN.model)


def test_unknown_names_are_left_out() -> None:
    """Unknown names are left out, as other keys without a value are."""
    for body in (report(stored(), NOON).body, summary(stored())):
        assert not {"workspaceName", "modelName"} & set(body)


def test_the_run_and_the_queue_have_them_first() -> None:
    """The names are read from the run or the queue, because a poll reads one of the two anyway."""
    run = RunStatus(refresh_id="r", **NAMED)
    assert live_by_run(Standing(run_id="x"), run).model_name == "Sales"
    assert live_by_run(Standing(run_id="x", **NAMED), RunStatus()).model_name == "Sales"
    assert summary(stored(Standing(run_id="x")), run)["modelName"] == "Sales"
    assert live_by_queue("id", Standing(**NAMED), Queue()).workspace_name == "Finance"
