"""The last run of each timer: the stored state, and when a timer is late."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import azure.durable_functions as df
import pytest

from entities import timer_heartbeat
from refresh.heartbeat import INTERVALS, LONGEST_DELAY, MISSED, Heartbeat, has_missed_runs, latest
from refresh.times import instant

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)


def beat(at: datetime) -> Heartbeat:
    return Heartbeat(at=instant(at))


def test_a_later_beat_is_stored() -> None:
    assert latest(Heartbeat(), beat(NOW)) == beat(NOW)
    assert latest(beat(NOW), beat(NOW + timedelta(minutes=5))) == beat(NOW + timedelta(minutes=5))


@pytest.mark.parametrize("delay", [timedelta(0), timedelta(minutes=5), LONGEST_DELAY])
def test_a_beat_that_arrives_late_or_twice_changes_nothing(delay: timedelta) -> None:
    assert latest(beat(NOW), beat(NOW - delay)) == beat(NOW)


def test_a_clock_that_was_ahead_does_not_hide_later_runs() -> None:
    ahead = beat(NOW + timedelta(days=400))
    assert latest(ahead, beat(NOW)) == beat(NOW)


@pytest.mark.parametrize("garbage", ["", "zzz", "2026-13-45"])
def test_an_invalid_time_neither_counts_nor_stays(garbage: str) -> None:
    assert latest(beat(NOW), Heartbeat(at=garbage)) == beat(NOW)
    assert latest(Heartbeat(at=garbage), beat(NOW)) == beat(NOW)
    assert not has_missed_runs("tidy_queues", Heartbeat(at=garbage), NOW)


@pytest.mark.parametrize("timer", INTERVALS)
def test_a_timer_is_late_after_three_missed_runs(timer: str) -> None:
    allowed = INTERVALS[timer] * MISSED
    assert not has_missed_runs(timer, beat(NOW - allowed), NOW)
    assert has_missed_runs(timer, beat(NOW - allowed - timedelta(seconds=1)), NOW)


def test_a_timer_that_never_ran_is_not_late() -> None:
    assert not has_missed_runs("purge_ended", Heartbeat(), NOW)


def applied(state: str | None, *inputs: Any) -> Any:
    """The state after these beats. The entity function is called as the SDK calls it."""
    batch = [{"name": "beat", "input": json.dumps(json.dumps(value)), "isSignal": True} for value in inputs]
    key = {"name": "timer_heartbeat", "key": "tidy_queues"}
    app = df.DFApp()
    app.register_functions(timer_heartbeat.bp)
    (function,) = app.get_functions()
    call = {"self": key, "exists": state is not None, "state": state, "batch": batch}
    answer = json.loads(function.get_user_function()(json.dumps(call)))
    assert [result["isError"] for result in answer["results"]] == [False] * len(inputs)
    return json.loads(answer["entityState"])


@pytest.mark.filterwarnings("ignore:azure.functions df_loads was called without expected_type")
@pytest.mark.parametrize("state", [None, '"not a heartbeat"', '{"at": 7}', '{"at": "2026-01-01T00:00:00.000Z"}'])
def test_the_entity_keeps_the_latest_beat(state: str | None) -> None:
    """The entity stores the latest beat of a timer, whatever its state was and whatever other input it gets."""
    inputs = [{"at": instant(NOW)}, {"at": instant(NOW - timedelta(minutes=1))}, "nonsense", {"at": None}, None]
    assert applied(state, *inputs) == {"at": instant(NOW)}
