"""A run waits by what earlier refreshes took, and is never so sure of it that it misses what it must see."""

from datetime import timedelta
from typing import Any

import pytest

from refresh.history.rows import RefreshRow, instant
from refresh.run.state import RunState
from tests.unit.refresh.run.incarnations import BLOCKER, ENHANCED, NOON, STANDARD, Json, Life

HOURS = [6 * 3600.0, 6.1 * 3600, 5.9 * 3600]
"""What earlier refreshes took: about six hours."""


def looked(life: Life, ours: list[float] | None = None, **more: Any) -> Life:
    """The history is read: with what refreshes like ours took, and those like the one that is running."""
    read_at = instant(life.now)
    before: Json = {"known": [], "service_time": read_at, "read_at": read_at, "usual": ours or []}
    return life.answer(
        "read_history", {"kind": "history", "running": None, "before": before, "adoptable": None, **more}
    )


def posted(usual: list[float], scope: Json = STANDARD, **how: Any) -> Life:
    """As far as the first look at a refresh like those that took `usual`."""
    life = looked(Life().claimed(scope), usual).wait(2.0).answer("close", {"go": True})
    life.posted(**({"kind": "accepted", "refresh_id": "r"} | how)).recorded()
    return life.answer("wake_requests", {}).wait(5)


def absent(life: Life) -> Life:
    """The refresh is not in the history."""
    return life.answer("read_refresh", {"kind": "absent", "read_at": instant(life.now)})


def test_a_refresh_that_usually_takes_hours_is_looked_at_rarely() -> None:
    """And at the usual end once a minute; the status says when that is."""
    life = posted(HOURS).row("Unknown")
    waits = []
    began = life.state.posted_at
    assert life.state.status(life.now)["expectedEnd"] == instant(NOON + timedelta(seconds=2, hours=6))
    while life.now - NOON < timedelta(hours=6, minutes=10):
        before = life.now
        life.wait().row("Unknown")
        waits.append((before, (life.now - before).total_seconds()))
    assert len(waits) < 30
    assert max(wait for _, wait in waits) <= 3_600
    usual_end = NOON + timedelta(seconds=2, hours=6)
    around = [wait for at, wait in waits if at <= usual_end < at + timedelta(seconds=wait)]
    assert around[0] <= 61
    assert life.state.posted_at == began


def test_without_history_nothing_is_expected() -> None:
    """Two earlier refreshes are not enough."""
    life = posted(HOURS[:2]).row("Unknown")
    assert life.state.status(life.now)["expectedEnd"] is None
    waits = []
    for _ in range(60):
        before = life.now
        life.wait().row("Unknown")
        waits.append((life.now - before).total_seconds())
    assert waits[-1] == 60


def test_what_is_expected_survives_generations_and_restarts() -> None:
    """The queue keeps it with what the history held before the POST."""
    life = posted(HOURS).row("Unknown").over_generations()
    assert life.state.usual == HOURS
    before = {"known": [], "service_time": instant(NOON), "read_at": instant(NOON), "usual": HOURS}
    known = {"permit": 1, "closed": True, "before": before, "refresh_id": "r", "posted_at": instant(NOON)}
    again = Life(NOON + timedelta(hours=1), generation=2).claimed(STANDARD, **known).row("Unknown")
    assert again.step.seconds > 60
    assert again.state.status(again.now)["expectedEnd"] == instant(NOON + timedelta(hours=6))


def test_a_dropped_refresh_is_noticed_at_the_end_of_the_grace() -> None:
    """However long it usually takes: until it has been seen, its end is not the question."""
    life = posted(HOURS)
    posted_at = life.now - timedelta(seconds=5)
    looks = 0
    while absent(life).phase == "poll":
        life.wait()
        looks += 1
        assert looks < 10
    assert timedelta(seconds=120) <= life.now - posted_at <= timedelta(seconds=126)
    life.answer("reopen", {"go": True}).wait()
    assert (life.state.usual, life.state.began_at, life.phase) == ([], None, "look")


def test_a_refresh_that_was_not_seen_during_an_outage_is_looked_at_soon_after() -> None:
    """The grace may have passed meanwhile."""
    life = posted(HOURS).unavailable("read_refresh").wait()
    life.now += timedelta(minutes=10)
    life.answer("read_refresh", {"kind": "absent", "read_at": instant(NOON)}).wait(5)
    assert absent(life).phase == "reopen"


def test_a_refresh_is_given_up_in_time() -> None:
    """After thirty hours, not hours later, though a wait could be that long."""
    life = posted([86_000.0] * 5).row("Unknown")
    while life.phase != "finish":
        life.wait().row("Unknown")
    life.ended("OutcomeUnknown", "RefreshNeverEnded")
    assert timedelta(hours=30) <= life.now - NOON <= timedelta(hours=30, minutes=1)


