"""The recorded day that finds each deliberate mistake, so that a test plays one day for each mistake instead of
hundreds.

It is not an error if a recorded day no longer finds its mistake: the world or the app has changed. Then the test
searches for another day, and the summary of the test run names the line to write into catches.txt. To record all or
some days:

    PYTHONPATH=devhost/src:devhost/tests .venv/bin/python -m tests.simulation.catches [NAME ...]
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast, get_args

from tests.simulation.capacity_mutations import NAMES
from tests.simulation.mutations import mutated
from tests.simulation.run import Result, run_seed
from tests.simulation.scenario import Level

FILE = Path(__file__).with_name("catches.txt")
HEAD = "# The day that finds each mistake of mutations.py: its name, seed, and level or auto. Written by catches.py."
MAX_SEEDS = 400
"""The number of days that a search plays for a mistake."""
RECORD = "PYTHONPATH=devhost/src:devhost/tests .venv/bin/python -m tests.simulation.catches"


@dataclass(frozen=True)
class Day:
    """A simulated day. `level` None: the seed determines the level."""

    seed: int
    level: Level | None

    def __str__(self) -> str:
        return f"{self.seed} {self.level or 'auto'}"

    def play(self) -> Result:
        """Plays the day and returns its result."""
        return run_seed(self.seed, self.level)


def recorded() -> dict[str, Day]:
    """The day that finds each mistake, by the name of the mistake."""
    found = {}
    for line in FILE.read_text("utf-8").splitlines():
        if words := line.partition("#")[0].split():
            name, seed, level = words
            if level not in (*get_args(Level), "auto"):
                raise ValueError(f"{FILE.name}: not `name seed level-or-auto`: {line}")
            found[name] = Day(int(seed), None if level == "auto" else cast(Level, level))
    return found


def search(name: str) -> Iterator[tuple[Day, Result]]:
    """The days that find a mistake, among MAX_SEEDS days of all levels."""
    for seed in range(MAX_SEEDS):
        day = Day(seed, (None, "light", "heavy")[seed % 3])
        with mutated(name):
            result = day.play()
        if result.violation:
            yield day, result


def record(names: list[str]) -> None:
    """Writes the file again with new days for these mistakes. It is written after each search, which can take
    minutes."""
    days = recorded()
    for name in names:
        found = next(search(name), None)
        if found is None:
            raise LookupError(f"{name}: not found in {MAX_SEEDS} days")
        days[name] = found[0]
        print(name, days[name], flush=True)
        lines = [f"{each} {days[each]}" for each in NAMES if each in days]
        FILE.write_text("\n".join([HEAD, *lines, ""]), "utf-8")


if __name__ == "__main__":
    record(sys.argv[1:] or list(NAMES))
