"""The queue of one dataset: which requests share which run, whose turn it is, and how each ended.

A pure state machine: `apply(queue, operation, now) -> (queue, answer)`; the entity around it only loads and stores. The
durable engine applies an operation twice now and then, and late, so every operation carries ids of ours and gives the
same answer when it is repeated; what is over is remembered for half an hour (`refresh.queue.memory`).

The queue holds runs. The first one is active, each of the others waits for its turn. A request is a member of one run.
A run lives as one orchestration at a time: each repair opens its next incarnation, and of each incarnation the first
orchestration to claim the run (by its token) holds it.

`refresh.queue.operations` has the operations and answers; requests' operations are in `refresh.queue.members`, those of
runs in `refresh.queue.runs`.
"""

from datetime import datetime, timedelta
from typing import assert_never

from refresh.messages import replace
from refresh.queue import members, runs
from refresh.queue.answers import AnyAnswer, Done
from refresh.queue.memory import forget
from refresh.queue.operations import (
    AnyOperation,
    AskToLeave,
    Claim,
    Close,
    Drop,
    Enroll,
    Finish,
    Leave,
    Record,
    Reopen,
    Restart,
    ReturnPermit,
    Sweep,
    TakePermit,
    Tidy,
    WaitBehind,
)
from refresh.queue.state import Queue
from refresh.times import instant, parse_time

AHEAD = timedelta(minutes=5)
"""How far a sender's clock may be ahead of the queue's own."""


def apply(queue: Queue, operation: AnyOperation, now: datetime) -> tuple[Queue | None, AnyAnswer]:
    """One operation on a queue: the new queue, None if nothing is to be kept, and the answer. `queue` is not changed.

    The queue's time is the latest time of a sender, so a repeated operation finds the same time. A sender whose clock
    is wrong must not move it far: what is remembered would be forgotten at once, and what is dated by that clock never.
    So `now`, the host's own clock, bounds it: a time that is more than some minutes ahead counts as if it were just
    that far ahead, and a queue that a wrong clock has moved ahead comes back. Raises ValueError if `at` is no time.
    """
    sent = parse_time(operation.at)
    if sent is None:
        raise ValueError(f"{operation.at!r} is no time")
    latest = now + AHEAD
    at = instant(min(sent, latest))
    queue = queue.copy()
    queue.at = min(max(queue.at, at), instant(latest))
    answer = _answer(queue, replace(operation, at=at))
    forget(queue)
    return (None if queue.quiet and not queue.known_objects else queue), answer


def _answer(queue: Queue, operation: AnyOperation) -> AnyAnswer:
    match operation:
        case Enroll():
            return members.enroll(queue, operation)
        case Leave():
            return members.leave(queue, operation)
        case AskToLeave():
            return members.ask_to_leave(queue, operation)
        case Restart():
            return runs.restart(queue, operation)
        case Claim():
            return runs.claim(queue, operation)
        case WaitBehind():
            return runs.wait_behind(queue, operation)
        case Close():
            return runs.close(queue, operation)
        case TakePermit():
            return runs.take_permit(queue, operation)
        case ReturnPermit():
            return runs.return_permit(queue, operation)
        case Reopen():
            return runs.reopen(queue, operation)
        case Record():
            return runs.record(queue, operation)
        case Drop():
            return runs.drop(queue, operation)
        case Finish():
            return runs.finish(queue, operation)
        case Sweep():
            return runs.sweep(queue, operation)
        case Tidy():
            return Done()
        case _:
            assert_never(operation)
