"""Asks the queue for the permit to POST; after that no request can join."""

from datetime import datetime
from functools import partial
from typing import assert_never

from refresh.events import Event
from refresh.history.look import Look
from refresh.messages import replace
from refresh.queue.answers import CloseAnswer, Closed, Superseded
from refresh.queue.operations import Close
from refresh.run.state import Closing, Posting, RunState
from refresh.run.step import Ask, Moved
from refresh.run.transitions import give_way


def step(run: RunState, phase: Closing, look: Look, at: str) -> Ask[CloseAnswer]:
    """Asks for the next permit."""
    operation = Close(
        at=at,
        holder=run.holder,
        permit=run.permit + 1,
        look=look,
        names=run.names,
        capacity_group=run.capacity.group if run.capacity else None,
    )
    return Ask(operation, partial(_closed, run, look))


def _closed(run: RunState, look: Look, answer: CloseAnswer, now: datetime) -> Moved:
    match answer:
        case Superseded():
            return give_way(run, answer, now)
        case Closed():
            if answer.scope != run.scope:
                # requests that joined since the claim widened the scope, but the estimate is for the earlier scope
                look = replace(look, durations=())
            permit = run.permit + 1
            closed = run.to(
                Posting(), permit=permit, look=look, late_after=look.read_at, scope=answer.scope, objects=answer.objects
            )
            return Moved(closed, Event("run.closed", permit=permit))
        case _:
            assert_never(answer)
