"""The demo's judgement of what callers were told."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dev.callers import Ask, Seen
from dev.verdicts import Truth, Verdict, exit_code, judge, numbers, parse_time, shared_with

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
ASK = Ask("Load orders", "Sales", "w", "d")
TOLD = {
    "status": "Completed",
    "refreshId": "R1",
    "requestedAt": "2026-03-01T12:00:00Z",
    "startedAt": "2026-03-01T12:00:05Z",
    "endedAt": "2026-03-01T12:00:11.5Z",
}
FAILED = {**TOLD, "status": "Failed", "error": {"message": "credentials"}}


def seen(told: dict[str, Any] | None = None, code: int = 200, problem: str = "") -> Seen:
    return Seen(
        sent=NOON, ended=NOON + timedelta(seconds=12), code=code, told=TOLD if told is None else told, problem=problem
    )


def truth(state: str = "Completed", refresh_id: str = "r1", seconds: float = 5) -> Truth:
    return Truth(refresh_id, state, NOON + timedelta(seconds=seconds))


def test_a_true_success() -> None:
    """Right, with the times the caller was told."""
    verdict = judge(ASK, seen(), [truth()])
    assert (verdict.right, verdict.status, verdict.waited, verdict.refreshed) == (True, "Completed", 5.0, 6.5)


def test_a_true_failure_is_right() -> None:
    """Red is right where Power BI says Failed; the sentence is kept."""
    verdict = judge(ASK, seen(FAILED, 424), [truth("Failed")])
    assert (verdict.right, verdict.message) == (True, "credentials")


@pytest.mark.parametrize(
    ("told", "truths", "why"),
    [
        (seen(), [truth("Failed")], "Power BI says Failed"),
        (seen(FAILED, 424), [truth()], "Power BI says Completed"),
        (seen(), [truth("InProgress")], "Power BI says InProgress"),
        (seen(), [truth(seconds=-1)], "that refresh started before the caller asked"),
        (seen(), [truth(refresh_id="r2")], "Power BI knows no such refresh"),
        (seen({"status": "Completed"}), [truth()], "it names no refresh"),
        (seen(FAILED, 200), [truth("Failed")], "HTTP 200 does not go with Failed"),
        (seen(code=424), [truth()], "HTTP 424 does not go with Completed"),
        (seen(problem="refused"), [truth()], "refused"),
        (seen(problem="refused"), None, "refused"),
        (replace(seen(), ended=None), [truth()], "it was never told how it ended"),
        (Seen(), None, "it was never told how it ended"),
    ],
)
def test_what_is_wrong(told: Seen, truths: list[Truth] | None, why: str) -> None:
    """Each way of not telling the truth is found and named."""
    verdict = judge(ASK, told, truths)
    assert (verdict.right, verdict.why) == (False, why)


def test_clocks_that_differ_are_given_some_slack() -> None:
    """Between two machines a start one second too early proves nothing."""
    assert judge(ASK, seen(), [truth(seconds=-1)], timedelta(seconds=2)).right is True
    assert judge(ASK, seen(), [truth(seconds=-3)], timedelta(seconds=2)).right is False


def test_exit_code_is_0_only_if_all_is_right() -> None:
    """Unchecked successes pass, unchecked failures and an empty list do not."""
    right = judge(ASK, seen(), [truth()])
    red_but_right = judge(ASK, seen(FAILED, 424), [truth("Failed")])
    wrong = judge(ASK, seen(), [truth("Failed")])
    assert exit_code([right, red_but_right]) == 0
    assert exit_code([right, wrong]) == 1
    assert exit_code([]) == 1
    assert exit_code([judge(ASK, seen(), None)]) == 0
    assert exit_code([judge(ASK, seen(FAILED, 424), None)]) == 1


def test_who_shared_which_refresh() -> None:
    """Refreshes get numbers in the order of the callers; who has none shares none."""

    def got(refresh_id: str) -> Verdict:
        return judge(ASK, seen({**TOLD, "refreshId": refresh_id}), [])

    verdicts = [got("b"), got("a"), got("b"), got(""), got("")]
    assert numbers(verdicts) == {"b": 1, "a": 2}
    assert [shared_with(verdict, verdicts) for verdict in verdicts] == [1, 0, 1, 0, 0]


@pytest.mark.parametrize("text", ["2026-03-01T12:00:00Z", "2026-03-01T12:00:00", "2026-03-01T13:00:00+01:00"])
def test_times_are_utc_unless_they_say_otherwise(text: str) -> None:
    """The app and Power BI write them differently."""
    assert parse_time(text) == NOON


@pytest.mark.parametrize("value", [None, 5, "", "soon"])
def test_what_is_no_time(value: object) -> None:
    """Nothing that could be counted with."""
    assert parse_time(value) is None
