"""`dev.py run`: the app at work. A model is busy with a scheduled refresh, callers come, and each is told the truth."""

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

from dev import real_power_bi, show
from dev.callers import Ask, Caller
from dev.children import Child, ChildFailed, ended_by_signals
from dev.environment import ROOT
from dev.servers import HostOptions, local_settings, power_bi_command
from dev.verdicts import SLACK, Truth, Verdict, exit_code, judge, parse_time

DEV = ROOT / ".dev"
REDRAW_SECONDS = 0.2
DEMO_SECONDS = 120  # it takes about 25
REAL_SECONDS = 5 * 3600 + 600  # the longest refresh that Power BI allows a dedicated capacity
CONTROL_SECONDS = 10

WORKSPACE = "00000000-0000-4000-8000-000000000001"
SALES = "00000000-0000-4000-8000-00000000000a"
STOCK = "00000000-0000-4000-8000-00000000000b"
MODELS = {SALES: "Sales", STOCK: "Stock"}

TOGETHER = (
    Ask("Load orders", "Sales", WORKSPACE, SALES),
    Ask("Load prices", "Sales", WORKSPACE, SALES),
    Ask("Load customers", "Sales", WORKSPACE, SALES),
    Ask("Load warehouses", "Stock", WORKSPACE, STOCK),
)
LATE = Ask("Load returns", "Sales", WORKSPACE, SALES)
"""Comes when the refresh of the others has begun, which may have read the tables before this one had loaded its own."""

FAILURE = {
    "outcome": "Failed",
    "errorCode": "ModelRefreshFailed_CredentialsNotSpecified",
    "errorDescription": "The credentials of the data source 'warehouse.example.com' are missing.",
}
KNOBS: Mapping[str, Mapping[str, Any]] = {
    SALES: {"seconds": 6, "notStartedSeconds": 0.5, "visibilitySeconds": [0, 2]},
    STOCK: {"seconds": 5, "notStartedSeconds": 0.5, "visibilitySeconds": [0, 2], "outcome": FAILURE},
}
FOREIGN = {"refreshType": "Scheduled", "seconds": 9, "startsIn": -3, "visibilitySeconds": 0}

FAST = {
    "POLL_MIN_SECONDS": "0.5",
    "POLL_MAX_SECONDS": "2",
    "VISIBILITY_GRACE_SECONDS": "10",
    "OUTAGE_BUDGET_SECONDS": "30",
    "RECHECK_SECONDS": "10",
}

INTRODUCTION = """\
Sales is being refreshed by its own schedule. Three pipelines have loaded data and want Sales refreshed, a fourth \
wants Stock, a fifth comes for Sales when the refresh of the first three has begun. \
The schedule's refresh began too early for anybody, one refresh is enough for three, and the late one needs its own.
"""


def run(workspace: str | None, dataset: str | None, cloud: str) -> int:
    """The exit code: 0 only if every caller got its verdict and it is right."""
    where = show.console()
    DEV.mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="run-", dir=DEV))
    try:
        with ended_by_signals():
            code = _real(where, folder, workspace, dataset, cloud) if workspace and dataset else _demo(where, folder)
    except (ChildFailed, requests.RequestException) as problem:
        where.print(f"{problem}", style="red", markup=False, soft_wrap=True)
        return 1
    except (KeyboardInterrupt, SystemExit):
        shutil.rmtree(folder, ignore_errors=True)
        raise
    # after a failure the logs stay
    if code == 0:
        shutil.rmtree(folder, ignore_errors=True)
    else:
        where.print(f"The logs are in {folder}", markup=False)
    return code


def _demo(where: Console, folder: Path) -> int:
    with ExitStack() as children:
        power_bi = children.enter_context(
            Child("the Power BI service", power_bi_command(["--port", "0"]), folder / "power-bi.log", os.environ)
        )
        service = power_bi.wait_until_ready()
        app = children.enter_context(_host(folder, {**FAST, "POWER_BI_API_URL": service}))
        base = app.wait_until_ready()
        where.print(f"Power BI service {service}, app {base}\n\n{INTRODUCTION}", markup=False)
        for model, knobs in KNOBS.items():
            _control(service, f"datasets/{model}", knobs)
        _control(service, f"datasets/{SALES}/external", FOREIGN)
        callers = [Caller(ask, base) for ask in TOGETHER]
        late = Caller(LATE, base)
        _watch(where, callers, late, [power_bi, app], lambda: world(truths(service)))
        told = [*callers, late]
        for caller in told:
            caller.stop()
        known = truths(service)
        verdicts = [judge(c.ask, c.seen, known[c.ask.dataset_id]) for c in told]
    return _close(where, verdicts, count(known))


def _real(where: Console, folder: Path, workspace: str, dataset: str, cloud: str) -> int:
    with _host(folder, {"POWER_BI_CLOUD": cloud, "POLL_MAX_SECONDS": "15"}) as app:
        base = app.wait_until_ready()
        where.print(f"App {base}, Power BI of the cloud {cloud}\n", markup=False)
        caller = Caller(Ask("dev.py", "your model", workspace, dataset), base, poll_seconds=2)
        _watch(where, [caller], None, [app], lambda: "", REAL_SECONDS)
        caller.stop()
        try:
            known = real_power_bi.truths(cloud, workspace, dataset)
        except real_power_bi.CannotAsk as problem:
            where.print(f"The verdict was not checked: {problem}", style="yellow", markup=False)
            known = None
        verdicts = [judge(caller.ask, caller.seen, known, SLACK)]
    return _close(where, verdicts, "")


