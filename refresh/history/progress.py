"""The progress of an enhanced refresh by table: counts and a few names, however many partitions the model has."""

from collections import Counter
from collections.abc import Sequence

from refresh.history.rows import RefreshObject
from refresh.messages import ApiMessage
from refresh.text import cut

MAX_TABLES = 5
"""At most so many tables are listed by name. With LONGEST_NAME, it keeps a custom status below 4 KB in any alphabet."""
LONGEST_NAME = 40

STATES = ("NotStarted", "InProgress", "Completed", "Failed", "Cancelled", "TimedOut", "Disabled", "Unknown")
"""Power BI's words; other words count as Unknown."""
BAD = ("Failed", "TimedOut", "Cancelled", "Disabled")


class TableProgress(ApiMessage, frozen=True, kw_only=True):
    """A table: how many of its partitions are completed, and one status for all of them."""

    table: str
    status: str
    completed: int
    objects: int


class Progress(ApiMessage, frozen=True, kw_only=True):
    """The number of partitions, their number by status, and up to five tables by name: failed tables first,
    then tables in progress. `more_tables`: how many more such tables there are."""

    objects: int
    by_status: dict[str, int]
    tables: tuple[TableProgress, ...]
    more_tables: int


def progress(objects: Sequence[RefreshObject]) -> Progress | None:
    """The progress of a refresh with these objects; None if Power BI lists no objects (yet).

    A table is in progress from its first partition that started until all partitions are completed.
    """
    if not objects:
        return None
    tables: dict[str, Counter[str]] = {}
    for entry in objects:
        tables.setdefault(entry.table, Counter())[_state(entry.status)] += 1
    entries = [(name, counts, _of_table(counts)) for name, counts in tables.items()]
    named = [entry for entry in entries if entry[2] in BAD] + [entry for entry in entries if entry[2] == "InProgress"]
    total: Counter[str] = sum(tables.values(), Counter())
    tables_shown = tuple(
        TableProgress(
            table=cut(name, LONGEST_NAME), status=status, completed=counts["Completed"], objects=counts.total()
        )
        for name, counts, status in named[:MAX_TABLES]
    )
    return Progress(
        objects=total.total(),
        by_status={state: total[state] for state in STATES if total[state]},
        tables=tables_shown,
        more_tables=max(len(named) - MAX_TABLES, 0),
    )


def _state(word: str) -> str:
    known = {state.lower(): state for state in STATES}
    return known.get(word.lower().replace("canceled", "cancelled"), "Unknown")


def _of_table(counts: Counter[str]) -> str:
    """The status of a table whose partitions have these statuses."""
    for state in BAD:
        if counts[state]:
            return state
    if len(counts) == 1:
        return next(iter(counts))
    return "InProgress" if counts["InProgress"] or counts["Completed"] else "NotStarted"
