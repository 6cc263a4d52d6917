"""Duration estimates: how long similar earlier refreshes of a model took.

Only completed refreshes of the same kind count. A standard refresh always covers the whole model. A refresh through
XMLA can cover any objects, and an automatic framing does no work. An enhanced refresh can also cover any objects, which
the history does not show: a few enhanced refreshes have to be read by id.
"""

from collections.abc import Iterable, Sequence

from refresh.history.adoption import STANDARD_TYPES, may_cover, same_kind
from refresh.history.rows import RefreshRow
from refresh.scope.scope import RefreshOptions

MAX_DURATIONS = 20
"""The maximum number of durations that are kept; a history has at least as many rows."""
MAX_READ = 5
"""The maximum number of enhanced refreshes that are read by id."""
LONGEST_SECONDS = 24 * 3600.0
"""Longer durations do not count: they come from wrong times, or include a pause of the capacity (see
`refresh.run.waits.UNKNOWN_AFTER`)."""
WORTH_SECONDS = 300.0
"""If the newest enhanced refreshes were all shorter than this, none is read by id: polling without an estimate costs
hardly more calls."""


def seconds_of(row: RefreshRow) -> float:
    """How long a refresh took; 0 if start or end is missing, or if the end is before the start."""
    if row.start is None or row.end is None:
        return 0.0
    return max((row.end - row.start).total_seconds(), 0.0)


def of_standard(rows: Sequence[RefreshRow]) -> tuple[float, ...]:
    """Seconds that the newest completed standard refreshes took."""
    return _seconds(row for row in rows if may_cover(row, None))


def of_blocker(rows: Sequence[RefreshRow], running: RefreshRow) -> tuple[float, ...]:
    """Seconds that earlier refreshes like this running external refresh took; empty if its type can cover any
    objects."""
    return of_standard(rows) if running.refresh_type.lower() in STANDARD_TYPES else ()


def to_read(rows: Sequence[RefreshRow]) -> list[RefreshRow]:
    """The completed enhanced refreshes to read by id; empty if an estimate is not worth the calls."""
    found = _enhanced(rows)[:MAX_READ]
    return found if any(seconds_of(row) >= WORTH_SECONDS for row in found) else []


def of_enhanced(
    rows: Sequence[RefreshRow], options: RefreshOptions, details: Sequence[RefreshRow]
) -> tuple[float, ...]:
    """Seconds that earlier enhanced refreshes with these options took. `details`: the refreshes of `to_read`, as read
    by id.

    If every refresh read by id did the same work, older refreshes that were not read also count, if their duration is
    similar.
    """
    alike = [row for row in details if _same_work(row, options)]
    if options.whole_model:
        # The details name tables both after a refresh of the whole model and after one of a part. So the refreshes with
        # the most tables count as refreshes of the whole model.
        widest = max((len(_tables(row)) for row in alike), default=0)
        alike = [row for row in alike if len(_tables(row)) == widest]
    ids = {row.request_id for row in alike}
    listed = _enhanced(rows)
    known = _seconds(row for row in listed if row.request_id in ids)
    if not known or len(alike) < len(details):
        return known
    shortest, longest = min(known) / 2, max(known) * 2
    return _seconds(row for row in listed if row.request_id in ids or shortest <= seconds_of(row) <= longest)


def _enhanced(rows: Sequence[RefreshRow]) -> list[RefreshRow]:
    found = (row for row in rows if row.refresh_type.lower() == "viaenhancedapi" and row.state == "completed")
    return [row for row in found if seconds_of(row) > 0]


def _seconds(rows: Iterable[RefreshRow]) -> tuple[float, ...]:
    found = (round(seconds_of(row), 1) for row in rows if row.state == "completed")
    return tuple([seconds for seconds in found if 0 < seconds <= LONGEST_SECONDS][:MAX_DURATIONS])


def _same_work(row: RefreshRow, options: RefreshOptions) -> bool:
    if not same_kind(row, options):
        return False
    if options.whole_model:
        return True
    if _tables(row) != {entry.table for entry in options.objects}:
        return False
    whole = {entry.table for entry in options.objects if entry.partition is None}
    parts = {(entry.table, entry.partition) for entry in options.objects if entry.table not in whole}
    return parts == {(entry.table, entry.partition) for entry in row.objects if entry.table not in whole}


def _tables(row: RefreshRow) -> set[str]:
    return {entry.table for entry in row.objects}
