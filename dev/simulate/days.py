"""Plays simulated days: one in this process, or many in parallel processes, in the order of their seeds."""

from __future__ import annotations

import argparse
import multiprocessing
import os
import signal
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Generator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, fields, replace
from itertools import islice
from multiprocessing.process import BaseProcess

from refresh.settings import Settings
from tests.simulation.run import Result, run_seed
from tests.simulation.scenario import Level, scenario

Days = Generator[Result | None, None, None]
"""The results of days, in the order in which the days end. If no day ends for about a second, None."""
Play = Callable[[int, Level | None], Result]


@dataclass(frozen=True)
class Plan:
    """The days to play: all `seeds`, at one level or at the level determined by each seed, by `jobs` processes."""

    seeds: range
    level: Level | None
    jobs: int

    @classmethod
    def of(cls, options: argparse.Namespace) -> Plan:
        """The plan from the command line."""
        first = options.first if options.seed is None else options.seed
        count = options.seeds if options.seed is None else 1
        return cls(range(first, first + count), options.faults, min(options.jobs or cores(), count))

    def replay(self, seed: int) -> str:
        """The command that plays one of these days again. It names the level, if one is set: a different level gives a
        different day."""
        return f"python3 dev.py simulate --seed {seed}" + (f" --faults {self.level}" if self.level else "")


class ProcessDied(Exception):  # noqa: N818
    """A process that played days has died. The message is for the output."""


def in_parallel(plan: Plan) -> Days:
    """Plays the days of a plan in processes. After a failed day, no further day is started.

    Days start in the order of their seeds, and days that have started are completed, so the smallest failing seed is
    certain to be found. Raises ProcessDied.
    """
    # "spawn" on every system: a forked child would share the open files of this process, and Windows has no fork
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(plan.jobs, mp_context=context, initializer=_initialize) as pool:
        try:
            yield from in_order(plan, lambda seed: pool.submit(play_lean, seed, plan.level))
        except BrokenProcessPool:
            raise ProcessDied("A process of the simulation was killed. Is there enough memory?") from None
        finally:
            pool.shutdown(cancel_futures=True)


def in_order(plan: Plan, start: Callable[[int], Future[Result]]) -> Days:
    """Always has two started days per process, so that no process has to wait for this one."""
    seeds = iter(plan.seeds)
    # the processes start here and inherit SIG_IGN; otherwise Ctrl-C during their start would make each print a
    # traceback
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    running = {start(seed) for seed in islice(seeds, 2 * plan.jobs)}
    signal.signal(signal.SIGINT, before)
    while running:
        done, running = wait(running, timeout=1.0, return_when=FIRST_COMPLETED)
        results = [future.result() for future in done]
        if any(result.violation for result in results):
            seeds = iter(())
        running |= {start(seed) for seed in islice(seeds, len(done))}
        yield from results
        if not results:
            yield None


def play_day(seed: int, level: Level | None, play: Play = run_seed) -> Result:
    """Plays one day. An exception counts as a violation, with its traceback as the timeline."""
    begin = time.perf_counter()
    try:
        return play(seed, level)
    except Exception as problem:
        violation = f"{type(problem).__name__}: {problem}"
        lines = traceback.format_exc().splitlines()
        return Result(seed, scenario(seed, level).level, violation, lines, Counter(), time.perf_counter() - begin)


def play_lean(seed: int, level: Level | None, play: Play = run_seed) -> Result:
    """Plays one day. Its timeline is dropped unless the day failed, because sending it to the first process is slow."""
    result = play_day(seed, level, play)
    return result if result.violation else replace(result, timeline=[])


def cores() -> int:
    """The number of cores this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)  # Linux only
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def forget_settings() -> None:
    """Removes app settings of this shell from the environment, because they would change the days."""
    for setting in fields(Settings):
        os.environ.pop(setting.name.upper(), None)


def _initialize() -> None:
    """Runs first in each process that plays days."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is handled by the first process, which ends the others
    forget_settings()
    parent = multiprocessing.parent_process()
    if parent:
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: BaseProcess) -> None:
    """Ends this process when its parent has ended, because a parent that was killed cannot do that."""
    parent.join()
    os._exit(1)
