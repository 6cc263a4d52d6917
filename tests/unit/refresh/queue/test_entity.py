"""The entity function as the SDK calls it: it gets one JSON text with a batch of operations, and returns one."""

import json
from datetime import datetime, timedelta
from typing import Any

import azure.durable_functions as df
import msgspec
import pytest

from durable import names
from entities import dataset_queue
from refresh import clock
from refresh.messages import tag_of
from refresh.queue.operations import AskToLeave, Enroll, Operation, Tidy
from refresh.queue.stored import load
from refresh.times import instant
from tests.unit.refresh.queue.queues import NOON, WHOLE

DATASET = "11111111-1111-4111-8111-111111111111"
AT = instant(NOON)

# the SDK warns about its next major version once in each process
pytestmark = pytest.mark.filterwarnings("ignore:azure.functions df_loads was called without expected_type")
ENROLL = Enroll(at=AT, request="a", token="t", scope=WHOLE)


@pytest.fixture(autouse=True)
def noon(monkeypatch: pytest.MonkeyPatch) -> None:
    """The host's clock."""
    monkeypatch.setattr(clock, "now", lambda: NOON)


def batch(state: str | None, *operations: Operation[Any] | tuple[str, str | None]) -> tuple[Any, list[Any]]:
    """The SDK's answer to a batch: the state (a JSON text; None deletes it) and the results."""
    sent = [
        operation
        if isinstance(operation, tuple)
        else (tag_of(operation), json.dumps(json.dumps(msgspec.to_builtins(operation))))
        for operation in operations
    ]
    request = {
        "self": {"name": "dataset_queue", "key": DATASET},
        "exists": state is not None,
        "state": state,
        "batch": [{"name": name, "input": value, "isSignal": False} for name, value in sent],
    }
    answered = json.loads(FUNCTION.get_user_function()(json.dumps(request)))
    assert not any(result["isError"] for result in answered["results"]), answered
    kept = answered["entityState"] if answered["entityExists"] else None
    return kept, [json.loads(result["result"]) for result in answered["results"]]


def _function() -> Any:
    app = df.DFApp()
    app.register_functions(dataset_queue.bp)
    (function,) = app.get_functions()
    return function


FUNCTION = _function()


def test_a_batch_of_operations() -> None:
    """Each operation gets the state that the previous one left."""
    state, answers = batch(None, ENROLL, AskToLeave(at=AT, request="a"), ENROLL)
    assert [answer["answer"] for answer in answers] == ["enrolled", "done", "enrolled"]
    assert [answer.get("leaving", False) for answer in answers] == [False, False, True]
    assert [*load(json.loads(state)).runs[0].members] == ["a"]


def test_an_idle_queue_is_deleted_and_starts_again() -> None:
    """The deleted state may be an empty text, which the engine returns. A queue can also be deleted and start again
    within one batch."""
    for nothing in (None, '""'):
        state, answers = batch(nothing, Tidy(at=AT))
        assert (state, answers) == (None, [{"answer": "done"}])
        state, answers = batch(nothing, Tidy(at=AT), ENROLL)
        assert load(json.loads(state)).runs[0].id == "a-r1"


@pytest.mark.parametrize(
    "operation",
    [
        ("pause", json.dumps('{"operation": "pause"}')),
        ("tidy", None),
        ("tidy", json.dumps("no JSON")),
        ("tidy", "5"),
        ("delete", None),
    ],
)
def test_an_unknown_operation_does_not_change_the_state(
    operation: tuple[str, str | None], caplog: pytest.LogCaptureFixture
) -> None:
    """An unknown operation gets an answer and is logged. The operations before and after it take effect."""
    state, _ = batch(None, ENROLL)
    after, answers = batch(state, operation)
    assert answers == [{"answer": "not_understood"}]
    assert json.loads(after) == json.loads(state)
    assert '"event": "queue.not_understood"' in caplog.text
    assert DATASET in caplog.text
    after, answers = batch(state, operation, AskToLeave(at=AT, request="a"), operation)
    assert [answer["answer"] for answer in answers] == ["not_understood", "done", "not_understood"]
    assert load(json.loads(after)).runs[0].members["a"].leaving


def test_a_state_of_newer_code_is_not_changed() -> None:
    """A state of newer code keeps its content."""
    newer = '{"schema":2,"everything":"else"}'
    state, answers = batch(newer, ENROLL, Tidy(at=AT))
    assert answers == [{"answer": "not_understood"}] * 2
    assert json.loads(state) == json.loads(newer)


def test_the_clock_of_the_host_limits_that_of_the_sender(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cancellation with a time 700 days ahead counts from the time of the host: after 40 minutes it has expired."""
    state, _ = batch(None, AskToLeave(at=instant(NOON + timedelta(days=700)), request="a"))
    later: list[datetime] = [NOON + timedelta(minutes=40)]
    monkeypatch.setattr(clock, "now", lambda: later[0])
    assert batch(state, Tidy(at=instant(later[0])))[0] is None


def test_the_name_of_the_entity() -> None:
    """The entity has the name in `durable.names`."""
    assert FUNCTION.get_function_name() == names.DATASET_QUEUE
