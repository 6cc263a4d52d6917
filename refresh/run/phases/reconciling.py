"""Searches the history after a POST without a clear answer: a row that is new since the look may be our refresh."""

from datetime import datetime
from functools import partial

from refresh.failure.catalogue import LAST_ERROR, failure
from refresh.history.look import Look
from refresh.messages import replace
from refresh.polling.schedule import next_wait
from refresh.run.orders import ActivityFailure, HistoryRead, ReadHistory, ReadHistoryAnswer, Refused
from refresh.run.state import Reconciling, RunState
from refresh.run.step import Do, Moved
from refresh.run.transitions import (
    MAX_ACTIVITY_FAILURES,
    MAX_TRIES,
    end_as_unknown,
    fail,
    follow,
    forget_group,
    reopen,
    reset_failures,
    with_trouble,
)
from refresh.run.waits import UNKNOWN_AFTER
from refresh.times import time_of


def step(run: RunState, phase: Reconciling, look: Look) -> Do[ReadHistoryAnswer]:
    """Compares the history with the look."""
    lost = phase.window if phase.reason == "lost" else None
    # `run.posts.sole_objects` is not used to recognise our refresh: even after several POSTs, an external refresh of
    # the same part of the model has the same objects
    order = ReadHistory(
        model=run.model, turn=run.turn, scope=run.known_scope, look=look, lost=lost, objects=run.objects
    )
    return Do(order, partial(_compared, run, phase, look))


def _compared(
    run: RunState, phase: Reconciling, look: Look, answer: ReadHistoryAnswer | ActivityFailure, now: datetime
) -> Moved:
    if isinstance(answer, Refused):
        return fail(forget_group(run), answer.failure)
    if not isinstance(answer, HistoryRead):
        if isinstance(answer, ActivityFailure) and run.calls.activity_failures + 1 >= MAX_ACTIVITY_FAILURES:
            return end_as_unknown(run, "InternalError", answer.error)
        if now - time_of(phase.since) >= UNKNOWN_AFTER:
            return end_as_unknown(run, "AnswerLost", answer.error)
        return with_trouble(run, answer, now, budget=False)
    run = reset_failures(run).replace(names=answer.names.also(run.names))
    if answer.adoptable:
        return follow(run, answer.adoptable, now, adopted=True, after_loss=phase.reason == "lost")
    if phase.reason == "busy" and (answer.running or answer.changed or look.running):
        # the refresh that blocked the POST is in the history: while that refresh is running, the run waits behind it;
        # afterwards the run tries again
        return reopen(run, run.limits.poll_min)
    # the answer may be stale: only a look after the grace proves that no refresh appeared
    if time_of(answer.look.read_at) < time_of(phase.until):
        return Moved(run.replace(wait=next_wait((now - time_of(phase.since)).total_seconds(), run.limits)))
    if phase.reason == "busy":
        return reopen(run, run.limits.poll_max)
    if phase.accepted and answer.sole:
        # the POST was accepted, and only one refresh appeared that can be its result
        return follow(run, answer.sole, now, adopted=True, after_loss=True)
    lost_since = run.posts.lost_since or phase.since
    sole = answer.sole_objects or run.posts.sole_objects
    run = run.replace(posts=replace(run.posts, lost=run.posts.lost + 1, lost_since=lost_since, sole_objects=sole))
    if run.posts.lost >= MAX_TRIES and (now - time_of(lost_since)).total_seconds() >= run.limits.outage:
        if sole:
            return end_as_unknown(run, "RefreshUnproven", phase.error)
        code = "InternalError" if phase.app_fault else "AnswerLost"
        return fail(run, failure(code, run.dataset_id, detail=phase.error, link=LAST_ERROR, names=run.names))
    return reopen(run, run.limits.poll_min)
