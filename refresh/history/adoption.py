"""What a refresh history says to a run: is the model idle, what was there before our POST, what is new since.

Rows are never identified by position or time alone. A row is *new* if it was not there when the run looked before its
POST and started after that look, by the service's own clock; a new row whose scope covers ours may be our own refresh
whose answer was lost, or somebody else's that is as good.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from refresh.history.rows import RefreshRow, instant, parse_time

IDLE_WITHIN = timedelta(hours=24)
"""No refresh runs longer, and rows that nobody ends stay in the history as running for ever."""
CLOCK_STEP = timedelta(seconds=1)
"""The service tells its time in whole seconds, so what happened in the second of the look may have been before it."""
STANDARD_TYPES = frozenset({"viaapi", "scheduled", "ondemand"})
"""Who starts a standard refresh of the whole model. Refreshes through XMLA may be of anything."""
FRAMING = "directlakeframing"
"""How the history of a Direct Lake model calls every refresh, ours too: such a model loads nothing."""
KEPT_AT_LEAST = 20
"""Rows that the service keeps whatever their age."""

Json = dict[str, Any]


def blocker(rows: Sequence[RefreshRow], now: datetime) -> RefreshRow | None:
    """The newest refresh that is still running; None if the model is idle."""
    for row in rows:
        if row.state == "running" and (row.start is None or now - row.start < IDLE_WITHIN):
            return row
    return None


def look_before(rows: Sequence[RefreshRow], service_time: datetime, read_at: datetime) -> Json:
    """What a run keeps of the history before it posts. `read_at` is our clock, taken before the call was made.

    Only rows that could be taken for new later are named, so this stays small.
    """
    names = [row.request_id for row in rows if row.start is None or row.start >= service_time - CLOCK_STEP]
    return {"known": names, "service_time": instant(service_time), "read_at": instant(read_at)}


def new_rows(rows: Sequence[RefreshRow], before: Json) -> list[RefreshRow]:
    """The rows that appeared after the look `before` and started after it, newest first."""
    service_time = parse_time(before["service_time"])
    return [
        row
        for row in rows
        if row.request_id not in before["known"]
        and row.start is not None
        and service_time is not None
        and row.start >= service_time + CLOCK_STEP
    ]


def is_direct_lake(rows: Sequence[RefreshRow], before: Json) -> bool:
    """Whether a model is known to hold no data of its own: nothing but framing was in its history at the look `before`.

    A model that has imported tables too shows refreshes of other kinds, and a framing does not load those tables.
    """
    new = {row.request_id for row in new_rows(rows, before)}
    kinds = {row.refresh_type.lower() for row in rows if row.request_id not in new}
    return kinds == {FRAMING}


def may_cover(row: RefreshRow, options: Json | None, *, framing: bool = False) -> bool:
    """Whether a row's kind allows that its scope covers a wish with these options (None: a standard refresh).

    `framing`: a framing may be our own refresh, or does the same. For an enhanced wish `covers` decides, with the
    refresh read by its id.
    """
    kind = row.refresh_type.lower()
    if kind == FRAMING:
        return framing
    return kind in STANDARD_TYPES if options is None else kind == "viaenhancedapi"


def pushed_out(rows: Sequence[RefreshRow], began: datetime) -> bool:
    """Whether a refresh that had begun by `began` (the service's clock) is too old for this history, however it ended.

    The history is in the order of the starts, so as long as one older row is listed nothing newer is missing.
    """
    return len(rows) >= KEPT_AT_LEAST and all(row.start is not None and row.start > began for row in rows)


def service_clock(before: Json, at: str) -> str | None:
    """What the service's clock said at a time of ours, as far as the look `before` tells."""
    service_time, read_at, ours = parse_time(before["service_time"]), parse_time(before["read_at"]), parse_time(at)
    return instant(service_time + (ours - read_at)) if service_time and read_at and ours else None


def may_be_lost_one(row: RefreshRow, lost: Json) -> bool:
    """Whether a refresh began when ours can have begun, whose answer was lost: not before `since`, and by `until`.

    Both by the service's clock, each None if nobody knows.
    """
    since, until = parse_time(lost["since"]), parse_time(lost["until"])
    if row.start is None:
        return False
    return (since is None or row.start >= since - CLOCK_STEP) and (until is None or row.start <= until)


def covers(details: RefreshRow, options: Json, *, probably_ours: bool) -> bool:
    """Whether an enhanced refresh, read by id, does all that these options wish.

    A refresh of the whole model lists its partitions just as one of a few tables does, so for a wish without objects
    only a refresh that is probably our own will do: our POST was sent and its answer lost.
    """
    if (details.type or "").lower() != options["type"].lower():
        return False
    if (details.commit_mode or "Transactional").lower() != options.get("commitMode", "Transactional").lower():
        return False
    wished = {(entry["table"], entry.get("partition")) for entry in options.get("objects", ())}
    if not wished:
        return probably_ours
    refreshed = {(entry.table, entry.partition) for entry in details.objects}
    # a wished table without partition shows as its partitions; that all of them are there only its owner knows
    tables = {table for table, _ in refreshed}
    return all(
        (table, partition) in refreshed or (partition is None and table in tables and probably_ours)
        for table, partition in wished
    )
