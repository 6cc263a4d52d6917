"""The reason for a model's state, in one sentence."""

from datetime import timedelta

import pytest

from refresh.capacity.answers import WaitsForPlace
from refresh.history.look import ExternalRefresh
from refresh.messages import replace
from refresh.models.operations import Expect, IndexOperation
from refresh.models.state import Active
from refresh.queue.state import Member, Queue, Run
from refresh.reporting.model_summary import span, summary
from refresh.reporting.models import KnownModel
from refresh.run.status import RunStatus
from refresh.times import instant
from tests.unit.refresh.models.news import MODEL, NOW, at, entry_after, run_ended

NOTHING = RunStatus()
WAITING = Active(run_id="r", incarnation=1, since=at(12), status="WaitingForIdle", requests=1, at=at(0))
REFRESHING = replace(WAITING, status="Refreshing", refresh_id="ours")
SCHEDULED = ExternalRefresh(refresh_id="theirs", refresh_type="Scheduled", started_at=at(12))


def sentence(
    *news: IndexOperation,
    active: Active | None = None,
    run: RunStatus = NOTHING,
    expected: float | None = None,
    behind: int = 0,
) -> str:
    """The sentence for a model after these operations; `behind` requests wait for the run after the active one."""
    entry = entry_after(*news) if news else entry_after(Expect(at=at(0), dataset_id=MODEL))
    queue = Queue()
    if behind:
        members = {f"m{number}": Member("t", at(1), "w") for number in range(behind)}
        queue.runs = [Run(id="r", scope=0), Run(id="next", scope=0, members=members)]
    return summary(KnownModel(MODEL, entry, expected, NOW), active, queue, run)


def test_behind_an_external_refresh() -> None:
    """The sentence has the kind of the external refresh and, if known, the usual duration of such refreshes."""
    run = RunStatus(waits_for=SCHEDULED, waits_since=at(2), usual_wait_seconds=900)
    assert sentence(active=WAITING, run=run) == (
        "Waits behind a scheduled refresh that began 12 min ago and usually takes 15 min."
    )
    unknown = ExternalRefresh(refresh_id="theirs", refresh_type="ViaTelepathy")
    assert sentence(active=WAITING, run=RunStatus(waits_for=unknown, waits_since=at(2))) == (
        "Waits behind another refresh that began 2 min ago."
    )


def test_waiting_for_other_reasons() -> None:
    """Other reasons for a wait are that the run has just started, or that its last call failed."""
    assert sentence(active=WAITING) == "Has waited 12 min for its refresh to begin."
    place = WaitsForPlace(group="P1", since=at(5), position=2)
    assert sentence(active=WAITING, run=RunStatus(waits_for_place=place)) == (
        "Has waited 5 min for a place in the capacity group P1, behind 2 other runs."
    )
    trouble = RunStatus(last_call_error="HTTP 503 from Power BI")
    assert sentence(active=WAITING, run=trouble) == (
        "Has waited 12 min for its refresh to begin; the last call failed: HTTP 503 from Power BI."
    )
    behind = RunStatus(waits_for=SCHEDULED, waits_since=at(2), last_call_error="HTTP 503 from Power BI")
    assert sentence(active=WAITING, run=behind) == (
        "Waits behind a scheduled refresh that began 12 min ago; the last call failed: HTTP 503 from Power BI."
    )


def test_refreshing() -> None:
    """The sentence has the duration, the usual duration, and whether the refresh is late. If there is an estimate, it
    is used."""
    assert sentence(active=REFRESHING) == "Refreshing for 12 min."
    assert sentence(run_ended("a", 600, took=15), active=REFRESHING) == "Refreshing for 12 min (usually 15 min)."
    estimate = RunStatus(expected_end=at(12 - 5))
    assert sentence(run_ended("a", 600, took=15), active=REFRESHING, run=estimate) == (
        "Refreshing for 12 min (usually 5 min), 7 min longer than usual."
    )
    assert sentence(active=REFRESHING, behind=1).endswith("12 min; 1 more request waits for the next refresh.")
    assert sentence(active=REFRESHING, behind=2).endswith("12 min; 2 more requests wait for the next refresh.")
    assert sentence(active=REFRESHING, run=RunStatus(last_call_error="HTTP 500")).endswith(
        "; the last call failed: HTTP 500."
    )


