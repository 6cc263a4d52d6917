"""The demo finds every kind of incorrect outcome."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dev.demo.assessment import Assessment, Refresh, assess, exit_code, numbers, parse_time, shared_with
from dev.demo.callers import RefreshRequest, Report

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
REQUEST = RefreshRequest("Load orders", "Sales", "w", "d")
BODY = {
    "status": "Completed",
    "refreshId": "R1",
    "requestedAt": "2026-03-01T12:00:00Z",
    "startedAt": "2026-03-01T12:00:05Z",
    "endedAt": "2026-03-01T12:00:11.5Z",
}
FAILED = {**BODY, "status": "Failed", "error": {"message": "credentials"}}


def report(body: dict[str, Any] | None = None, code: int = 200, problem: str = "") -> Report:
    return Report(
        sent=NOON, ended=NOON + timedelta(seconds=12), code=code, body=BODY if body is None else body, problem=problem
    )


def refresh(state: str = "Completed", refresh_id: str = "r1", seconds: float = 5) -> Refresh:
    return Refresh(refresh_id, state, NOON + timedelta(seconds=seconds))


def test_a_correct_success() -> None:
    """The outcome is correct, and has the times that the caller received."""
    assessment = assess(REQUEST, report(), [refresh()])
    assert (assessment.correct, assessment.status, assessment.waited, assessment.refreshed) == (
        True,
        "Completed",
        5.0,
        6.5,
    )


def test_a_correct_failure() -> None:
    """A failure is correct if the refresh is Failed in Power BI; its message is kept."""
    assessment = assess(REQUEST, report(FAILED, 424), [refresh("Failed")])
    assert (assessment.correct, assessment.message) == (True, "credentials")


@pytest.mark.parametrize(
    ("received", "refreshes", "reason"),
    [
        (report(), [refresh("Failed")], "the refresh is Failed in Power BI"),
        (report(FAILED, 424), [refresh()], "the refresh is Completed in Power BI"),
        (report(), [refresh("InProgress")], "the refresh is InProgress in Power BI"),
        (report(), [refresh(seconds=-1)], "that refresh started before the request was sent"),
        (report(), [refresh(refresh_id="r2")], "Power BI has no such refresh"),
        (report({"status": "Completed"}), [refresh()], "the outcome names no refresh"),
        (report(FAILED, 200), [refresh("Failed")], "HTTP 200 contradicts the status Failed"),
        (report(code=424), [refresh()], "HTTP 424 contradicts the status Completed"),
        (report(problem="refused"), [refresh()], "refused"),
        (report(problem="refused"), None, "refused"),
        (replace(report(), ended=None), [refresh()], "no outcome was reported"),
        (Report(), None, "no outcome was reported"),
    ],
)
def test_an_incorrect_outcome(received: Report, refreshes: list[Refresh] | None, reason: str) -> None:
    """Each kind of contradiction is found and named."""
    assessment = assess(REQUEST, received, refreshes)
    assert (assessment.correct, assessment.reason) == (False, reason)


def test_a_difference_of_clocks_is_tolerated() -> None:
    """If the clocks of two machines differ, a start one second too early proves nothing."""
    assert assess(REQUEST, report(), [refresh(seconds=-1)], timedelta(seconds=2)).correct is True
    assert assess(REQUEST, report(), [refresh(seconds=-3)], timedelta(seconds=2)).correct is False


def test_exit_code_is_0_only_if_every_outcome_is_correct() -> None:
    """Unchecked successes pass, unchecked failures and an empty list do not."""
    correct = assess(REQUEST, report(), [refresh()])
    correct_failure = assess(REQUEST, report(FAILED, 424), [refresh("Failed")])
    incorrect = assess(REQUEST, report(), [refresh("Failed")])
    assert exit_code([correct, correct_failure]) == 0
    assert exit_code([correct, incorrect]) == 1
    assert exit_code([]) == 1
    assert exit_code([assess(REQUEST, report(), None)]) == 0
    assert exit_code([assess(REQUEST, report(FAILED, 424), None)]) == 1


def test_shared_refreshes_have_the_same_number() -> None:
    """Numbers follow the order of the callers; a caller without a refresh shares none."""

    def received(refresh_id: str) -> Assessment:
        return assess(REQUEST, report({**BODY, "refreshId": refresh_id}), [])

    assessments = [received("b"), received("a"), received("b"), received(""), received("")]
    assert numbers(assessments) == {"b": 1, "a": 2}
    assert [shared_with(assessment, assessments) for assessment in assessments] == [1, 0, 1, 0, 0]


@pytest.mark.parametrize("text", ["2026-03-01T12:00:00Z", "2026-03-01T12:00:00", "2026-03-01T13:00:00+01:00"])
def test_times_without_an_offset_are_utc(text: str) -> None:
    """The app and Power BI write them differently."""
    assert parse_time(text) == NOON


@pytest.mark.parametrize("value", [None, 5, "", "soon"])
def test_values_that_are_not_times(value: object) -> None:
    """Other values give None."""
    assert parse_time(value) is None
