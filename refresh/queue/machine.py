"""The queue of one dataset: which requests share which run, whose turn it is, and how each run ended.

A pure state machine: `apply(queue, operation, now) -> (queue, answer)`; the entity around it only loads and stores. The
durable engine sometimes applies an operation twice, or late. So every operation carries our own ids and gets the same
answer when it is repeated, and ended runs and requests are remembered for half an hour (`refresh.queue.memory`).

The queue holds runs. The first one is active; the others wait for their turn. A request is a member of one run. One
orchestration at a time carries out a run: each repair opens its next incarnation, and the first orchestration that
claims an incarnation (by its token) holds the run.

`refresh.queue.operations` has the operations, `refresh.queue.answers` the answers; `refresh.queue.members` handles the
operations of requests, `refresh.queue.runs` those of runs.
"""

from datetime import datetime
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
    Collect,
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
from refresh.times import AHEAD, instant, parse_time


def apply(queue: Queue, operation: AnyOperation, now: datetime) -> tuple[Queue | None, AnyAnswer]:
    """Applies an operation. Returns the new queue (None if nothing is left to keep) and the answer; `queue` is not
    changed.

    The queue's time is the latest time of a sender, so that a repeated operation sees the same time. A wrong clock of a
    sender must not move it far: the queue would forget recent entries at once, and keep entries with that time far too
    long. So each time, including the stored time of the queue, is clamped to five minutes ahead of `now`, the host's
    own clock. Raises ValueError if `at` is not a time.
    """
    sent = parse_time(operation.at)
    if sent is None:
        raise ValueError(f"{operation.at!r} is not a time")
    latest = now + AHEAD
    at = instant(min(sent, latest))
    queue = queue.copy()
    queue.at = min(max(queue.at, at), instant(latest))
    answer = _answer(queue, replace(operation, at=at))
    forget(queue)
    return (None if queue.is_empty and not queue.known_objects else queue), answer


def _answer(queue: Queue, operation: AnyOperation) -> AnyAnswer:
    match operation:
        case Enroll():
            return members.enroll(queue, operation)
        case Collect():
            return members.acknowledge(queue, operation)
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
