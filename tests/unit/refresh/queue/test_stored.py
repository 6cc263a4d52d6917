"""A queue is stored compactly and can be read by older and newer code. An unreadable state is not changed."""

import copy
import json
import zlib
from base64 import b64encode
from collections.abc import Iterator
from typing import Any, get_args

import msgspec
import pytest

from refresh import packed as packed_states
from refresh.history.look import ExternalRefresh, Look
from refresh.history.outcome import Outcome
from refresh.messages import tag_of
from refresh.packed import UnreadableError
from refresh.queue.answers import Done, Holder, Turn
from refresh.queue.operations import (
    AnyOperation,
    AskToLeave,
    Claim,
    Close,
    Collect,
    Drop,
    Enroll,
    Finish,
    Leave,
    Record,
    Reopen,
    Restart,
    ReturnPermit,
    Sweep,
    TakePermit,
    Tidy,
    WaitBehind,
)
from refresh.queue.state import Queue
from refresh.queue.stored import dump, handle, load
from refresh.scope.scope import Scope, TableRef
from tests.unit.refresh.queue.queues import (
    BOTH,
    COMPLETED,
    DATES,
    LOOK,
    NOON,
    SALES,
    WHOLE,
    Crowd,
    Desk,
    enhanced,
    failed,
)

NOT_UNDERSTOOD = {"answer": "not_understood"}
BLOB_CHARACTERS = 30_000
"""Above this size the engine moves a state to a blob. It stores the state's JSON as a text in JSON."""


def rich() -> Desk:
    """A queue with every kind of content."""
    desk = Desk()
    for request in "abcd":
        desk.enroll(request, scope=(SALES, DATES, SALES, BOTH)[ord(request) - ord("a")])
    desk.finish(desk.post("a-r1"), failed(TableRef("Sales", "2026")))
    desk.ended("a")
    assert desk.members == [["b"]]
    desk.enroll("e", share=False)
    desk.enroll("f", share=False)
    desk.enroll("g", share=False)
    desk.leave("f")
    desk.ask_to_leave("h")
    desk.claim("b-r1")
    desk.wait_behind("b-r1", ExternalRefresh(refresh_id="theirs", refresh_type="Scheduled"))
    desk.close("b-r1", look=Look(service_time=desk.at, read_at=desk.at, known=("x",), durations=(1.5,)))
    desk.return_permit("b-r1", "one")
    desk.take("b-r1", "two")
    return desk


