"""The index of models, in shards: the data of the list of models. Its size does not depend on the number of requests.

A pure state machine: `apply(shard, operation, now) -> (shard, event)`. A repeated or late operation changes nothing:
ended runs are recognised by a digest of their ids and the time of their end, and for the active run the operation with
the latest time counts.
"""

import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import TypeVar, assert_never
from zlib import crc32

from refresh.events import Event
from refresh.history.outcome import Outcome
from refresh.messages import replace
from refresh.models.freshness import due_at, in_use
from refresh.models.operations import (
    Expect,
    Forget,
    IndexOperation,
    MarkOverdue,
    RunDropped,
    RunEnded,
    RunRefreshes,
    RunWaits,
    repeats,
)
from refresh.models.state import Active, Entry, LastOutcome, Recent, Shard, Success
from refresh.times import AHEAD, instant, parse_time, time_of

SHARDS = 16
"""With 500 models a shard has about thirty, and its stored form fits into a row of the engine's table. With more
than about 700 models the engine stores it in a blob, which works, but makes each operation and each list more
expensive."""
MAX_RECENT = 20
"""The maximum number of stored runs. They give the usual duration, and a repeated operation about one of them is
recognised."""
MAX_DAYS = 14
FAILING = ("Failed", "OutcomeUnknown")
"""Outcomes that count as failures. A cancelled run is neither a failure nor a success."""

O = TypeVar("O", bound=IndexOperation)  # noqa: E741 - an operation


def shard_of(dataset_id: str) -> str:
    """The key of the shard that holds a model."""
    return f"{crc32(dataset_id.encode()) % SHARDS:x}"


def shard_keys() -> list[str]:
    """The keys of all shards."""
    return [f"{number:x}" for number in range(SHARDS)]


@dataclass(frozen=True)
class Applied:
    """The shard after an operation, and the event for the log."""

    shard: Shard
    event: Event | None = None


def apply(shard: Shard, operation: IndexOperation, now: datetime) -> Applied:
    """Applies one operation to a shard, which is not changed. `now`, the host's clock, limits the sender's clock."""
    operation = replace(operation, at=min(operation.at, instant(now + AHEAD)))
    match operation:
        case Forget():
            return Applied(_forget(shard, operation))
        case MarkOverdue():
            return _mark_overdue(shard, operation, now)
        case Expect() | RunWaits() | RunRefreshes() | RunDropped() | RunEnded():
            known = shard.models.get(operation.dataset_id)
            if known is None and isinstance(operation, RunDropped):
                return Applied(shard)
            entry = _updated(known or Entry(known_since=operation.at), operation)
            return Applied(Shard(models={**shard.models, operation.dataset_id: entry}))
        case _:
            assert_never(operation)


def _updated(entry: Entry, operation: Expect | RunWaits | RunRefreshes | RunDropped | RunEnded) -> Entry:
    match operation:
        case Expect():
            return entry
        case RunDropped():
            return _without_run(entry, operation)
        case RunWaits() | RunRefreshes():
            return _active(_named(entry, operation), operation)
        case RunEnded():
            return _ended(_named(entry, operation), operation)
        case _:
            assert_never(operation)


def _named(entry: Entry, operation: RunWaits | RunRefreshes | RunEnded) -> Entry:
    """The entry with the names and the expectation of the newest operation."""
    if operation.at < entry.at:
        return entry
    names = operation.names.also(entry.names)
    entry = replace(entry, at=operation.at, workspace_id=operation.workspace_id, names=names)
    if isinstance(operation, RunRefreshes) or operation.expected_every_hours is None:
        return entry
    # 0 removes the expectation
    return replace(entry, expected_every_hours=operation.expected_every_hours or None)


def _active(entry: Entry, operation: RunWaits | RunRefreshes) -> Entry:
    if _has_ended(entry, operation) or operation.at <= entry.active_at:
        return entry
    refreshes, before = isinstance(operation, RunRefreshes), entry.active
    active = Active(
        run_id=operation.run,
        incarnation=operation.incarnation,
        since=operation.since,
        status="Refreshing" if refreshes else "WaitingForIdle",
        requests=operation.requests or (before.requests if before and before.run_id == operation.run else 1),
        at=operation.at,
        refresh_id=operation.refresh_id if isinstance(operation, RunRefreshes) else None,
    )
    return replace(entry, active=active, active_at=operation.at)


def _without_run(entry: Entry, operation: RunDropped | RunEnded) -> Entry:
    """The entry without its active run, if the operation is about that run and no newer incarnation has sent news."""
    active = entry.active
    if active is None or active.run_id != operation.run:
        return entry
    if isinstance(operation, RunDropped) and active.incarnation > operation.incarnation:
        return entry
    return replace(entry, active=None, active_at=max(entry.active_at, operation.at))


