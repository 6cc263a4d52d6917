"""`dev.py run`: five callers of two models. One model is being refreshed already, the other one fails. Each outcome is
checked."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import requests
from rich.console import Console

from dev import terminal
from dev.demo import real_power_bi, stay, view
from dev.demo.assessment import CLOCK_SLACK, Assessment, Refresh, assess, exit_code, parse_time
from dev.demo.callers import Caller, RefreshRequest
from dev.environment import ROOT
from dev.processes import Server, ServerFailed, ended_by_signals
from dev.servers import SAMPLE, HostOptions, local_settings, power_bi_command

DEV = ROOT / ".dev"
REDRAW_SECONDS = 0.2
DEMO_SECONDS = 120  # usually about 25
REAL_SECONDS = 5 * 3600 + 600  # Power BI ends a refresh on a dedicated capacity after five hours
CONTROL_SECONDS = 10

WORKSPACE = "00000000-0000-4000-8000-000000000001"
SALES = "00000000-0000-4000-8000-00000000000a"
STOCK = "00000000-0000-4000-8000-00000000000b"
MODELS = {SALES: "Sales", STOCK: "Stock"}

FIRST_REQUESTS = (
    RefreshRequest("Load orders", "Sales", WORKSPACE, SALES),
    RefreshRequest("Load prices", "Sales", WORKSPACE, SALES),
    RefreshRequest("Load customers", "Sales", WORKSPACE, SALES),
    RefreshRequest("Load warehouses", "Stock", WORKSPACE, STOCK),
)
LATE_REQUEST = RefreshRequest("Load returns", "Sales", WORKSPACE, SALES)
"""Sent after the refresh of the others has started. That refresh may have read the tables before this pipeline loaded
its rows."""

FAILURE = {
    "outcome": "Failed",
    "errorCode": "ModelRefreshFailed_CredentialsNotSpecified",
    "errorDescription": "The credentials of the data source 'warehouse.example.com' are missing.",
}
KNOBS: Mapping[str, Mapping[str, Any]] = {
    SALES: {"name": "Sales", "seconds": 6, "notStartedSeconds": 0.5, "visibilitySeconds": [0, 2]},
    STOCK: {"name": "Stock", "seconds": 5, "notStartedSeconds": 0.5, "visibilitySeconds": [0, 2], "outcome": FAILURE},
}
EXTERNAL = {"refreshType": "Scheduled", "seconds": 9, "startsIn": -3, "visibilitySeconds": 0}

FAST = {
    "POLL_MIN_SECONDS": "0.5",
    "POLL_MAX_SECONDS": "2",
    "VISIBILITY_GRACE_SECONDS": "10",
    "OUTAGE_BUDGET_SECONDS": "30",
    "RECHECK_SECONDS": "10",
}

INTRODUCTION = """\
A scheduled refresh of the model Sales is already running. Three pipelines have
loaded data and request a refresh of Sales; a fourth requests one of Stock. A
fifth requests Sales after the refresh of the first three has started.

