"""Reads the refresh until it has ended."""

import logging
from datetime import datetime
from functools import partial
from typing import assert_never

from refresh.events import Event
from refresh.failure.catalogue import LAST_ERROR, failure
from refresh.history.outcome import Outcome
from refresh.messages import replace
from refresh.run.orders import (
    ActivityFailure,
    ReadRefresh,
    ReadRefreshAnswer,
    RefreshAbsent,
    RefreshRead,
    Refused,
    Throttled,
    Unavailable,
)
from refresh.run.parts import Followed
from refresh.run.state import Polling, RunState
from refresh.run.step import Do, Moved
from refresh.run.transitions import (
    MAX_ACTIVITY_FAILURES,
    MAX_TRIES,
    end,
    end_as_unknown,
    fail,
    reopen,
    reset_failures,
    with_trouble,
)
from refresh.run.waits import UNKNOWN_AFTER, wait_to_poll
from refresh.times import instant, parse_time, time_of


def step(run: RunState, phase: Polling, refresh: Followed) -> Do[ReadRefreshAnswer]:
    """Reads the refresh."""
    order = ReadRefresh(
        model=run.model,
        turn=run.turn,
        refresh_id=refresh.id,
        enhanced=run.known_scope.enhanced,
        posted_at=refresh.posted_at,
    )
    return Do(order, partial(_read, run, refresh))


def _read(run: RunState, refresh: Followed, answer: ReadRefreshAnswer | ActivityFailure, now: datetime) -> Moved:
    match answer:
        case RefreshRead():
            run = reset_failures(run).replace(refresh=_seen(refresh, answer))
            if answer.outcome is not None:
                return _ended(run, answer.outcome)
            moved = Moved(run)
        case RefreshAbsent():
            run = reset_failures(run)
            if answer.rolled_over:
                # the refresh ran, but its outcome can no longer be read; the run may start another refresh only if this
                # one was adopted
                return _ended(run, _unknown(run, "HistoryRolledOver"))
            # the answer may be stale: only an absence after the grace proves that the refresh was dropped
            if not refresh.seen and time_of(answer.read_at) >= time_of(refresh.visible_by):
                return _dropped(run)
            moved = Moved(run)
        case Refused():
            # the app has lost its permission meanwhile; the refresh continues, so its outcome is still worth waiting
            # for
            moved = with_trouble(run, Unavailable(error=answer.failure.message), now, budget=False)
        case ActivityFailure():
            if run.calls.activity_failures + 1 >= MAX_ACTIVITY_FAILURES:
                # this applies to an adopted refresh, too: the exceptions would also prevent the run from reading
                # another refresh
                return end_as_unknown(run, "InternalError", answer.error)
            moved = with_trouble(run, answer, now, budget=False)
        case Throttled() | Unavailable():
            moved = with_trouble(run, answer, now, budget=False)
        case _:
            assert_never(answer)
    if now - time_of(refresh.posted_at) >= UNKNOWN_AFTER:
        return _ended(run, _unknown(run, "RefreshNeverEnded"))
    waiting = moved.run
    return Moved(waiting.replace(wait=waiting.wait or wait_to_poll(waiting, now)), moved.event)


def _seen(refresh: Followed, answer: RefreshRead) -> Followed:
    """The refresh with what was read. An adopted refresh began before it was found, so its start is the service's start
    time."""
    began = refresh.began_at
    started = parse_time(answer.began_at) if refresh.adopted else None
    if started is not None:
        began = min(instant(started), refresh.posted_at)
    return replace(refresh, seen=True, progress=answer.progress, objects=answer.objects, began_at=began)


def _dropped(run: RunState) -> Moved:
    run = run.replace(posts=replace(run.posts, drops=run.posts.drops + 1))
    if run.posts.drops >= MAX_TRIES:
        return fail(run, failure("RefreshDropped", run.dataset_id, refresh_id=run.refresh_id, names=run.names))
    return reopen(run, run.limits.poll_min)


def _unknown(run: RunState, code: str) -> Outcome:
    error = failure(code, run.dataset_id, refresh_id=run.refresh_id, names=run.names)
    return Outcome(status="OutcomeUnknown", refresh_id=run.refresh_id, error=error)


def _ended(run: RunState, outcome: Outcome) -> Moved:
    refresh = run.followed
    if run.capacity is not None and outcome.error is not None and outcome.error.code == "CapacityLimitReached":
        # the group closes for a while; then the run tries again, for as long as a request waits for it
        run = run.replace(capacity=replace(run.capacity, limit_reached=True))
        facts = {"group": run.in_group.group, "refreshId": refresh.id, "error": outcome.error}
        return Moved(reopen(run, 0).run, Event("capacity.limit_reached", logging.WARNING, **facts))
    if not refresh.adopted or outcome.status == "Completed":
        return end(run, replace(outcome, adopted=refresh.adopted))
    # the refresh is not known to be ours: it can satisfy a request but must not fail it
    posts = replace(run.posts, unproven=run.posts.unproven + refresh.after_loss)
    run = run.replace(posts=posts)
    if posts.unproven >= MAX_TRIES:
        # most probably all these refreshes were ours, and one more would end in the same way
        detail = outcome.error.message if outcome.error else None
        error = failure(
            "RefreshUnproven",
            run.dataset_id,
            detail=detail,
            link=LAST_ERROR,
            refresh_id=run.refresh_id,
            names=run.names,
        )
        return fail(run, error)
    return reopen(run, 0)
