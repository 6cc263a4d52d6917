"""Reads the history until the model is idle."""

from datetime import datetime
from functools import partial

from refresh.events import Event
from refresh.messages import replace
from refresh.run.orders import Broke, HistoryRead, ReadHistory, ReadHistoryAnswer
from refresh.run.state import Blocked, Closing, Looking, ReportingBlocker, RunState
from refresh.run.step import Do, Moved
from refresh.run.transitions import answered, with_trouble
from refresh.run.waits import PROBE_AFTER, wait_behind
from refresh.times import instant, time_of

SETTLE_SECONDS = 2.0
"""The pause between look and POST, so that our refresh starts in a later second of the service's clock than the look
and can be told from refreshes that started before. The engine may fire the timer a second early; one second is enough.
Requests that arrive in the pause still join."""


def step(run: RunState, phase: Looking) -> Do[ReadHistoryAnswer]:
    """Reads the history."""
    return Do(ReadHistory(model=run.model, turn=run.turn, scope=run.known_scope), partial(_looked, run))


def _looked(run: RunState, answer: ReadHistoryAnswer | Broke, now: datetime) -> Moved:
    if not isinstance(answer, HistoryRead):
        return with_trouble(run, answer, now)
    run, running = answered(run).but(names=answer.names.also(run.names)), answer.running
    if running is None:
        return Moved(run.to(Closing(), look=answer.look, blocked=None, wait=SETTLE_SECONDS))
    if run.blocked is None or run.blocked.by.refresh_id != running.refresh_id:
        blocked = Blocked(by=running, since=instant(now))
        return Moved(run.to(ReportingBlocker(), blocked=blocked), Event("run.waiting", waitsFor=running))
    waited = now - time_of(run.blocked.since)
    if waited >= PROBE_AFTER:
        blocked = replace(run.blocked, since=instant(now))
        return Moved(run.to(Closing(), look=answer.look, blocked=blocked, wait=SETTLE_SECONDS))
    return Moved(run.but(wait=wait_behind(run, answer, waited)))
