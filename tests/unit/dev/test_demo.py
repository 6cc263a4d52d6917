"""The demo's story, without its servers (tests/devtools runs it whole)."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime, timedelta

import pytest
from rich.console import Console

from dev import demo, real_power_bi, show
from dev.callers import Ask, Caller, Seen
from dev.verdicts import Truth, judge
from refresh.settings import Settings

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def caller(ask: Ask, status: str, *, over: bool = False) -> Caller:
    found = Caller(ask, "http://127.0.0.1:9")
    found.seen = Seen(sent=NOON, ended=NOON if over else None, told={"status": status, "position": 0})
    return found


def console(width: int, *, terminal: bool = False) -> tuple[Console, io.StringIO]:
    out = io.StringIO()
    return Console(file=out, width=width, force_terminal=terminal, highlight=False), out


def test_settings_of_the_demo_are_its_own() -> None:
    """What a person has set for other purposes neither breaks the demo nor sends it to a real Power BI."""
    environ = {"PATH": "/bin", "ALLOWED_WORKSPACES": "x", "POWER_BI_CLOUD": "gcc", "POLL_MIN_SECONDS": "900"}
    composed = demo.environment(environ, {**demo.FAST, "POWER_BI_API_URL": "http://127.0.0.1:1"})
    settings = Settings.from_environment(composed)
    assert (settings.power_bi_api_url, settings.power_bi_cloud) == ("http://127.0.0.1:1", "public")
    assert (settings.allowed_workspaces, settings.poll_min_seconds) == (frozenset(), 0.5)
    assert composed["PATH"] == "/bin"
    assert {"FUNCTIONS_WORKER_RUNTIME", "AzureWebJobsStorage"}.isdisjoint(composed)


def test_the_real_run_signs_in_as_the_person_says() -> None:
    """Its Power BI is that of the cloud; AZURE_CLIENT_ID is part of many a login."""
    environ = {"AZURE_CLIENT_ID": "me", "POWER_BI_API_URL": "http://127.0.0.1:1"}
    settings = Settings.from_environment(demo.environment(environ, {"POWER_BI_CLOUD": "gcc"}))
    assert (settings.power_bi_cloud, settings.power_bi_api_url, settings.azure_client_id) == ("gcc", None, "me")


@pytest.mark.parametrize(
    ("statuses", "comes"),
    [
        (["Queued", "WaitingForIdle"], False),
        (["Refreshing", "WaitingForIdle"], True),
        (["Failed", "Failed"], True),
        (["Failed", "Queued"], False),
    ],
)
def test_the_late_one_comes_when_the_refresh_has_begun(statuses: list[str], comes: bool) -> None:
    """Not before, or it would share it; and also if there is none, or the demo would never end."""
    sales = [caller(demo.TOGETHER[0], status, over=status == "Failed") for status in statuses]
    stock = caller(demo.TOGETHER[3], "Refreshing")
    assert demo.late_one_comes([*sales, stock]) is comes


def test_what_power_bi_is_doing() -> None:
    """Whose refresh is running, for each model."""
    over = Truth("a", "Completed", NOON, NOON, external=True)
    external, ours = Truth("b", "InProgress", NOON, external=True), Truth("c", "InProgress", NOON)
    known = {demo.SALES: [over, external], demo.STOCK: [ours]}
    assert demo.world(known) == "Sales: a scheduled refresh is running; Stock: our refresh is running"
    assert demo.world({demo.SALES: [over]}) == "Sales: idle"
    assert demo.count(known) == "Power BI ran 1 refreshes for 5 callers."


def test_log_has_a_line_for_each_change() -> None:
    """Where there is no terminal."""
    where, out = console(120)
    one = caller(demo.TOGETHER[0], "WaitingForIdle")
    with show.live(where, [one]) as update:
        update("Sales: idle")
        update("Sales: idle")
        one.seen = Seen(sent=NOON, told={"status": "Refreshing"})
        update("Sales: our refresh is running")
    lines = [line[10:] for line in out.getvalue().splitlines()]
    assert lines == [
        "Power BI: Sales: idle",
        "Load orders (Sales): waits until the model is idle, next",
        "Power BI: Sales: our refresh is running",
        "Load orders (Sales): refreshing",
    ]


def test_live_table_fits_a_narrow_terminal() -> None:
    """Every word of every column is there at 80 columns."""
    where, out = console(80, terminal=True)
    callers = [caller(ask, "WaitingForIdle") for ask in demo.TOGETHER]
    with show.live(where, callers) as update:
        update("Sales: a scheduled refresh is running; Stock: our refresh is running")
    shown = out.getvalue()
    assert "Load warehouses" in shown
    assert "waits until the model is idle" in shown
    assert "elapsed" in shown
    assert "…" not in shown


@pytest.mark.parametrize("width", [80, 120])
def test_table_of_verdicts(width: int) -> None:
    """Status, who shared what, times, right or not; wrong ones say why."""
    where, out = console(width)
    told = {"refreshId": "r1", "requestedAt": "2026-03-01T12:00:00Z", "startedAt": "2026-03-01T12:00:07Z"}
    good = Seen(
        sent=NOON, ended=NOON, code=200, told={**told, "status": "Completed", "endedAt": "2026-03-01T12:00:13Z"}
    )
    bad = Seen(sent=NOON, ended=NOON, code=424, told={"status": "OutcomeUnknown", "error": {"message": "[lost] it is"}})
    truth = [Truth("r1", "Completed", NOON + timedelta(seconds=7))]
    verdicts = [judge(demo.TOGETHER[0], good, truth), judge(demo.TOGETHER[1], good, truth)]
    show.show_verdicts(where, [*verdicts, judge(demo.TOGETHER[3], bad, truth)])
    lines = [" ".join(line.split()) for line in out.getvalue().splitlines()]
    assert "Load orders Sales Completed #1, 2 callers 7.0 s 6.0 s yes" in lines
    assert "Load warehouses Stock OutcomeUnknown NO" in lines
    assert "Load warehouses was told: [lost] it is" in out.getvalue()
    assert "Load warehouses: wrong: it names no refresh" in out.getvalue()


def test_the_last_word() -> None:
    """One wrong verdict is enough, and an unchecked one is not called right."""
    told = Seen(sent=NOON, ended=NOON, code=200, told={"status": "Completed", "refreshId": "r1"})
    right, unchecked, wrong = (judge(demo.LATE, told, known) for known in ([Truth("r1", "Completed", NOON)], None, []))
    assert demo.sentence([right, right]) == "All verdicts are right."
    assert demo.sentence([right, unchecked]) == "What the callers were told could not be checked."
    assert demo.sentence([right, unchecked, wrong]) == "Not every verdict is right."


def test_how_to_call_is_a_request_that_can_be_sent() -> None:
    """The body of the curl line is JSON with the demo's model."""
    body = json.loads(demo.how_to_call().split("-d '")[1].split("'")[0])
    assert body == {"workspaceId": demo.WORKSPACE, "datasetId": demo.SALES}


def test_rows_of_the_real_history() -> None:
    """A row that says too little proves nothing."""
    row = {"requestId": "a", "status": "Completed", "startTime": "2026-03-01T12:00:00Z"}
    assert real_power_bi.of_row(row) == Truth("a", "Completed", NOON)
    assert real_power_bi.of_row({**row, "requestId": None}) is None
    assert real_power_bi.of_row({**row, "startTime": ""}) is None
