"""`dev.py simulate`: days of a simulated world, many at once. Each has its seed, and a seed that fails can be replayed.

The days are played in processes of their own; this one hands out the seeds in order, counts and shows.
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import os
import signal
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, fields, replace
from itertools import islice
from multiprocessing.process import BaseProcess

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from dev import show
from dev.children import ended_by_signals
from dev.tally import Tally, table, words
from refresh.settings import Settings
from tests.simulation.run import Result, run_seed
from tests.simulation.scenario import Level, scenario

LINE_SECONDS = 10.0
"""How often a log is told how far it is."""
INTERRUPTED = 130

Days = Generator[Result | None, None, None]
"""Days in the order in which they end; None now and then while nothing ends."""
Play = Callable[[int, Level | None], Result]


@dataclass(frozen=True)
class Plan:
    """What is to be played: all `seeds`, at a level or at the one each seed chooses, by `jobs` processes."""

    seeds: range
    level: Level | None
    jobs: int

    @classmethod
    def of(cls, options: argparse.Namespace) -> Plan:
        """From the command line."""
        first = options.first if options.seed is None else options.seed
        count = options.seeds if options.seed is None else 1
        return cls(range(first, first + count), options.faults, min(options.jobs or cores(), count))

    def replay(self, seed: int) -> str:
        """The command that plays one of the seeds again, at the level that was asked for: another makes another day."""
        return f"python3 dev.py simulate --seed {seed}" + (f" --faults {self.level}" if self.level else "")


class Lost(Exception):  # noqa: N818
    """A process that played days has died; the message says so."""


def run(options: argparse.Namespace) -> int:
    """The exit code: 0 if every day keeps the invariants, 1 if one does not, 130 after Ctrl-C."""
    plan, where = Plan.of(options), show.console()
    _forget_settings()
    if options.seed is not None:
        return one(where, plan)
    # whatever ends this process, also from outside, ends the others
    with ended_by_signals(), contextlib.closing(played(plan)) as days:
        return many(where, plan, days)


def one(where: Console, plan: Plan, play: Play = run_seed) -> int:
    """Plays one day and shows all of it."""
    result = day(plan.seeds[0], plan.level, play)
    for line in result.timeline:
        _say(where, line)
    happened = ", ".join(f"{words(name)} {count:,}" for name, count in sorted(result.counts.items()) if count)
    where.print(f"\nWhat happened: {happened or 'nothing'}.", soft_wrap=not where.is_terminal)
    _say(where, f"seed {result.seed} ({result.level}): {result.violation or 'all invariants hold'}", _style(result))
    return 1 if result.violation else 0


def many(where: Console, plan: Plan, days: Iterable[Result | None], clock: Callable[[], float] = time.monotonic) -> int:
    """Plays all days until one fails, shows how far it is, and what happened how often."""
    tally, failed, begun = Tally(), [], clock()
    lost = interrupted = False
    with _view(where, len(plan.seeds), clock) as update:
        try:
            for result in days:
                if result:
                    tally.add(result)
                    failed += [result] if result.violation else []
                update(tally)
        except KeyboardInterrupt:
            interrupted = True
        except Lost as problem:
            lost = True
            _say(where, str(problem), "bold red")
    if tally.seeds:
        _close(where, plan, tally, clock() - begun)
    if failed:
        worst = min(failed, key=lambda result: result.seed)
        where.print()
        _say(where, worst.story)
        where.print()
        _say(where, f"Its whole timeline: {plan.replay(worst.seed)}", "bold red")
        return 1
    if interrupted:
        _say(where, f"Interrupted. None of the {tally.seeds:,} seeds so far failed.", "yellow")
        return INTERRUPTED
    if lost:
        return 1
    _say(where, f"All invariants held in {tally.seeds:,} days.", "green")
    return 0


def played(plan: Plan) -> Days:
    """The days of a plan, played at once by processes. After a day that fails no more are begun.

    Seeds begin in their order and those that have begun are waited for: the smallest that failed is the smallest.
    Raises Lost if a process dies.
    """
    # spawned on every system: a forked child would share what this process has open, and there is no fork on Windows
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(plan.jobs, mp_context=context, initializer=_prepare) as pool:
        try:
            yield from _in_turn(plan, lambda seed: pool.submit(lean_day, seed, plan.level))
        except BrokenProcessPool:
            raise Lost("A process of the simulation was ended from outside; is there enough memory?") from None
        finally:
            pool.shutdown(cancel_futures=True)


def _in_turn(plan: Plan, begin: Callable[[int], Future[Result]]) -> Days:
    """Keeps as many days begun as there are processes, and one more each, so that none of them waits for us."""
    seeds = iter(plan.seeds)
    # the processes are made now and inherit this: a Ctrl-C while they start would have each of them show a traceback
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    running = {begin(seed) for seed in islice(seeds, 2 * plan.jobs)}
    signal.signal(signal.SIGINT, before)
    while running:
        done, running = wait(running, timeout=1.0, return_when=FIRST_COMPLETED)
        results = [future.result() for future in done]
        if any(result.violation for result in results):
            seeds = iter(())
        running |= {begin(seed) for seed in islice(seeds, len(done))}
        yield from results
        if not results:
            yield None


def day(seed: int, level: Level | None, play: Play = run_seed) -> Result:
    """One day. What the app or the world raises is a violation like another, with its traceback as the timeline."""
    begun = time.perf_counter()
    try:
        return play(seed, level)
    except Exception as problem:
        violation = f"{type(problem).__name__}: {problem}"
        lines = traceback.format_exc().splitlines()
        chosen = scenario(seed, level).level
        return Result(seed, chosen, violation, lines, Counter(), time.perf_counter() - begun)


def lean_day(seed: int, level: Level | None, play: Play = run_seed) -> Result:
    """One day, without the timeline if it went well: thousands of lines that nobody reads would have to travel."""
    result = day(seed, level, play)
    return result if result.violation else replace(result, timeline=[])


def cores() -> int:
    """How many cores this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)  # not everywhere
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def _prepare() -> None:
    """At the beginning of a process that plays days."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the first process, which then ends the others
    _forget_settings()
    parent = multiprocessing.parent_process()
    if parent:
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: BaseProcess) -> None:
    """Ends this process when that one has: killed, it could not do it, and this one would wait for work for ever."""
    parent.join()
    os._exit(1)


def _forget_settings() -> None:
    """What a person has set for the app must not make another day of a seed."""
    for setting in fields(Settings):
        os.environ.pop(setting.name.upper(), None)


@contextlib.contextmanager
def _view(where: Console, seeds: int, clock: Callable[[], float]) -> Iterator[Callable[[Tally], None]]:
    """Shows how far it is: a bar on a terminal, a line now and then in a log."""
    begun = clock()
    if not where.is_terminal:
        yield _Log(where, seeds, clock).update
        return
    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("seeds, {task.fields[rate]:.1f} a second,"),
        TimeRemainingColumn(),
        TextColumn("left"),
    )
    with Progress(*columns, console=where) as progress:
        task = progress.add_task("", total=seeds, rate=0.0)
        yield lambda tally: progress.update(task, completed=tally.seeds, rate=_rate(tally, clock() - begun))


class _Log:
    """A line every ten seconds."""

    def __init__(self, where: Console, seeds: int, clock: Callable[[], float]) -> None:
        self._where, self._seeds, self._clock = where, seeds, clock
        self._begun = self._said = clock()

    def update(self, tally: Tally) -> None:
        now = self._clock()
        if now - self._said < LINE_SECONDS:
            return
        self._said = now
        rate = _rate(tally, now - self._begun)
        left = f", about {(self._seeds - tally.seeds) / rate:.0f} s left" if rate else ""
        _say(self._where, f"{tally.seeds:,} of {self._seeds:,} seeds, {rate:.1f} a second{left}")


def _close(where: Console, plan: Plan, tally: Tally, seconds: float) -> None:
    """The table and the speed."""
    where.print(table(tally, faults=plan.level != "none"))
    never = [words(name) for name in tally.never(faults=plan.level != "none")]
    if never:
        where.print(f"Never happened: {', '.join(never)}.", style="yellow", soft_wrap=not where.is_terminal)
    rate = _rate(tally, seconds)
    busy = min(plan.jobs, cores())
    first, last = plan.seeds[0], plan.seeds[-1]
    _say(
        where,
        f"{tally.seeds:,} of the seeds {first} to {last} in {seconds:.0f} s: "
        f"{rate:.1f} a second, {rate / busy:.1f} a core.",
    )


def _rate(tally: Tally, seconds: float) -> float:
    return tally.seeds / seconds if seconds > 0 else 0.0


def _style(result: Result) -> str:
    return "bold red" if result.violation else "green"


def _say(where: Console, text: str, style: str = "") -> None:
    """Prints words that are nobody's markup; a long line stays one, so that it can be searched and copied."""
    where.print(text, style=style or None, markup=False, highlight=False, soft_wrap=True)
