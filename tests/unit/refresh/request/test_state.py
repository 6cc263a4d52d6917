"""A request keeps its state from turn to turn."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from durable.codec import decode, encode
from refresh.failure.catalogue import Failure
from refresh.history.look import ExternalRefresh
from refresh.polling.limits import Limits
from refresh.queue.answers import Enrolled, Turn
from refresh.request.spec import RequestSpec
from refresh.request.state import (
    RequestOutcome,
    RequestState,
    Standing,
    phase_of,
    standing_of,
    standing_while_backing_off,
)
from refresh.scope.scope import RefreshOptions, Scope

NOON = datetime(2026, 3, 31, 12, tzinfo=UTC)
SPEC = RequestSpec(
    dataset_id="00000000-1111-2222-3333-444444444444",
    scope=Scope(workspace_id="w", refresh=RefreshOptions()),
    timeout_minutes=90.5,
    caller={"pipeline": "Nightly"},
    retries=2,
)
STATE = RequestState(
    spec=SPEC,
    token="t",
    read_token="read",
    cancel_token="cancel",
    requested_at="2026-03-31T12:00:00.000Z",
    recheck_seconds=7,
    limits=Limits(poll_min=4, outage=100),
)
TRANSIENT = RequestOutcome(
    status="Failed", run_id="a-r1", error=Failure(code="ModelEvicted", message="Evicted.", retryable=True)
)


def test_the_deadline_counts_from_the_acceptance() -> None:
    """The deadline includes the time in the queue, the wait for an idle model, and the refresh."""
    assert STATE.deadline == datetime(2026, 3, 31, 13, 30, 30, tzinfo=UTC)


def test_each_turn_waits_for_its_own_event() -> None:
    """Each turn waits for an event with its own name, so that a late notification does not end a later wait."""
    assert (STATE.replace(turn=1).wake_event, STATE.replace(turn=2).wake_event) == ("wake-1", "wake-2")


def test_a_state_survives_being_stored() -> None:
    """Newer code that added keys, and older code that lacks some, can read a stored state."""
    state = STATE.backing_off(TRANSIENT).replace(standing=Standing(status="Refreshing", refresh_id="r"))
    stored = json.loads(json.dumps(encode(state)))
    assert decode(stored, RequestState) == state
    stored["invented"] = stored["spec"]["invented"] = stored["limits"]["invented"] = {"x": 1}
    stored["failed"]["error"]["invented"] = stored["standing"]["invented"] = stored["spec"]["scope"]["invented"] = 1
    assert decode(stored, RequestState) == state
    bare = {key: stored[key] for key in ("spec", "token", "read_token", "cancel_token", "requested_at")}
    assert decode(bare, RequestState).limits == Limits()


@pytest.mark.parametrize(
    ("position", "refresh", "waits_for", "phase"),
    [
        (2, None, None, "Queued"),
        (1, "r", None, "Queued"),
        (1, None, ExternalRefresh(refresh_id="theirs"), "Queued"),
        (0, None, ExternalRefresh(refresh_id="theirs"), "WaitingForIdle"),
        (0, None, None, "Starting"),
        (0, "r", None, "Refreshing"),
    ],
)
def test_a_request_waits_for_its_turn_an_idle_model_its_start_or_its_end(
    position: int, refresh: str | None, waits_for: ExternalRefresh | None, phase: str
) -> None:
    """The state "waiting for an idle model" is used only while another refresh is known to run."""
    assert phase_of(position, refresh, waits_for) == phase


def test_the_standing_is_the_answer_of_the_queue() -> None:
    """The state of a request is read from the answer of the queue. It has the statuses of the API."""
    blocker = ExternalRefresh(refresh_id="x")
    answer = Enrolled(
        run="a-r1",
        incarnation=2,
        position=0,
        shared_with=3,
        active=Turn(run="a-r1", incarnation=2),
        refresh_id="r",
        posted_at="2026-03-31T12:01:00.000Z",
        waits_for=blocker,
    )
    assert encode(standing_of(answer)) == {
        "status": "Refreshing",
        "runId": "a-r1",
        "incarnation": 2,
        "position": 0,
        "sharedWith": 3,
        "refreshId": "r",
        "startedAt": "2026-03-31T12:01:00.000Z",
        "waitsFor": {"refreshId": "x"},
    }


def test_a_transient_failure_is_retried_while_attempts_and_time_are_left() -> None:
    """A request with two retries makes at most three attempts, as long as its deadline allows another one."""
    assert STATE.may_try_again(TRANSIENT, NOON)
    assert STATE.replace(attempt=2).may_try_again(TRANSIENT, NOON)
    assert not STATE.replace(attempt=3).may_try_again(TRANSIENT, NOON)
    assert not STATE.may_try_again(TRANSIENT, STATE.deadline - timedelta(seconds=1))


@pytest.mark.parametrize(
    "outcome",
    [
        RequestOutcome(status="Completed"),
        RequestOutcome(status="Failed"),
        RequestOutcome(status="Failed", error=Failure(code="RefreshFailed", message="", retryable=False)),
        RequestOutcome(status="OutcomeUnknown", error=TRANSIENT.error),
        RequestOutcome(status="Cancelled", error=TRANSIENT.error),
    ],
)
def test_no_other_outcome_is_retried(outcome: RequestOutcome) -> None:
    """Only a failure is retried: after an unknown outcome, a retry could be a second refresh."""
    assert not STATE.may_try_again(outcome, NOON)


def test_a_request_that_backs_off_shows_its_next_attempt() -> None:
    """The status shows the next attempt and the last failure. The next attempt starts with an empty state."""
    state = STATE.replace(recheck=True, standing=Standing(run_id="a-r1")).backing_off(TRANSIENT)
    assert not state.recheck
    assert encode(standing_while_backing_off(state, NOON)) == {
        "lastReadError": "Evicted.",
        "retry": {"attempt": 2, "at": "2026-03-31T12:00:00.000Z", "after": "ModelEvicted"},
    }
    following = state.next_attempt()
    assert (following.attempt, following.failed_outcome, following.standing) == (2, None, Standing())
