"""A request keeps what it knows from turn to turn, and ends with a sentence that stands alone."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from refresh.failure.catalogue import failure
from refresh.history.outcome import Outcome
from refresh.polling.schedule import Limits
from refresh.request.spec import Scope, Wish
from refresh.request.state import (
    Reason,
    RequestState,
    ending_of_nothing,
    ending_of_outcome,
    ending_without_verdict,
    phase_of,
    standing,
)

MODEL = "00000000-1111-2222-3333-444444444444"
WISH = Wish(MODEL, Scope("w", {"type": "Full"}), timeout_minutes=90.5, caller={"pipeline": "Nightly"})
STATE = RequestState(WISH, "t", "read", "cancel", "2026-03-31T12:00:00.000Z", 7, Limits(poll_min=1))
VIEW = {"run": "a-r1", "generation": 2, "position": 1, "shared_with": 3, "refresh_id": None, "posted_at": None}
THEIRS = {"refreshId": "theirs", "refreshType": "Scheduled", "startedAt": "2026-03-31T11:00:00.000Z"}
RUNNING = {**VIEW, "behind": None, "position": 0, "refresh_id": "r", "posted_at": "2026-03-31T12:01:00.000Z"}


def test_the_deadline_covers_everything_from_the_acceptance_on() -> None:
    """Queue, idle wait and refresh together."""
    assert STATE.deadline == datetime(2026, 3, 31, 13, 30, 30, tzinfo=UTC)


def test_each_turn_waits_for_an_event_of_its_own() -> None:
    """A late wake-up must not end a later wait."""
    first = STATE.next_turn()
    second = first.after("woken", {}).next_turn()
    assert (first.wake, second.wake) == ("wake-1", "wake-2")


def test_only_a_wait_without_news_is_a_tick() -> None:
    """That is when somebody looks whether the run is alive."""
    assert STATE.after("tick", {"status": "Queued"}).tick
    assert not STATE.after("tick", {}).after("woken", {}).tick
    assert STATE.after("tick", {"status": "Queued"}).standing == {"status": "Queued"}


def test_a_state_survives_being_stored() -> None:
    """Also by newer code that added keys, or by older code that lacked some."""
    stored = json.loads(json.dumps(STATE.to_json()))
    assert stored["schema"] == 1
    assert RequestState.from_json(stored) == STATE
    assert RequestState.from_json({**stored, "invented": 1}) == STATE
    del stored["standing"]
    assert RequestState.from_json(stored) == STATE


@pytest.mark.parametrize(
    ("position", "refresh", "phase"),
    [(2, None, "Queued"), (1, "r", "Queued"), (0, None, "WaitingForIdle"), (0, "r", "Refreshing")],
)
def test_a_request_waits_for_its_turn_an_idle_model_or_its_refresh(
    position: int, refresh: str | None, phase: str
) -> None:
    """In this order."""
    assert phase_of(position, refresh) == phase


def test_the_standing_is_what_the_queue_said() -> None:
    """In the words of the contract."""
    assert standing(RUNNING) == {
        "status": "Refreshing",
        "runId": "a-r1",
        "generation": 2,
        "position": 0,
        "sharedWith": 3,
        "refreshId": "r",
        "startedAt": "2026-03-31T12:01:00.000Z",
        "waitsFor": None,
    }


def test_a_request_that_stops_waiting_says_behind_whose_refresh() -> None:
    """The first thing that a person wants to know of a deadline."""
    waiting = {**VIEW, "position": 0, "refresh_id": None, "behind": THEIRS}
    told = ending_without_verdict("TimedOut", WISH, waiting, None)["error"]["message"]
    assert "waiting for the model to be idle, with Scheduled refresh theirs running since 2026-03-31T11:00:00" in told
    queued = {**VIEW, "position": 2, "refresh_id": None, "behind": {**THEIRS, "refreshType": None}}
    told = ending_without_verdict("TimedOut", WISH, queued, None)["error"]["message"]
    assert "in the queue behind 2 other runs, with refresh theirs running since" in told


@pytest.mark.parametrize(
    ("refresh", "adopted", "server"),
    [("r", {"adopted": False}, "own"), ("r", {"adopted": True}, "adopted"), ("r", {}, "own"), (None, {}, None)],
)
def test_a_verdict_of_the_run_is_the_verdict_of_its_requests(
    refresh: str | None, adopted: dict[str, bool], server: str | None
) -> None:
    """With whose refresh it was and how many shared it."""
    outcome = {**Outcome("Completed", refresh, "ViaApi", "start", "end").to_json(), **adopted}
    assert ending_of_outcome({"state": "ended", "run": "a-r1", "shared_with": 2, "outcome": outcome}) == {
        "status": "Completed",
        "error": None,
        "runId": "a-r1",
        "refreshId": refresh,
        "sharedWith": 2,
        "servedBy": server,
        "startedAt": "start",
        "endedAt": "end",
    }


def test_a_failed_verdict_keeps_its_error() -> None:
    """Word for word."""
    error = failure("ModelEvicted", MODEL, refresh_id="r")
    outcome = Outcome("Failed", "r", error=error).to_json()
    ending = ending_of_outcome({"run": "a-r1", "shared_with": 0, "outcome": outcome})
    assert (ending["status"], ending["error"]) == ("Failed", error)


ENDINGS: list[tuple[Reason, dict[str, Any], bool | None, str]] = [
    ("TimedOut", {"state": "gone"}, None, "before its deadline (code TimedOut): it was not in the queue yet. Raise"),
    ("TimedOut", {**VIEW, "position": 1}, None, "it was in the queue behind 1 other run. Raise timeoutMinutes"),
    ("TimedOut", {**VIEW, "position": 2}, None, "it was in the queue behind 2 other runs. Raise timeoutMinutes"),
    ("TimedOut", {**VIEW, "position": 0}, None, "it was waiting for the model to be idle. Raise timeoutMinutes"),
    ("TimedOut", RUNNING, None, "refresh r was running, which goes on. Raise timeoutMinutes"),
    ("TimedOut", RUNNING, True, "refresh r was running, which Power BI was asked to cancel. Raise timeoutMinutes"),
    ("TimedOut", RUNNING, False, "refresh r was running, which could not be cancelled. Raise timeoutMinutes"),
    ("Cancelled", {**VIEW, "position": 1}, None, "was cancelled (code RequestCancelled): it was in the queue"),
]


@pytest.mark.parametrize(("reason", "left", "cancelled", "said"), ENDINGS)
def test_a_request_without_verdict_says_where_it_stood(
    reason: Reason, left: dict[str, Any], cancelled: bool | None, said: str
) -> None:
    """And what becomes of the refresh, and what to do."""
    ending = ending_without_verdict(reason, WISH, left, cancelled)
    message = ending["error"]["message"]
    assert message.startswith(f"Semantic model {MODEL}: the request ")
    assert said in message
    assert len(message) <= 500
    assert (ending["status"], ending["error"]["retryable"]) == (reason, reason == "TimedOut")
    assert ending["refreshId"] == left.get("refresh_id")
    assert (ending["runId"], ending["sharedWith"]) == (left.get("run"), left.get("shared_with"))


def test_a_request_that_cannot_go_on_says_that_it_is_our_fault() -> None:
    """Nobody should look for it in their pipeline."""
    ending = ending_of_nothing(WISH, "the reason")
    assert (ending["status"], ending["error"]["code"]) == ("Failed", "InternalError")
    assert "the refresh service itself failed" in ending["error"]["message"]
    assert "the reason" in ending["error"]["message"]
