"""Requests in the form that the engine shows after their end."""

from typing import Any

import pytest

from durable import names
from durable.codec import encode
from durable.instance import Instance
from durable.requests import request_of
from refresh.failure.catalogue import failure
from refresh.request.spec import RequestSpec
from refresh.request.state import RequestOutcome, RequestState
from refresh.request.stored import text_of
from refresh.scope.scope import Scope

MODEL = "22222222-aaaa-bbbb-cccc-000000000001"
STATE = RequestState(
    spec=RequestSpec(dataset_id=MODEL, scope=Scope(workspace_id="11111111-aaaa-bbbb-cccc-000000000001")),
    token="t",
    read_token="r",
    cancel_token="c",
    requested_at="2026-03-31T12:00:00.000Z",
)
COMPLETED = RequestOutcome(status="Completed", run_id="run", refresh_id="refresh", shared_with=2)
FAILED = RequestOutcome(status="Failed", error=failure("CredentialsRejected", MODEL), run_id="run")


def outcome_of_row(status: str, output: Any, custom_status: Any = None) -> RequestOutcome | None:
    """The outcome of an instance in this form."""
    instance = Instance(
        id="x",
        name=names.REFRESH_REQUEST,
        status=status,
        input=encode(STATE),
        output=output,
        custom_status=custom_status,
        updated="2026-03-31T12:34:56.000Z",
    )
    request = request_of(instance)
    assert request is not None
    return request.outcome


@pytest.mark.parametrize(("status", "outcome"), [("Completed", COMPLETED), ("Failed", FAILED)])
def test_the_status_has_all_of_the_outcome(status: str, outcome: RequestOutcome) -> None:
    """The outcome is read from the status of the instance, whatever its output is."""
    assert outcome_of_row(status, "a text", encode(outcome)) == outcome


def test_an_end_without_its_status() -> None:
    """If the host dies while it writes the end, the engine completes the end from the history, without a custom status.
    The outcome is then read from the output."""
    assert outcome_of_row("Completed", encode(COMPLETED)) == COMPLETED
    assert outcome_of_row("Failed", f"Orchestrator function 'refresh_request' failed: {text_of(FAILED)}") == FAILED
    for output in (None, "a text", {"unknown": 1}):
        found = outcome_of_row("Completed", output)
        assert found is not None
        assert found.error is not None
        assert found.error.code == "InternalError"


def test_a_request_that_goes_on_has_no_outcome() -> None:
    """A request in progress has no outcome, even if it has no status yet."""
    assert outcome_of_row("Running", None) is None
