"""What a start means: a new request, one that goes on, one that has ended, or a contradiction. Decided once, purely."""

from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from refresh.queue.answers import QueueFull
from refresh.queue.machine import apply
from refresh.queue.operations import Enroll
from refresh.queue.room import may_be_full
from refresh.queue.state import Queue
from refresh.request.spec import RequestSpec
from refresh.request.state import RequestOutcome
from refresh.request.stored import StoredRequest
from refresh.times import instant


@dataclass(frozen=True)
class New:
    """A request is started. `submission`: which one it is under its idempotency key, from 1."""

    submission: int = 1


@dataclass(frozen=True)
class Same:
    """The request goes on; the caller asks again."""

    request: StoredRequest


@dataclass(frozen=True)
class Ended:
    """The request has ended, and its outcome stands."""

    request: StoredRequest


@dataclass(frozen=True)
class Conflict:
    """Another request has this idempotency key. `keys`: in which they contradict each other."""

    keys: list[str]


@dataclass(frozen=True)
class Full:
    """Too many requests wait for the model. `retry_after`: seconds."""

    retry_after: int


Decision: TypeAlias = New | Same | Ended | Conflict


def decide(spec: RequestSpec, known: StoredRequest | None, submission: int = 0) -> Decision:
    """What a start means. `known`: the newest request under its idempotency key, and which submission that is."""
    if known is None:
        return New(submission + 1)
    keys = spec.differs_from(known.state.spec)
    if keys:
        return Conflict(keys)
    if known.outcome is None:
        return Same(known)
    return New(submission + 1) if may_start_again(known.outcome) else Ended(known)


def admit(new: New, spec: RequestSpec, queue: Queue, now: datetime) -> New | Full:
    """Whether the queue has room for a new request, as far as it can be seen now. It may still have none later.

    What a queue with room for anything is asked costs microseconds, what a full one is asked milliseconds.
    """
    if not may_be_full(queue):
        return new
    operation = Enroll(at=instant(now), request="", token="", scope=spec.scope, share=spec.share)
    _, answer = apply(queue, operation, now)
    return Full(answer.retry_after) if isinstance(answer, QueueFull) else new


def may_start_again(outcome: RequestOutcome) -> bool:
    """Whether a key is free for another submission: an activity that is run again keeps its key, and means it."""
    if outcome.status in ("TimedOut", "Terminated"):
        return True
    return outcome.status != "Completed" and outcome.error is not None and outcome.error.retryable
