"""The stored data of models: for each model an entry in a shard of the index, and a record of its runs.

Plain data of limited size. The list of models is made from the index, the page of one model from its record.
"""

from typing import Literal, NamedTuple, TypeAlias

import msgspec

from refresh.failure.catalogue import ModelNames
from refresh.history.outcome import Status
from refresh.messages import ApiMessage

Activity: TypeAlias = Literal["WaitingForIdle", "WaitingForCapacity", "Starting", "Refreshing"]
"""The status of an active run. In the index, WaitingForIdle stands for everything before Refreshing, because older code
reads no other word; the list shows it as Waiting."""


class Success(ApiMessage, frozen=True, kw_only=True):
    """The last refresh that loaded data, with Power BI's times."""

    started_at: str | None = None
    ended_at: str = ""
    refresh_id: str | None = None


class LastOutcome(ApiMessage, frozen=True, kw_only=True):
    """The end of the last run. `message` and `action` are those of the failure."""

    status: Status
    at: str
    code: str | None = None
    message: str | None = None
    action: str | None = None


class Active(ApiMessage, frozen=True, kw_only=True):
    """The active run, according to its last news at `at`. `since`: when it began to wait, or its refresh was posted."""

    run_id: str
    incarnation: int
    since: str
    status: Activity
    requests: int
    at: str
    refresh_id: str | None = None


class Recent(NamedTuple):
    """A run that ended at `at` (seconds since 1970). `run`: digest of its id. `seconds`: how long a completed refresh
    took."""

    at: int
    run: str
    status: Status
    seconds: float | None = None


class Entry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The index entry of a model. Times are ISO 8601 UTC.

    `known_since`: when the app first saw the model; `at`: the time of the last news of a run. `recent`: the last runs
    that ended, oldest first. `failures`: runs that failed in a row. `days`: completed and failed runs by the date of
    their end (UTC). `active_at`: the time of the last operation that counted for `active`. `overdue_mark`: the
    `fresh_at` for which the model was marked as overdue.
    """

    known_since: str
    at: str = ""
    workspace_id: str = ""
    names: ModelNames = ModelNames()
    success: Success | None = None
    last: LastOutcome | None = None
    failures: int = 0
    recent: tuple[Recent, ...] = ()
    days: dict[str, tuple[int, int]] = msgspec.field(default_factory=dict)
    expected_every_hours: float | None = None
    overdue_mark: str = msgspec.field(default="", name="overdue_noted")  # the stored key
    active: Active | None = None
    active_at: str = ""

    @property
    def fresh_at(self) -> str:
        """The moment from which the age of the model counts: its last success, or when the app first saw it."""
        return self.success.ended_at if self.success else self.known_since


class Shard(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A part of the index: models by dataset id."""

    models: dict[str, Entry] = msgspec.field(default_factory=dict)


class RecordedRun(ApiMessage, frozen=True, kw_only=True):
    """An ended run, as callers see it. `ended_at` is Power BI's time, or else ours; `recorded_at` is ours."""

    run_id: str
    status: Status
    ended_at: str
    recorded_at: str
    waiting_since: str
    requests: int
    refresh_id: str | None = None
    code: str | None = None
    message: str | None = None
    started_at: str | None = None
    served_by: str | None = None


class EndedRequest(NamedTuple):
    """An ended request: its id and the time of its end."""

    id: str
    at: str


class Record(msgspec.Struct, kw_only=True, omit_defaults=True):
    """The stored data of one model in addition to its entry: its last runs and requests, oldest first."""

    runs: tuple[RecordedRun, ...] = ()
    requests: tuple[EndedRequest, ...] = ()
