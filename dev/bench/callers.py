"""`dev.py bench callers`: the cost of many simultaneous callers of one model, compared with that of its refreshes.

The app on the devhost and the Power BI service for development run in this process, in real time and over HTTP. Every
piece of work that the engine hands to the app is counted.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import requests
from rich.box import SIMPLE_HEAD
from rich.table import Table

from dev import terminal
from dev.environment import ROOT
from dev.power_bi.server import serve
from dev.power_bi.service import PowerBiService
from devhost.engine import Call
from devhost.host import Host, Options

CALLERS = (1, 10, 50, 200)
REFRESH_SECONDS = 10.0
POLL_SECONDS = 0.5
TIMEOUT_SECONDS = 900.0
CALL_SECONDS = 300.0
"""A generous limit: with many callers on a busy machine, a call may wait long, and that is part of what is measured."""
SETTINGS = {"POLL_MIN_SECONDS": "1", "POLL_MAX_SECONDS": "5"}
"""The refresh of this bench is short, so it is polled more often than in a deployed app. All other settings are as
deployed."""


@dataclass(frozen=True)
class Measured:
    """One round: wall time, total duration of its refreshes (both in seconds), and the counted work by kind."""

    callers: int
    correct: int
    refreshes: int
    wall: float
    refreshing: float
    counts: Counter[str]


class Meter:
    """Counts the pieces of work that the engine hands out. The engine's thread writes the counts, another thread reads
    them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()

    def count(self, call: Call) -> None:
        """Counts one piece of work: an episode, an activity, or a batch of an entity's operations."""
        with self._lock:
            self._counts[call.kind] += len(json.loads(call.value)["batch"]) if call.kind == "entity" else 1

    def take(self) -> Counter[str]:
        """The counts since the last call of this method."""
        with self._lock:
            taken, self._counts = self._counts, Counter()
            return taken


@contextmanager
def bench(state: Path) -> Iterator[tuple[str, PowerBiService, Meter]]:
    """The base URL of the app, the Power BI service that it uses, and the meter."""
    with serve(PowerBiService(seed="bench")) as power_bi:
        os.environ.update(SETTINGS | {"POWER_BI_API_URL": power_bi.base_url})
        meter = Meter()
        host = Host(Options(app=ROOT, state=state, port=0, exact_timers=True), seen=meter.count)
        try:
            yield host.base, power_bi.service, meter
        finally:
            host.stop()


def measure(base: str, service: PowerBiService, meter: Meter, callers: int) -> Measured:
    """Starts all callers at once and waits for all outcomes. Raises TimeoutError."""
    model = str(uuid.uuid4())
    service.set_knobs(model, {"seconds": REFRESH_SECONDS, "notStartedSeconds": 0, "visibilitySeconds": [0, 2]})
    body = {"workspaceId": str(uuid.uuid4()), "datasetId": model}
    meter.take()
    begin = time.monotonic()
    with ThreadPoolExecutor(min(callers, 50)) as pool:
        uris = list(pool.map(lambda _: _start(base, body), range(callers)))
    answers = [_end(uri, begin + TIMEOUT_SECONDS) for uri in uris]
    wall = time.monotonic() - begin
    refreshes = service.report(model, datetime.now().astimezone())["refreshes"]
    states = {entry["requestId"]: entry["state"] for entry in refreshes}
    correct = sum(answer["status"] == "Completed" == states.get(answer["refreshId"]) for answer in answers)
    refreshing = sum(_seconds(entry) for entry in refreshes)
    return Measured(callers, correct, len(refreshes), wall, refreshing, meter.take())


def table(rounds: list[Measured]) -> Table:
    """One row for each round, with the work of the engine per request."""
    table = Table(box=SIMPLE_HEAD, padding=terminal.CLOSE)
    headings = (
        "callers",
        "correct outcomes",
        "refreshes",
        "wall",
        "refreshing",
        "queue operations",
        "episodes",
        "activities",
    )
    for heading in headings:
        table.add_column(heading, justify="right")
    for entry in rounds:
        each = [f"{entry.counts[kind] / entry.callers:.1f}" for kind in ("entity", "episode", "activity")]
        wall = f"{entry.wall:.1f} s"
        table.add_row(
            str(entry.callers), str(entry.correct), str(entry.refreshes), wall, f"{entry.refreshing:.1f} s", *each
        )
    return table


def main(arguments: list[str]) -> int:
    """The exit code: 0 if every outcome was correct and no round took more than two refreshes."""
    parser = argparse.ArgumentParser(prog="dev.py bench callers", description=__doc__)
    parser.add_argument(
        "--callers",
        type=int,
        nargs="+",
        default=list(CALLERS),
        help="number of callers of each round (default 1 10 50 200)",
    )
    options = parser.parse_args(arguments)
    where, rounds = terminal.console(), []
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as state, bench(Path(state)) as (base, service, meter):
        for callers in options.callers:
            count = "1 caller" if callers == 1 else f"{callers} simultaneous callers"
            where.print(f"{count} of one model, whose refresh takes {REFRESH_SECONDS:.0f} s ...")
            rounds.append(measure(base, service, meter, callers))
    where.print(table(rounds))
    where.print("Queue operations, episodes and activities are averages per request and include those of the runs.")
    good = all(entry.correct == entry.callers and entry.refreshes <= 2 for entry in rounds)
    where.print(
        "All outcomes are correct." if good else "An outcome is incorrect, or a round took more than two refreshes.",
        style="green" if good else "bold red",
    )
    return 0 if good else 1


def _start(base: str, body: dict[str, str]) -> str:
    answer = requests.post(f"{base}/api/refreshes", json=body, timeout=CALL_SECONDS)
    answer.raise_for_status()
    return str(answer.json()["statusUri"])


def _end(uri: str, until: float) -> dict[str, Any]:
    while True:
        answer = requests.get(uri, timeout=CALL_SECONDS)
        if answer.status_code != 202:
            return dict(answer.json())
        if time.monotonic() > until:
            raise TimeoutError(f"no outcome within {TIMEOUT_SECONDS:.0f} s")
        time.sleep(POLL_SECONDS)


def _seconds(refresh: dict[str, Any]) -> float:
    return (datetime.fromisoformat(refresh["endTime"]) - datetime.fromisoformat(refresh["startTime"])).total_seconds()
