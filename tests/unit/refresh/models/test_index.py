"""The index of models has a limited size, and repeated and late operations do not change it."""

import logging
import random
from datetime import timedelta

import msgspec
import pytest

from refresh.messages import replace
from refresh.models import index
from refresh.models.operations import Expect, Forget, IndexOperation, MarkOverdue, RunDropped
from refresh.models.state import Shard
from refresh.times import AHEAD, instant
from tests.unit.refresh.models.news import (
    MODEL,
    NAMES,
    NOW,
    WORKSPACE,
    at,
    entry_after,
    run_ended,
    run_refreshes,
    run_waits,
    shard_after,
)

DAY: list[IndexOperation] = [
    run_waits("a", 300, expected=24),
    run_refreshes("a", 299),
    run_ended("a", 280),
    run_waits("b", 200),
    run_refreshes("b", 199),
    run_ended("b", 190, "Failed"),
    run_waits("c", 100),
    run_refreshes("c", 99),
    run_ended("c", 90, "OutcomeUnknown"),
    run_waits("d", 50),
    run_ended("d", 40, "Cancelled"),
    run_waits("e", 30),
    run_refreshes("e", 20),
]
"""A success, two failures, a cancelled run, and a running refresh."""


def dropped(run: str, minutes: float, incarnation: int = 1) -> RunDropped:
    """A run ended without an outcome."""
    return RunDropped(at=at(minutes), dataset_id=MODEL, run=run, incarnation=incarnation)


def test_a_day_of_a_model() -> None:
    """The entry has the success, the failures in a row, the days, the durations, and the activity."""
    entry = entry_after(*DAY)
    assert (entry.workspace_id, entry.names, entry.expected_every_hours) == (WORKSPACE, NAMES, 24)
    assert (entry.known_since, entry.at) == (at(300), at(20))
    assert entry.success is not None
    assert (entry.success.ended_at, entry.success.refresh_id) == (at(280), "refresh of a")
    assert entry.last is not None
    assert (entry.last.status, entry.last.code, entry.failures) == ("Cancelled", "RefreshFailed", 2)
    assert [one.status for one in entry.recent] == ["Completed", "Failed", "OutcomeUnknown", "Cancelled"]
    assert [one.seconds for one in entry.recent] == [600, None, None, None]
    assert entry.days == {"2026-03-31": (1, 2)}
    assert entry.active is not None
    assert (entry.active.run_id, entry.active.status, entry.active.requests) == ("e", "Refreshing", 3)
    assert entry.active.refresh_id == "refresh"


@pytest.mark.parametrize("seed", range(50))
def test_repeated_and_late_operations_change_nothing(seed: int) -> None:
    """Each operation of a day comes up to three times, and each repeat at any later moment."""
    dice = random.Random(seed)  # noqa: S311
    operations: list[tuple[float, IndexOperation]] = [(float(place), one) for place, one in enumerate(DAY)]
    for place, one in enumerate(DAY):
        operations += [(dice.uniform(place, len(DAY) + 1), one) for _ in range(dice.randrange(3))]
    again = entry_after(*(one for _, one in sorted(operations, key=lambda each: each[0])))
    assert again == entry_after(*DAY)


@pytest.mark.parametrize("seed", range(50))
def test_ends_may_come_in_any_order(seed: int) -> None:
    """Runs end one after the other, but their news may arrive in any order. The counts and the failures in a row are
    the same."""
    dice = random.Random(seed)  # noqa: S311
    ends: list[IndexOperation] = [one for one in DAY if one in (DAY[2], DAY[5], DAY[8], DAY[10])]
    right = entry_after(*ends)
    dice.shuffle(ends)
    other = entry_after(*ends)
    assert (other.success, other.last, other.failures) == (right.success, right.last, right.failures)
    assert (other.recent, other.days) == (right.recent, right.days)


def test_a_run_with_the_id_of_a_former_one() -> None:
    """A run may have the id of an earlier run whose request was purged. It is active, and its success counts."""
    first: list[IndexOperation] = [run_waits("a", 100), run_ended("a", 90)]
    late = run_refreshes("a", 95)
    active = entry_after(*first, late, run_waits("a", 50), late).active
    assert active is not None
    assert active.since == at(50)
    second = run_ended("a", 40)
    entry = entry_after(*first, run_waits("a", 50), second, *first, second, run_waits("a", 50), late)
    assert entry.success is not None
    assert (entry.success.ended_at, len(entry.recent), entry.active) == (at(40), 2, None)
    assert sum(completed for completed, _ in entry.days.values()) == 2


def test_the_streak_is_longer_than_the_stored_runs() -> None:
    """After thirty failures in a row, twenty runs are stored, but thirty are counted. A success ends the count, a
    cancelled run does not."""
    failures = [run_ended(f"f{number}", 500 - number, "Failed") for number in range(30)]
    entry = entry_after(run_ended("good", 600), *failures)
    assert (entry.failures, len(entry.recent), entry.days["2026-03-31"]) == (30, index.MAX_RECENT, (1, 30))
    assert entry_after(run_ended("good", 600), *failures, run_ended("no", 10, "Cancelled")).failures == 30
    assert entry_after(*failures, run_ended("good", 10)).failures == 0
    assert entry_after(*failures, failures[0]).days["2026-03-31"] == (0, 30), (
        "an end older than the stored ones is a repeat"
    )


def test_days_are_bounded() -> None:
    """The newest fourteen days with a completed or failed run are kept."""
    daily = [run_ended(f"d{number}", (40 - number) * 24 * 60) for number in range(40)]
    entry = entry_after(*daily, run_ended("x", 1, "Cancelled"))
    assert sorted(entry.days) == [f"2026-03-{day}" for day in range(17, 31)]


