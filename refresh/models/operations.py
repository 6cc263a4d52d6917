"""The operations of the entities `model_index` and `model_record`. All of them are signals, without an answer.

The engine sometimes applies a signal twice, or late. So each operation carries ids and the sender's time `at` (ISO 8601
UTC), and a repeat changes nothing.
"""

from datetime import datetime, timedelta
from typing import TypeAlias

from refresh.failure.catalogue import ModelNames
from refresh.history.outcome import Outcome
from refresh.messages import Message

ID_REMEMBERED = timedelta(minutes=30)
"""For this long after the end of a run, no other run can have its id, because the queue remembers its requests."""


class ModelOperation(Message, frozen=True, kw_only=True, tag_field="operation"):
    """An operation of an index or a record. `at`: the time of the sender."""

    at: str


class AboutModel(ModelOperation, frozen=True, kw_only=True):
    """An operation about one model."""

    dataset_id: str


class AboutRun(AboutModel, frozen=True, kw_only=True):
    """An operation about one incarnation of a run of the model."""

    run: str
    incarnation: int


class RunWaits(AboutRun, frozen=True, kw_only=True, tag="run_waits"):
    """The refresh of the active run is not known yet. `since`: when its first request enrolled.

    `requests`: the number of its requests; None if it has not changed since the previous operation.
    """

    workspace_id: str
    since: str
    requests: int | None = None
    names: ModelNames = ModelNames()
    expected_every_hours: float | None = None


class RunRefreshes(AboutRun, frozen=True, kw_only=True, tag="run_refreshes"):
    """The refresh of the active run is known. `since`: when it was posted or found. `requests`: as in `RunWaits`."""

    workspace_id: str
    since: str
    refresh_id: str
    requests: int | None = None
    names: ModelNames = ModelNames()


class RunDropped(AboutRun, frozen=True, kw_only=True, tag="run_dropped"):
    """The run ended without an outcome: it has no requests any more, or its orchestration is dead."""


class RunEnded(AboutRun, frozen=True, kw_only=True, tag="run_ended"):
    """The outcome of a run.

    `loads`: its refresh loads data, so the model is fresh after it. `request_ids`: its newest requests; only the record
    gets them. `expected_every_hours`: the value of the last request with that key; None if no request had it.
    """

    workspace_id: str
    outcome: Outcome
    since: str
    requests: int
    loads: bool = True
    names: ModelNames = ModelNames()
    request_ids: tuple[str, ...] = ()
    expected_every_hours: float | None = None


class RequestsEnded(AboutModel, frozen=True, kw_only=True, tag="requests_ended"):
    """Requests that ended without the outcome of a run."""

    request_ids: tuple[str, ...]


class Expect(AboutModel, frozen=True, kw_only=True, tag="expect"):
    """Adds a model to the index because the setting EXPECTED_EVERY_HOURS names it, even if it never had a request."""


class MarkOverdue(AboutModel, frozen=True, kw_only=True, tag="note_overdue"):
    """Marks a model as overdue. `fresh_at`: its last success, or when the app first saw it. Logged once per
    `fresh_at`."""

    fresh_at: str
    expected_every_hours: float


class Forget(ModelOperation, frozen=True, kw_only=True, tag="forget"):
    """Removes data older than `before` (ISO 8601 UTC), except that of models in `keep` and of models with an active
    run."""

    before: str
    keep: tuple[str, ...] = ()


def repeats(sent: datetime, ended: datetime) -> bool:
    """Whether news that was sent at `sent` is about the run that ended at `ended`, and not about a later run with the
    same id.

    If a request was purged and starts again with its idempotency key, its run gets the id of the earlier run.
    """
    return sent - ended < ID_REMEMBERED


IndexOperation: TypeAlias = RunWaits | RunRefreshes | RunDropped | RunEnded | Expect | MarkOverdue | Forget
RecordOperation: TypeAlias = RunEnded | RequestsEnded | Forget
RunNews: TypeAlias = RunWaits | RunRefreshes | RunDropped | RunEnded
