"""`dev.py bench polling`: what it costs to learn in time that a refresh has ended, against polling at a fixed pace.

Prints a table and draws it. Each number comes from many refreshes, followed by the app's own code: `dev.polling`.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from dev import show
from dev.environment import ROOT
from dev.polling import EARLIER, LONG, Followed, follow
from refresh.polling.schedule import Limits, quantile
from refresh.settings import Settings

DURATIONS = {"20 s": 20.0, "5 min": 300.0, "1 h": 3600.0, "6 h": 6 * 3600.0}
PARTS = (0.01, 0.1, 0.5)
MOST_CALLS = 30
REFRESHES = 200
ENOUGH_CALLS = 15_000
"""Of one line of the table: polling every second for six hours is not repeated as often as the rest."""
FEWEST = 2

Run = Callable[[Callable[[int], Followed], int], Sequence[Followed]]


@dataclass(frozen=True)
class Plan:
    """A way to wait: with the limits of the settings, and as many earlier refreshes in the history."""

    name: str
    limits: Limits
    earlier: int

    def roughly(self, usual: float) -> float:
        """About how many calls it makes."""
        if self.earlier:
            return MOST_CALLS
        return usual / self.limits.poll_max + (0 if self.limits.poll_min == self.limits.poll_max else MOST_CALLS)


WITH = Plan(f"with {EARLIER} earlier ones", Limits(), EARLIER)
WITHOUT = Plan("without any", Limits(), 0)
FIXED = [Plan(f"every {pace} s", Limits(poll_min=pace, poll_max=pace), 0) for pace in (1, 10, 30, 60)]
PLANS = [WITH, WITHOUT, *FIXED]


@dataclass(frozen=True)
class Measured:
    """What many refreshes of one duration cost by one plan. Calls and seconds, sorted."""

    duration: str
    plan: Plan
    calls: list[int]
    lags: list[float]

    @property
    def usual(self) -> float:
        """Seconds that the refreshes usually take."""
        return DURATIONS[self.duration]

    @property
    def on_target(self) -> bool:
        """At most 30 calls, and at most 5 seconds or 2 % of the duration late, each in 95 of 100 cases."""
        return of(self.calls, 0.95) <= MOST_CALLS and of(self.lags, 0.95) <= most_late(self.usual)


def most_late(usual: float) -> float:
    """Seconds after its end by which a verdict ought to be known."""
    return max(5.0, 0.02 * usual)


def of(values: Sequence[float], share: float) -> float:
    """A quantile of sorted values."""
    return quantile(values, share)


def measure(duration: str, plan: Plan, refreshes: int, run: Run) -> Measured:
    """Follows so many refreshes, each with a seed of its own."""
    usual = DURATIONS[duration]
    count = max(min(refreshes, int(ENOUGH_CALLS / plan.roughly(usual))), FEWEST)
    found = run(partial(follow, usual=usual, limits=plan.limits, earlier=plan.earlier), count)
    return Measured(duration, plan, sorted(one.calls for one in found), sorted(one.lag for one in found))


def one_by_one(one: Callable[[int], Followed], count: int) -> list[Followed]:
    """In this process."""
    return [one(seed) for seed in range(count)]


def table(found: Iterable[Measured]) -> Table:
    """One line for each duration and plan."""
    shown = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    shown.add_column("refresh of", no_wrap=True)
    shown.add_column("polled", no_wrap=True)
    for heading in ("calls", "95 %", "most", "late by", "95 %", "target", "runs"):
        shown.add_column(heading, justify="right", no_wrap=True)
    before = ""
    for cell in found:
        if before and before != cell.duration:
            shown.add_section()
        calls = [f"{of(cell.calls, share):,.0f}" for share in (0.5, 0.95, 1)]
        lags = [seconds(of(cell.lags, share)) for share in (0.5, 0.95)]
        met = Text("met", "green") if cell.on_target else Text("", "")
        name = Text(cell.plan.name, "bold" if cell.plan is WITH else "")
        shown.add_row(cell.duration if cell.duration != before else "", name, *calls, *lags, met, str(len(cell.calls)))
        before = cell.duration
    return shown


def early_table(refreshes: int, run: Run) -> Table:
    """How late a failure is noticed that comes far before the usual end."""
    shown = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    shown.add_column("refresh of", no_wrap=True)
    for part in PARTS:
        shown.add_column(f"fails at {part:.0%}", justify="right", no_wrap=True)
    for duration, usual in DURATIONS.items():
        lags = []
        for part in PARTS:
            found = run(partial(follow, usual=usual, limits=Limits(), earlier=EARLIER, part=part), refreshes)
            late = sorted(one.lag for one in found)
            lags.append(f"{seconds(of(late, 0.5))}, {seconds(of(late, 1))}")
        shown.add_row(duration, *lags)
    return shown


def seconds(value: float) -> str:
    """A time as one says it."""
    if value < 100:
        return f"{value:.1f} s"
    return f"{value:.0f} s" if value < 600 else f"{value / 60:.0f} min"


def main(arguments: list[str] | None = None) -> int:
    """The command. Exit code 1 if the plan with history misses its target."""
    options = _parser().parse_args(arguments)
    output: Path = options.output
    if output.suffix != ".png":
        _parser().error("--output must name a .png file")
    for setting in fields(Settings):
        # what a person has set for the app is not what is measured
        os.environ.pop(setting.name.upper(), None)
    where, begun = show.console(), time.perf_counter()
    found: list[Measured] = []
    with ProcessPoolExecutor(options.jobs) as pool:

        def run(one: Callable[[int], Followed], count: int) -> list[Followed]:
            return list(pool.map(one, range(count), chunksize=max(1, min(10, count // options.jobs))))

        for duration in DURATIONS:
            for plan in PLANS:
                found.append(measure(duration, plan, options.refreshes, run))
                where.print(f"{len(found)} of {len(DURATIONS) * len(PLANS)}: {duration}, {plan.name}", style="dim")
        early = early_table(min(options.refreshes, 50), run)
    where.print("\nCalls to Power BI from the POST to the verdict, and how late the verdict is after the end:")
    where.print(table(found))
    where.print(
        "Refreshes take within 15 % of their usual time, one in thirty takes far longer; a call takes 0.1 to 0.2 s;\n"
        f"what takes {LONG / 3600:.0f} hours or more is an enhanced refresh. Target: at most {MOST_CALLS} calls and at "
        "most 5 s or 2 % late,\neach in 95 of 100 cases. "
        "Without a durable engine, whose timers come up to a second early and some seconds late.\n"
    )
    where.print(f"What fails early, with {EARLIER} earlier ones in the history, is noticed late by (median, most):")
    where.print(early)
    from dev.polling_plot import draw

    output.parent.mkdir(parents=True, exist_ok=True)
    draw(found, output)
    where.print(f"Plot: {output}", soft_wrap=True)
    where.print(f"{time.perf_counter() - begun:.0f} s")
    return 0 if all(cell.on_target for cell in found if cell.plan is WITH) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="dev.py bench polling", description=__doc__, allow_abbrev=False)
    parser.add_argument("--refreshes", type=int, default=REFRESHES, metavar="N", help=f"a line (default {REFRESHES})")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), metavar="N", help="processes (default: all cores)")
    parser.add_argument(
        "--output",
        type=Path,
        default=ROOT / ".dev" / "polling.png",
        metavar="PNG",
        help="where the plot goes (default .dev/polling.png)",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
