"""Batches that are started again after their end by a late duplicate of their start, on days made for that."""

from collections.abc import Iterator
from itertools import count
from typing import Any
from uuid import UUID

import pytest

from activities import batch as activities
from durable import batches
from durable.engine import Engine
from power_bi.models import ListedModel, Models
from tests.simulation.batch_days import WORKSPACE, BatchCaller
from tests.simulation.run import Result, run_day
from tests.simulation.scenario import Rates, Scenario
from tests.simulation.test_nights import SETTINGS, USUAL

MODELS = [f"33333333-aaaa-bbbb-cccc-{number:012}" for number in range(1, 4)]
SEEDS = (0, 1, 2)


def begun_again(seed: int, **spec: Any) -> Result:
    """Plays a day with one batch whose start is delivered again later."""
    day = Scenario(
        seed=seed,
        level="heavy",
        rates=Rates(start_again_late=1.0),
        callers=[],
        knobs={model: {**USUAL, "seconds": 90} for model in MODELS},
        external=[],
        settings=SETTINGS,
        batches=[BatchCaller(0.0, {"workspaceId": WORKSPACE, **spec})],
    )
    return run_day(day)


@pytest.mark.parametrize("seed", SEEDS)
def test_what_was_skipped_at_the_deadline_stays_skipped(seed: int) -> None:
    """A model that was not started before the deadline is not started after a second start of the batch."""
    result = begun_again(seed, models=MODELS, maxConcurrent=1, timeoutMinutes=2)
    assert result.violation is None, result.story
    assert (result.counts["batches TimedOut"], result.counts["models Skipped"]) == (1, 1)


def more_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes the workspace have one more model each time it is listed."""
    times = count(1)

    def of(self: Models, workspace_id: UUID) -> Iterator[ListedModel]:
        return iter([ListedModel(model, model[-1:], True) for model in MODELS[: next(times)]])

    monkeypatch.setattr(Models, "of", of)


def test_a_batch_that_is_begun_again_lists_nothing_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a second start, a batch ends as before. It has the models that it had, although the workspace has more
    models by then."""
    for seed in SEEDS:
        more_each_time(monkeypatch)
        result = begun_again(seed, all=True)
        assert result.violation is None, result.story
        assert result.counts["models Completed"] == 1


def test_without_the_note_the_models_are_listed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the note that stores how the batch ended, the days above would have more models. So these days test the
    note."""

    async def read_note(engine: Engine, instance_id: str) -> Any:
        return None if instance_id.endswith("-end") else await original(engine, instance_id)

    original = batches.read_note
    monkeypatch.setattr(activities, "read_note", read_note)
    found = []
    for seed in SEEDS:
        more_each_time(monkeypatch)
        found.append(begun_again(seed, all=True).counts["models Completed"])
    assert found != [1] * len(SEEDS)
