"""How far an enhanced refresh is, table by table: counts and a few names, however many partitions the model has."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from refresh.history.rows import RefreshObject
from refresh.text import cut

MOST_TABLES = 5
"""Tables that are named. With LONGEST_NAME this keeps a custom status below 4 KB, whatever alphabet the names have."""
LONGEST_NAME = 40

STATES = ("NotStarted", "InProgress", "Completed", "Failed", "Cancelled", "TimedOut", "Disabled", "Unknown")
"""Power BI's words; any other counts as Unknown."""
BAD = ("Failed", "TimedOut", "Cancelled", "Disabled")

Json = dict[str, Any]


def progress(objects: Sequence[RefreshObject]) -> Json | None:
    """Picked facts about the objects of a refresh; None if Power BI shows none (yet).

    `objects` (how many tables and partitions), `byStatus` (how many are in which status), `tables` (those that have
    failed, then those at work: `table`, `status`, `completed` of `objects`), `moreTables` (how many of them are not
    named). A table is at work until all its partitions are completed, once one of them has begun.
    """
    if not objects:
        return None
    tables: dict[str, Counter[str]] = {}
    for entry in objects:
        tables.setdefault(entry.table, Counter())[_state(entry.status)] += 1
    shown = [(name, counts, _of_table(counts)) for name, counts in tables.items()]
    named = [entry for entry in shown if entry[2] in BAD] + [entry for entry in shown if entry[2] == "InProgress"]
    total: Counter[str] = sum(tables.values(), Counter())
    return {
        "objects": total.total(),
        "byStatus": {state: total[state] for state in STATES if total[state]},
        "tables": [
            {
                "table": cut(name, LONGEST_NAME),
                "status": status,
                "completed": counts["Completed"],
                "objects": counts.total(),
            }
            for name, counts, status in named[:MOST_TABLES]
        ],
        "moreTables": max(len(named) - MOST_TABLES, 0),
    }


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
