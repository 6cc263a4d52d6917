"""A start is one of four cases: a new request, the same one, an ended one, or a conflict."""

from typing import get_args

import pytest

from refresh.failure.catalogue import failure
from refresh.request.decision import Conflict, Ended, New, Same, decide, may_start_again
from refresh.request.spec import RequestSpec
from refresh.request.state import Final, RequestOutcome, RequestState
from refresh.request.stored import StoredRequest
from refresh.scope.scope import RefreshOptions, Scope

SPEC = RequestSpec(dataset_id="d", scope=Scope(workspace_id="w"), idempotency_key="k")
TRANSIENT, LASTING = failure("ModelEvicted", "d"), failure("CredentialsRejected", "d")


def known(outcome: RequestOutcome | None = None, spec: RequestSpec = SPEC) -> StoredRequest:
    """The existing request with the key."""
    state = RequestState(spec=spec, token="", read_token="", cancel_token="", requested_at="2026-03-31T12:00:00.000Z")
    return StoredRequest(id="a", engine_status="Running", state=state, outcome=outcome)


def test_an_unknown_key_is_a_new_request() -> None:
    """The request is the first one of the key, or the next if the purge has deleted the previous ones."""
    assert decide(SPEC, None) == New(1)
    assert decide(SPEC, None, 3) == New(4)


def test_a_request_in_progress_is_the_same() -> None:
    """A start with the key gets the request in progress, even if its caller would wait longer or shorter, or not
    share."""
    other = RequestSpec(dataset_id="d", scope=SPEC.scope, timeout_minutes=1, share=False, retries=3)
    for spec in (SPEC, other):
        assert decide(spec, known(), 2) == Same(known())


@pytest.mark.parametrize("outcome", [None, RequestOutcome(status="Completed"), RequestOutcome(status="TimedOut")])
def test_different_options_are_a_conflict_with_any_outcome(outcome: RequestOutcome | None) -> None:
    """The conflict names each key that differs."""
    spec = RequestSpec(dataset_id="d", scope=Scope(workspace_id="x", refresh=RefreshOptions()))
    assert decide(spec, known(outcome), 1) == Conflict(["workspaceId", "refresh"])
    mails = RequestSpec(dataset_id="d", scope=Scope(workspace_id="w", notify_option="MailOnFailure"))
    assert decide(mails, known(outcome), 1) == Conflict(["notifyOption"])


AGAIN = [
    RequestOutcome(status="TimedOut", error=failure("TimedOut", "d")),
    RequestOutcome(status="Terminated", error=failure("RequestTerminated", "d")),
    RequestOutcome(status="Failed", error=TRANSIENT),
    RequestOutcome(status="OutcomeUnknown", error=TRANSIENT),
]
FOR_GOOD = [
    RequestOutcome(status="Completed"),
    RequestOutcome(status="Failed", error=LASTING),
    RequestOutcome(status="Cancelled", error=failure("RequestCancelled", "d")),
    RequestOutcome(status="OutcomeUnknown", error=failure("RefreshNeverEnded", "d")),
    RequestOutcome(status="Failed"),
]


@pytest.mark.parametrize("outcome", AGAIN)
def test_a_transient_failure_allows_a_new_request_with_the_key(outcome: RequestOutcome) -> None:
    """After a transient failure, the key gives the next submission, because a pipeline that runs its activity again
    expects it."""
    assert decide(SPEC, known(outcome), 7) == New(8)
    assert may_start_again(outcome)


@pytest.mark.parametrize("outcome", FOR_GOOD)
def test_any_other_outcome_is_final(outcome: RequestOutcome) -> None:
    """After any other outcome, a repeat gets the same outcome."""
    assert decide(SPEC, known(outcome), 7) == Ended(known(outcome))


def test_each_outcome_has_a_row() -> None:
    """The cases above include every outcome."""
    assert {outcome.status for outcome in (*AGAIN, *FOR_GOOD)} == set(get_args(Final))
