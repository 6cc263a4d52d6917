"""Each transition of a run has one log line, which a query can read and which contains no secret."""

import json
import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from durable.codec import encode
from refresh.events import Event
from refresh.history.look import LostWindow
from refresh.queue.answers import Claimed, Closed, Finished, Recorded
from refresh.queue.operations import Claim, Close, Finish, Record
from refresh.run.orders import (
    Accepted,
    ActivityFailure,
    AnswerLost,
    Appeared,
    Blocked,
    Busy,
    HistoryRead,
    PostRefresh,
    ReadHistory,
    ReadRefresh,
    RefreshAbsent,
    RefreshRead,
    Unavailable,
)
from refresh.run.phases.claiming import MAX_INCARNATIONS
from refresh.run.state import Looking
from refresh.times import instant
from tests.unit.refresh.run.incarnations import BLOCKER, LOOK, MODEL, NOON, REFUSED, STANDARD, WAKE, Incarnation

CLAIMED = Claimed(scope=STANDARD)
BUSY = HistoryRead(look=LOOK, running=BLOCKER)
DOWN = Unavailable(error="HTTP 503")
LATER = instant(NOON + timedelta(hours=1))


def ended(status: str) -> RefreshRead:
    """The refresh as it is read at its end."""
    run = Incarnation().until_polling().answer_read(status)
    return RefreshRead(outcome=run.order.outcome)


CASES: list[tuple[str, int, Callable[[], Incarnation], Any, Any, dict[str, Any]]] = [
    ("run.claimed", logging.INFO, Incarnation, Claim, CLAIMED, {}),
    (
        "run.claimed",
        logging.INFO,
        lambda: Incarnation(number=2),
        Claim,
        Claimed(scope=STANDARD, permit=1, closed=True, look=LOOK, refresh_id="r", posted_at=instant(NOON)),
        {"refreshId": "r"},
    ),
    (
        "run.ended",
        logging.WARNING,
        lambda: Incarnation(number=MAX_INCARNATIONS + 1),
        Claim,
        CLAIMED,
        {"status": "Failed", "error": "InternalError"},
    ),
    (
        "run.waiting",
        logging.INFO,
        lambda: Incarnation().answer_claim(),
        ReadHistory,
        BUSY,
        {"waitsFor": encode(BLOCKER)},
    ),
    (
        "run.read_failed",
        logging.WARNING,
        lambda: Incarnation().answer_claim(),
        ReadHistory,
        DOWN,
        {"error": "HTTP 503", "waitSeconds": 5},
    ),
    (
        "run.read_failed",
        logging.WARNING,
        lambda: Incarnation().until_polling(),
        ReadRefresh,
        ActivityFailure(error="KeyError"),
        {"error": "KeyError", "waitSeconds": 5},
    ),
    (
        "run.ended",
        logging.WARNING,
        lambda: Incarnation().answer_claim(),
        ReadHistory,
        REFUSED,
        {"status": "Failed", "error": "NotAuthorized"},
    ),
    (
        "run.closed",
        logging.INFO,
        lambda: Incarnation().answer_claim().answer_history().wait(),
        Close,
        Closed(scope=STANDARD),
        {"permit": 1},
    ),
    (
        "refresh.started",
        logging.INFO,
        lambda: Incarnation().until_permitted(),
        PostRefresh,
        Accepted(refresh_id="r"),
        {"refreshId": "r"},
    ),
    (
        "refresh.adopted",
        logging.INFO,
        lambda: Incarnation().until_permitted(),
        PostRefresh,
        Appeared(refresh_id="r"),
        {"refreshId": "r"},
    ),
    (
        "refresh.answer_lost",
        logging.WARNING,
        lambda: Incarnation().until_permitted(),
        PostRefresh,
        AnswerLost(error="reset", window=LostWindow(since=LATER)),
        {"error": "reset"},
    ),
    (
        "refresh.answer_lost",
        logging.WARNING,
        lambda: Incarnation().until_permitted(),
        PostRefresh,
        ActivityFailure(error="KeyError"),
        {"error": "KeyError"},
    ),
    ("refresh.refused_busy", logging.WARNING, lambda: Incarnation().until_permitted(), PostRefresh, Busy(), {}),
    (
        "run.reopened",
        logging.INFO,
        lambda: Incarnation().until_permitted(),
        PostRefresh,
        Blocked(),
        {"after": "posting"},
    ),
    (
        "run.read_failed",
        logging.WARNING,
        lambda: Incarnation().until_permitted(),
        PostRefresh,
        DOWN,
        {"error": "HTTP 503", "waitSeconds": 5},
    ),
    (
        "refresh.adopted",
        logging.INFO,
        lambda: Incarnation().until_permitted().answer_post(Busy()),
        ReadHistory,
        HistoryRead(look=LOOK, adoptable="r"),
        {"refreshId": "r"},
    ),
    (
        "run.reopened",
        logging.INFO,
        lambda: Incarnation().until_permitted().answer_post(Busy()),
        ReadHistory,
        BUSY,
        {"after": "reconciling"},
    ),
    (
        "run.ended",
        logging.INFO,
        lambda: Incarnation().until_polling(),
        ReadRefresh,
        ended("Completed"),
        {"status": "Completed", "refreshId": "r"},
    ),
    (
        "run.ended",
        logging.WARNING,
        lambda: Incarnation().until_polling(),
        ReadRefresh,
        ended("Failed"),
        {"status": "Failed", "refreshId": "r", "error": "RefreshFailed"},
    ),
    (
        "run.ended",
        logging.WARNING,
        lambda: Incarnation().until_polling(),
        ReadRefresh,
        RefreshAbsent(read_at=instant(NOON), rolled_over=True),
        {"status": "OutcomeUnknown", "refreshId": "r", "error": "HistoryRolledOver"},
    ),
    (
        "run.reopened",
        logging.INFO,
        lambda: Incarnation().until_polling(adopted=True),
        ReadRefresh,
        ended("Failed"),
        {"after": "polling", "refreshId": "r"},
    ),
    (
        "run.reopened",
        logging.INFO,
        lambda: Incarnation().until_polling(),
        ReadRefresh,
        RefreshAbsent(read_at=LATER),
        {"after": "polling", "refreshId": "r"},
    ),
]
"""Event, level, a run, its order or operation, the answer, and the facts; for an error, its code."""


