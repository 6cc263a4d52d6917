"""What the start of a batch means: a new batch, a batch in progress, an ended batch, or a conflict."""

from dataclasses import dataclass
from typing import TypeAlias

from refresh.batch.outcome import BatchOutcome
from refresh.batch.spec import BatchSpec
from refresh.batch.stored import StoredBatch
from refresh.request.decision import Conflict


@dataclass(frozen=True)
class NewBatch:
    """A new batch. `submission` counts the batches with its idempotency key, from 1.

    `after`: the previous batch with the key, whose completed models are not refreshed again.
    """

    submission: int = 1
    after: StoredBatch | None = None


@dataclass(frozen=True)
class SameBatch:
    """The batch is in progress; the caller repeats its request."""

    batch: StoredBatch


@dataclass(frozen=True)
class EndedBatch:
    """The batch has ended, and its outcome is final."""

    batch: StoredBatch


Decision: TypeAlias = NewBatch | SameBatch | EndedBatch | Conflict


def decide(spec: BatchSpec, known: StoredBatch | None, submission: int = 0) -> Decision:
    """What a start means. `known`: the newest batch with its idempotency key; `submission`: its submission number."""
    if known is None:
        return NewBatch(submission + 1)
    keys = spec.differs_from(known.state.digests)
    if keys:
        return Conflict(keys)
    if known.outcome is None:
        return SameBatch(known)
    if may_start_again(known.outcome):
        return NewBatch(submission + 1, known)
    return EndedBatch(known)


def may_start_again(outcome: BatchOutcome) -> bool:
    """Whether the same key may start another batch: a pipeline that retries its activity sends the same key again."""
    return outcome.status != "Completed" and outcome.error is not None and outcome.error.retryable