Expected: the scheduled refresh serves no pipeline, because it started too
early. The first three share one refresh. The fifth gets a refresh of its own.
"""


def run(workspace: str | None, dataset: str | None, cloud: str, *, stays: bool = False) -> int:
    """The exit code: 0 only if every caller received an outcome and each outcome is correct.

    `stays`: the demo continues after that, with more models, until Ctrl-C.
    """
    where = terminal.console()
    DEV.mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="run-", dir=DEV))
    try:
        with ended_by_signals():
            if workspace and dataset:
                code = _real(where, folder, workspace, dataset, cloud)
            else:
                code = _demo(where, folder, stays=stays)
    except (ServerFailed, requests.RequestException) as problem:
        terminal.print_line(where, f"{problem}", "red")
        return 1
    except (KeyboardInterrupt, SystemExit):
        shutil.rmtree(folder, ignore_errors=True)
        raise
    # the logs are kept after a failure
    if code == 0:
        shutil.rmtree(folder, ignore_errors=True)
    else:
        terminal.print_line(where, f"Logs: {folder}")
    return code


def _demo(where: Console, folder: Path, *, stays: bool) -> int:
    with ExitStack() as servers:
        where.print("Starting a Power BI service for development and the app ...")
        power_bi = servers.enter_context(
            Server("the Power BI service", power_bi_command(["--port", "0"]), folder / "power-bi.log", os.environ)
        )
        service = power_bi.wait_until_ready()
        app = servers.enter_context(_host(folder, {**FAST, "POWER_BI_API_URL": service}))
        base = app.wait_until_ready()
        addresses = f"  Power BI  {service}\n  app       {base}\n  page      {base}/api/ui"
        where.print(f"{addresses}\n\n{INTRODUCTION}", markup=False)
        for model, knobs in KNOBS.items():
            _control(service, f"datasets/{model}", knobs)
        _control(service, f"datasets/{SALES}/external", EXTERNAL)
        first = [Caller(request, base) for request in FIRST_REQUESTS]
        late = Caller(LATE_REQUEST, base)
        _watch(where, first, late, [power_bi, app], lambda: activity(refreshes(service)))
        callers = [*first, late]
        for caller in callers:
            caller.stop()
        recorded = refreshes(service)
        assessments = [assess(c.request, c.report, recorded[c.request.dataset_id]) for c in callers]
        code = _print_assessments(where, assessments, count(recorded))
        if stays:
            stay.keep(where, base, service, [power_bi, app])
    return code


def _real(where: Console, folder: Path, workspace: str, dataset: str, cloud: str) -> int:
    with _host(folder, {"POWER_BI_CLOUD": cloud, "POLL_MAX_SECONDS": "15"}) as app:
        base = app.wait_until_ready()
        where.print(f"App {base}, real Power BI, cloud {cloud}\n", markup=False)
        caller = Caller(RefreshRequest("dev.py", "your model", workspace, dataset), base, poll_seconds=2)
        _watch(where, [caller], None, [app], lambda: "", REAL_SECONDS)
        caller.stop()
        try:
            recorded = real_power_bi.refreshes(cloud, workspace, dataset)
        except real_power_bi.HistoryUnreadable as problem:
            where.print(f"The outcome could not be checked: {problem}", style="yellow", markup=False)
            recorded = None
        assessments = [assess(caller.request, caller.report, recorded, CLOCK_SLACK)]
    return _print_assessments(where, assessments, "")


def _host(folder: Path, settings: Mapping[str, str]) -> Server:
    options = HostOptions(state=folder / "state", port=0)
    return Server("the app", options.command(), folder / "app.log", environment(os.environ, settings))


def environment(environ: Mapping[str, str], settings: Mapping[str, str]) -> dict[str, str]:
    """The environment of the app: these app settings and no others, even if the shell or local.settings.json sets
    others.

    The others get empty values: an empty value counts as not set, and takes precedence over local.settings.json.
    """
    sample = local_settings(ROOT, SAMPLE)
    hidden = {
        name: "" for name, value in sample.items() if name not in ("FUNCTIONS_WORKER_RUNTIME", "AzureWebJobsStorage")
    }
    # AZURE_CLIENT_ID is kept for the real Power BI, because it is part of the login
    defaults = {} if "POWER_BI_API_URL" in settings else {"AZURE_CLIENT_ID": environ.get("AZURE_CLIENT_ID", "")}
    return {**environ, **hidden, **defaults, **settings}


def _watch(
    where: Console,
    first: Sequence[Caller],
    late: Caller | None,
    servers: Sequence[Server],
    power_bi: Callable[[], str],
    seconds: float = DEMO_SECONDS,
) -> None:
    """Starts the callers and shows them until all have outcomes, or until the time is up."""
    callers = [*first, late] if late else [*first]
    end = time.monotonic() + seconds
    for caller in first:
        caller.start()
    with view.live(where, callers) as update:
        while not all(caller.report.over for caller in callers) and time.monotonic() < end:
            for server in servers:
                server.check()
            if late and late.report.sent is None and late_request_is_due(first):
                late.start()
            update(power_bi())
            time.sleep(REDRAW_SECONDS)
        update(power_bi())


def late_request_is_due(callers: Sequence[Caller]) -> bool:
    """Whether to send the late request: the refresh that it must not share has started, or can no longer start."""
    sales = [caller.report for caller in callers if caller.request.dataset_id == LATE_REQUEST.dataset_id]
    return any(report.status == "Refreshing" for report in sales) or all(report.over for report in sales)


def _print_assessments(where: Console, assessments: Sequence[Assessment], closing: str) -> int:
    where.print()
    view.show_assessments(where, assessments)
    code = exit_code(assessments)
    if closing:
        where.print(closing, markup=False)
    where.print(conclusion(assessments), style="bold")
    if code == 0 and len(assessments) > 1:
        where.print(how_to_call(), markup=False, soft_wrap=True)
    return code


def conclusion(assessments: Sequence[Assessment]) -> str:
    """The closing line: whether the outcomes are correct."""
    if any(one.correct is False for one in assessments):
        return "Not every outcome is correct."
    if any(one.correct is None for one in assessments):
        return "The outcomes could not be checked."
    return "All outcomes are correct: Power BI's own records agree."


def how_to_call() -> str:
    """The commands with which the user can try the app by hand."""
    python = "python" if os.name == "nt" else "python3"
    return f"""
