"""Counts of events in simulated days. An event that never occurred is highlighted, because the days prove nothing about
it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, fields

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from dev.terminal import CLOSE
from tests.simulation.run import Result
from tests.simulation.scenario import Rates

FAULT_COUNTS = {
    "runs_terminated": "refresh_run terminated",
    "requests_terminated": "refresh_request terminated",
}
"""The name of the count of a fault, if it differs from the name of its rate."""
FAULTS = (*(FAULT_COUNTS.get(rate.name, rate.name) for rate in fields(Rates)), "status_lost")
OUTCOME = "outcome "
"""The prefix of the counts of the outcomes that callers received."""
OUTCOMES = tuple(
    OUTCOME + status for status in ("Completed", "Failed", "Cancelled", "TimedOut", "Terminated", "OutcomeUnknown")
)
EVENTS = (
    "requests",
    "posts",
    "callers sharing a run",
    "adopted",
    "cancels requested",
    "starts repeated",
    "key conflicts",
    "callbacks",
    "calls of callbacks",
    "places granted",
    "places waited for",
    "batches Completed",
    "batches Failed",
    "batches Cancelled",
    "batches TimedOut",
    "batches retried",
    "models Completed",
    "models Failed",
    "models Cancelled",
    "models TimedOut",
    "models Skipped",
    "steps",
)


@dataclass
class Tally:
    """The sum of many days: how many times each event occurred, and on how many of the days."""

    times: Counter[str] = field(default_factory=Counter)
    days: Counter[str] = field(default_factory=Counter)
    seeds: int = 0
    seconds: float = 0.0
    """Sum of the processor time of all days."""

    def add(self, result: Result) -> None:
        """Adds a day."""
        self.seeds += 1
        self.seconds += result.seconds
        self.times.update(result.counts)
        self.days.update(name for name, count in result.counts.items() if count)

    def faults(self) -> list[str]:
        """The names of all faults: first those in FAULTS, then each count that is in no list of this module."""
        known = {*FAULTS, *OUTCOMES, *EVENTS}
        others = sorted(name for name in self.times if name not in known and not name.startswith(OUTCOME))
        return [*FAULTS, *others]

    def outcomes(self) -> list[str]:
        """The names of all outcomes: first the known ones, then any other outcome that a caller received."""
        return [*OUTCOMES, *sorted(name for name in self.times if name.startswith(OUTCOME) and name not in OUTCOMES)]

    def never(self, *, faults: bool) -> list[str]:
        """The events that occurred on no day. `faults`: whether faults could occur."""
        expected = [*(self.faults() if faults else ()), *self.outcomes(), *EVENTS]
        if not faults:
            expected.remove(f"{OUTCOME}Terminated")  # only a fault causes this outcome
        return [name for name in expected if not self.times[name]]


def label(name: str) -> str:
    """The name of a count in the table."""
    return name.removeprefix("refresh_").removeprefix(OUTCOME).replace("_", " ")


def table(tally: Tally, *, faults: bool) -> Table:
    """Outcomes and events, and to their left the faults, if any can occur. Fits into 80 columns."""
    both = Table.grid(padding=(0, 2, 0, 0))
    right = Table.grid()
    right.add_row(_list("outcomes", tally, tally.outcomes()))
    right.add_row(_list("events", tally, EVENTS))
    lists = [_list("faults", tally, tally.faults())] if faults else []
    both.add_row(*lists, right)
    return both


def _list(heading: str, tally: Tally, names: list[str] | tuple[str, ...]) -> Table:
    table = Table(box=SIMPLE_HEAD, padding=CLOSE)
    table.add_column(heading, no_wrap=True, min_width=20)
    table.add_column("times", justify="right", no_wrap=True, min_width=6)
    table.add_column("days", justify="right", no_wrap=True, min_width=5)
    for name in names:
        style = "" if tally.times[name] else "bold yellow"
        row = (label(name), f"{tally.times[name]:,}", f"{tally.days[name]:,}")
        table.add_row(*(Text(cell, style) for cell in row))
    return table