def objects_in(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """The JSON objects and arrays in a value, each with its path. In a path, `*` stands for the keys of maps and the
    positions in lists."""
    yield path, value
    if isinstance(value, dict):
        maps = path and path[-1] in ("members", "uncollected", "departed", "asked")
        for key, entry in value.items():
            yield from objects_in(entry, (*path, "*" if maps else key))
    elif isinstance(value, list | tuple):
        for entry in value:
            yield from objects_in(entry, (*path, "*"))


ARRAYS = {
    ("runs", "*", "members", "*"),
    ("ended", "*", "uncollected", "*"),
    ("departed", "*"),
    ("scopes", "extents", "*"),
}
"""The parts that are stored as arrays, in which the position of an entry determines its meaning."""


def test_pending_cancellations_keep_their_stored_key() -> None:
    """Pending cancellations are stored under the key `asked`, as in queues that earlier code stored."""
    desk = rich()
    assert list(desk.stored["asked"]) == list(desk.queue.pending_cancellations) == ["h"]


def test_renamed_fields_of_a_run_keep_their_stored_keys() -> None:
    """The withdrawn permit and the unused executions are stored under the keys that earlier code used."""
    desk = rich()
    run = desk.stored["runs"][0]
    assert run["returned"] == desk.runs[0].unused_executions == ["one"]
    desk.reopen("b-r1")
    desk.close("b-r1", permit=2)
    assert desk.stored["runs"][0]["spent"] == desk.runs[0].withdrawn_permit == 1


def test_additions_of_newer_code_are_ignored() -> None:
    """Additions are ignored at every level, in objects and in arrays: newer code was rolled back, or runs at the same
    time."""
    desk = rich()
    newer = copy.deepcopy(desk.stored)
    changed = set()
    for path, value in [*objects_in(newer)]:
        if isinstance(value, dict) and path[-1:] not in [("members",), ("uncollected",), ("departed",), ("asked",)]:
            value["newer"] = {"some": ["thing"]}
            changed.add(path)
        elif path in ARRAYS and value is not None:
            value.append({"newer": True})
            changed.add(path)
    inside = {"runs", "ended", "departed", "scopes", "lefts"}
    assert inside <= {path[0] for path in changed if path}
    assert changed >= ARRAYS | {
        (),
        ("runs", "*"),
        ("runs", "*", "look"),
        ("ended", "*", "outcome", "error"),
        ("ended", "*", "outcome", "failedObjects", "*"),
        ("scopes", "frames", "*", "refresh"),
        ("lefts", "*", "active"),
    }
    assert load(newer) == desk.queue
    assert load(json.loads(json.dumps(newer))) == desk.queue


def test_additions_of_newer_senders_are_ignored() -> None:
    """Additions to an operation are ignored at every level."""
    operation = Finish(at="2026-03-31T12:00:00.000Z", holder=Desk().holder("a-r1"), outcome=COMPLETED)
    value = msgspec.to_builtins(operation)
    for part in (value, value["holder"], value["outcome"]):
        part["newer"] = 1
    assert handle(None, "finish", value, NOON).answer == {"answer": "finished"}
    enroll = msgspec.to_builtins(Enroll(at=operation.at, request="a", token="t", scope=SALES))
    for part in (enroll, enroll["scope"], enroll["scope"]["refresh"], enroll["scope"]["refresh"]["objects"][0]):
        part["newer"] = 1
    handled = handle(None, "enroll", enroll, NOON)
    assert handled.answer["answer"] == "enrolled"
    assert load(handled.state).scope_of(load(handled.state).runs[0]) == SALES


def test_fields_missing_in_older_states_have_defaults() -> None:
    """A field that an older state does not have gets its default, so new fields can be added."""
    older = {
        "runs": [{"id": "a-r1", "scope": 0, "members": {"a": ["t", "2026-03-31T12:00:00.000Z", "wake-1"]}}],
        "ended": [{"number": 1, "id": "b-r1", "at": "2026-03-31T12:00:00.000Z", "outcome": {"status": "Completed"}}],
        "departed": {"b": ["2026-03-31T12:00:00.000Z", "t"]},
        "scopes": {"frames": [{"workspace_id": "w"}], "extents": [[0]]},
    }
    queue = load(older)
    assert queue.scope_of(queue.runs[0]) == Scope(workspace_id="w")
    assert queue.runs[0].members["a"].attempt == 1
    assert queue.departed["b"].run == 0
    assert queue.ended[0].outcome == Outcome(status="Completed")


UNREADABLE: dict[str, Any] = {
    "a newer schema": {"schema": 2, "at": "2026-03-31T12:00:00.000Z"},
    "a newer schema, compressed": {"schema": 2, "packed": "eJw="},
    "another type": {"schema": 1, "at": 1774958400},
    "a list": [1],
    "a text": "queue",
    "a number": 0,
    "a status that is newer": {"ended": [{"number": 1, "id": "x", "at": "x", "outcome": {"status": "Paused"}}]},
    "a scope that is not there": {"runs": [{"id": "a-r1", "scope": 3}]},
    "a frame that is not there": {"scopes": {"extents": [[1]]}},
    "a frame that is free": {"scopes": {"frames": [None], "extents": [[0]]}},
    "an answer that is not there": {"departed": {"a": ["2026-03-31T12:00:00.000Z", "t", 0, 4]}},
    "not base 64": {"schema": 1, "packed": "%"},
    "not compressed": {"schema": 1, "packed": "AAAA"},
    "compressed by another method": {"schema": 1, "packed": 7},
    "compressed, but no queue": {"schema": 1, "packed": b64encode(zlib.compress(b'{"at":1}')).decode()},
}


@pytest.mark.parametrize("case", UNREADABLE)
def test_an_unreadable_state_is_not_changed(case: str) -> None:
    """A state that newer code wrote is kept for the time when that code is deployed again. Until then, senders have to
    repeat every operation."""
    with pytest.raises(UnreadableError):
        load(UNREADABLE[case])
    for operation in every_operation():
        handled = handle(UNREADABLE[case], tag_of(operation), msgspec.to_builtins(operation), NOON)
        assert (handled.answer, handled.state) == (NOT_UNDERSTOOD, "keep")
        assert handled.problem


NOT_OPERATIONS: dict[str, tuple[str, Any]] = {
    "unknown": ("pause", {"operation": "pause", "at": "2026-03-31T12:00:00.000Z"}),
    "unknown, with a known input": ("pause", {"operation": "tidy", "at": "2026-03-31T12:00:00.000Z"}),
    "whose name differs from that in its input": ("sweep", {"operation": "tidy", "at": "2026-03-31T12:00:00.000Z"}),
    "without its name in the input": ("tidy", {"at": "2026-03-31T12:00:00.000Z"}),
    "without input": ("tidy", None),
    "a text": ("tidy", "tidy"),
    "a list": ("tidy", [{"operation": "tidy"}]),
    "without a time": ("tidy", {"operation": "tidy"}),
    "with an invalid time": ("tidy", {"operation": "tidy", "at": "soon"}),
    "with a time far off": ("tidy", {"operation": "tidy", "at": "9999-12-31T23:59:59.999Z"}),
    "without what it needs": ("leave", {"operation": "leave", "at": "2026-03-31T12:00:00.000Z", "request": "a"}),
    "with a reason that is newer": (
        "leave",
        {"operation": "leave", "at": "2026-03-31T12:00:00.000Z", "request": "a", "token": "t", "reason": "Bored"},
    ),
    "called delete": ("delete", None),
}


@pytest.mark.parametrize("case", NOT_OPERATIONS)
def test_an_unknown_operation_changes_nothing(case: str) -> None:
    """An operation of newer or foreign code changes nothing. Its sender gets no exception and tries again later."""
    name, value = NOT_OPERATIONS[case]
    desk = rich()
    handled = handle(desk.stored, name, value, NOON)
    assert (handled.answer, handled.state) == (NOT_UNDERSTOOD, "keep")
    assert handled.problem
    for nothing in (None, ""):
        assert handle(nothing, name, value, NOON)[:2] == (NOT_UNDERSTOOD, None)


def test_a_deleted_queue_is_an_empty_one() -> None:
    """The engine returns an empty text for a deleted queue."""
    assert load(None) == load("") == load({}) == Queue()


def every_operation() -> list[AnyOperation]:
    """An example of every operation."""
    at, holder = "2026-03-31T12:00:00.000Z", Holder(run="a-r1", incarnation=1, token="t")
    theirs = ExternalRefresh(refresh_id="theirs", refresh_type="Scheduled")
    operations: list[AnyOperation] = [
        Enroll(at=at, request="z", token="t", scope=WHOLE),
        Collect(at=at, request="a", token="t"),
        Leave(at=at, request="a", token="t", reason="TimedOut"),
        AskToLeave(at=at, request="a"),
        Restart(at=at, turn=Turn(run="a-r1", incarnation=1)),
        Claim(at=at, holder=holder),
        WaitBehind(at=at, holder=holder, refresh=theirs),
        Close(at=at, holder=holder, permit=1, look=LOOK),
        TakePermit(at=at, holder=holder, permit=1, execution="e"),
        ReturnPermit(at=at, holder=holder, permit=1, execution="e"),
        Reopen(at=at, holder=holder, permit=1),
        Record(at=at, holder=holder, permit=1, refresh_id="r", posted_at=at),
        Drop(at=at, holder=holder, permit=1, requests=("a",)),
        Finish(at=at, holder=holder, outcome=COMPLETED),
        Tidy(at=at),
        Sweep(at=at, requests=("a",)),
    ]
    assert {type(operation) for operation in operations} == set(get_args(AnyOperation))
    return operations


# ---- size -----------------------------------------------------------------------------------------------------------


def characters(queue: Queue) -> int:
    """The length of the state in the engine's storage: a text in JSON."""
    return len(json.dumps(json.dumps(dump(queue))))


SCOPES: dict[str, Any] = {
    "of the model": lambda _: WHOLE,
    "of one table each": lambda number: enhanced(f"Table {number}"),
    "of 300 tables": lambda _: enhanced(*(f"Fact table of the branch {each}" for each in range(300))),
}


@pytest.mark.parametrize("case", SCOPES)
def test_two_hundred_members_fit_in_the_row(case: str) -> None:
    """Two hundred members fit in the row while they wait, until they have collected their outcome, and until they
    expire."""
    crowd = Crowd(200, SCOPES[case])
    assert len(crowd.names[0]) == 79
    sizes = [characters(crowd.queue)]
    crowd.post()
    crowd.finish(COMPLETED)
    sizes.append(characters(crowd.queue))
    crowd.ask_again()
    sizes.append(characters(crowd.queue))
    assert len(crowd.queue.departed) == 200
    assert max(sizes) < BLOB_CHARACTERS, sizes


def test_two_hundred_members_that_left_fit_in_the_row() -> None:
    """The answer to each member that left is stored. It shares most of its content with the others."""
    crowd = Crowd(200)
    crowd.post()
    crowd.leave()
    assert len(crowd.queue.departed) == 200
    assert characters(crowd.queue) < BLOB_CHARACTERS


def test_only_a_large_queue_is_compressed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A small queue is stored as readable JSON. Small and large queues are read in the same way."""
    desk = rich()
    assert desk.stored["departed"]
    monkeypatch.setattr(packed_states, "PACKED_ABOVE", 0)
    packed = dump(desk.queue)
    assert set(packed) == {"schema", "packed"}
    assert load(packed) == load(desk.stored)
    desk.stored = packed
    assert desk.do(Tidy(at=desk.at)) == Done()
