"""Transitions that several phases share: errors of Power BI with their budgets, and the ends of a run."""

import logging
from datetime import datetime
from typing import assert_never

from refresh.events import Event
from refresh.failure.catalogue import LAST_ERROR, Failure, failure
from refresh.history.adoption import service_clock
from refresh.history.look import LostWindow
from refresh.history.outcome import Outcome
from refresh.messages import replace, tag_of
from refresh.polling.schedule import backoff
from refresh.queue.answers import PermitTaken, Superseded
from refresh.run.news import dropped_news
from refresh.run.orders import OTHER_EXECUTION, ActivityFailure, AnswerLost, Refused, Throttled, Trouble, Unavailable
from refresh.run.parts import Calls, Followed
from refresh.run.state import (
    Finishing,
    LeavingPlace,
    Over,
    Phase,
    Reconciling,
    Recording,
    Reopening,
    RunState,
    StartingNext,
)
from refresh.run.step import Moved
from refresh.times import instant, time_of

MAX_ACTIVITY_FAILURES = 20
"""After this many exceptions of this app in a row, following a POST, the outcome counts as unknown."""
MAX_TRIES = 3
"""A run ends after this many dropped refreshes, or this many POSTs with a lost answer (if the outage budget is also
used up), or this many refreshes that were adopted after a lost answer and ended badly. A failed cancel is repeated this
often, then the run waits until the refresh ends by itself. If Power BI throttles the cancel and names a pause, the
limit is only checked when the next history begins (`cancelling.limited`)."""


def with_trouble(run: RunState, answer: Trouble, now: datetime, *, budget: bool = True) -> Moved:
    """The run after a failed call: it tries again after the pause that Power BI asks for, or after growing pauses.

    With `budget`, the run fails once calls have failed for as long as the operator allows; without `budget`, it
    continues.
    """
    match answer:
        case Refused():
            return fail(run, answer.failure)
        case Throttled():
            # not an outage, because Power BI answers; if it gives no duration, the pauses grow
            failures = run.calls.failures + 1 if answer.seconds is None else run.calls.failures
            calls = Calls(failures=failures, last_error=answer.error)
            pause = backoff(failures, run.limits) if answer.seconds is None else answer.seconds
            waiting = run.replace(wait=max(pause, run.limits.poll_min), calls=calls)
        case Unavailable() | ActivityFailure():
            since = run.calls.failing_since or instant(now)
            activity_failures = run.calls.activity_failures + 1 if isinstance(answer, ActivityFailure) else 0
            calls = Calls(
                failures=run.calls.failures + 1,
                activity_failures=activity_failures,
                failing_since=since,
                last_error=answer.error,
            )
            if budget and (now - time_of(since)).total_seconds() >= run.limits.outage:
                # an exception of this app must not be blamed on Power BI
                code = "InternalError" if isinstance(answer, ActivityFailure) else "ServiceUnavailable"
                error = failure(code, run.dataset_id, detail=answer.error, link=LAST_ERROR, names=run.names)
                return fail(run.replace(calls=calls), error)
            waiting = run.replace(calls=calls, wait=backoff(calls.failures, run.limits))
        case _:
            assert_never(answer)
    return Moved(waiting, _call_failed(run, waiting))


def _call_failed(before: RunState, after: RunState) -> Event | None:
    """The event for a failed call, including a POST or a cancel; None if the last call failed with the same error."""
    error = after.calls.last_error
    if not error or error == before.calls.last_error:
        return None
    return Event("run.read_failed", logging.WARNING, error=error, waitSeconds=after.wait)


def reset_failures(run: RunState) -> RunState:
    """Resets the counts of failed calls, because Power BI answered."""
    return run if run.calls == Calls() else run.replace(calls=Calls())


