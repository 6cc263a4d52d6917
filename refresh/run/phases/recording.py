"""Tells the queue which refresh the run follows."""

from datetime import datetime
from functools import partial
from typing import assert_never

from refresh.queue.answers import RecordAnswer, Recorded, Superseded
from refresh.queue.operations import Record
from refresh.run.news import refreshing_news
from refresh.run.parts import Followed
from refresh.run.state import Cancelling, Polling, Recording, RunState
from refresh.run.step import Ask, Moved
from refresh.run.transitions import give_way


def step(run: RunState, phase: Recording, refresh: Followed, at: str) -> Ask[RecordAnswer]:
    """Records the refresh."""
    operation = Record(
        at=at,
        holder=run.holder,
        permit=run.permit,
        refresh_id=refresh.id,
        posted_at=refresh.posted_at,
        adopted=refresh.adopted,
    )
    return Ask(operation, partial(_recorded, run))


def _recorded(run: RunState, answer: RecordAnswer, now: datetime) -> Moved:
    match answer:
        case Superseded():
            return give_way(run, answer, now)
        case Recorded():
            then = run.to(Cancelling() if answer.cancel else Polling(), look=None, wait=run.limits.poll_min)
            return Moved(then, news=refreshing_news(run, now, len(answer.wake_ups)))
        case _:
            assert_never(answer)
