"""Asks the queue whether this orchestration holds the run."""

from datetime import datetime
from functools import partial
from typing import assert_never

from refresh.events import Event
from refresh.failure.catalogue import failure
from refresh.history.adoption import service_clock
from refresh.history.look import LostWindow
from refresh.models.operations import RunRefreshes, RunWaits
from refresh.queue.answers import ClaimAnswer, Claimed, Superseded
from refresh.queue.operations import Claim
from refresh.run.news import dropped_news, refreshing_news, waiting_news
from refresh.run.parts import Followed, InGroup
from refresh.run.state import (
    Cancelling,
    Claiming,
    Looking,
    Over,
    Polling,
    Reconciling,
    Reopening,
    RunState,
    TakingPlace,
)
from refresh.run.step import Ask, Moved
from refresh.run.transitions import end_as_unknown, fail, without_place
from refresh.times import instant

MAX_INCARNATIONS = 20
"""After this many incarnations the run ends, so that a run whose orchestrations fail again and again does not start
refreshes endlessly."""


def step(run: RunState, phase: Claiming, at: str) -> Ask[ClaimAnswer]:
    """Claims the run."""
    return Ask(Claim(at=at, holder=run.holder), partial(_claimed, run, phase))


def _claimed(run: RunState, phase: Claiming, answer: ClaimAnswer, now: datetime) -> Moved:
    match answer:
        case Superseded():
            over = without_place(run, Over()) if answer.over else run.to(Over())
            # a duplicate that never held the run has no news of it
            news = dropped_news(run, now) if phase.then is not None else None
            return Moved(over, Event("run.superseded"), news)
        case Claimed():
            run = run.replace(priority=answer.priority)
            if isinstance(phase.then, TakingPlace):
                # requests that joined while the run waited may have added to its scope
                run = run.replace(scope=answer.scope, objects=answer.objects)
            if phase.then is not None:
                return Moved(run.to(phase.then))
            capacity = run.capacity
            if answer.capacity_group:
                capacity = InGroup(group=answer.capacity_group, refreshes=1, waits_or_holds=True, holds_place=True)
            run = run.replace(
                scope=answer.scope,
                objects=answer.objects,
                permit=answer.permit,
                names=answer.names,
                since=answer.since,
                capacity=capacity,
            )
            if run.incarnation > MAX_INCARNATIONS:
                return _abandoned(run, answer, now)
            then = _as_the_queue_says(run, answer, now)
            return Moved(then, Event("run.claimed", refreshId=answer.refresh_id), _news(then, answer, now))
        case _:
            assert_never(answer)


def _news(run: RunState, answer: Claimed, now: datetime) -> RunWaits | RunRefreshes:
    if run.refresh is not None:
        return refreshing_news(run, now, answer.requests)
    return waiting_news(run, now, answer.requests, answer.expected_every_hours)


def _as_the_queue_says(run: RunState, answer: Claimed, now: datetime) -> RunState:
    if not answer.closed or answer.look is None:
        return run.to(Looking())
    run = run.replace(look=answer.look, late_after=answer.look.read_at)
    if answer.refresh_id:
        # this incarnation does not know whether the refresh was visible before, so the grace starts again
        return run.to(Cancelling() if answer.cancel else Polling(), refresh=_followed(run, answer, now), look=None)
    if answer.permit_taken_at is None:
        # no execution has used the permit, and from now on no execution can
        return run.to(Reopening())
    # an earlier incarnation of this run may have posted: search for its refresh before starting another refresh
    window = LostWindow(since=service_clock(answer.look, answer.permit_taken_at))
    return run.to(Reconciling(reason="lost", since=instant(now), until=run.grace_ends(now), window=window))


def _followed(run: RunState, answer: Claimed, now: datetime) -> Followed:
    posted_at = answer.posted_at or instant(now)
    return Followed(
        id=answer.refresh_id or "",
        posted_at=posted_at,
        began_at=posted_at,
        visible_by=run.grace_ends(now),
        adopted=answer.adopted,
        durations=answer.look.durations if answer.look else (),
    )


def _abandoned(run: RunState, answer: Claimed, now: datetime) -> Moved:
    detail = f"the orchestration of the refresh failed {MAX_INCARNATIONS} times"
    if answer.closed and (answer.refresh_id or answer.permit_taken_at):
        followed = _followed(run, answer, now) if answer.refresh_id else None
        late_after = answer.look.read_at if answer.look else None
        return end_as_unknown(run.replace(refresh=followed, late_after=late_after), "InternalError", detail)
    return fail(run, failure("InternalError", run.dataset_id, detail=detail, names=run.names))
