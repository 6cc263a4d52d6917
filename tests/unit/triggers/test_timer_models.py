"""The timer for models: its operations for the index, and the entries that the nightly purge removes."""

import json
import logging
from collections.abc import Iterator
from datetime import timedelta

import pytest

from refresh import clock
from refresh.models.index import shard_of
from refresh.models.operations import Expect, Forget, MarkOverdue, RunDropped
from refresh.models.state import Entry, Shard
from refresh.queue.state import Member, Queue, Run
from refresh.settings import current_settings
from refresh.times import instant
from tests.unit.refresh.models.news import MODEL, NOW, at, entry_after, run_ended, run_waits
from tests.unit.triggers.test_housekeeping import Engine, purge
from tests.unit.triggers.timers import run_timer
from triggers import timer_models

OTHER, NEVER_REQUESTED = "44444444-aaaa-bbbb-cccc-000000000004", "55555555-aaaa-bbbb-cccc-000000000005"


@pytest.fixture(autouse=True)
def _settings(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(clock, "now", lambda: NOW)
    monkeypatch.setenv("EXPECTED_EVERY_HOURS", json.dumps({NEVER_REQUESTED: 24, OTHER: 1}))
    monkeypatch.setenv("RETENTION_DAYS", "1")
    current_settings.cache_clear()
    yield
    current_settings.cache_clear()


def engine_with(**entries: Entry) -> Engine:
    """An engine whose index has these models."""
    engine = Engine()
    for dataset_id, entry in entries.items():
        key = shard_of(dataset_id)
        engine.shards[key] = Shard(models={**engine.shards.get(key, Shard()).models, dataset_id: entry})
    return engine


def watch(engine: Engine) -> None:
    """Runs the timer as the worker does."""
    run_timer(timer_models.watch_models, engine)


def test_overdue_models_are_noted() -> None:
    """The setting or a request makes a model overdue. Fresh models and those noted for this period are skipped."""
    late = entry_after(run_ended("a", 180))
    engine = engine_with(**{OTHER: late, MODEL: entry_after(run_waits("a", 200, expected=24), run_ended("a", 180))})
    watch(engine)
    expect = Expect(at=instant(NOW), dataset_id=NEVER_REQUESTED)
    note = MarkOverdue(at=instant(NOW), dataset_id=OTHER, fresh_at=at(180), expected_every_hours=1)
    assert sorted(engine.news, key=str) == sorted([expect, note], key=str)


def test_a_dead_run_is_removed_and_an_active_one_is_not() -> None:
    """A run with recent news is not even checked."""
    young, old = entry_after(run_waits("young", 5)), entry_after(run_waits("old", 30))
    engine = engine_with(**{OTHER: young, MODEL: old})
    watch(engine)
    assert engine.read == [MODEL]
    assert [one for one in engine.news if isinstance(one, RunDropped)] == [
        RunDropped(at=instant(NOW), dataset_id=MODEL, run="old", incarnation=1)
    ]
    members = {"r": Member("t", at(30), "w")}
    engine = engine_with(**{MODEL: old})
    engine.queues[MODEL] = Queue(at=at(30), runs=[Run(id="old", scope=0, members=members)])
    watch(engine)
    assert not [one for one in engine.news if isinstance(one, RunDropped)]


def test_a_queue_that_cannot_be_read_does_not_stop_the_others(caplog: pytest.LogCaptureFixture) -> None:
    """The log names the model, and the other queues are processed."""
    caplog.set_level(logging.INFO)
    engine = engine_with(
        **{MODEL: entry_after(run_waits("a", 30)), OTHER: entry_after(run_waits("b", 30), run_ended("c", 180))}
    )
    engine.bad.add(MODEL)
    watch(engine)
    events = [json.loads(record.getMessage()) for record in caplog.records]
    assert [event["event"] for event in events] == ["housekeeping.model_unread", "housekeeping.models_watched"]
    assert events[0]["datasetId"] == MODEL
    assert RunDropped(at=instant(NOW), dataset_id=OTHER, run="b", incarnation=1) in engine.news


def test_the_purge_removes_old_models(caplog: pytest.LogCaptureFixture) -> None:
    """Models of the setting and models with a run stay. The record of every other model is deleted by its id, before
    the index forgets the model."""
    old = entry_after(run_ended("a", 3 * 24 * 60))
    engine = engine_with(**{MODEL: old, OTHER: old, "x": entry_after(run_waits("b", 3 * 24 * 60))})
    purge(engine, caplog)
    keep = (OTHER,) if shard_of(OTHER) == shard_of(MODEL) else ()
    before = instant(NOW - timedelta(days=1))
    assert engine.forgotten == [(shard_of(MODEL), [MODEL], Forget(at=instant(NOW), before=before, keep=keep))]
    engine = engine_with(**{MODEL: old})
    engine.bad.add(shard_of(MODEL))
    event = purge(engine, caplog)
    assert (event["event"], event["shards"], event["failed"]) == ("housekeeping.models_forgotten", 0, 1)
    assert engine.forgotten == []