Try it yourself. Run these two, each in a terminal of its own:

  {python} dev.py power-bi
  {python} dev.py host

Then request a refresh:

  curl -s -X POST http://127.0.0.1:7071/api/refreshes \\
    -H "Content-Type: application/json" \\
    -d '{{
          "workspaceId": "{WORKSPACE}",
          "datasetId": "{SALES}"
        }}' | {python} -m json.tool

Then poll the statusUri of the answer. HTTP 202: in progress; 200: Completed;
424: any other outcome.

  curl -s "STATUS_URI" | {python} -m json.tool"""


def refreshes(service: str) -> dict[str, list[Refresh]]:
    """The refreshes of the demo's models as the Power BI service records them."""
    found = {}
    for model in MODELS:
        answer = requests.get(f"{service}/control/datasets/{model}", timeout=CONTROL_SECONDS)
        answer.raise_for_status()
        found[model] = [refresh for row in answer.json()["refreshes"] if (refresh := _refresh(row))]
    return found


def _refresh(row: Mapping[str, Any]) -> Refresh | None:
    start = parse_time(row["startTime"])
    end = parse_time(row["endTime"])
    return Refresh(row["requestId"], row["state"], start, end, bool(row["external"])) if start else None


def activity(recorded: Mapping[str, Sequence[Refresh]]) -> str:
    """The current activity of Power BI, in one line."""
    parts = []
    for model, found in recorded.items():
        running = [refresh for refresh in found if refresh.end is None]
        state = "idle"
        if running:
            state = "scheduled refresh running" if running[0].external else "our refresh running"
        parts.append(f"{MODELS[model]}: {state}")
    return "; ".join(parts)


def count(recorded: Mapping[str, Sequence[Refresh]]) -> str:
    """The closing line: the number of refreshes that the callers caused."""
    ours = sum(not refresh.external for found in recorded.values() for refresh in found)
    return f"Power BI ran {ours} {'refresh' if ours == 1 else 'refreshes'} for {len(FIRST_REQUESTS) + 1} callers."


def _control(service: str, path: str, values: Mapping[str, Any]) -> None:
    answer = requests.post(f"{service}/control/{path}", json=values, timeout=CONTROL_SECONDS)
    if not answer.ok:
        print(answer.text, file=sys.stderr)
    answer.raise_for_status()
