"""Tells the queue which external refresh the run waits for."""

from datetime import datetime
from functools import partial
from typing import assert_never

from refresh.polling.schedule import next_wait
from refresh.queue.answers import Done, HoldAnswer, Superseded
from refresh.queue.operations import WaitBehind
from refresh.run.parts import Blocker
from refresh.run.state import Looking, ReportingBlocker, RunState
from refresh.run.step import Ask, Moved
from refresh.run.transitions import give_way


def step(run: RunState, phase: ReportingBlocker, blocker: Blocker, at: str) -> Ask[HoldAnswer]:
    """Reports the external refresh."""
    return Ask(WaitBehind(at=at, holder=run.holder, refresh=blocker.refresh, names=run.names), partial(_reported, run))


def _reported(run: RunState, answer: HoldAnswer, now: datetime) -> Moved:
    match answer:
        case Superseded():
            return give_way(run, answer, now)
        case Done():
            return Moved(run.to(Looking(), wait=next_wait(0, run.limits)))
        case _:
            assert_never(answer)
