"""Days of the simulated world violate no invariant, are reproducible, and have every kind of fault and outcome."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from dev.simulate.tally import Tally, label
from tests.simulation import episodes
from tests.simulation.run import Result, run_seed
from tests.simulation.scenario import LEVELS, Level

ROOT = Path(__file__).parents[2]
SEEDS_FILE = Path(__file__).with_name("seeds.txt")

SEEDS, CHUNK, GOOD_DAYS = 30, 15, 8
"""Each night a workflow plays 2,000 other days."""
BUSY_DAYS = (105, 106, 58, 9, 59, 4, 92, 35, 103, 63, 107, 85, 41, *range(150))
"""The seeds of the days that are played until each kind of fault and each outcome has occurred.

The first of them are short days with rare outcomes, and suffice on Python 3.11. With other versions of Python, a seed
gives a different day.
"""
COMPLETED_EACH_DAY = 1 / 3
"""The days show little if fewer callers get the outcome Completed. On average, 1.5 callers of a day get it; another
version of Python plays other days, in which there may be fewer."""
Record = Callable[[str, object], None]


def kept_seeds() -> list[tuple[int, Level | None]]:
    """The seeds of seeds.txt with their levels; None if the seed determines the level."""
    found: list[tuple[int, Level | None]] = []
    for number, line in enumerate(SEEDS_FILE.read_text("utf-8").splitlines(), 1):
        text, _, why = line.partition("#")
        if not text.strip():
            continue
        match text.split():
            case [seed, ("auto" | "none" | "light" | "heavy") as level] if seed.isdecimal() and why.strip():
                found.append((int(seed), next((known for known in LEVELS if known == level), None)))
            case _:
                raise ValueError(f"{SEEDS_FILE.name}, line {number}: not `seed level-or-auto  # why`: {line}")
    return found


def play(seed: int, level: Level | None = None) -> Result:
    """Plays the day of a seed. If the day fails, the test fails and shows its story."""
    result = run_seed(seed, level)
    if result.violation:
        more = f" --faults {level}" if level else ""
        pytest.fail(f"{result.story}\npython3 dev.py simulate --seed {seed}{more}", pytrace=False)
    return result


@pytest.mark.parametrize("first", range(0, SEEDS, CHUNK))
def test_every_day_keeps_the_invariants(first: int) -> None:
    """Plays days at the levels that their seeds determine."""
    tally = Tally()
    for seed in range(first, first + CHUNK):
        tally.add(play(seed))
    assert tally.times["outcome Completed"] > CHUNK * COMPLETED_EACH_DAY, "too few callers got the outcome Completed"


@pytest.mark.parametrize(("seed", "level"), kept_seeds())
def test_what_failed_once_does_not_fail_again(seed: int, level: Level | None) -> None:
    """Plays each seed of seeds.txt."""
    play(seed, level)


def test_bad_days_are_bad(record_property: Record) -> None:
    """On bad days, every kind of fault and every outcome occurs. The summary has the counts."""
    tally = Tally()
    for seed in BUSY_DAYS:
        tally.add(play(seed, "heavy"))
        if not tally.never(faults=True):
            break
    seconds = f"{tally.seeds / tally.seconds:.1f} seeds per second and core"
    counts = ", ".join(f"{label(name)} {tally.times[name]:,}" for name in sorted(tally.times) if tally.times[name])
    record_property("measured", f"simulation: {tally.seeds} bad days, {seconds}: {counts}")
    assert tally.never(faults=True) == []


def test_good_days_are_good() -> None:
    """On days without faults, no fault occurs, and no caller gets an outcome that only a fault can cause."""
    tally = Tally()
    for seed in range(GOOD_DAYS):
        tally.add(play(seed, "none"))
    assert {name for name in tally.faults() if tally.times[name]} == set()
    assert tally.times["outcome Terminated"] == 0
    assert tally.times["outcome Completed"] > tally.times["requests"] / 3


@pytest.mark.parametrize("level", LEVELS)
def test_a_seed_plays_the_same_day_again(level: Level) -> None:
    """The timeline has the same lines at the same milliseconds, no matter which day was played in between."""
    once = play(7, level)
    play(8, level)
    again = play(7, level)
    assert once.timeline == again.timeline
    assert (once.level, once.counts) == (again.level, again.counts) == (level, once.counts)
    assert len(once.timeline) > 3


@pytest.mark.parametrize("seed", [7, 8, 9])
def test_continuing_is_the_same_as_replaying(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A day without replays and a day on which every episode is replayed from its history are the same."""
    days = []
    for part in (0.0, 1.0):
        monkeypatch.setattr(episodes, "REPLAYED", part)
        days.append(play(seed, "heavy"))
    assert days[0].timeline == days[1].timeline
    assert days[0].counts == days[1].counts


def test_a_seed_plays_the_same_day_elsewhere() -> None:
    """A seed plays the same day in another process, in which sets have another order. So another machine can replay a
    day."""
    code = "from tests.simulation.test_simulation import fingerprint; print(fingerprint(7))"
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("POWER_BI_", "PYTEST_"))}
    prints = {fingerprint(7)}
    for hashes in ("1", "2"):
        command = [sys.executable, "-W", "ignore", "-c", code]
        done = subprocess.run(
            command, cwd=ROOT, env={**environ, "PYTHONHASHSEED": hashes}, capture_output=True, text=True, check=True
        )
        prints.add(done.stdout.strip())
    assert len(prints) == 1


def fingerprint(seed: int) -> str:
    """A fingerprint of the timeline of a bad day."""
    return hashlib.sha256("\n".join(run_seed(seed, "heavy").timeline).encode()).hexdigest()
