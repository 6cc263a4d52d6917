"""The parts of the demo, without its servers (tests/commands runs the whole demo)."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime, timedelta

import pytest
from rich.console import Console

from dev.demo import real_power_bi, story, view
from dev.demo.assessment import Refresh, assess
from dev.demo.callers import Caller, RefreshRequest, Report
from refresh.settings import Settings

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def caller(request: RefreshRequest, status: str, *, over: bool = False) -> Caller:
    found = Caller(request, "http://127.0.0.1:9")
    found.report = Report(sent=NOON, ended=NOON if over else None, body={"status": status, "position": 0})
    return found


def console(width: int, *, terminal: bool = False) -> tuple[Console, io.StringIO]:
    out = io.StringIO()
    return Console(file=out, width=width, force_terminal=terminal, highlight=False), out


def test_settings_of_the_demo_are_its_own() -> None:
    """Settings in the shell neither break the demo nor connect it to the real Power BI."""
    environ = {"PATH": "/bin", "ALLOWED_WORKSPACES": "x", "POWER_BI_CLOUD": "gcc", "POLL_MIN_SECONDS": "900"}
    composed = story.environment(environ, {**story.FAST, "POWER_BI_API_URL": "http://127.0.0.1:1"})
    settings = Settings.from_environment(composed)
    assert (settings.power_bi_api_url, settings.power_bi_cloud) == ("http://127.0.0.1:1", "public")
    assert (settings.allowed_workspaces, settings.poll_min_seconds) == (frozenset(), 0.5)
    assert composed["PATH"] == "/bin"
    assert {"FUNCTIONS_WORKER_RUNTIME", "AzureWebJobsStorage"}.isdisjoint(composed)


def test_the_real_run_keeps_the_login() -> None:
    """The address of Power BI is that of the selected cloud. AZURE_CLIENT_ID is kept, because it may be part of the
    login."""
    environ = {"AZURE_CLIENT_ID": "me", "POWER_BI_API_URL": "http://127.0.0.1:1"}
    settings = Settings.from_environment(story.environment(environ, {"POWER_BI_CLOUD": "gcc"}))
    assert (settings.power_bi_cloud, settings.power_bi_api_url, settings.azure_client_id) == ("gcc", None, "me")


@pytest.mark.parametrize(
    ("statuses", "due"),
    [
        (["Queued", "WaitingForIdle"], False),
        (["Refreshing", "WaitingForIdle"], True),
        (["Failed", "Failed"], True),
        (["Failed", "Queued"], False),
    ],
)
def test_the_late_request_is_sent_when_the_refresh_has_started(statuses: list[str], due: bool) -> None:
    """The late request is sent after the refresh has started, because before it would share that refresh. It is also
    sent if no refresh can start any more."""
    sales = [caller(story.FIRST_REQUESTS[0], status, over=status == "Failed") for status in statuses]
    stock = caller(story.FIRST_REQUESTS[3], "Refreshing")
    assert story.late_request_is_due([*sales, stock]) is due


def test_activity_of_power_bi() -> None:
    """The line shows for each model a scheduled refresh, a refresh of ours, or that it is idle."""
    ended = Refresh("a", "Completed", NOON, NOON, external=True)
    external, ours = Refresh("b", "InProgress", NOON, external=True), Refresh("c", "InProgress", NOON)
    known = {story.SALES: [ended, external], story.STOCK: [ours]}
    assert story.activity(known) == "Sales: scheduled refresh running; Stock: our refresh running"
    assert story.activity({story.SALES: [ended]}) == "Sales: idle"
    assert story.count(known) == "Power BI ran 1 refresh for 5 callers."


def test_log_has_a_line_for_each_change() -> None:
    """If the output is not a terminal, it has a line for each change."""
    where, out = console(120)
    one = caller(story.FIRST_REQUESTS[0], "WaitingForIdle")
    with view.live(where, [one]) as update:
        update("Sales: idle")
        update("Sales: idle")
        one.report = Report(sent=NOON, body={"status": "Refreshing"})
        update("Sales: our refresh running")
    lines = [line[10:] for line in out.getvalue().splitlines()]
    assert lines == [
        "Power BI: Sales: idle",
        "Load orders (Sales): waiting for idle model, next",
        "Power BI: Sales: our refresh running",
        "Load orders (Sales): refreshing",
    ]


def test_live_table_fits_a_narrow_terminal() -> None:
    """At 80 columns no cell is cut."""
    where, out = console(80, terminal=True)
    callers = [caller(ask, "WaitingForIdle") for ask in story.FIRST_REQUESTS]
    with view.live(where, callers) as update:
        update("Sales: scheduled refresh running; Stock: our refresh running")
    text = out.getvalue()
    assert "Load warehouses" in text
    assert "waiting for idle model" in text
    assert "elapsed" in text
    assert "…" not in text


@pytest.mark.parametrize("width", [80, 120])
def test_table_of_outcomes(width: int) -> None:
    """The table has the outcome, shared refreshes, times, whether it is correct, and the reason if it is not."""
    where, out = console(width)
    body = {"refreshId": "r1", "requestedAt": "2026-03-01T12:00:00Z", "startedAt": "2026-03-01T12:00:07Z"}
    good = Report(
        sent=NOON, ended=NOON, code=200, body={**body, "status": "Completed", "endedAt": "2026-03-01T12:00:13Z"}
    )
    bad = Report(
        sent=NOON, ended=NOON, code=424, body={"status": "OutcomeUnknown", "error": {"message": "[lost] it is"}}
    )
    recorded = [Refresh("r1", "Completed", NOON + timedelta(seconds=7))]
    assessments = [assess(story.FIRST_REQUESTS[0], good, recorded), assess(story.FIRST_REQUESTS[1], good, recorded)]
    view.show_assessments(where, [*assessments, assess(story.FIRST_REQUESTS[3], bad, recorded)])
    lines = [" ".join(line.split()) for line in out.getvalue().splitlines()]
    assert "Load orders Sales Completed #1, 2 callers 7.0 s 6.0 s yes" in lines
    assert "Load warehouses Stock OutcomeUnknown NO" in lines
    assert "Load warehouses received this error:\n  [lost] it is" in out.getvalue()
    assert "Load warehouses: incorrect: the outcome names no refresh" in out.getvalue()


def test_the_conclusion() -> None:
    """One incorrect outcome makes it negative, and an unchecked outcome is not called correct."""
    received = Report(sent=NOON, ended=NOON, code=200, body={"status": "Completed", "refreshId": "r1"})
    correct, unchecked, incorrect = (
        assess(story.LATE_REQUEST, received, known) for known in ([Refresh("r1", "Completed", NOON)], None, [])
    )
    assert story.conclusion([correct, correct]) == "All outcomes are correct: Power BI's own records agree."
    assert story.conclusion([correct, unchecked]) == "The outcomes could not be checked."
    assert story.conclusion([correct, unchecked, incorrect]) == "Not every outcome is correct."


def test_how_to_call_is_a_request_that_can_be_sent() -> None:
    """The body in the curl command is JSON with the demo's model."""
    body = json.loads(story.how_to_call().split("-d '")[1].split("'")[0])
    assert body == {"workspaceId": story.WORKSPACE, "datasetId": story.SALES}


def test_rows_of_the_real_history() -> None:
    """A row of the history without an id or a start time is left out."""
    row = {"requestId": "a", "status": "Completed", "startTime": "2026-03-01T12:00:00Z"}
    assert real_power_bi.of_row(row) == Refresh("a", "Completed", NOON)
    assert real_power_bi.of_row({**row, "requestId": None}) is None
    assert real_power_bi.of_row({**row, "startTime": ""}) is None
