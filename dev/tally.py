"""What happened in simulated days, and how often: a world in which nothing happens would prove nothing."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, fields

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from tests.simulation.run import Result
from tests.simulation.scenario import Rates

CLOSE = (0, 1, 0, 0)
"""Padding that lets both halves stand side by side in 80 columns."""
STRUCK = {
    "runs_terminated": "refresh_run terminated",
    "requests_terminated": "refresh_request terminated",
}
"""Under which name the world counts a fault, where that is not the name of its rate."""
FAULTS = tuple(STRUCK.get(rate.name, rate.name) for rate in fields(Rates))
ENDINGS = tuple(
    f"told {end}" for end in ("Completed", "Failed", "Cancelled", "TimedOut", "Terminated", "OutcomeUnknown")
)
EVENTS = (
    "requests",
    "posts",
    "callers who shared",
    "adopted",
    "cancels asked",
    "asked again",
    "key in use",
    "callbacks",
    "calls back",
    "steps",
)


@dataclass
class Tally:
    """The sum of many days: how often each thing happened, and on how many of the days."""

    times: Counter[str] = field(default_factory=Counter)
    days: Counter[str] = field(default_factory=Counter)
    seeds: int = 0
    seconds: float = 0.0
    """What the days took, each on its own core."""

    def add(self, result: Result) -> None:
        """One more day."""
        self.seeds += 1
        self.seconds += result.seconds
        self.times.update(result.counts)
        self.days.update(name for name, count in result.counts.items() if count)

    def faults(self) -> list[str]:
        """The faults that can happen, the engine's first; then what else the world counts and nobody has named here."""
        known = {*FAULTS, *ENDINGS, *EVENTS}
        others = sorted(name for name in self.times if name not in known and not name.startswith("told "))
        return [*FAULTS, *others]

    def endings(self) -> list[str]:
        """What callers can be told at the end, and what they were told beside."""
        return [*ENDINGS, *sorted(name for name in self.times if name.startswith("told ") and name not in ENDINGS)]

    def never(self, *, faults: bool) -> list[str]:
        """What did not happen on any day; `faults` is False if none could."""
        wanted = [*(self.faults() if faults else ()), *self.endings(), *EVENTS]
        if not faults:
            wanted.remove("told Terminated")  # only a fault does that
        return [name for name in wanted if not self.times[name]]


def words(name: str) -> str:
    """The name of a count as a person reads it."""
    return name.removeprefix("refresh_").replace("_", " ")


def table(tally: Tally, *, faults: bool) -> Table:
    """Faults, if any can happen, beside what callers were told and what the app did. Fits into 80 columns."""
    both = Table.grid(padding=(0, 2, 0, 0))
    right = Table.grid()
    right.add_row(_list("callers were told", tally, tally.endings(), cut="told "))
    right.add_row(_list("what happened", tally, EVENTS))
    left = [_list("faults", tally, tally.faults())] if faults else []
    both.add_row(*left, right)
    return both


def _list(heading: str, tally: Tally, names: list[str] | tuple[str, ...], cut: str = "") -> Table:
    found = Table(box=SIMPLE_HEAD, padding=CLOSE)
    found.add_column(heading, no_wrap=True, min_width=20)
    found.add_column("times", justify="right", no_wrap=True, min_width=6)
    found.add_column("seeds", justify="right", no_wrap=True, min_width=5)
    for name in names:
        # what never happened is what one looks for
        style = "" if tally.times[name] else "bold yellow"
        shown = words(name).removeprefix(cut)
        found.add_row(Text(shown, style), Text(f"{tally.times[name]:,}", style), Text(f"{tally.days[name]:,}", style))
    return found
