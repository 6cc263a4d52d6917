"""How far an enhanced refresh is, table by table: counts and a few names, however many partitions the model has."""

from collections import Counter
from collections.abc import Sequence

from refresh.history.rows import RefreshObject
from refresh.messages import Shown
from refresh.text import cut

MOST_TABLES = 5
"""Tables that are named. With LONGEST_NAME this keeps a custom status below 4 KB, whatever alphabet the names have."""
LONGEST_NAME = 40

STATES = ("NotStarted", "InProgress", "Completed", "Failed", "Cancelled", "TimedOut", "Disabled", "Unknown")
"""Power BI's words; any other counts as Unknown."""
BAD = ("Failed", "TimedOut", "Cancelled", "Disabled")


class TableProgress(Shown, frozen=True, kw_only=True):
    """A table: how many of its partitions are completed, and the word for all of them."""

    table: str
    status: str
    completed: int
    objects: int


class Progress(Shown, frozen=True, kw_only=True):
    """How many tables and partitions there are, how many are in which status, and up to five tables by name: those that
    have failed, then those at work. `more_tables` says how many such tables are not named."""

    objects: int
    by_status: dict[str, int]
    tables: tuple[TableProgress, ...]
    more_tables: int


def progress(objects: Sequence[RefreshObject]) -> Progress | None:
    """The progress of a refresh with these objects; None if Power BI shows none (yet).

    A table is at work until all its partitions are completed, once one of them has begun.
    """
    if not objects:
        return None
    tables: dict[str, Counter[str]] = {}
    for entry in objects:
        tables.setdefault(entry.table, Counter())[_state(entry.status)] += 1
    shown = [(name, counts, _of_table(counts)) for name, counts in tables.items()]
    named = [entry for entry in shown if entry[2] in BAD] + [entry for entry in shown if entry[2] == "InProgress"]
    total: Counter[str] = sum(tables.values(), Counter())
    tables_shown = tuple(
        TableProgress(
            table=cut(name, LONGEST_NAME), status=status, completed=counts["Completed"], objects=counts.total()
        )
        for name, counts, status in named[:MOST_TABLES]
    )
    return Progress(
        objects=total.total(),
        by_status={state: total[state] for state in STATES if total[state]},
        tables=tables_shown,
        more_tables=max(len(named) - MOST_TABLES, 0),
    )


def _state(word: str) -> str:
    known = {state.lower(): state for state in STATES}
    return known.get(word.lower().replace("canceled", "cancelled"), "Unknown")


def _of_table(counts: Counter[str]) -> str:
    """The word for a table whose partitions are in these states."""
    for state in BAD:
        if counts[state]:
            return state
    if len(counts) == 1:
        return next(iter(counts))
    return "InProgress" if counts["InProgress"] or counts["Completed"] else "NotStarted"
