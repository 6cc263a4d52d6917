"""The state of a batch between two turns: its models and their progress."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, Literal, Self, TypeAlias

import msgspec

from refresh.batch.spec import BatchSpec, ModelSpec
from refresh.failure.catalogue import Failure
from refresh.ids import request_in_batch
from refresh.messages import ApiMessage, Message, replace
from refresh.polling.limits import Limits
from refresh.request.state import Final
from refresh.times import time_of

ModelStatus: TypeAlias = Literal["Waiting", "Started", Final, "Skipped"]
StopReason: TypeAlias = Literal["Cancelled", "TimedOut", "Failed"]
"""The reason to start no further models: a caller cancelled the batch, its deadline passed, or a model did not complete
and `onFailure` is `stop`."""


class Progress(ApiMessage, frozen=True, kw_only=True):
    """The progress of a model of a batch, and its outcome. Times are ISO 8601 UTC.

    `reason`: why the model was skipped. `request_id` is set if the outcome was taken over from an earlier batch: the id
    of the request there.
    """

    status: ModelStatus = "Waiting"
    request_id: str | None = None
    refresh_id: str | None = None
    started_at: str | None = None
    ended_at: str | None = None
    reason: str | None = None
    error: Failure | None = None

    @property
    def ended(self) -> bool:
        """Whether the model has its outcome."""
        return self.status not in ("Waiting", "Started")

    @property
    def failed(self) -> bool:
        """Whether the request of the model ended in any way other than Completed."""
        return self.ended and self.status not in ("Completed", "Skipped")


WAITING = Progress()
LONGEST_RECHECK_SECONDS = 300.0
"""The maximum time between two looks without a notification. It is short because no timer detects lost notifications of
batches."""


class BatchState(Message, frozen=True, kw_only=True, dict=True):
    """A batch between two turns. `models` is empty until the models of the workspace have been listed.

    `spec.models` is empty, because `models` has them. `digests`: see `BatchSpec.digests`.

    `read_token` and `cancel_token` give access to its status and cancel URIs; `starter` is a digest of the caller's
    sign-in. `has_callback`: a receiver waits for a callback.
    """

    spec: BatchSpec
    read_token: str
    cancel_token: str
    requested_at: str
    digests: dict[str, str] = msgspec.field(default_factory=dict)
    models: tuple[ModelSpec, ...] = ()
    progress: tuple[Progress, ...] = ()
    starter: str = ""
    recheck_seconds: float = 300
    limits: Limits = Limits()
    has_callback: bool = msgspec.field(default=False, name="callbacks")  # the stored key
    turn: int = 0
    stop: StopReason | None = None
    settled: bool = False
    """True once the batch, after a stop, has looked for requests that a lost episode may have started. A start that
    arrives later refreshes nothing."""
    trouble_since: str | None = None
    """When the first of the failed attempts to list the models of the workspace was made (ISO 8601 UTC)."""
    trouble: Failure | None = None
    """The reason why the models cannot be listed; if `ended_at` is set, the error with which the batch ended."""
    not_found: tuple[str, ...] = ()
    """Entries of `except` that match no model."""
    ended_at: str | None = None

    @property
    def deadline(self) -> datetime:
        """The deadline (UTC)."""
        return time_of(self.requested_at) + timedelta(minutes=self.spec.timeout_minutes)

    @property
    def listed(self) -> bool:
        """Whether the models are known."""
        return bool(self.models)

    @property
    def over(self) -> bool:
        """Whether each model has its outcome."""
        return self.listed and all(progress.ended for progress in self.progress)

    @cached_property
    def started(self) -> tuple[int, ...]:
        """The numbers of the models with active requests."""
        return tuple(self.numbers("Started"))

    def numbers(self, *statuses: ModelStatus) -> Iterator[int]:
        """The numbers of the models in these statuses, in order."""
        return (number for number, progress in enumerate(self.progress) if progress.status in statuses)

    def request_id(self, batch_id: str, number: int) -> str:
        """The id of the request of a model, even if it was not started."""
        model = self.models[number]
        return self.progress[number].request_id or request_in_batch(batch_id, model.request.dataset_id, model.name)

    def with_models(self, models: tuple[ModelSpec, ...], progress: tuple[Progress, ...] = ()) -> Self:
        """The state with its models."""
        return replace(self, models=models, progress=progress or (WAITING,) * len(models))

    def with_progress(self, changes: dict[int, Progress]) -> Self:
        """The state with new progress of some models, by number."""
        if not changes:
            return self
        progress = tuple(changes.get(number, before) for number, before in enumerate(self.progress))
        return replace(self, progress=progress)

    def replace(self, **changes: Any) -> Self:
        """The state with some fields changed."""
        return replace(self, **changes)