def test_failing() -> None:
    """The sentence has the number of failures in a row, the time and the cause, even while the next refresh is
    running."""
    assert sentence(run_ended("a", 60, "Failed")) == (
        "The last refresh failed (60 min ago): Semantic model Sales: the refresh failed."
    )
    failures = [run_ended(f"f{number}", 400 - number, "Failed") for number in range(3)]
    assert sentence(*failures).startswith("3 refreshes in a row failed, the latest 6 h ago: Semantic model ")
    assert sentence(*failures, active=REFRESHING).startswith("Refreshing for 12 min; 3 refreshes in a row failed")
    assert sentence(*failures, run_ended("c", 30, "Cancelled")) == (
        "3 refreshes in a row failed; the most recent refresh was cancelled 30 min ago."
    )
    assert sentence(failures[0], run_ended("c", 30, "Cancelled")) == (
        "A refresh failed; the most recent refresh was cancelled 30 min ago."
    )


def test_overdue() -> None:
    """The sentence has the last success, if any, even while the model refreshes or fails."""
    old = run_ended("a", 31 * 60)
    assert sentence(old, expected=24) == "Overdue: a success is expected every 24 h, and the last one was 31 h ago."
    assert sentence(old, active=REFRESHING, expected=24) == (
        "Refreshing for 12 min (usually 10 min); "
        "overdue: a success is expected every 24 h, and the last one was 31 h ago."
    )
    assert sentence(old, run_ended("b", 60, "Failed"), expected=24) == (
        "Overdue: a success is expected every 24 h, and the last one was 31 h ago; "
        "the last refresh failed (60 min ago): Semantic model Sales: the refresh failed."
    )
    assert sentence(Expect(at=at(180), dataset_id=MODEL), expected=1.5) == (
        "Overdue: a success is expected every 90 min, but there is none yet; the app first saw the model 3 h ago."
    )


def test_fresh_and_unknown() -> None:
    """The sentence has the last event, and when the next success is due."""
    assert sentence() == "No refresh has ended yet."
    assert sentence(run_ended("a", 60)) == "Fresh: the last success was 60 min ago; refreshes usually take 10 min."
    assert sentence(run_ended("a", 60), expected=24) == (
        "Fresh: the last success was 60 min ago; refreshes usually take 10 min; the next success is due in 23 h."
    )
    assert sentence(run_ended("a", 60), run_ended("b", 30, "Cancelled")) == (
        "Fresh: the last success was 60 min ago; a refresh was cancelled 30 min ago."
    )
    assert sentence(run_ended("b", 30, "Cancelled")) == (
        "No refresh has loaded data yet; the last one ended 30 min ago as Cancelled."
    )


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (59.4, "59 s"),
        (60, "1 min"),
        (7199, "119 min"),
        (7200, "2 h"),
        (172_799, "47 h"),
        (172_800, "2 days"),
    ],
)
def test_spans(seconds: float, text: str) -> None:
    """A span has one unit and is rounded down, except for seconds."""
    assert span(seconds) == text


def test_a_clock_that_is_behind_causes_no_negative_age() -> None:
    """An age is at least zero, although Power BI's clock may be ahead of ours."""
    entry = entry_after(run_ended("a", 0))
    model = KnownModel(MODEL, entry, None, NOW - timedelta(seconds=5))
    assert summary(model, None, Queue(), NOTHING).startswith("Fresh: the last success was 0 s ago")
    assert instant(NOW) == entry.fresh_at
