"""`dev.py bench queue`: many callers at once for one model. What it costs, and how close it comes to the ideal.

The app on the devhost and the Power BI service for development run in this process, in real time and over HTTP; every
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

from dev import show
from dev.environment import ROOT
from dev.power_bi.server import serve
from dev.power_bi.service import PowerBiService
from devhost.engine import Call
from devhost.host import Host, Options

CALLERS = (1, 10, 50, 200)
REFRESH_SECONDS = 10.0
LOOK_SECONDS = 0.5
PATIENCE_SECONDS = 300.0
SETTINGS = {"POLL_MIN_SECONDS": "1", "POLL_MAX_SECONDS": "5"}
"""Otherwise as deployed; the refresh is shorter than most, so it is looked at more often."""


@dataclass(frozen=True)
class Measured:
    """One round: seconds of wall time and of the refreshes made, and what was counted."""

    callers: int
    right: int
    refreshes: int
    wall: float
    ideal: float
    counts: Counter[str]


class Meter:
    """Counts what the engine hands out. Called on the engine's thread, read on another."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()

    def see(self, call: Call) -> None:
        """One piece of work: an episode, an activity, or a batch of an entity's operations."""
        with self._lock:
            self._counts[call.kind] += len(json.loads(call.value)["batch"]) if call.kind == "entity" else 1

    def take(self) -> Counter[str]:
        """What was counted since the last time."""
        with self._lock:
            taken, self._counts = self._counts, Counter()
            return taken


@contextmanager
def bench(state: Path) -> Iterator[tuple[str, PowerBiService, Meter]]:
    """The base URL of the app, the service behind it, and the meter."""
    with serve(PowerBiService(seed="bench")) as power_bi:
        os.environ.update(SETTINGS | {"POWER_BI_API_URL": power_bi.base_url})
        meter = Meter()
        host = Host(Options(app=ROOT, state=state, port=0, exact_timers=True), seen=meter.see)
        try:
            yield host.base, power_bi.service, meter
        finally:
            host.stop()


def measure(base: str, service: PowerBiService, meter: Meter, callers: int) -> Measured:
    """All callers at once, each until it has its verdict. Raises TimeoutError."""
    model = str(uuid.uuid4())
    service.set_knobs(model, {"seconds": REFRESH_SECONDS, "notStartedSeconds": 0, "visibilitySeconds": [0, 2]})
    wish = {"workspaceId": str(uuid.uuid4()), "datasetId": model}
    meter.take()
    begun = time.monotonic()
    with ThreadPoolExecutor(min(callers, 50)) as pool:
        uris = list(pool.map(lambda _: _start(base, wish), range(callers)))
    told = [_end(uri, begun + PATIENCE_SECONDS) for uri in uris]
    wall = time.monotonic() - begun
    made = service.seen(model, datetime.now().astimezone())["refreshes"]
    truth = {entry["requestId"]: entry["state"] for entry in made}
    right = sum(answer["status"] == "Completed" == truth.get(answer["refreshId"]) for answer in told)
    ideal = sum(_seconds(entry) for entry in made)
    return Measured(callers, right, len(made), wall, ideal, meter.take())


def table(rounds: list[Measured]) -> Table:
    """Everything by request, but for the refreshes."""
    found = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    headings = (
        "callers",
        "verdicts right",
        "refreshes",
        "wall",
        "of refreshes",
        "queue operations",
        "episodes",
        "activities",
    )
    for heading in headings:
        found.add_column(heading, justify="right")
    for entry in rounds:
        each = [f"{entry.counts[kind] / entry.callers:.1f}" for kind in ("entity", "episode", "activity")]
        wall = f"{entry.wall:.1f} s"
        found.add_row(str(entry.callers), str(entry.right), str(entry.refreshes), wall, f"{entry.ideal:.1f} s", *each)
    return found


def main() -> int:
    """The exit code: 0 if every verdict was right and no round made more than two refreshes."""
    parser = argparse.ArgumentParser(prog="dev.py bench queue", description=__doc__)
    parser.add_argument("--callers", type=int, nargs="+", default=list(CALLERS), help="at once (default 1 10 50 200)")
    options = parser.parse_args()
    where, rounds = show.console(), []
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as state, bench(Path(state)) as (base, service, meter):
        for callers in options.callers:
            who = "1 caller" if callers == 1 else f"{callers} callers at once"
            where.print(f"{who} for one model, whose refresh takes {REFRESH_SECONDS:.0f} s ...")
            rounds.append(measure(base, service, meter, callers))
    where.print(table(rounds))
    where.print("Queue operations, episodes and activities are for each request, those of the runs included.")
    good = all(entry.right == entry.callers and entry.refreshes <= 2 for entry in rounds)
    where.print("All verdicts are right." if good else "Not all is right.", style="green" if good else "bold red")
    return 0 if good else 1


def _start(base: str, wish: dict[str, str]) -> str:
    answer = requests.post(f"{base}/api/refreshes", json=wish, timeout=60)
    answer.raise_for_status()
    return str(answer.json()["statusUri"])


def _end(uri: str, until: float) -> dict[str, Any]:
    while True:
        answer = requests.get(uri, timeout=60)
        if answer.status_code != 202:
            return dict(answer.json())
        if time.monotonic() > until:
            raise TimeoutError(f"no verdict within {PATIENCE_SECONDS:.0f} s")
        time.sleep(LOOK_SECONDS)


def _seconds(refresh: dict[str, Any]) -> float:
    return (datetime.fromisoformat(refresh["endTime"]) - datetime.fromisoformat(refresh["startTime"])).total_seconds()


if __name__ == "__main__":
    raise SystemExit(main())