@pytest.mark.parametrize(
    ("name", "level", "run", "kind", "answer", "facts"),
    CASES,
    ids=[f"{name} {type(answer).__name__}" for name, _, _, _, answer, _ in CASES],
)
def test_each_transition_has_an_event(
    name: str, level: int, run: Callable[[], Incarnation], kind: Any, answer: Any, facts: dict[str, Any]
) -> None:
    """The event has its level, and the facts that explain why a model was not refreshed."""
    before = run()
    logged = len(before.events)
    event = (before.answer_post(answer) if kind is PostRefresh else before.answer(kind, answer)).events[logged]
    assert (event.name, event.level) == (name, level)
    line = json.loads(event.line())
    error = line.get("error")
    if isinstance(error, dict):
        assert error["message"]
        assert MODEL in error["message"]
        line["error"] = error["code"]
    assert line == {"event": name, **facts}


@pytest.mark.parametrize(
    ("run", "kind", "answer"),
    [
        (lambda: Incarnation().answer_claim().answer_history(BLOCKER).wait(), ReadHistory, BUSY),
        (lambda: Incarnation().answer_claim(), ReadHistory, HistoryRead(look=LOOK)),
        (lambda: Incarnation().until_permitted().answer_post(AnswerLost()), ReadHistory, HistoryRead(look=LOOK)),
        (lambda: Incarnation().until_polling(), ReadRefresh, RefreshRead()),
        (lambda: Incarnation().until_polling(), ReadRefresh, RefreshAbsent(read_at=instant(NOON))),
        (lambda: Incarnation().until_permitted().answer_post(Accepted(refresh_id="r")), Record, Recorded()),
        (lambda: Incarnation().until_polling().answer_read("Completed"), Finish, Finished(wake_ups=WAKE)),
    ],
    ids=["still busy", "idle", "searching", "still running", "not visible yet", "recorded", "finished"],
)
def test_an_answer_without_a_change_has_no_event(run: Callable[[], Incarnation], kind: Any, answer: Any) -> None:
    """Answers that change nothing are not logged. Otherwise a refresh of hours would fill the log."""
    before = run()
    logged = len(before.events)
    assert len(before.answer(kind, answer).events) == logged


def test_a_claim_after_continuing_has_no_event() -> None:
    """A run that continues in a new history does not log its claim, because a run of hours has dozens of histories."""
    run = Incarnation().until_polling()
    logged = len(run.events)
    assert len(run.continued().events) == logged


