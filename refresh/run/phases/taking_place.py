"""Asks the capacity group for a place, and waits for one. The run is open meanwhile: requests may join it."""

from datetime import datetime
from functools import partial
from typing import assert_never

from refresh.capacity.answers import Outdated, Placed, TakeAnswer, Waits, WaitsForPlace
from refresh.capacity.operations import TakePlace
from refresh.events import Event
from refresh.messages import replace
from refresh.run.phases.looking import SETTLE_SECONDS
from refresh.run.state import Claiming, Closing, Looking, RunState, TakingPlace, WaitingForPlace, Waking
from refresh.run.step import AskGroup, Moved, WaitForEvent
from refresh.times import time_of


def ask(run: RunState, phase: TakingPlace, at: str) -> AskGroup[TakeAnswer]:
    """Asks for a place."""
    asker, in_group = run.next_asker, run.in_group
    operation = TakePlace(
        at=at,
        asker=asker,
        dataset_id=run.dataset_id,
        workspace_id=run.known_scope.workspace_id,
        refreshes=in_group.refreshes,
        wake_event=f"place-{asker.number}",
        since=in_group.since or at,
        priority=run.priority,
        names=run.names,
    )
    return AskGroup(in_group.group, operation, partial(_taken, run, phase, operation))


def _taken(run: RunState, phase: TakingPlace, order: TakePlace, answer: TakeAnswer, now: datetime) -> Moved:
    in_group = replace(run.in_group, number=order.asker.number, since=order.since)
    match answer:
        case Placed():
            placed = replace(in_group, waits_or_holds=True, holds_place=True, waits=None)
            return _placed(run.replace(capacity=placed), phase, answer, now)
        case Waits():
            waits = WaitsForPlace(
                group=in_group.group,
                since=answer.since,
                position=answer.position,
                behind=answer.behind,
                closed_until=answer.closed_until,
            )
            # an earlier incarnation of the run may have asked first: the run keeps that time if it gives its place back
            since = min(order.since, answer.since)
            waiting = run.to(
                WaitingForPlace(event=order.wake_event, seconds=answer.seconds),
                capacity=replace(in_group, since=since, waits_or_holds=True, holds_place=False, waits=waits),
            )
            facts = {"group": in_group.group, "position": answer.position, "closedUntil": answer.closed_until}
            first = run.in_group.waits is None
            return Moved(waiting, Event("capacity.waiting", behind=answer.behind, **facts) if first else None)
        case Outdated():
            # an earlier incarnation of the run has sent later messages: the claim decides which one continues
            number = max(answer.number, in_group.number)
            return Moved(run.to(Claiming(then=phase), capacity=replace(in_group, number=number)))
        case _:
            assert_never(answer)


def _placed(run: RunState, phase: TakingPlace, answer: Placed, now: datetime) -> Moved:
    # after a wait the model may be busy: the run looks again, and then asks for its place again
    closing = phase.found_idle and run.look is not None
    then, wait = (Closing(), SETTLE_SECONDS) if closing else (Looking(), 0.0)
    moved = (
        run.to(Waking(wake_ups=answer.wake_ups, then=then, wait=wait)) if answer.wake_ups else run.to(then, wait=wait)
    )
    since = run.in_group.since or answer.since
    waited = round((now - time_of(since)).total_seconds())
    event = Event("capacity.place_taken", group=run.in_group.group, waitedSeconds=waited)
    return Moved(moved, event if answer.new else None)


def wait(run: RunState, phase: WaitingForPlace) -> WaitForEvent:
    """Waits for a place. Then the run asks the queue whether it still has requests and with which priority, and asks
    the group again."""
    return WaitForEvent(phase.event, phase.seconds, run.to(Claiming(then=TakingPlace())))