def test_a_cancelled_refresh_is_looked_at_without_delay() -> None:
    """Its end is near, however far the usual one is."""
    life = looked(Life().claimed(ENHANCED), HOURS).wait(2.0).answer("close", {"go": True})
    life.posted("accepted", refresh_id="r").recorded(cancel=True).answer("wake_requests", {})
    life.wait(5).answer("cancel_refresh", {"kind": "cancelled"})
    for _ in range(60):
        assert life.step.seconds <= 60
        life.wait().row("Unknown")
    assert life.state.status(life.now)["expectedEnd"] is None


@pytest.mark.parametrize("started", [NOON - timedelta(hours=5), NOON + timedelta(hours=1), None])
def test_an_adopted_refresh_began_before_it_was_found(started: Any) -> None:
    """If its row says so: it is not expected to take as long from now on."""
    life = posted(HOURS, kind="appeared")
    row = RefreshRow("r", "Scheduled", "Unknown", start=started).to_json()
    life.answer("read_refresh", {"kind": "row", "row": row})
    found = NOON + timedelta(seconds=2)
    began = started if started and started < found else found
    assert life.state.status(life.now)["expectedEnd"] == instant(began + timedelta(hours=6))


def test_a_refresh_of_our_own_began_when_it_was_accepted() -> None:
    """By our clock; the service's may be wrong by minutes."""
    life = posted(HOURS)
    row = RefreshRow("r", "ViaApi", "Unknown", start=NOON - timedelta(minutes=10)).to_json()
    life.answer("read_refresh", {"kind": "row", "row": row})
    assert life.state.began_at == life.state.posted_at


def test_somebody_elses_refresh_is_waited_for_by_what_such_ones_took() -> None:
    """Counted from its start by the service's own clock; but callers wait for the model, so never for very long."""
    life = Life(NOON + timedelta(minutes=1)).claimed()
    running: Json = {"running": BLOCKER, "usual": HOURS}
    looked(life, **running).answer("wait_behind", {"go": True}).wait(5)
    waits: list[float] = []
    while looked(life, **running).phase == "look":
        waits.append(life.step.seconds)
        life.wait()
    assert max(waits) == 600
    assert len(waits) < 15
    # the hour after which we post anyway is kept
    assert timedelta(minutes=60) <= life.now - NOON - timedelta(minutes=1) <= timedelta(minutes=60, seconds=10)


def test_the_end_of_somebody_elses_refresh_is_met_closely() -> None:
    """It has gone on for most of its time when we first see it."""
    life = Life(NOON + timedelta(minutes=9)).claimed()
    running: Json = {"running": BLOCKER, "usual": [600.0, 605.0, 610.0]}
    looked(life, **running).answer("wait_behind", {"go": True}).wait(5)
    while life.now < NOON + timedelta(seconds=620):
        looked(life, **running)
        before = life.now
        life.wait()
        assert life.now - before <= timedelta(seconds=60)


def test_progress_is_shown_until_the_refresh_is_over_or_given_up() -> None:
    """As the last read told it."""
    life = posted(HOURS, ENHANCED)
    row = RefreshRow("r", "ViaEnhancedApi", "Unknown", start=NOON).to_json()
    shown = {"objects": 2, "byStatus": {"InProgress": 2}, "tables": [], "moreTables": 0}
    life.answer("read_refresh", {"kind": "row", "row": row, "progress": shown})
    assert life.state.status(life.now)["progress"] == shown
    life.over_generations().unavailable("read_refresh")
    assert life.state.status(life.now)["progress"] == shown
    life.wait().answer("read_refresh", {"kind": "row", "row": row, "progress": None})
    assert life.state.status(life.now)["progress"] is None


def test_a_state_stored_by_older_code_is_read() -> None:
    """It knows nothing of what is usual, and waits as it did."""
    life = posted(HOURS).row("Unknown")
    new = {"began_at", "usual", "progress"}
    state = RunState.from_json({key: value for key, value in life.state.to_json().items() if key not in new})
    assert (state.began_at, state.usual, state.progress) == (None, [], None)
    life.state = state
    life.wait().row("Unknown")
    assert life.step.seconds <= 60


def test_answers_of_older_activities_are_understood() -> None:
    """They stand in the histories of runs that go on."""
    life = Life().claimed().history(BLOCKER).wait(5).history(BLOCKER)
    assert life.step.seconds == 5
    assert Life().polling().row("Unknown").step.seconds == 5
