"""Each outcome of a request has a complete message."""

import pytest

from refresh.capacity.answers import WaitsForPlace
from refresh.failure.catalogue import CATALOGUE, ErrorCode, ModelNames, failure
from refresh.history.look import ExternalRefresh
from refresh.history.outcome import Outcome
from refresh.queue.answers import Ended, LeaveReason, Left
from refresh.request.outcomes import (
    outcome_after_leaving,
    outcome_of_fault,
    outcome_of_run,
    outcome_while_backing_off,
)
from refresh.request.spec import RequestSpec
from refresh.request.state import RequestOutcome, RequestState
from refresh.request.stored import outcome_by_engine, outcome_in, text_of
from refresh.scope.scope import Scope

MODEL = "00000000-1111-2222-3333-444444444444"
NAMES = ModelNames(model="Sales", workspace="Finance")
SPEC = RequestSpec(dataset_id=MODEL, scope=Scope(workspace_id="w"))


def sentence(outcome: RequestOutcome) -> str:
    """The message of an outcome, with checks for every message."""
    assert outcome.error is not None
    message = outcome.error.message
    assert message.startswith("Semantic model ")
    assert MODEL in message
    assert len(message) <= 500
    return message


def test_the_outcome_of_a_run_is_that_of_its_requests() -> None:
    """A request gets the refresh that served it, the number of the other requests, and the same error."""
    error = failure("ModelEvicted", MODEL, refresh_id="r")
    outcome = Outcome(status="Failed", refresh_id="r", started_at="start", ended_at="end", error=error)
    answer = Ended(run="a-r1", outcome=outcome, shared_with=2, served_by="merged")
    assert outcome_of_run(answer) == RequestOutcome(
        status="Failed",
        error=error,
        run_id="a-r1",
        refresh_id="r",
        shared_with=2,
        served_by="merged",
        started_at="start",
        ended_at="end",
    )


def left(reason: LeaveReason, position: int = 0, refresh: str | None = None, blocker_kind: str | None = None) -> Left:
    """The answer of the queue to a request that left a run."""
    blocker = ExternalRefresh(refresh_id="theirs", refresh_type=blocker_kind, started_at="2026-03-31T11:00:00.000Z")
    waits_for = blocker if blocker_kind is not None else None
    return Left(
        reason=reason,
        run="a-r1",
        position=position,
        shared_with=3,
        refresh_id=refresh,
        posted_at="p",
        waits_for=waits_for,
    )


LEFT: list[tuple[Left, bool | None, str]] = [
    (Left(reason="TimedOut"), None, "before its deadline; it was not in the queue yet"),
    (left("TimedOut", 1), None, "it was in the queue behind 1 other run."),
    (left("TimedOut", 2), None, "it was in the queue behind 2 other runs."),
    (
        left("TimedOut", 2, blocker_kind=""),
        None,
        "behind 2 other runs, with refresh theirs running since 2026-03-31T11:00",
    ),
    (left("TimedOut"), None, "its turn had come, but its refresh had not started yet."),
    (
        left("TimedOut", blocker_kind="Scheduled"),
        None,
        "to be idle, with Scheduled refresh theirs running since 2026-03-31T11:00",
    ),
    (left("TimedOut", 0, "r"), None, "refresh r was running and continues."),
    (left("TimedOut", 0, "r"), True, "refresh r was running and Power BI was asked to cancel it."),
    (left("TimedOut", 0, "r"), False, "refresh r was running and could not be cancelled."),
    (left("Cancelled", 1), None, "was cancelled; it was in the queue behind 1 other run."),
]


@pytest.mark.parametrize(("answer", "cancelled", "words"), LEFT)
def test_the_message_of_a_request_that_left_has_its_place(answer: Left, cancelled: bool | None, words: str) -> None:
    """The message says where the request was in the queue, and what happens to the refresh."""
    outcome = outcome_after_leaving(SPEC, answer, cancelled=cancelled)
    assert words in sentence(outcome)
    assert outcome.status == answer.reason
    assert outcome.error is not None
    timed_out = answer.reason == "TimedOut"
    assert outcome.error.code == ("TimedOut" if timed_out else "RequestCancelled")
    assert outcome.error.retryable is timed_out
    assert (outcome.refresh_id, outcome.run_id) == (answer.refresh_id, answer.run)
    assert outcome.shared_with == (3 if answer.run else None)


