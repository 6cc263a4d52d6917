"""Starts the refresh."""

import logging
from datetime import datetime
from functools import partial
from typing import assert_never

from refresh.history.look import Look
from refresh.messages import replace
from refresh.reporting.events import Event
from refresh.run.orders import (
    Accepted,
    AnswerLost,
    Appeared,
    Blocked,
    Broke,
    Busy,
    PostAnswer,
    PostRefresh,
    Refused,
    Stale,
    Throttled,
    Unavailable,
    Unwanted,
)
from refresh.run.state import Claiming, Dropping, Finishing, Posting, Reconciling, RunState
from refresh.run.step import Do, Moved
from refresh.run.transitions import found, reopening, with_trouble
from refresh.times import instant


def step(run: RunState, phase: Posting, look: Look) -> Do[PostAnswer]:
    """Posts, if the queue permits it."""
    order = PostRefresh(model=run.model, holder=run.holder, permit=run.permit, scope=run.known_scope, look=look)
    return Do(order, partial(_posted, run))


def _posted(run: RunState, answer: PostAnswer | Broke, now: datetime) -> Moved:
    match answer:
        case Accepted():
            return found(run, answer.refresh_id, now, adopted=False)
        case Appeared():
            return found(run, answer.refresh_id, now, adopted=True)
        case Busy():
            searching = Reconciling(reason="busy", since=instant(now), until=run.grace_ends(now))
            return Moved(run.to(searching), Event("refresh.refused_busy", logging.WARNING))
        case AnswerLost():
            return _lost(run, answer, now)
        case Broke():
            # the activity may have failed before its POST or after it
            return _lost(run, AnswerLost(error=answer.error), now, broke=True)
        case Blocked():
            return reopening(run, run.limits.poll_min)
        case Unwanted():
            return Moved(run.to(Dropping(requests=answer.requests)))
        case Stale():
            # the queue was read before it showed the permit, or another orchestration holds the run: the claim tells
            return Moved(run.to(Claiming(then=run.phase), wait=run.limits.poll_min))
        case Throttled() | Unavailable() | Refused():
            return _not_accepted(run, answer, now)
        case _:
            assert_never(answer)


def _lost(run: RunState, answer: AnswerLost, now: datetime, *, broke: bool = False) -> Moved:
    searching = Reconciling(
        reason="lost",
        since=instant(now),
        until=run.grace_ends(now),
        window=answer.window,
        error=answer.error or None,
        broke=broke,
    )
    return Moved(run.to(searching), Event("refresh.answer_lost", logging.WARNING, error=answer.error))


def _not_accepted(run: RunState, answer: Throttled | Unavailable | Refused, now: datetime) -> Moved:
    # the history may well be readable while no refresh can be started, so this outage has a beginning of its own
    since = run.posts.failing_since
    moved = with_trouble(run.but(calls=replace(run.calls, failing_since=since)), answer, now)
    if isinstance(moved.run.phase, Finishing):
        return moved
    posts = replace(run.posts, failing_since=moved.run.calls.failing_since)
    return Moved(reopening(moved.run.but(posts=posts), moved.run.wait).run, moved.event)
