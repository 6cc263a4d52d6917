"""Returns the permit: requests may join again, and the run looks at the model again."""

from datetime import datetime
from functools import partial
from typing import assert_never

from refresh.queue.answers import Done, PermitTaken, ReopenAnswer, Superseded
from refresh.queue.operations import Drop, Reopen
from refresh.run.state import Dropping, Looking, Reopening, RunState
from refresh.run.step import Ask, Moved
from refresh.run.transitions import permit_taken, superseded


def step(run: RunState, phase: Reopening | Dropping, at: str) -> Ask[ReopenAnswer]:
    """Returns the permit, and removes requests whose orchestrations have ended."""
    match phase:
        case Reopening():
            reopen = Reopen(at=at, holder=run.holder, permit=run.permit, execution=phase.execution)
            return Ask(reopen, partial(_reopened, run, phase.pause))
        case Dropping():
            drop = Drop(at=at, holder=run.holder, permit=run.permit, requests=phase.requests, execution=phase.execution)
            return Ask(drop, partial(_reopened, run, 0))
        case _:
            assert_never(phase)


def _reopened(run: RunState, pause: float, answer: ReopenAnswer, now: datetime) -> Moved:
    match answer:
        case Superseded():
            return superseded(run, answer)
        case PermitTaken():
            return permit_taken(run, answer, now)
        case Done():
            return Moved(run.to(Looking(), refresh=None, look=None, late_after=None, wait=pause))
        case _:
            assert_never(answer)
