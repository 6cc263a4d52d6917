"""`dev.py simulate`: plays simulated days and shows their progress, their counts, and how to replay a failed seed."""

from __future__ import annotations

import argparse
import contextlib
import time
from collections.abc import Callable, Iterable, Iterator

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from dev.processes import ended_by_signals
from dev.simulate.days import Plan, Play, ProcessDied, cores, forget_settings, in_parallel, play_day
from dev.simulate.tally import Tally, label, table
from dev.terminal import console, print_line
from tests.simulation.run import Result, run_seed
from tests.simulation.story import LEGEND, story

LOG_SECONDS = 10.0
"""The seconds between two progress lines if the output is not a terminal."""
INTERRUPTED = 130


def run(options: argparse.Namespace) -> int:
    """The exit code: 0 if no day violates an invariant, 1 if one does, 130 after Ctrl-C."""
    plan, where = Plan.of(options), console()
    forget_settings()
    if options.seed is not None:
        return one(where, plan, log=options.log)
    # however this process ends, the processes that it started end, too
    with ended_by_signals(), contextlib.closing(in_parallel(plan)) as days:
        return many(where, plan, days)


def one(where: Console, plan: Plan, play: Play = run_seed, *, log: bool = False) -> int:
    """Plays one day and shows its whole timeline, as sentences or as log lines of the app."""
    result = play_day(plan.seeds[0], plan.level, play)
    if not log:
        print_line(where, f"{LEGEND}\n")
    for line in result.timeline if log else story(result.timeline):
        print_line(where, line)
    counts = ", ".join(f"{label(name)} {count:,}" for name, count in sorted(result.counts.items()) if count)
    where.print(f"\nCounts: {counts or 'none'}.", soft_wrap=not where.is_terminal)
    conclusion = result.violation or "no invariant was violated"
    style = "bold red" if result.violation else "green"
    print_line(where, f"seed {result.seed} ({result.level}): {conclusion}", style)
    return 1 if result.violation else 0


def many(where: Console, plan: Plan, days: Iterable[Result | None], clock: Callable[[], float] = time.monotonic) -> int:
    """Plays days until one fails, shows the progress, and at the end the counts."""
    tally, failed, begin = Tally(), [], clock()
    died = interrupted = False
    with _progress(where, len(plan.seeds), clock) as update:
        try:
            for result in days:
                if result:
                    tally.add(result)
                    failed += [result] if result.violation else []
                update(tally)
        except KeyboardInterrupt:
            interrupted = True
        except ProcessDied as problem:
            died = True
            print_line(where, str(problem), "bold red")
    if tally.seeds:
        _show_counts(where, plan, tally, clock() - begin)
    if failed:
        worst = min(failed, key=lambda result: result.seed)
        where.print()
        print_line(where, worst.story)
        where.print()
        print_line(where, f"Replay with the whole timeline: {plan.replay(worst.seed)}", "bold red")
        return 1
    if interrupted:
        print_line(where, f"Interrupted. None of the {tally.seeds:,} days so far failed.", "yellow")
        return INTERRUPTED
    if died:
        return 1
    print_line(where, f"No invariant was violated in {tally.seeds:,} days.", "green")
    return 0


@contextlib.contextmanager
def _progress(where: Console, seeds: int, clock: Callable[[], float]) -> Iterator[Callable[[Tally], None]]:
    """Shows the progress: a bar on a terminal; elsewhere a line after the first day and every LOG_SECONDS."""
    begin = clock()
    if not where.is_terminal:
        yield _Log(where, seeds, clock).update
        return
    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("days, {task.fields[rate]:.1f}/s,"),
        TimeRemainingColumn(),
        TextColumn("left"),
    )
    with Progress(*columns, console=where) as progress:
        task = progress.add_task("", total=seeds, rate=0.0)
        yield lambda tally: progress.update(task, completed=tally.seeds, rate=_rate(tally, clock() - begin))


class _Log:
    """Prints a line after the first day and every LOG_SECONDS."""

    def __init__(self, where: Console, seeds: int, clock: Callable[[], float]) -> None:
        self._where, self._seeds, self._clock = where, seeds, clock
        self._begin = self._latest = clock()
        self._days_ended = False

    def update(self, tally: Tally) -> None:
        now = self._clock()
        first_day = tally.seeds > 0 and not self._days_ended
        if not first_day and now - self._latest < LOG_SECONDS:
            return
        self._latest, self._days_ended = now, tally.seeds > 0
        rate = _rate(tally, now - self._begin)
        remaining = f", about {(self._seeds - tally.seeds) / rate:.0f} s left" if rate else ""
        print_line(self._where, f"{tally.seeds:,} of {self._seeds:,} days, {rate:.1f} per second{remaining}")


def _show_counts(where: Console, plan: Plan, tally: Tally, seconds: float) -> None:
    """Shows the table of counts and the speed."""
    faults = plan.level != "none"
    where.print(table(tally, faults=faults))
    never = [label(name) for name in tally.never(faults=faults)]
    if never:
        where.print(f"Never occurred: {', '.join(never)}.", style="yellow", soft_wrap=not where.is_terminal)
    rate = _rate(tally, seconds)
    busy = min(plan.jobs, cores())
    first, last = plan.seeds[0], plan.seeds[-1]
    print_line(
        where,
        f"{tally.seeds:,} days of the seeds {first} to {last} in {seconds:.0f} s: "
        f"{rate:.1f} per second, {rate / busy:.1f} per core.",
    )


def _rate(tally: Tally, seconds: float) -> float:
    return tally.seeds / seconds if seconds > 0 else 0.0
