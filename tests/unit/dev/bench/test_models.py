"""The initial state of `dev.py bench models`: the index does not grow with the number of ended requests."""

import json
from datetime import UTC, datetime
from pathlib import Path

from dev.bench.models import fill
from devhost.engine.sqlite_store import SqliteStore
from devhost.engine.store import Loaded
from refresh.models.stored import load_record, load_shard

NOW = datetime(2026, 3, 31, 12, tzinfo=UTC)


def loaded(state: Path, models: int, ended: int) -> Loaded:
    """The initial state of the devhost."""
    fill(state, models, ended, NOW)
    store = SqliteStore(state)
    try:
        return store.load()
    finally:
        store.close()


def states(found: Loaded, name: str) -> list[str]:
    """The stored states of entities."""
    return [entity.state for entity in found.entities if entity.name == name and entity.state]


def test_the_index_does_not_grow_with_ended_requests(tmp_path: Path) -> None:
    """Forty models have the maximum of stored runs. With twice as many requests, the state has the same size."""
    few, many = loaded(tmp_path / "few", 40, 2_000), loaded(tmp_path / "many", 40, 4_000)
    assert (len(few.instances), len(many.instances)) == (2_000, 4_000)
    for found in (few, many):
        models = [
            entry for state in states(found, "model_index") for entry in load_shard(json.loads(state)).models.values()
        ]
        assert len(models) == 40
        assert {len(entry.recent) for entry in models} == {20}
        assert {len(entry.days) for entry in models} == {14}
        records = [load_record(json.loads(state)) for state in states(found, "model_record")]
        assert {(len(record.runs), len(record.requests)) for record in records} == {(50, 50)}
    sizes = [sum(map(len, states(found, "model_index"))) for found in (few, many)]
    assert sizes[1] < sizes[0] * 1.05