def follow(run: RunState, refresh_id: str, now: datetime, *, adopted: bool, after_loss: bool = False) -> Moved:
    """Follows a refresh: next, the run records it in its queue."""
    refresh = Followed(
        id=refresh_id,
        posted_at=instant(now),
        began_at=instant(now),
        visible_by=run.grace_ends(now),
        adopted=adopted,
        after_loss=after_loss,
        durations=run.look.durations if run.look else (),
    )
    posts = replace(run.posts, failures=0, failing_since=None, lost=0, lost_since=None)
    event = Event("refresh.adopted" if adopted else "refresh.started", refreshId=refresh_id)
    return Moved(reset_failures(run).to(Recording(), refresh=refresh, posts=posts, blocker=None), event)


def reopen(run: RunState, pause: float, execution: str | None = None) -> Moved:
    """Withdraws the permit, because it led to no refresh that serves the requests. The run looks at the model again
    after a pause (seconds).

    `execution`: the execution of the POST that is known to have started nothing; None: the history was searched.
    """
    event = Event("run.reopened", after=tag_of(run.phase), refreshId=run.refresh_id)
    return Moved(run.to(Reopening(pause=pause, execution=execution), wait=0), event)


def end_as_unknown(run: RunState, code: str, detail: str | None = None) -> Moved:
    """Ends the run without knowing the outcome of its refresh. An unknown outcome is no reason to start a second
    refresh."""
    error = failure(code, run.dataset_id, refresh_id=run.refresh_id, detail=detail, link=LAST_ERROR, names=run.names)
    adopted = run.refresh is not None and run.refresh.adopted
    return end(run, Outcome(status="OutcomeUnknown", refresh_id=run.refresh_id, error=error, adopted=adopted))


def fail(run: RunState, error: Failure) -> Moved:
    """Ends the run as Failed."""
    return end(run, Outcome(status="Failed", refresh_id=run.refresh_id, error=error))


def end(run: RunState, outcome: Outcome) -> Moved:
    """Ends the run with its outcome: next, the run hands the outcome to the queue."""
    if outcome.status == "OutcomeUnknown":
        run = forget_group(run)
    level = logging.INFO if outcome.status == "Completed" else logging.WARNING
    event = Event("run.ended", level, status=outcome.status, refreshId=outcome.refresh_id, error=outcome.error)
    return Moved(run.to(Finishing(), wait=0, outcome=outcome), event)


def search_after_taken_permit(run: RunState, answer: PermitTaken, now: datetime) -> Moved:
    """Another execution of the POST took the permit: searches for its refresh before starting another refresh."""
    since = service_clock(run.look, answer.at) if run.look else None
    return search(run, AnswerLost(error=OTHER_EXECUTION, window=LostWindow(since=since)), now)


def search(run: RunState, answer: AnswerLost, now: datetime, *, app_fault: bool = False) -> Moved:
    """Searches the history, because it is unknown whether the POST was accepted.

    `app_fault`: an exception of this app is the cause.
    """
    phase = Reconciling(
        reason="lost",
        since=instant(now),
        until=run.grace_ends(now),
        window=answer.window,
        error=answer.error or None,
        app_fault=app_fault,
        accepted=answer.accepted,
    )
    event = Event("refresh.answer_lost", logging.WARNING, error=answer.error)
    return Moved(run.to(phase, wait=0, outcome=None), event)


def give_way(run: RunState, answer: Superseded, now: datetime) -> Moved:
    """Ends this orchestration, because another orchestration holds the run or the run is over. If the next run can
    start now, this orchestration starts it first."""
    then: Phase = StartingNext(next=answer.next) if answer.next else Over()
    return Moved(without_place(run, then) if answer.over else run.to(then, wait=0), news=dropped_news(run, now))


def forget_group(run: RunState) -> RunState:
    """Removes the capacity group from the state, so that the run does not give its place back: its refresh may still be
    running. A timer frees the place when the model is idle."""
    return run.replace(capacity=None)


def without_place(run: RunState, then: Phase) -> RunState:
    """The run in a phase, after it has given its place back or stopped waiting, if it is in a group."""
    if run.capacity is None or not run.capacity.waits_or_holds:
        return run.to(then, wait=0)
    return run.to(LeavingPlace(then=then), wait=0)
