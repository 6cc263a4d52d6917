"""What people see of the demo: a live table on a terminal, a line for each change elsewhere, and the verdicts."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from dev.callers import PHASES, Caller
from dev.verdicts import Verdict, numbers, shared_with

Update = Callable[[str], None]
"""Shows how things stand now; the text is about the world around the callers."""

CLOSE = (0, 1, 0, 0)
"""Padding that lets the tables fit into 80 columns."""
PHASE_WIDTH = max(map(len, PHASES.values()))
LOG_WIDTH = 120
"""Where there is no terminal that knows better."""


def console() -> Console:
    """The console of this process: as wide as the terminal, or as a log may be."""
    found = Console(highlight=False)
    return found if found.is_terminal else Console(highlight=False, width=LOG_WIDTH)


@contextlib.contextmanager
def live(where: Console, callers: Sequence[Caller]) -> Iterator[Update]:
    """Shows the callers while the block runs."""
    if not where.is_terminal:
        yield _Log(where, callers).update
        return
    with Live(console=where, auto_refresh=False) as view:
        yield lambda world: view.update(_table(callers, world), refresh=True)


class _Log:
    """A line for each change."""

    def __init__(self, where: Console, callers: Sequence[Caller]) -> None:
        self._where, self._callers = where, callers
        self._before: dict[str, str] = {}
        self._begun = datetime.now(UTC)

    def update(self, world: str) -> None:
        lines = {"Power BI": world} if world else {}
        for caller in self._callers:
            seen = caller.seen
            if seen.sent:
                place = f", {seen.position}" if seen.position else ""
                lines[f"{caller.ask.caller} ({caller.ask.model})"] = f"{seen.phase}{place}"
        for who, line in lines.items():
            if self._before.get(who) != line:
                self._before[who] = line
                self._where.print(f"{(datetime.now(UTC) - self._begun).total_seconds():6.1f} s  {who}: {line}")


def _table(callers: Sequence[Caller], world: str) -> Table:
    now = datetime.now(UTC)
    table = Table(box=SIMPLE_HEAD, padding=CLOSE, caption=f" {world}" if world else None, caption_justify="left")
    # of fixed width: a table that jumps cannot be read
    for heading, width in (("caller", 15), ("model", 5), ("phase", PHASE_WIDTH), ("in line", 8)):
        table.add_column(heading, min_width=width, no_wrap=True)
    table.add_column("elapsed", justify="right", min_width=8, no_wrap=True)
    for caller in callers:
        seen = caller.seen
        elapsed = f"{seen.seconds(now):.1f} s" if seen.sent else ""
        style = _style(seen.status) if seen.over else ("dim" if seen.sent is None else "")
        table.add_row(caller.ask.caller, caller.ask.model, Text(seen.phase, style), seen.position, elapsed)
    return table


def show_verdicts(where: Console, verdicts: Sequence[Verdict]) -> None:
    """The closing table, with the sentences of those that did not succeed below it."""
    table = Table(
        box=SIMPLE_HEAD, padding=CLOSE, title=" What the callers were told", title_justify="left", title_style="bold"
    )
    table.add_column("caller", no_wrap=True)
    table.add_column("model", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    table.add_column("refresh", no_wrap=True)
    table.add_column("waited", justify="right", no_wrap=True)
    table.add_column("refreshed", justify="right", no_wrap=True)
    table.add_column("right?", no_wrap=True)
    number = numbers(verdicts)
    for verdict in verdicts:
        others = shared_with(verdict, verdicts)
        refresh = f"#{number[verdict.refresh_id]}" if verdict.refresh_id else ""
        if others:
            refresh += f", {others + 1} callers"
        table.add_row(
            verdict.ask.caller,
            verdict.ask.model,
            Text(verdict.status, _style(verdict.status)),
            refresh,
            _duration(verdict.waited),
            _duration(verdict.refreshed),
            _right(verdict),
        )
    where.print(table)
    for verdict in verdicts:
        if verdict.message:
            told = f"{verdict.ask.caller} was told: {verdict.message}"
            where.print(told, markup=False, soft_wrap=not where.is_terminal)
        if verdict.right is False:
            where.print(f"[bold red]{verdict.ask.caller}: wrong:[/] ", end="")
            where.print(verdict.why, markup=False)


def _right(verdict: Verdict) -> Text:
    if verdict.right is None:
        return Text("not checked", "yellow")
    return Text("yes", "green") if verdict.right else Text("NO", "bold red")


def _style(status: str) -> str:
    return "green" if status == "Completed" else "red"


def _duration(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds:.1f} s"