def test_a_run_that_loads_no_data_is_not_a_success() -> None:
    """A completed run that loads no data does not change the last success. It is the last run, so the model does not
    count as failing."""
    entry = entry_after(run_ended("a", 60), run_ended("calculation", 30, loads=False))
    assert entry.success is not None
    assert (entry.success.ended_at, entry.last and entry.last.at) == (at(60), at(30))


def test_a_run_that_is_dropped_waits_no_more() -> None:
    """A dropped run is no longer active, unless its next incarnation has sent news. Another active run stays."""
    assert entry_after(run_waits("a", 10), dropped("a", 5)).active is None
    assert entry_after(run_waits("a", 10), dropped("b", 5)).active is not None
    second = run_waits("a", 4, incarnation=2)
    assert entry_after(run_waits("a", 10), second, dropped("a", 3)).active is not None
    assert entry_after(run_waits("a", 10), dropped("a", 5), run_waits("a", 10)).active is None, "a late repeat"
    assert MODEL not in shard_after(dropped("a", 5)).models


def test_a_reopened_run_keeps_its_number_of_requests() -> None:
    """A reopened run waits again. It keeps its number of requests, because it does not know the current one."""
    again = replace(run_waits("a", 5), requests=None)
    entry = entry_after(run_waits("a", 10), run_refreshes("a", 8), again)
    assert entry.active is not None
    # older code reads no other word for a waiting run
    assert (entry.active.status, entry.active.requests, entry.active.refresh_id) == ("WaitingForIdle", 3, None)


def test_expectations_are_set_changed_and_removed() -> None:
    """The newest operation with a number counts; 0 removes the expectation."""
    assert entry_after(run_waits("a", 9, expected=24), run_ended("a", 5)).expected_every_hours == 24
    assert entry_after(run_waits("a", 9, expected=24), run_waits("b", 5, expected=6)).expected_every_hours == 6
    assert entry_after(run_waits("b", 5, expected=6), run_waits("a", 9, expected=24)).expected_every_hours == 6
    assert entry_after(run_waits("a", 9, expected=24), run_waits("b", 5, expected=0)).expected_every_hours is None


def test_an_overdue_model_is_noted_once_in_each_period() -> None:
    """The index decides whether a model is noted, so the timer may run twice. If a success came in between, nothing is
    logged."""
    note = MarkOverdue(at=at(0), dataset_id=MODEL, fresh_at=at(180), expected_every_hours=2)
    shard = shard_after(run_ended("a", 180), run_ended("b", 100, "Failed"))
    noted = index.apply(shard, note, NOW)
    assert noted.event is not None
    assert (noted.event.name, noted.event.level) == ("model.overdue", logging.WARNING)
    assert noted.event.facts == {
        "datasetId": MODEL,
        "workspaceId": WORKSPACE,
        "modelName": "Sales",
        "workspaceName": "Finance",
        "expectedEveryHours": 2,
        "overdueSince": at(60),
        "lastSuccess": at(180),
        "failuresInARow": 1,
    }
    assert index.apply(noted.shard, note, NOW).event is None
    fresh = index.apply(noted.shard, run_ended("c", 1), NOW).shard
    assert index.apply(fresh, note, NOW).event is None, "the note is for the previous period"
    later = NOW + timedelta(hours=3)
    again = MarkOverdue(at=instant(later), dataset_id=MODEL, fresh_at=at(1), expected_every_hours=2)
    assert index.apply(fresh, again, NOW).event is None, "the new period has not ended"
    assert index.apply(fresh, again, later).event is not None
    assert index.apply(Shard(), note, NOW).event is None


def test_a_model_without_requests_can_be_overdue() -> None:
    """The time counts from when the app first knew of the model. A repeated operation does not start a new period."""
    shard = shard_after(Expect(at=at(180), dataset_id=MODEL), Expect(at=at(10), dataset_id=MODEL))
    note = MarkOverdue(at=at(0), dataset_id=MODEL, fresh_at=at(180), expected_every_hours=2)
    assert index.apply(shard, note, NOW).event is not None


def test_old_models_are_removed() -> None:
    """A model without recent news is removed, unless it is in `keep` or its run is active."""
    shard = shard_after(run_ended("a", 600))
    forget = Forget(at=at(0), before=at(60))
    assert index.apply(shard, forget, NOW).shard.models == {}
    assert MODEL in index.apply(shard, replace(forget, keep=(MODEL,)), NOW).shard.models
    assert MODEL in index.apply(shard, replace(forget, before=at(601)), NOW).shard.models
    assert MODEL in index.apply(shard_after(run_waits("a", 600)), forget, NOW).shard.models, (
        "the run of the model is active"
    )


def test_a_wrong_clock_does_not_block_the_others() -> None:
    """A time that is far ahead counts as a few minutes ahead."""
    entry = entry_after(run_waits("a", -10_000), run_waits("b", -AHEAD.total_seconds() / 60 - 1))
    assert entry.active is not None
    assert entry.active.at <= instant(NOW + AHEAD)


def test_models_are_spread_over_all_shards() -> None:
    """Five hundred models are spread evenly enough over the listed shards."""
    dice = random.Random(1)  # noqa: S311
    keys = [index.shard_of(f"{dice.getrandbits(128):032x}") for _ in range(500)]
    assert set(keys) == set(index.shard_keys())
    assert max(keys.count(key) for key in keys) < 55


def test_operations_change_no_shard() -> None:
    """The shard that is passed in stays unchanged."""
    shard = shard_after(*DAY)
    before = msgspec.json.encode(shard)
    for one in (*DAY, dropped("e", 1), run_ended("e", 1), Forget(at=at(0), before=at(0))):
        index.apply(shard, one, NOW)
    assert msgspec.json.encode(shard) == before