def test_a_superseded_orchestration_is_logged() -> None:
    """The line explains why the orchestration ended without an outcome."""
    event = Incarnation().answer_superseded(Claim).events[-1]
    assert (event.name, event.level) == ("run.superseded", logging.INFO)


def test_the_same_error_is_logged_once() -> None:
    """An error is logged again only when it changes."""
    run = Incarnation().answer_claim().answer_unavailable(ReadHistory, "HTTP 503").wait()
    logged = len(run.events)
    assert len(run.answer_unavailable(ReadHistory, "HTTP 503").events) == logged
    assert run.wait().answer_unavailable(ReadHistory, "HTTP 502").events[logged].facts["error"] == "HTTP 502"


def test_the_end_of_a_run_is_logged_even_with_a_new_error() -> None:
    """If a new error ends the run, the last line is that of the end, for which operators search."""
    run = Incarnation().answer_claim()
    while run.answer_unavailable(ReadHistory).phase is Looking:
        run.wait()
    assert run.events[-1].name == "run.ended"
    assert json.loads(run.events[-1].line())["error"]["code"] == "ServiceUnavailable"


def test_no_event_of_a_run_shows_its_token() -> None:
    """No line has the token, because it proves to the queue who holds the run."""
    run = (
        Incarnation()
        .until_permitted()
        .answer_post(Busy())
        .answer_history(BLOCKER)
        .answer_reopen()
        .wait()
        .answer_history()
        .wait()
        .answer_close()
    )
    run.answer_post(Accepted(refresh_id="r")).answer_record().wait().answer_read("Completed")
    assert run.events
    assert all(run.run.token not in event.line() for event in run.events)


def test_a_line_leaves_out_unknown_values() -> None:
    """A line has zeros and false, but no unknown values. No value breaks the line."""
    event = Event(
        "x.y", requestId="a", caller={}, refreshId=None, position=0, accepted=False, error="", odd={1: object}
    )
    line = json.loads(event.line())
    assert line.pop("odd")
    assert line == {"event": "x.y", "requestId": "a", "position": 0, "accepted": False}


def test_a_fact_may_have_any_name() -> None:
    """A fact may have the name of a parameter of the event."""
    line = json.loads(Event("x.y", **{"name": "n", "level": 7, "self": 1}).line())
    assert line == {"event": "x.y", "name": "n", "level": 7, "self": 1}


def test_messages_are_written_as_objects() -> None:
    """A message in a fact is written as an object, so that a query can read its fields."""
    assert json.loads(Event("run.waiting", waitsFor=BLOCKER).line())["waitsFor"] == {
        "refreshId": "theirs",
        "refreshType": "Scheduled",
        "startedAt": instant(NOON),
    }


def test_the_sender_adds_facts() -> None:
    """The facts of the event itself have priority over those of the sender. The event is not changed."""
    event = Event("run.closed", logging.WARNING, permit=1)
    more = event.about(runId="a-r1", permit=2, caller=None)
    assert (more.name, more.level) == ("run.closed", logging.WARNING)
    assert json.loads(more.line()) == {"event": "run.closed", "runId": "a-r1", "permit": 1}
    assert json.loads(event.line()) == {"event": "run.closed", "permit": 1}


UNSAFE = ["\n", "\r", "\x00", "\x1b", "\x7f", "\x80", "\x85", "\x9f", "\u061c", "\u200e", "\u200f", "\u2028", "\u2029",
          "\u202a", "\u202e", "\u2066", "\u2069", "\ufeff", "\ud800"]  # fmt: skip


@pytest.mark.parametrize("sign", UNSAFE, ids=lambda sign: f"U+{ord(sign):04X}")
def test_characters_that_break_or_reverse_a_line_are_escaped(sign: str) -> None:
    """A text from outside the app with such characters could forge a line, or change the order in which it is
    displayed. Escaped, the text can still be read."""
    line = Event("x.y", caller={"pipeline": f"a{sign}b"}).line()
    assert sign not in line
    assert json.loads(line)["caller"]["pipeline"] == f"a{sign}b"


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner)))
def test_any_value_makes_one_line_of_printable_ascii(value: object) -> None:
    """A line is printable ASCII, which every log store keeps unchanged."""
    line = Event("x.y", value=value).line()
    assert line.isascii()
    assert line.isprintable()
    read_back = json.loads(line).get("value")
    assert read_back == value or value in (None, "", [])
