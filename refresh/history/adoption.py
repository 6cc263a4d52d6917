"""Interprets a refresh history for a run: is the model idle, what is new since a look, what satisfies a scope.

Rows are never identified by position or time alone. A row is *new* if it was absent when the run looked before its
POST and if it started after that look, by the service's clock. A new row can be our own refresh whose answer was lost,
or an external refresh that does the same.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from hashlib import sha256

from refresh.history.look import ExternalRefresh, Look, LostWindow
from refresh.history.rows import RefreshObject, RefreshRow
from refresh.scope.scope import RefreshOptions
from refresh.times import instant, iso, parse_time

IDLE_WITHIN = timedelta(hours=24)
"""A row that has been running for longer does not count, because some rows never get an end. Only a refresh whose
capacity was paused can take longer (`refresh.run.waits.UNKNOWN_AFTER`). If one does, Power BI refuses our POST, and the
run waits."""
CLOCK_STEP = timedelta(seconds=1)
"""The resolution of the service's clock. An event in the same second as the look may have happened before the look."""
STANDARD_TYPES = frozenset({"viaapi", "scheduled", "ondemand"})
"""The types of a standard refresh of the whole model. A refresh through XMLA can cover any objects."""
FRAMING = "directlakeframing"
"""The type of every refresh of a Direct Lake model, including ours: such a model loads no data."""
KEPT_AT_LEAST = 20
"""The number of rows that the service keeps regardless of their age."""


def blocker(rows: Sequence[RefreshRow], now: datetime) -> RefreshRow | None:
    """The newest refresh that is still running; None if the model is idle."""
    for row in rows:
        if row.state == "running" and (row.start is None or now - row.start < IDLE_WITHIN):
            return row
    return None


def external_refresh(row: RefreshRow) -> ExternalRefresh:
    """A refresh in the form that a status shows."""
    return ExternalRefresh(refresh_id=row.request_id, refresh_type=row.refresh_type, started_at=iso(row.start))


def look_at(rows: Sequence[RefreshRow], service_time: datetime, read_at: datetime) -> Look:
    """The facts that a run keeps of the history before it posts. `read_at`: our clock before the call.

    Only rows that could later be mistaken for new ones are listed, so the look stays small. Whether the model is a
    Direct Lake model is noted now, because many new rows can later push the old rows out. A model that also has
    imported tables does not count as one: its rows have other refresh types, and framing does not load those tables.
    """
    known = (row.request_id for row in rows if row.start is None or row.start >= service_time - CLOCK_STEP)
    busy_with = blocker(rows, service_time)
    return Look(
        service_time=instant(service_time),
        read_at=instant(read_at),
        known=tuple(known),
        running=busy_with.request_id if busy_with else None,
        direct_lake={row.refresh_type.lower() for row in rows} == {FRAMING},
    )


def new_rows(rows: Sequence[RefreshRow], look: Look) -> list[RefreshRow]:
    """The rows that appeared after the look and started after it, newest first."""
    service_time, known = parse_time(look.service_time), frozenset(look.known)
    if service_time is None:
        return []
    return [
        row
        for row in rows
        if row.request_id not in known and row.start is not None and row.start >= service_time + CLOCK_STEP
    ]


def candidates(
    rows: Sequence[RefreshRow], look: Look, options: RefreshOptions | None, lost: LostWindow | None
) -> list[tuple[RefreshRow, bool]]:
    """The new refreshes whose type fits these options (None: a standard refresh); with each, whether it may be ours.

    `lost`: the window in which our own refresh may have begun; None if there is no such refresh. Completed refreshes
    come first. Within each state, the refresh that began first comes first, because an external refresh could only
    begin after ours. An enhanced refresh also has to pass `covers`.
    """
    found = []
    for row in sorted(new_rows(rows, look), key=lambda row: (row.state != "completed", iso(row.start) or "")):
        ours = lost is not None and may_be_lost_one(row, lost)
        if row.state in ("running", "completed") and may_cover(row, options, framing=look.direct_lake and ours):
            found.append((row, ours))
    return found


def may_cover(row: RefreshRow, options: RefreshOptions | None, *, framing: bool = False) -> bool:
    """Whether a row's type can satisfy these options (None: a standard refresh).

    `framing`: whether a refresh of type DirectLakeFraming counts. It may be our own refresh, or have the same effect.
    """
    kind = row.refresh_type.lower()
    if kind == FRAMING:
        return framing
    return kind in STANDARD_TYPES if options is None else kind == "viaenhancedapi"


def covers(details: RefreshRow, options: RefreshOptions, *, ours: bool, known: str | None) -> bool:
    """Whether an enhanced refresh, read by id, does everything that these options request.

    The details of a refresh list partitions in the same form, whether the whole model, a table named without
    partitions, or single partitions were requested. So they do not show which of these was requested. If single objects
    were requested and the details list every one of them, that is enough. Otherwise the refresh has to be (most
    probably) `ours` and to have the same objects as our last refresh with these options. `known` is the digest of those
    objects; None if not known.
    """
    if not same_kind(details, options):
        return False
    refreshed = {(entry.table, entry.partition) for entry in details.objects}
    if not options.whole_model and all((entry.table, entry.partition) in refreshed for entry in options.objects):
        return True
    return ours and known is not None and known == digest_of(details.objects)


def same_kind(details: RefreshRow, options: RefreshOptions) -> bool:
    """Whether an enhanced refresh, read by id, has the type and commit mode of these options."""
    if (details.type or "").lower() != options.type.lower():
        return False
    return (details.commit_mode or "Transactional").lower() == (options.commit_mode or "Transactional").lower()


def digest_of(objects: Iterable[RefreshObject]) -> str | None:
    """A short digest of the tables and partitions of a refresh; None if it lists no objects."""
    names = sorted({f"{entry.table}\0{entry.partition or ''}" for entry in objects})
    return sha256("\0\0".join(names).encode(errors="replace")).hexdigest()[:16] if names else None


def rolled_over(rows: Sequence[RefreshRow], began: datetime) -> bool:
    """Whether a refresh that began at `began` (the service's clock) or earlier is too old to be in this history.

    The history is ordered by start, so while one older row is listed, no newer row is missing.
    """
    return len(rows) >= KEPT_AT_LEAST and all(row.start is not None and row.start > began for row in rows)


def service_clock(look: Look, at: str) -> str | None:
    """The service's time at a time of our clock, calculated from the look; None if unknown."""
    service_time, read_at, own_time = parse_time(look.service_time), parse_time(look.read_at), parse_time(at)
    return instant(service_time + (own_time - read_at)) if service_time and read_at and own_time else None


def may_be_lost_one(row: RefreshRow, lost: LostWindow) -> bool:
    """Whether a refresh began at a time at which our own refresh, whose answer was lost, can have begun."""
    since, until = parse_time(lost.since), parse_time(lost.until)
    if row.start is None:
        return False
    return (since is None or row.start >= since - CLOCK_STEP) and (until is None or row.start <= until)