def _ended(entry: Entry, operation: RunEnded) -> Entry:
    entry = _without_run(entry, operation)
    ended = Recent(
        int(time_of(operation.at).timestamp()),
        _digest(operation.run),
        operation.outcome.status,
        seconds_of(operation.outcome) if operation.outcome.status == "Completed" else None,
    )
    if _has_ended(entry, operation):
        return entry
    recent = tuple(sorted([*entry.recent, ended], key=lambda one: one.at))
    if len(recent) > MAX_RECENT and recent[0] is ended:
        # the run ended before all stored runs, so the operation is a repeat
        return entry
    newest = recent[-1] is ended
    return replace(
        entry,
        recent=recent[-MAX_RECENT:],
        last=_last(operation) if newest else entry.last,
        failures=_in_a_row(entry.failures, recent, ended),
        success=_success(entry.success, operation),
        days=_days(entry.days, operation),
        active_at=max(entry.active_at, operation.at) if newest and entry.active is None else entry.active_at,
    )


def _has_ended(entry: Entry, operation: RunWaits | RunRefreshes | RunEnded) -> bool:
    """Whether the end of the run is stored already, so that the operation is a repeat or late."""
    sent, run = time_of(operation.at), _digest(operation.run)
    return any(one.run == run and repeats(sent, datetime.fromtimestamp(one.at, UTC)) for one in entry.recent)


def _last(operation: RunEnded) -> LastOutcome:
    error = operation.outcome.error
    return LastOutcome(
        status=operation.outcome.status,
        at=operation.at,
        code=error.code if error else None,
        message=error.message if error else None,
        action=error.action if error else None,
    )


def _in_a_row(before: int, recent: tuple[Recent, ...], ended: Recent) -> int:
    """The number of failures since the last success. If no stored run is a success: the number before, plus one if this
    run failed."""
    failures = 0
    for one in reversed(recent):
        if one.status == "Completed":
            return failures
        failures += one.status in FAILING
    return max(failures, before + (ended.status in FAILING))


def _success(before: Success | None, operation: RunEnded) -> Success | None:
    outcome = operation.outcome
    if outcome.status != "Completed" or not operation.loads:
        return before
    success = Success(
        started_at=outcome.started_at, ended_at=outcome.ended_at or operation.at, refresh_id=outcome.refresh_id
    )
    return success if before is None or success.ended_at > before.ended_at else before


def _days(before: dict[str, tuple[int, int]], operation: RunEnded) -> dict[str, tuple[int, int]]:
    day = operation.at[:10]
    completed, failed = before.get(day, (0, 0))
    status = operation.outcome.status
    counts = (completed + (status == "Completed"), failed + (status in FAILING))
    if counts == (0, 0):
        return before
    newest = sorted({**before, day: counts}.items(), reverse=True)[:MAX_DAYS]
    return dict(newest)


def seconds_of(outcome: Outcome) -> float | None:
    """The duration of the refresh, by Power BI's clock; None if it is not known."""
    begun, ended = parse_time(outcome.started_at), parse_time(outcome.ended_at)
    if begun is None or ended is None:
        return None
    return max(round((ended - begun).total_seconds(), 1), 0.0)


def _mark_overdue(shard: Shard, operation: MarkOverdue, now: datetime) -> Applied:
    """Logs one event for each period. A late operation, after a success, causes no event; nor does a repeated one."""
    entry = shard.models.get(operation.dataset_id)
    if entry is None or entry.fresh_at != operation.fresh_at or entry.overdue_mark == entry.fresh_at:
        return Applied(shard)
    since = due_at(entry, operation.expected_every_hours)
    if since is None or since > now:
        return Applied(shard)
    marked = replace(entry, overdue_mark=entry.fresh_at)
    facts = {"expectedEveryHours": operation.expected_every_hours, "overdueSince": instant(since)}
    event = Event(
        "model.overdue",
        logging.WARNING,
        datasetId=operation.dataset_id,
        workspaceId=entry.workspace_id,
        **entry.names.facts,
        **facts,
        lastSuccess=entry.success.ended_at if entry.success else None,
        failuresInARow=entry.failures or None,
    )
    return Applied(Shard(models={**shard.models, operation.dataset_id: marked}), event)


def _forget(shard: Shard, operation: Forget) -> Shard:
    keep = set(operation.keep)
    kept = {name: entry for name, entry in shard.models.items() if name in keep or in_use(entry, operation.before)}
    return Shard(models=kept)


def _digest(run: str) -> str:
    return sha256(run.encode()).hexdigest()[:10]
