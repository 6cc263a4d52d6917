"""Models in the HTTP API: a single model, and the list with its filters, counts, order and pages."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, TypeAlias

import msgspec

from refresh.messages import typed_json, without_none
from refresh.models.freshness import Durations, Health, due_at, durations, expected_hours, health_of, in_use
from refresh.models.state import Active, Entry
from refresh.times import instant, parse_time

HEALTHS: tuple[Health, ...] = ("overdue", "failing", "ok", "unknown")
STATES = (*HEALTHS, "active")
SORTS = ("freshness", "name", "duration", "failures")
MAX_LIMIT, DEFAULT_LIMIT = 500, 100
MAX_SEARCH = 200

Json = dict[str, Any]
SortKey: TypeAlias = tuple[float, str, str]


@dataclass(frozen=True)
class ModelFilters:
    """The filters of a call. `search`: text in lower case. An empty `search` or `states` admits all models.

    `after`: the sort key of the last model on the previous page.
    """

    search: str = ""
    states: frozenset[str] = frozenset()
    workspace_id: str | None = None
    sort: str = "freshness"
    limit: int = DEFAULT_LIMIT
    after: SortKey | None = None


@dataclass(frozen=True)
class KnownModel:
    """A model at the time `now`. `expected_every_hours`: how often a success is expected; None if none is expected."""

    dataset_id: str
    entry: Entry
    expected_every_hours: float | None
    now: datetime

    @cached_property
    def health(self) -> Health:
        """The health of the model."""
        return health_of(self.entry, overdue=self.overdue_since is not None)

    @cached_property
    def overdue_since(self) -> datetime | None:
        """When the success became overdue; None if it is not."""
        due = due_at(self.entry, self.expected_every_hours)
        return due if due is not None and due <= self.now else None

    @property
    def success_age(self) -> float | None:
        """Seconds since the last success; None if there was none."""
        return self.seconds_since(self.entry.success.ended_at if self.entry.success else None)

    def seconds_since(self, time: str | None) -> float | None:
        """Seconds since a time, at least 0; None for an invalid time."""
        at = parse_time(time)
        return max((self.now - at).total_seconds(), 0.0) if at else None


def known_models(
    entries: Mapping[str, Entry], settings: Mapping[str, float], now: datetime, retention_cutoff: datetime
) -> list[KnownModel]:
    """All listed models. `settings`: expected hours by dataset id; such a model is listed even without a request.

    A model without news since `retention_cutoff` is not listed: the next purge removes it.
    """
    new_entries = {dataset_id: Entry(known_since=instant(now)) for dataset_id in settings if dataset_id not in entries}
    listed = []
    for dataset_id, entry in {**entries, **new_entries}.items():
        if dataset_id in settings or in_use(entry, instant(retention_cutoff)):
            listed.append(KnownModel(dataset_id, entry, expected_hours(dataset_id, entry, settings), now))
    return listed


def model_json(model: KnownModel) -> Json:
    """A model, without keys that have no value."""
    entry, due, known_durations = model.entry, model.overdue_since, durations(model.entry)
    age = model.success_age
    return without_none(
        {
            "datasetId": model.dataset_id,
            "workspaceId": entry.workspace_id or None,
            "modelName": entry.names.model,
            "workspaceName": entry.names.workspace,
            "health": model.health,
            "activity": activity(entry.active),
            "lastSuccess": msgspec.to_builtins(entry.success) if entry.success else None,
            "lastSuccessAgeSeconds": None if age is None else round(age),
            "lastOutcome": msgspec.to_builtins(entry.last) if entry.last else None,
            "failuresInARow": entry.failures,
            "durations": _durations(known_durations) if known_durations else None,
            "expectedEveryHours": model.expected_every_hours,
            "overdueSince": instant(due) if due else None,
            "days": [
                {"date": date, "completed": completed, "failed": failed}
                for date, (completed, failed) in sorted(entry.days.items(), reverse=True)
            ],
            "active": active_json(entry.active) if entry.active else None,
        }
    )


def _durations(known: Durations) -> Json:
    return {"usualSeconds": known.usual, "p95Seconds": known.p95, "count": known.count}


def activity(active: Active | None) -> str:
    """The activity of the model: `idle`, `waiting` or `refreshing`."""
    if active is None:
        return "idle"
    return "refreshing" if active.status == "Refreshing" else "waiting"


def active_json(active: Active) -> Json:
    """The active run."""
    return without_none(
        {
            "runId": active.run_id,
            "since": active.since,
            "status": active.status,
            "requests": active.requests,
            "refreshId": active.refresh_id,
        }
    )


def list_json(models: list[KnownModel], filters: ModelFilters) -> Json:
    """The answer to GET /api/models. `counts`: models by state. `total`: models in the requested states."""
    found = [model for model in models if _found(model, filters)]
    counts = Counter(model.health for model in found)
    listed = [model for model in found if _in_states(model, filters.states)]
    keyed = sorted((_sort_key(model, filters.sort), model) for model in listed)
    rest = [(key, model) for key, model in keyed if filters.after is None or key > filters.after]
    page, more = rest[: filters.limit], len(rest) > filters.limit
    answer: Json = {
        "models": [_listed(model) for _, model in page],
        "total": len(listed),
        "counts": {name: counts[name] for name in HEALTHS},
    }
    answer["counts"]["active"] = sum(model.entry.active is not None for model in found)
    return {**answer, **({"continuation": encode_key(page[-1][0], filters.sort)} if more else {})}


def _listed(model: KnownModel) -> Json:
    """A model as the list shows it: the index knows only whether the active run refreshes."""
    row = model_json(model)
    if model.entry.active and model.entry.active.status != "Refreshing":
        row["active"]["status"] = "Waiting"
    return row


def encode_key(key: SortKey, sort: str) -> str:
    """The continuation for the last model of a page."""
    return urlsafe_b64encode(json.dumps([sort, *key], separators=(",", ":")).encode()).decode().rstrip("=")


def decode_key(continuation: str, sort: str) -> SortKey | None:
    """The key in a continuation; None if `encode_key` did not create it with this order."""
    try:
        text = urlsafe_b64decode(continuation + "=" * (-len(continuation) % 4))
        named, first, second, dataset_id = typed_json(text, tuple[str, float, str, str])
    except ValueError:  # binascii.Error, UnicodeError and msgspec's errors are subclasses
        return None
    return (first, second, dataset_id) if named == sort else None


def _found(model: KnownModel, filters: ModelFilters) -> bool:
    entry = model.entry
    if filters.workspace_id and entry.workspace_id != filters.workspace_id:
        return False
    texts = (entry.names.model, entry.names.workspace, model.dataset_id, entry.workspace_id)
    return not filters.search or any(filters.search in (text or "").casefold() for text in texts)


def _in_states(model: KnownModel, states: frozenset[str]) -> bool:
    return not states or model.health in states or ("active" in states and model.entry.active is not None)


def _sort_key(model: KnownModel, sort: str) -> SortKey:
    """The sort key, different for each model."""
    entry, dataset_id = model.entry, model.dataset_id
    success = entry.success.ended_at if entry.success else ""
    match sort:
        case "name":
            return 0.0, (entry.names.model or dataset_id).casefold(), dataset_id
        case "duration":
            known_durations = durations(entry)
            return -known_durations.usual if known_durations else 1.0, "", dataset_id
        case "failures":
            return float(-entry.failures), success, dataset_id
        case _:
            return float(HEALTHS.index(model.health)), success, dataset_id
