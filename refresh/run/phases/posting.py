"""Starts the refresh."""

import logging
from datetime import datetime
from functools import partial
from typing import assert_never

from refresh.events import Event
from refresh.history.look import Look
from refresh.messages import replace
from refresh.run.orders import (
    Accepted,
    ActivityFailure,
    AnswerLost,
    Appeared,
    Blocked,
    Busy,
    PostRefresh,
    PostResult,
    Refused,
    Stale,
    Throttled,
    Unavailable,
    Unwanted,
)
from refresh.run.state import Claiming, Dropping, Finishing, Posting, Reconciling, RunState
from refresh.run.step import Do, Moved
from refresh.run.transitions import follow, reopen, search, with_trouble
from refresh.times import instant


def step(run: RunState, phase: Posting, look: Look) -> Do[PostResult]:
    """Posts, if the queue permits it."""
    order = PostRefresh(model=run.model, holder=run.holder, permit=run.permit, scope=run.known_scope, look=look)
    return Do(order, partial(_posted, run))


def _posted(run: RunState, answer: PostResult | ActivityFailure, now: datetime) -> Moved:
    if isinstance(answer, ActivityFailure):
        # the activity may have failed before or after its POST
        return search(run, AnswerLost(error=answer.error), now, app_fault=True)
    execution, result = answer.execution, answer.result
    match result:
        case Accepted():
            return follow(run, result.refresh_id, now, adopted=False)
        case Appeared():
            return follow(run, result.refresh_id, now, adopted=True)
        case Busy():
            phase = Reconciling(reason="busy", since=instant(now), until=run.grace_ends(now))
            # Power BI answers POSTs again, so the count of lost answers in a row starts again
            posts = replace(run.posts, lost=0, lost_since=None)
            return Moved(run.to(phase, posts=posts), Event("refresh.refused_busy", logging.WARNING))
        case AnswerLost():
            return search(run, result, now)
        case ActivityFailure():
            return search(run, AnswerLost(error=result.error), now, app_fault=True)
        case Blocked():
            return reopen(run, run.limits.poll_min, execution)
        case Unwanted():
            return Moved(run.to(Dropping(requests=result.requests, execution=execution)))
        case Stale():
            # the queue was read before it showed the permit, or another orchestration holds the run: claim to find out
            return Moved(run.to(Claiming(then=run.phase), wait=run.limits.poll_min))
        case Throttled() | Unavailable() | Refused():
            return _not_accepted(run, result, execution, now)
        case _:
            assert_never(result)


def _not_accepted(run: RunState, result: Throttled | Unavailable | Refused, execution: str, now: datetime) -> Moved:
    # the history may be readable while no refresh can be started, so these failures are counted separately
    calls = replace(run.calls, failures=run.posts.failures, failing_since=run.posts.failing_since)
    moved = with_trouble(run.replace(calls=calls), result, now)
    if isinstance(moved.run.phase, Finishing):
        return Moved(moved.run.to(Finishing(execution=execution)), moved.event)
    calls = moved.run.calls
    posts = replace(run.posts, failures=calls.failures, failing_since=calls.failing_since)
    waiting = moved.run.replace(posts=posts)
    if isinstance(result, Throttled) and result.capacity and waiting.capacity is not None:
        capacity = replace(waiting.capacity, limit_reached=True, retry_after=result.seconds)
        waiting = waiting.replace(capacity=capacity)
    return Moved(reopen(waiting, moved.run.wait, execution).run, moved.event)
