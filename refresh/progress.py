"""How far an enhanced refresh is, in a few picked words: a model may have thousands of partitions."""

from typing import Any

from refresh.history import RefreshRow
from refresh.words import cut

MOST_NAMED = 5
MAX_NAME = 80

Json = dict[str, Any]


def progress(row: RefreshRow) -> Json | None:
    """`total` and `completed` count tables and partitions, `inProgress` and `failed` name up to five of them.

    None for a refresh that does not tell: a standard one, or one that has not begun.
    """
    if not row.objects:
        return None
    named: dict[str, list[str]] = {"inprogress": [], "failed": []}
    completed = 0
    for entry in row.objects:
        status = entry.status.lower()
        completed += status == "completed"
        names = named.get(status)
        if names is not None and len(names) < MOST_NAMED:
            names.append(cut(f"{entry.table}/{entry.partition}" if entry.partition else entry.table, MAX_NAME))
    total = len(row.objects)
    return {"total": total, "completed": completed, "inProgress": named["inprogress"], "failed": named["failed"]}
