"""Cancels the refresh, because no request needs it any more."""

from datetime import datetime
from functools import partial
from typing import assert_never

from refresh.messages import replace
from refresh.run.orders import (
    ActivityFailure,
    AlreadyEnded,
    CancelAccepted,
    CancelAnswer,
    CancelRefresh,
    Refused,
    Throttled,
    Unavailable,
)
from refresh.run.parts import Followed
from refresh.run.state import Cancelling, Polling, RunState
from refresh.run.step import Do, Moved
from refresh.run.transitions import MAX_TRIES, with_trouble


def step(run: RunState, phase: Cancelling, refresh: Followed) -> Do[CancelAnswer]:
    """Orders the cancellation."""
    return Do(CancelRefresh(model=run.model, refresh_id=refresh.id), partial(_cancelled, run, phase, refresh))


def limited(run: RunState) -> RunState:
    """The run for a new history: it follows the refresh to its end if Power BI has throttled the cancel too often or
    too long.

    The limit is only checked when a history begins, because a replay must make the calls of the recorded history, which
    older code without the limit may have made.
    """
    phase = run.phase
    if isinstance(phase, Cancelling) and (phase.throttled > MAX_TRIES or phase.paused >= run.limits.outage):
        return run.to(Polling())
    return run


def _cancelled(
    run: RunState, phase: Cancelling, refresh: Followed, answer: CancelAnswer | ActivityFailure, now: datetime
) -> Moved:
    if isinstance(answer, Throttled) and answer.seconds is not None:
        # `with_trouble` does not count this failure
        run = run.to(replace(phase, throttled=phase.throttled + 1, paused=phase.paused + answer.seconds))
    match answer:
        case Throttled() | Unavailable() | ActivityFailure():
            if run.calls.failures < MAX_TRIES:
                return with_trouble(run, answer, now, budget=False)
        case CancelAccepted() | AlreadyEnded() | Refused():
            pass
        case _:
            assert_never(answer)
    # the refresh will end soon, however long earlier refreshes took
    followed = replace(refresh, durations=())
    return Moved(run.to(Polling(), refresh=followed, wait=run.limits.poll_min))
