"""One line for each transition of a run, which a query can read and which holds no secret."""

import json
from dataclasses import replace
from typing import Any

import pytest

from refresh.failure.catalogue import failure
from refresh.reporting.events import entry, run_entry
from refresh.run.machine import advance
from tests.unit.refresh.run.incarnations import BLOCKER, MODEL, Life

KEYS = {
    "event", "run", "generation", "dataset", "refreshId", "error", "waitSeconds", "behind", "permit", "after", "status",
}  # fmt: skip
ROW = {"requestId": "r", "refreshType": "ViaApi", "status": "Completed"}


def line(life: Life, answer: dict[str, Any]) -> dict[str, Any] | None:
    """What is logged when the step of this life is answered."""
    text = run_entry(life.state, advance(life.state, answer, life.now))
    if text is None:
        return None
    assert "\n" not in text
    assert "token" not in text
    assert life.state.token not in json.loads(text).values()
    value: dict[str, Any] = json.loads(text)
    assert set(value) <= KEYS
    assert (value["run"], value["dataset"], value["generation"]) == ("a-r1", MODEL, 1)
    return value


CLAIM = {"go": True, "scope": {}, "permit": 0, "closed": False, "refresh_id": None, "before": None}
BUSY = {"kind": "history", "running": BLOCKER, "before": {}, "adoptable": None}
NOTHING = {**BUSY, "running": None}
REFUSED = {"kind": "refused", "error": failure("NotAuthorized", MODEL)}
DOWN = {"kind": "unavailable", "error": "HTTP 503"}

CASES: list[tuple[str, Life, dict[str, Any], dict[str, Any]]] = [
    ("run.claimed", Life(), CLAIM, {}),
    ("run.superseded", Life(), {"go": False}, {}),
    ("run.waiting", Life().claimed(), BUSY, {"behind": BLOCKER}),
    ("run.read_failed", Life().claimed(), DOWN, {"error": "HTTP 503", "waitSeconds": 5}),
    ("run.ended", Life().claimed(), REFUSED, {"status": "Failed", "error": REFUSED["error"]}),
    ("run.closed", Life().claimed().history().wait(), {"go": True}, {"permit": 1}),
    ("refresh.started", Life().closed(), {"kind": "accepted", "refresh_id": "r"}, {"refreshId": "r"}),
    ("refresh.adopted", Life().closed(), {"kind": "appeared", "refresh_id": "r"}, {"refreshId": "r"}),
    ("refresh.answer_lost", Life().closed(), {"kind": "lost", "error": "x"}, {}),
    ("refresh.refused_busy", Life().closed(), {"kind": "busy"}, {}),
    ("run.reopened", Life().closed(), {"kind": "blocked"}, {"after": "post"}),
    ("refresh.adopted", Life().closed().posted("busy"), {**NOTHING, "adoptable": "r"}, {"refreshId": "r"}),
    ("run.ended", Life().polling(), {"kind": "row", "row": ROW}, {"status": "Completed", "refreshId": "r"}),
    ("run.read_failed", Life().polling(), DOWN, {"refreshId": "r", "error": "HTTP 503"}),
    ("run.reopened", Life().polling(adopted=True), {"kind": "row", "row": {**ROW, "status": "Failed"}},
     {"after": "poll", "refreshId": "r"}),
]  # fmt: skip


@pytest.mark.parametrize(("event", "life", "answer", "facts"), CASES)
def test_each_transition_is_told(event: str, life: Life, answer: dict[str, Any], facts: dict[str, Any]) -> None:
    """With what is needed to tell why a model did not refresh."""
    told = line(life, answer)
    assert told is not None
    assert told["event"] == event
    assert {key: told[key] for key in facts} == facts


@pytest.mark.parametrize(
    ("life", "answer"),
    [
        (Life().claimed().history(), {}),
        (Life().claimed().history(BLOCKER).wait(), BUSY),
        (Life().polling(), {"kind": "row", "row": {**ROW, "status": "Unknown"}}),
        (Life().polling(), {"kind": "absent"}),
    ],
    ids=["waited", "still busy", "still running", "not visible yet"],
)
def test_what_nobody_would_want_to_know_is_not_told(life: Life, answer: dict[str, Any]) -> None:
    """A refresh of hours would fill the log."""
    assert line(life, answer) is None


def test_the_same_error_is_told_once() -> None:
    """And again when it is another one."""
    life = Life().claimed().unavailable("read_history", "HTTP 503").wait()
    assert line(life, DOWN) is None
    told = line(life, {**DOWN, "error": "HTTP 502"})
    assert told is not None
    assert told["error"] == "HTTP 502"


def test_the_end_of_a_run_is_told_even_with_a_new_error() -> None:
    """It is the line that people look for."""
    life = Life().claimed()
    while life.unavailable("read_history").phase == "look":
        before = life.state
        life.wait()
    after = replace(life.state, last_error="another one")
    assert json.loads(run_entry(before, after) or "")["event"] == "run.ended"


def test_a_line_leaves_out_what_is_not_known() -> None:
    """But keeps zeros and false, and never breaks on a value."""
    text = entry("x", request="a", caller={}, refreshId=None, position=0, accepted=False, error="", odd={1: object})
    assert {key: json.loads(text)[key] for key in ("event", "request", "position", "accepted")} == {
        "event": "x",
        "request": "a",
        "position": 0,
        "accepted": False,
    }
    assert set(json.loads(text)) == {"event", "request", "position", "accepted", "odd"}


def test_a_line_shows_names_as_people_wrote_them() -> None:
    """One line, whatever they hold."""
    assert entry("x", caller={"pipeline": "Größe\n½"}) == '{"event": "x", "caller": {"pipeline": "Größe\\n½"}}'