def _host(folder: Path, settings: Mapping[str, str]) -> Child:
    options = HostOptions(state=folder / "state", port=0)
    return Child("the app", options.command(), folder / "app.log", environment(os.environ, settings))


def environment(environ: Mapping[str, str], settings: Mapping[str, str]) -> dict[str, str]:
    """The environment of the app: exactly these settings of its own, whatever the person has set for other purposes.

    An empty value counts as not set, and hides the one in local.settings.json.
    """
    sample = local_settings(ROOT, "local.settings.sample.json")
    hidden = {
        name: "" for name, value in sample.items() if name not in ("FUNCTIONS_WORKER_RUNTIME", "AzureWebJobsStorage")
    }
    # whoever signs in to the real Power BI does that through these
    kept = {} if "POWER_BI_API_URL" in settings else {"AZURE_CLIENT_ID": environ.get("AZURE_CLIENT_ID", "")}
    return {**environ, **hidden, **kept, **settings}


def _watch(
    where: Console,
    callers: Sequence[Caller],
    late: Caller | None,
    children: Sequence[Child],
    world: Callable[[], str],
    seconds: float = DEMO_SECONDS,
) -> None:
    """Lets the callers ask and shows them until all are told, or the time is up."""
    everybody = [*callers, late] if late else [*callers]
    end = time.monotonic() + seconds
    for caller in callers:
        caller.start()
    with show.live(where, everybody) as update:
        while not all(caller.seen.over for caller in everybody) and time.monotonic() < end:
            for child in children:
                child.check()
            if late and late.seen.sent is None and late_one_comes(callers):
                late.start()
            update(world())
            time.sleep(REDRAW_SECONDS)
        update(world())


def late_one_comes(callers: Sequence[Caller]) -> bool:
    """True when the refresh that the late one must not join has begun; if all is over it comes anyway."""
    sales = [caller.seen for caller in callers if caller.ask.dataset_id == LATE.dataset_id]
    return any(seen.status == "Refreshing" for seen in sales) or all(seen.over for seen in sales)


def _close(where: Console, verdicts: Sequence[Verdict], closing: str) -> int:
    where.print()
    show.show_verdicts(where, verdicts)
    code = exit_code(verdicts)
    if closing:
        where.print(closing, markup=False)
    where.print(sentence(verdicts), style="bold")
    if code == 0 and len(verdicts) > 1:
        where.print(how_to_call(), markup=False, soft_wrap=True)
    return code


def sentence(verdicts: Sequence[Verdict]) -> str:
    """The last word."""
    if any(verdict.right is False for verdict in verdicts):
        return "Not every verdict is right."
    if any(verdict.right is None for verdict in verdicts):
        return "What the callers were told could not be checked."
    return "All verdicts are right."


def how_to_call() -> str:
    """The commands with which a person does the same by hand."""
    python = "python" if os.name == "nt" else "python3"
    body = f'{{"workspaceId": "{WORKSPACE}", "datasetId": "{SALES}"}}'
    return f"""
Do it yourself, with these two running:
  {python} dev.py power-bi
  {python} dev.py host
and then:
  curl -s -X POST http://127.0.0.1:7071/api/refreshes -H "Content-Type: application/json" \\
    -d '{body}'
  curl -s "STATUS_URI"        # the statusUri of that answer: 202 while it runs, 200 success, 424 any other end"""


def truths(service: str) -> dict[str, list[Truth]]:
    """What the development service knows of the demo's models."""
    found = {}
    for model in MODELS:
        answer = requests.get(f"{service}/control/datasets/{model}", timeout=CONTROL_SECONDS)
        answer.raise_for_status()
        found[model] = [truth for row in answer.json()["refreshes"] if (truth := _truth(row))]
    return found


def _truth(row: Mapping[str, Any]) -> Truth | None:
    start = parse_time(row["startTime"])
    end = parse_time(row["endTime"])
    return Truth(row["requestId"], row["state"], start, end, bool(row["external"])) if start else None


def world(known: Mapping[str, Sequence[Truth]]) -> str:
    """What Power BI is doing, in a line."""
    lines = []
    for model, refreshes in known.items():
        running = [truth for truth in refreshes if truth.end is None]
        doing = "idle"
        if running:
            doing = "a scheduled refresh is running" if running[0].external else "our refresh is running"
        lines.append(f"{MODELS[model]}: {doing}")
    return "; ".join(lines)


def count(known: Mapping[str, Sequence[Truth]]) -> str:
    """The closing line about what it took."""
    ours = sum(not truth.external for refreshes in known.values() for truth in refreshes)
    return f"Power BI ran {ours} refreshes for {len(TOGETHER) + 1} callers."


def _control(service: str, path: str, values: Mapping[str, Any]) -> None:
    answer = requests.post(f"{service}/control/{path}", json=values, timeout=CONTROL_SECONDS)
    if not answer.ok:
        print(answer.text, file=sys.stderr)
    answer.raise_for_status()
