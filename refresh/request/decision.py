"""Decides what a start means: a new request, a request in progress, an ended request, or a conflict.

For a new request, it also decides whether the queue has room. Pure.
"""

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
    """A new request is started. `submission` counts the requests with its idempotency key, from 1."""

    submission: int = 1


@dataclass(frozen=True)
class Same:
    """The request is in progress; the caller sent it again."""

    request: StoredRequest


@dataclass(frozen=True)
class Ended:
    """The request has ended, and its outcome remains valid."""

    request: StoredRequest


@dataclass(frozen=True)
class Conflict:
    """Another request with different options has this idempotency key. `keys`: the keys that differ."""

    keys: list[str]


@dataclass(frozen=True)
class Full:
    """Too many requests wait for the model. `retry_after`: seconds."""

    retry_after: int


Decision: TypeAlias = New | Same | Ended | Conflict


def decide(spec: RequestSpec, known: StoredRequest | None, submission: int = 0) -> Decision:
    """What a start means. `known`: the newest request with its idempotency key; `submission`: its submission number."""
    if known is None:
        return New(submission + 1)
    keys = spec.differs_from(known.state.spec)
    if keys:
        return Conflict(keys)
    if known.outcome is None:
        return Same(known)
    return New(submission + 1) if may_start_again(known.outcome) else Ended(known)


def admit(new: New, spec: RequestSpec, queue: Queue, now: datetime) -> New | Full:
    """Whether the queue has room for a new request now. It may be full by the time the request enrols.

    The check takes microseconds if the queue has room for any request, and milliseconds if it is nearly full.
    """
    if not may_be_full(queue):
        return new
    operation = Enroll(at=instant(now), request="", token="", scope=spec.scope, share=spec.share)
    _, answer = apply(queue, operation, now)
    return Full(answer.retry_after) if isinstance(answer, QueueFull) else new


def may_start_again(outcome: RequestOutcome) -> bool:
    """Whether the same key may start another request: a pipeline that retries its activity sends the same key again,
    and expects a new attempt."""
    if outcome.status in ("TimedOut", "Terminated"):
        return True
    return outcome.status != "Completed" and outcome.error is not None and outcome.error.retryable
