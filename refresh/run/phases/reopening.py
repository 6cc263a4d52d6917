"""Withdraws the permit: requests may join again, and the run looks at the model again."""

from datetime import datetime
from functools import partial
from typing import assert_never

from refresh.models.operations import RequestsEnded, RunWaits
from refresh.queue.answers import Done, PermitTaken, ReopenAnswer, Superseded
from refresh.queue.operations import Drop, Reopen
from refresh.run.news import MAX_REQUESTS, waiting_news
from refresh.run.state import Dropping, Looking, Reopening, RunState
from refresh.run.step import Ask, Moved
from refresh.run.transitions import give_way, search_after_taken_permit
from refresh.times import instant


def step(run: RunState, phase: Reopening | Dropping, at: str) -> Ask[ReopenAnswer]:
    """Withdraws the permit, and removes requests whose orchestrations have ended."""
    match phase:
        case Reopening():
            reopen = Reopen(at=at, holder=run.holder, permit=run.permit, execution=phase.execution)
            return Ask(reopen, partial(_reopened, run, phase.pause, ()))
        case Dropping():
            drop = Drop(at=at, holder=run.holder, permit=run.permit, requests=phase.requests, execution=phase.execution)
            return Ask(drop, partial(_reopened, run, 0, phase.requests))
        case _:
            assert_never(phase)


def _reopened(run: RunState, pause: float, dropped: tuple[str, ...], answer: ReopenAnswer, now: datetime) -> Moved:
    match answer:
        case Superseded():
            return give_way(run, answer, now)
        case PermitTaken():
            return search_after_taken_permit(run, answer, now)
        case Done():
            news: RunWaits | RequestsEnded | None = waiting_news(run, now) if run.refresh else None
            if dropped:
                news = RequestsEnded(at=instant(now), dataset_id=run.dataset_id, request_ids=dropped[-MAX_REQUESTS:])
            return Moved(run.to(Looking(), refresh=None, look=None, late_after=None, wait=pause), news=news)
        case _:
            assert_never(answer)
