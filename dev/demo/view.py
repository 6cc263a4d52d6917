"""The output of the demo: a live table on a terminal, a line for each change elsewhere, and the closing table."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.live import Live
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from dev.demo.assessment import Assessment, numbers, shared_with
from dev.demo.callers import PHASES, Caller
from dev.terminal import CLOSE, print_line

Update = Callable[[str], None]
"""Redraws the view. The argument describes what Power BI is doing."""

PHASE_WIDTH = max(map(len, PHASES.values()))


@contextlib.contextmanager
def live(where: Console, callers: Sequence[Caller]) -> Iterator[Update]:
    """Shows the callers while the block runs."""
    if not where.is_terminal:
        yield _Log(where, callers).update
        return
    with Live(console=where, auto_refresh=False) as display:
        yield lambda power_bi: display.update(_table(callers, power_bi), refresh=True)


class _Log:
    """Prints a line for each change."""

    def __init__(self, where: Console, callers: Sequence[Caller]) -> None:
        self._where, self._callers = where, callers
        self._before: dict[str, str] = {}
        self._begin = datetime.now(UTC)

    def update(self, power_bi: str) -> None:
        lines = {"Power BI": power_bi} if power_bi else {}
        for caller in self._callers:
            report = caller.report
            if report.sent:
                place = f", {report.position}" if report.position else ""
                lines[f"{caller.request.caller} ({caller.request.model})"] = f"{report.phase}{place}"
        for name, line in lines.items():
            if self._before.get(name) != line:
                self._before[name] = line
                self._where.print(f"{(datetime.now(UTC) - self._begin).total_seconds():6.1f} s  {name}: {line}")


def _table(callers: Sequence[Caller], power_bi: str) -> Table:
    now = datetime.now(UTC)
    caption = f" Power BI now: {power_bi}" if power_bi else None
    table = Table(box=SIMPLE_HEAD, padding=CLOSE, caption=caption, caption_justify="left")
    # fixed widths, so that the columns do not move while the table is redrawn
    for heading, width in (("caller", 15), ("model", 5), ("phase", PHASE_WIDTH), ("in queue", 8)):
        table.add_column(heading, min_width=width, no_wrap=True)
    table.add_column("elapsed", justify="right", min_width=8, no_wrap=True)
    for caller in callers:
        report = caller.report
        elapsed = f"{report.seconds(now):.1f} s" if report.sent else ""
        style = _style(report.status) if report.over else ("dim" if report.sent is None else "")
        table.add_row(caller.request.caller, caller.request.model, Text(report.phase, style), report.position, elapsed)
    return table


def show_assessments(where: Console, assessments: Sequence[Assessment]) -> None:
    """The closing table, followed by the error messages of the callers whose refresh did not succeed."""
    table = Table(
        box=SIMPLE_HEAD,
        padding=CLOSE,
        title=" Outcome received by each caller",
        title_justify="left",
        title_style="bold",
    )
    for heading in ("caller", "model", "outcome", "refresh"):
        table.add_column(heading, no_wrap=True)
    for heading in ("waited", "took"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("correct", no_wrap=True)
    number = numbers(assessments)
    for one in assessments:
        others = shared_with(one, assessments)
        refresh = f"#{number[one.refresh_id]}" if one.refresh_id else ""
        if others:
            refresh += f", {others + 1} callers"
        table.add_row(
            one.request.caller,
            one.request.model,
            Text(one.status, _style(one.status)),
            refresh,
            _duration(one.waited),
            _duration(one.refreshed),
            _correct(one),
        )
    where.print(table)
    for one in assessments:
        if one.message:
            where.print(f"{one.request.caller} received this error:", markup=False)
            if where.is_terminal:
                where.print(Padding(Text(one.message), (0, 0, 1, 2)))
            else:
                print_line(where, f"  {one.message}\n")
        if one.correct is False:
            where.print(f"[bold red]{one.request.caller}: incorrect:[/] ", end="")
            where.print(one.reason, markup=False)


def _correct(assessment: Assessment) -> Text:
    if assessment.correct is None:
        return Text("not checked", "yellow")
    return Text("yes", "green") if assessment.correct else Text("NO", "bold red")


def _style(status: str) -> str:
    return "green" if status == "Completed" else "red"


def _duration(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds:.1f} s"
