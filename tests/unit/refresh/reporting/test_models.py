"""The list of models: its health, filters, counts, order and pages."""

from datetime import timedelta
from typing import Any

import pytest

from refresh.failure.catalogue import ModelNames
from refresh.messages import replace
from refresh.models.operations import Expect
from refresh.reporting.models import (
    HEALTHS,
    SORTS,
    ModelFilters,
    decode_key,
    encode_key,
    known_models,
    list_json,
    model_json,
)
from refresh.times import instant
from tests.unit.refresh.models.news import MODEL, NOW, WORKSPACE, at, entry_after, run_ended, run_refreshes, run_waits

OTHER = "22222222-aaaa-bbbb-cccc-000000000002"
ENTRIES = {
    "00000000-0000-4000-8000-000000000001": entry_after(run_ended("a", 600, took=5)),
    "00000000-0000-4000-8000-000000000002": entry_after(run_ended("a", 50, took=30), run_waits("b", 5)),
    "00000000-0000-4000-8000-000000000003": entry_after(run_ended("a", 90, "Failed"), run_refreshes("b", 5)),
    "00000000-0000-4000-8000-000000000004": entry_after(
        run_ended("a", 900), run_ended("b", 80, "Failed"), run_ended("c", 70, "Failed")
    ),
    "00000000-0000-4000-8000-000000000005": entry_after(run_ended("a", 300), run_waits("b", 299, expected=1)),
    "00000000-0000-4000-8000-000000000006": entry_after(run_waits("b", 20)),
}


def listed(**filters: Any) -> list[str]:
    """The last digits of the listed models."""
    models = known_models(ENTRIES, {}, NOW, NOW - timedelta(days=30))
    answer = list_json(models, ModelFilters(**filters))
    return [model["datasetId"][-1] for model in answer["models"]]


@pytest.mark.parametrize(
    ("filters", "models"),
    [
        ({}, "534126"),
        ({"sort": "name"}, "123456"),
        ({"sort": "duration"}, "245136"),
        ({"sort": "failures"}, "436152"),
        ({"states": frozenset(["failing"])}, "34"),
        ({"states": frozenset(["ok", "overdue"])}, "512"),
        ({"states": frozenset(["active"])}, "5326"),
        ({"search": "0004"}, "4"),
        ({"search": "finance"}, "534126"),
        ({"workspace_id": OTHER}, ""),
        ({"workspace_id": WORKSPACE, "limit": 2}, "53"),
    ],
)
def test_filters_and_order(filters: dict[str, object], models: str) -> None:
    """By default, overdue models come first, then failing models, then those with the oldest success."""
    assert "".join(listed(**filters)) == models


def test_counts_are_those_of_all_states() -> None:
    """The counts include all states, and the total only the requested states."""
    models = known_models(ENTRIES, {}, NOW, NOW - timedelta(days=30))
    answer = list_json(models, ModelFilters(states=frozenset(["failing"]), limit=1))
    assert answer["counts"] == {"overdue": 1, "failing": 2, "ok": 2, "unknown": 1, "active": 4}
    assert (answer["total"], len(answer["models"])) == (2, 1)
    assert "continuation" in answer


@pytest.mark.parametrize("sort", SORTS)
def test_pages_follow_each_other(sort: str) -> None:
    """In each order, the pages have all models once. A continuation is valid only for its order."""
    models = known_models(ENTRIES, {}, NOW, NOW - timedelta(days=30))
    seen, filters = [], ModelFilters(sort=sort, limit=2)
    while True:
        answer = list_json(models, filters)
        seen += [model["datasetId"][-1] for model in answer["models"]]
        if "continuation" not in answer:
            break
        after = decode_key(answer["continuation"], sort)
        assert after is not None
        assert decode_key(answer["continuation"], SORTS[SORTS.index(sort) - 1]) is None
        filters = ModelFilters(sort=sort, limit=2, after=after)
    assert seen == listed(sort=sort)


@pytest.mark.parametrize("text", ["", "a", "é", "=", "bm90aGluZw", "W10", encode_key((0.0, "", ""), "name")[:-2]])
def test_other_continuations_give_none(text: str) -> None:
    """A text that is not a continuation gives None."""
    assert decode_key(text, "name") is None


def test_models_without_news_are_not_listed() -> None:
    """Models of the setting are listed even without news. The setting has priority over requests."""
    entries = {MODEL: entry_after(run_waits("a", 100, expected=1), run_ended("a", 90))}
    assert known_models(entries, {}, NOW, NOW - timedelta(minutes=60)) == []
    (kept,) = known_models(entries, {MODEL: 24.0}, NOW, NOW - timedelta(minutes=60))
    assert (kept.expected_every_hours, kept.health) == (24, "ok")
    (unheard,) = known_models({}, {OTHER: 24.0}, NOW, NOW)
    assert model_json(unheard) == {
        "datasetId": OTHER,
        "health": "unknown",
        "activity": "idle",
        "failuresInARow": 0,
        "expectedEveryHours": 24.0,
        "days": [],
    }
    (late,) = known_models({OTHER: entry_after(Expect(at=at(120), dataset_id=MODEL))}, {OTHER: 1.5}, NOW, NOW)
    assert model_json(late)["overdueSince"] == at(30)


def test_a_model_in_full() -> None:
    """The description of a model has all keys. Its names are unchanged."""
    entry = replace(ENTRIES["00000000-0000-4000-8000-000000000002"], names=ModelNames(model="<b>", workspace="Ω"))
    (model,) = known_models({MODEL: entry}, {MODEL: 0.5}, NOW, NOW - timedelta(days=30))
    body = model_json(model)
    assert body == {
        "datasetId": MODEL,
        "workspaceId": WORKSPACE,
        "modelName": "<b>",
        "workspaceName": "Ω",
        "health": "overdue",
        "activity": "waiting",
        "lastSuccess": {"startedAt": at(80), "endedAt": at(50), "refreshId": "refresh of a"},
        "lastSuccessAgeSeconds": 3000,
        "lastOutcome": {"status": "Completed", "at": at(50)},
        "failuresInARow": 0,
        "durations": {"usualSeconds": 1800, "p95Seconds": 1800, "count": 1},
        "expectedEveryHours": 0.5,
        "overdueSince": instant(NOW - timedelta(minutes=20)),
        "days": [{"date": "2026-03-31", "completed": 1, "failed": 0}],
        "active": {"runId": "b", "since": at(5), "status": "WaitingForIdle", "requests": 2},
    }
    [listed] = list_json([model], ModelFilters())["models"]
    assert listed["active"]["status"] == "Waiting", "the index does not know what the run waits for"
    assert body["health"] in HEALTHS
