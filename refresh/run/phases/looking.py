"""Reads the history until the model is idle."""

from datetime import datetime
from functools import partial

from refresh.capacity.limits import CapacityLimit
from refresh.events import Event
from refresh.messages import replace
from refresh.polling.schedule import expectation
from refresh.run.orders import ActivityFailure, HistoryRead, ReadHistory, ReadHistoryAnswer
from refresh.run.parts import Blocker, InGroup
from refresh.run.phases import leaving_place
from refresh.run.state import Closing, Looking, ReportingBlocker, RunState, TakingPlace
from refresh.run.step import Do, Moved
from refresh.run.transitions import reset_failures, with_trouble, without_place
from refresh.run.waits import PROBE_AFTER, wait_behind
from refresh.times import instant, time_of

SETTLE_SECONDS = 2.0
"""The pause between look and POST, so that our refresh starts in a later second of the service's clock than the look
and can be distinguished from refreshes that started before. The engine may fire the timer a second early; one second is
enough. Requests that arrive in the pause still join."""


def step(run: RunState, phase: Looking) -> Do[ReadHistoryAnswer]:
    """Reads the history."""
    return Do(ReadHistory(model=run.model, turn=run.turn, scope=run.known_scope), partial(_looked, run))


def _looked(run: RunState, answer: ReadHistoryAnswer | ActivityFailure, now: datetime) -> Moved:
    if not isinstance(answer, HistoryRead):
        return with_trouble(run, answer, now)
    run, running = reset_failures(run).replace(names=answer.names.also(run.names)), answer.running
    if _left_group(run, answer.capacity):
        return Moved(without_place(run, Looking()))
    run = run.replace(capacity=_in_group(run, answer.capacity))
    if running is None:
        return Moved(ready(run.replace(look=answer.look, blocker=None)))
    if run.blocker is None or run.blocker.refresh.refresh_id != running.refresh_id:
        expected = expectation(answer.durations)
        blocker = Blocker(refresh=running, since=instant(now), usual_seconds=expected.usual if expected else None)
        reporting = leaving_place.behind(run.to(ReportingBlocker(), blocker=blocker), now)
        return Moved(reporting, Event("run.waiting", waitsFor=running))
    waited = now - time_of(run.blocker.since)
    if waited >= PROBE_AFTER:
        blocker = replace(run.blocker, since=instant(now))
        return Moved(ready(run.replace(look=answer.look, blocker=blocker)))
    return Moved(leaving_place.behind(run.replace(wait=wait_behind(run, answer, waited)), now))


def ready(run: RunState) -> RunState:
    """The run when it may post: if a capacity limit applies, it needs a place first."""
    if run.capacity is None:
        return run.to(Closing(), wait=SETTLE_SECONDS)
    return run.to(TakingPlace(found_idle=True))


def _left_group(run: RunState, limit: CapacityLimit | None) -> bool:
    """Whether the settings have moved the workspace to another group, or to none, since the run asked for a place."""
    before = run.capacity
    return before is not None and before.waits_or_holds and (limit is None or limit.group != before.group)


def _in_group(run: RunState, limit: CapacityLimit | None) -> InGroup | None:
    if limit is None:
        return None
    if run.capacity is None or run.capacity.group != limit.group:
        return InGroup(group=limit.group, refreshes=limit.refreshes)
    return replace(run.capacity, refreshes=limit.refreshes)
