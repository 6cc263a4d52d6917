"""Gives the place in the capacity group back, and notifies the runs that can have it."""

import logging
from datetime import datetime, timedelta
from functools import partial

from refresh.capacity.answers import PlacesFree
from refresh.capacity.operations import LeavePlace
from refresh.events import Event
from refresh.messages import replace
from refresh.run.orders import ActivityFailure, NotifyAnswer, NotifyRequests
from refresh.run.state import LeavingPlace, Looking, Phase, RunState, Waking
from refresh.run.step import AskGroup, Do, Moved
from refresh.times import instant

LONG_WAIT_SECONDS = 60.0
"""A run that has to wait longer than this before it can post gives its place back."""
EXTERNAL_COUNTS = timedelta(minutes=10)
"""The group counts a reported external refresh until the next look of the run is due, and for this much longer. If no
report follows by then, the run may have died."""


def is_due(run: RunState) -> bool:
    """Whether the run has to leave its capacity group, because it cannot use a place soon."""
    if run.capacity is None or not run.capacity.waits_or_holds or not isinstance(run.phase, Looking):
        return False
    return run.capacity.limit_reached or run.wait > LONG_WAIT_SECONDS


def behind(run: RunState, now: datetime) -> RunState:
    """The run while it waits for an external refresh: it gives its place back, and the group counts the external
    refresh."""
    if run.capacity is None:
        return run
    until = instant(now + timedelta(seconds=run.wait) + EXTERNAL_COUNTS)
    return run.to(LeavingPlace(then=run.phase, wait=run.wait, busy_until=until), wait=0)


def leave(run: RunState, phase: LeavingPlace, at: str) -> AskGroup[PlacesFree]:
    """Gives the place back."""
    in_group = run.in_group
    operation = LeavePlace(
        at=at,
        asker=run.next_asker,
        dataset_id=run.dataset_id,
        completed=run.outcome is not None and run.outcome.status == "Completed",
        limit_reached=in_group.limit_reached,
        retry_after=in_group.retry_after,
        busy_until=phase.busy_until,
        names=run.names,
    )
    return AskGroup(in_group.group, operation, partial(_left, run, phase, operation))


def _left(run: RunState, phase: LeavingPlace, order: LeavePlace, answer: PlacesFree, now: datetime) -> Moved:
    before = run.in_group
    capacity = replace(
        before,
        number=order.asker.number,
        waits_or_holds=False,
        holds_place=False,
        waits=None,
        limit_reached=False,
        retry_after=None,
    )
    event = None
    if before.limit_reached and answer.closed_until:
        event = Event("capacity.closed", logging.WARNING, group=before.group, closedUntil=answer.closed_until)
    elif before.holds_place:
        event = Event("capacity.place_left", group=before.group)
    return Moved(_on(run.replace(capacity=capacity), answer, phase.then, phase.wait), event)


def _on(run: RunState, answer: PlacesFree, then: Phase, wait: float) -> RunState:
    if answer.wake_ups:
        return run.to(Waking(wake_ups=answer.wake_ups, then=then, wait=wait))
    return run.to(then, wait=wait)


def wake(run: RunState, phase: Waking) -> Do[NotifyAnswer]:
    """Notifies the runs that can have a place. A run whose notification is lost asks again by itself after some
    time."""
    return Do(NotifyRequests(wake_ups=phase.wake_ups), partial(_woken, run, phase))


def _woken(run: RunState, phase: Waking, answer: NotifyAnswer | ActivityFailure, now: datetime) -> Moved:
    return Moved(run.to(phase.then, wait=phase.wait))
