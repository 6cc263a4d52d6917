"""The output of the commands: the console of this process and the layout of its tables."""

from __future__ import annotations

from rich.console import Console

CLOSE = (0, 1, 0, 0)
"""The padding of table cells, small enough that the tables fit into 80 columns."""
LOG_WIDTH = 120
"""The width in columns if the output is not a terminal."""


def console() -> Console:
    """The console of this process: as wide as the terminal, or LOG_WIDTH."""
    found = Console(highlight=False)
    return found if found.is_terminal else Console(highlight=False, width=LOG_WIDTH)


def print_line(where: Console, text: str, style: str = "") -> None:
    """Prints plain text without markup. A long line stays one line, so that it can be searched and copied."""
    where.print(text, style=style or None, markup=False, highlight=False, soft_wrap=True)
