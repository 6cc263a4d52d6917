"""`dev.py bench polling`: calls to Power BI and delay of the outcome, compared with polling at a fixed pace.

Prints a table and draws a plot. Each number comes from many simulated refreshes that the app's own code follows to
their end (`dev.bench.polling_run`).
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import fields
from functools import partial
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from dev import terminal
from dev.bench.polling_plot import draw
from dev.bench.polling_results import (
    DURATIONS,
    MAX_CALLS,
    WAYS,
    WITH_HISTORY,
    Measured,
    RunMany,
    measure,
    seconds_text,
)
from dev.bench.polling_run import EARLIER, LONG, Followed, follow
from dev.environment import ROOT
from refresh.polling.limits import Limits
from refresh.polling.schedule import quantile
from refresh.settings import Settings

FAILURE_POINTS = (0.01, 0.1, 0.5)
REFRESHES = 200


def results_table(found: Iterable[Measured]) -> Table:
    """One row for each duration and way to poll."""
    table = Table(box=SIMPLE_HEAD, padding=terminal.CLOSE)
    table.add_column("refresh of", no_wrap=True)
    table.add_column("polling", no_wrap=True)
    for heading in ("calls", "95 %", "max", "delay", "95 %", "target", "runs"):
        table.add_column(heading, justify="right", no_wrap=True)
    before = ""
    for cell in found:
        if before and before != cell.duration:
            table.add_section()
        calls = [f"{quantile(cell.calls, share):,.0f}" for share in (0.5, 0.95, 1)]
        delays = [seconds_text(quantile(cell.delays, share)) for share in (0.5, 0.95)]
        met = Text("met", "green") if cell.on_target else Text("", "")
        name = Text(cell.way.name, "bold" if cell.way is WITH_HISTORY else "")
        table.add_row(
            cell.duration if cell.duration != before else "", name, *calls, *delays, met, str(len(cell.calls))
        )
        before = cell.duration
    return table


def early_failures_table(refreshes: int, run_many: RunMany) -> Table:
    """The delay until a failure long before the typical end is noticed."""
    table = Table(box=SIMPLE_HEAD, padding=terminal.CLOSE)
    table.add_column("refresh of", no_wrap=True)
    for part in FAILURE_POINTS:
        table.add_column(f"fails at {part:.0%}", justify="right", no_wrap=True)
    for duration, seconds in DURATIONS.items():
        cells = []
        for part in FAILURE_POINTS:
            found = run_many(partial(follow, usual=seconds, limits=Limits(), earlier=EARLIER, part=part), refreshes)
            delays = sorted(one.delay for one in found)
            cells.append(f"{seconds_text(quantile(delays, 0.5))}, {seconds_text(quantile(delays, 1))}")
        table.add_row(duration, *cells)
    return table


def main(arguments: list[str]) -> int:
    """The exit code: 1 if the schedule with history misses its target."""
    options = _parser().parse_args(arguments)
    output: Path = options.output
    if output.suffix != ".png":
        _parser().error("--output must name a .png file")
    for setting in fields(Settings):
        # app settings in this shell must not affect the measurement
        os.environ.pop(setting.name.upper(), None)
    where, begin = terminal.console(), time.perf_counter()
    found: list[Measured] = []
    with ProcessPoolExecutor(options.jobs) as pool:

        def run_many(one: Callable[[int], Followed], count: int) -> list[Followed]:
            return list(pool.map(one, range(count), chunksize=max(1, min(10, count // options.jobs))))

        for duration in DURATIONS:
            for way in WAYS:
                found.append(measure(duration, way, options.refreshes, run_many))
                where.print(f"{len(found)} of {len(DURATIONS) * len(WAYS)}: {duration}, {way.name}", style="dim")
        early = early_failures_table(min(options.refreshes, 50), run_many)
    where.print(
        "\nCalls to Power BI from the POST to the outcome, and delay of the outcome after the refresh has ended:"
    )
    where.print(results_table(found))
    where.print(
        "Durations vary by 15 %; one refresh in thirty takes far longer. A call takes 0.1 to 0.2 s.\n"
        f"Refreshes of {LONG / 3600:.0f} hours or more are enhanced refreshes. Target in 95 of 100 cases: at most "
        f"{MAX_CALLS} calls, and a\ndelay of at most 5 s or 2 % of the duration. Not included: the engine's timers, "
        "which fire up to a second early and\nsome seconds late.\n"
    )
    where.print(f"Delay of an early failure, with {EARLIER} earlier refreshes in the history (median, maximum):")
    where.print(early)
    output.parent.mkdir(parents=True, exist_ok=True)
    draw(found, output)
    where.print(f"Plot: {output}", soft_wrap=True)
    where.print(f"{time.perf_counter() - begin:.0f} s")
    return 0 if all(cell.on_target for cell in found if cell.way is WITH_HISTORY) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="dev.py bench polling", description=__doc__, allow_abbrev=False)
    parser.add_argument(
        "--refreshes", type=int, default=REFRESHES, metavar="N", help=f"refreshes per row (default {REFRESHES})"
    )
    parser.add_argument(
        "--jobs", type=int, default=os.cpu_count(), metavar="N", help="number of processes (default: all cores)"
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=ROOT / ".dev" / "polling.png",
        metavar="PNG",
        help="file for the plot (default .dev/polling.png)",
    )
    return parser