def test_the_error_of_the_last_call_is_part_of_the_message() -> None:
    """If no other refresh was running, the error of the last call is the reason for the wait."""
    outcome = outcome_after_leaving(SPEC, left("TimedOut"), trouble="HTTP 429 Too Many Requests")
    assert "the last call failed: HTTP 429 Too Many Requests" in sentence(outcome)


def test_the_message_of_a_request_that_waited_for_a_place() -> None:
    """The message has the group, when the wait began, and why the group is closed. It has them also if
    the request is behind another run that waits."""
    place = WaitsForPlace(group="P1", since="06:00", position=2, closed_until="06:10")
    for where, words in ((left("TimedOut"), "it was waiting for"), (left("TimedOut", 1), "the first one waits for")):
        error = sentence(outcome_after_leaving(SPEC, where, place=place))
        assert f"{words} a place in capacity group P1 (waiting since 06:00, behind 2 other runs; no refresh" in error


def test_a_request_that_was_cancelled_between_attempts_has_the_last_failure() -> None:
    """A request between attempts has no run, so its message has the last failure."""
    outcome = outcome_while_backing_off(SPEC, "ModelEvicted", NAMES)
    assert "was cancelled; it was waiting to try again after ModelEvicted" in sentence(outcome)
    assert (outcome.status, outcome.run_id) == ("Cancelled", None)


def test_an_internal_error_blames_the_app() -> None:
    """The message blames the app, so the caller does not have to search its pipeline."""
    outcome = outcome_of_fault(SPEC, "the reason", NAMES)
    assert outcome.error is not None
    assert (outcome.status, outcome.error.code) == ("Failed", "InternalError")
    assert "the reason" in sentence(outcome)


STATE = RequestState(spec=SPEC, token="", read_token="", cancel_token="", requested_at="2026-03-31T12:00:00.000Z")


@pytest.mark.parametrize("word", ["Terminated", "Canceled"])
def test_a_request_that_was_terminated_by_hand(word: str) -> None:
    """The message has the reason that the operator gave."""
    outcome = outcome_by_engine(STATE, word, "maintenance tonight", "2026-03-31T12:34:56.000Z")
    assert outcome.error is not None
    assert (outcome.status, outcome.error.code) == ("Terminated", "RequestTerminated")
    assert outcome.ended_at == "2026-03-31T12:34:56.000Z"
    assert "maintenance tonight" in sentence(outcome)


@pytest.mark.parametrize("entry", CATALOGUE.values(), ids=lambda entry: entry.code)
def test_the_reason_of_a_failed_orchestration_has_its_outcome(entry: ErrorCode) -> None:
    """The reason has a line for people, and then the whole outcome. The engine puts the name of the orchestrator before
    it."""
    error = failure(entry.code, SPEC.dataset_id, detail="line one\nline two: {three}")
    outcome = RequestOutcome(status="OutcomeUnknown", error=error, refresh_id="refresh", shared_with=0)
    reason = f"Orchestrator function 'refresh_request' failed: {text_of(outcome)}"
    assert outcome_in(reason) == outcome
    assert reason.splitlines()[0].endswith(error.message)


def test_other_reasons_have_no_outcome() -> None:
    """A reason in another form has no outcome; above all, it is not a success."""
    for text in ("KeyError: 'x'", "", "a\n{}", "a\n\ud800", text_of(RequestOutcome(status="Completed"))):
        assert outcome_in(text) is None


@pytest.mark.parametrize("word", ["Failed", "Completed"])
@pytest.mark.parametrize("output", ["Orchestrator function failed", None, {"status": "Completed"}])
def test_an_end_without_an_outcome_is_an_internal_error(word: str, output: object) -> None:
    """A request that ends without an outcome is never a success."""
    outcome = outcome_by_engine(STATE, word, output, None)
    assert outcome.error is not None
    assert (outcome.status, outcome.error.code, outcome.error.retryable) == ("Failed", "InternalError", True)
    sentence(outcome)
