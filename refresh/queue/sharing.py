"""The rules by which the requests of a queue share runs: which refresh may serve which request. Pure.

* Equal scopes share a run.
* A refresh of the whole model serves a *narrower* scope of some of its objects, if its effect on them is equal: same
  type, commit mode, refresh policy and effective date. Speed, retries and time limit (maxParallelism, retryCount,
  timeout) may differ.
* Two scopes of some objects whose other options are all equal are *merged* into one with all their objects.

No other scopes share a run. For example, these do not: whole models with different options; a whole model and a partial
run that came first (widening the partial run would turn minutes into hours); different commit modes. A standard refresh
and an enhanced one never serve each other: they have different options, and a standard refresh cannot be cancelled.
"""

from collections.abc import Iterable
from typing import Any

from refresh.history.blame import concerns
from refresh.history.outcome import Outcome
from refresh.queue.scopes import Extent, ScopeTable, bits_of, extent_of
from refresh.scope.options import MAX_OBJECTS
from refresh.scope.scope import RefreshOptions, TableRef


def serves(table: ScopeTable, wide: Extent, narrow: Extent) -> bool:
    """Whether a refresh of `wide` does everything that `narrow` requests."""
    if wide == narrow:
        return True
    if not narrow.digits:
        return False
    if not wide.digits:
        return _does_the_same(table, wide, narrow)
    if wide.frame != narrow.frame:
        return False
    missing = narrow.objects & ~wide.objects
    # the missing objects may be partitions of tables that `wide` contains as tables
    return not missing or (
        missing & ~table.partitions.all == 0 and not missing & ~table.partitions.inside(wide.objects)
    )


def merged(table: ScopeTable, first: Extent, second: Extent) -> Extent | None:
    """The scope with the objects of two partial scopes; None if one refresh cannot do both."""
    return _union(table, (first, second))


def together(table: ScopeTable, extents: Iterable[Extent]) -> Extent | None:
    """The narrowest scope that serves all of these; None if there is no such scope, or if there are no extents."""
    distinct = set(extents)
    if len(distinct) < 2:
        return distinct.pop() if distinct else None
    wholes = [extent for extent in distinct if not extent.digits]
    if not wholes:
        return _union(table, distinct)
    widest = wholes[0]
    return widest if all(serves(table, widest, extent) for extent in distinct) else None


def failed_objects(table: ScopeTable, outcome: Outcome) -> int:
    """The objects that a failure is about: the failed ones, their tables, and their partitions."""
    concerned = concerns(outcome)
    return bits_of(number for number, entry in enumerate(table.objects) if concerned(TableRef(*entry)))


def _union(table: ScopeTable, extents: Iterable[Extent]) -> Extent | None:
    objects, frames = 0, set()
    for extent in extents:
        if not extent.digits:
            return None
        objects |= extent.objects
        frames.add(extent.frame)
    if len(frames) != 1:
        return None
    if objects & table.partitions.all:
        objects &= ~table.partitions.inside(objects)
    # Power BI limits the number of objects, and no request may fail because of another request
    return None if objects.bit_count() > MAX_OBJECTS else extent_of(frames.pop(), objects)


def _does_the_same(table: ScopeTable, wide: Extent, narrow: Extent) -> bool:
    wide_frame, narrow_frame = table.frame(wide), table.frame(narrow)
    if wide_frame.refresh is None or narrow_frame.refresh is None:
        return False
    same_workspace = wide_frame.workspace_id == narrow_frame.workspace_id
    same_mail = wide_frame.notify_option == narrow_frame.notify_option
    return same_workspace and same_mail and _effect(wide_frame.refresh) == _effect(narrow_frame.refresh)


def _effect(options: RefreshOptions) -> tuple[Any, ...]:
    """The options that decide the effect of a refresh on its objects, with Power BI's defaults filled in."""
    policy = True if options.apply_refresh_policy is None else options.apply_refresh_policy
    return (options.type, options.commit_mode or "Transactional", policy, options.effective_date)
