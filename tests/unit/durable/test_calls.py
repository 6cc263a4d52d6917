"""The typed calls of orchestrators: they return typed answers, and are repeated after an unreadable answer."""

import json
import logging
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from durable.calls import (
    ACTIVITIES,
    LONGEST_NOT_UNDERSTOOD_SECONDS,
    NOT_UNDERSTOOD_SECONDS,
    Steps,
    ask,
    call,
    input_of,
    log_once,
)
from durable.codec import encode
from refresh.events import Event
from refresh.queue.answers import Done, NotUnderstood, Turn
from refresh.queue.operations import AskToLeave
from refresh.run import orders
from refresh.scope.scope import Scope

DATASET = "9b2a5aa3-6207-47f9-8520-ed61b24c8634"
NOON = datetime(2026, 3, 31, 12, tzinfo=UTC)


class Context:
    """The part of the engine's orchestration context that calls use."""

    instance_id = f"{DATASET.replace('-', '')}-1-r1-g1"
    is_replaying = False

    def __init__(self, given: object = None) -> None:
        self.current_utc_datetime = NOON
        self.given, self.next_input = given, None
        self.calls_made: list[tuple[str, object]] = []
        self.pauses: list[float] = []

    def call_activity(self, name: str, order: object) -> object:
        """A task."""
        self.calls_made.append((name, order))
        return name

    def call_entity(self, entity: Any, operation: str, message: object) -> object:
        """A task."""
        self.calls_made.append((f"{entity.name}/{entity.key}/{operation}", message))
        return operation

    def create_timer(self, due: datetime) -> object:
        """A task; the time advances at once."""
        self.pauses.append((due - self.current_utc_datetime).total_seconds())
        self.current_utc_datetime = due
        return "timer"

    def get_input(self) -> object:
        """The input."""
        return self.given

    def continue_as_new(self, value: Any) -> None:
        """The input of the next history."""
        self.next_input = value


def played(steps: Steps[Any], *answers: Any) -> Any:
    """The result of the steps. Each yield gets the next answer, or raises it if it is an exception; timers fire."""
    left, answer = list(answers), None
    try:
        while True:
            task = steps.throw(answer) if isinstance(answer, Exception) else steps.send(answer)
            answer = None if task == "timer" else left.pop(0)
    except StopIteration as stop:
        assert left == []
        return stop.value


ORDER = orders.ReadRun(turn=Turn(run="r", incarnation=1))
LEAVE = AskToLeave(at="now", request="a")


def test_an_order_returns_its_typed_answer() -> None:
    """An order is sent as JSON to the activity with its name."""
    context: Any = Context()
    answer = played(call(context, ORDER), {"answer": "run_read", "alive": True, **encode(orders.RunRead(alive=True))})
    assert answer == orders.RunRead(alive=True)
    assert context.calls_made == [("read_run", encode(ORDER))]
    json.dumps(context.calls_made)


@pytest.mark.parametrize("answer", [RuntimeError("x" * 1000), {"answer": "invented"}, None, "text"])
def test_an_activity_that_raises_or_returns_an_invalid_answer(answer: object, caplog: pytest.LogCaptureFixture) -> None:
    """The caller gets ActivityFailure and decides what to do. The log has the error, shortened."""
    context: Any = Context()
    broke = played(call(context, ORDER), answer)
    assert isinstance(broke, orders.ActivityFailure)
    assert len(broke.error) <= 300
    assert '"event": "activity.failed"' in caplog.text
    assert f'"datasetId": "{DATASET}"' in caplog.text


def test_each_order_has_an_activity_of_its_own() -> None:
    """The class of the order determines the activity."""
    assert len({name for name, _ in ACTIVITIES.values()}) == len(ACTIVITIES)


def test_an_operation_returns_its_typed_answer() -> None:
    """The answer to an operation comes from the queue of the dataset."""
    context: Any = Context()
    assert played(ask(context, "d", LEAVE), encode(Done())) == Done()
    assert context.calls_made == [("dataset_queue/d/ask_to_leave", encode(LEAVE))]


@pytest.mark.parametrize("nonsense", [encode(NotUnderstood()), {"answer": "invented"}, None, {}])
def test_an_unreadable_answer_of_the_queue_is_retried(nonsense: object, caplog: pytest.LogCaptureFixture) -> None:
    """If the answer cannot be read during an update of the app, the operation is repeated after pauses that double. No
    request fails."""
    context: Any = Context()
    caplog.set_level(logging.WARNING)
    assert played(ask(context, "d", LEAVE), *[nonsense] * 7, encode(Done())) == Done()
    assert context.pauses == [NOT_UNDERSTOOD_SECONDS * 2**n for n in range(5)] + [LONGEST_NOT_UNDERSTOOD_SECONDS] * 2
    assert context.calls_made == [("dataset_queue/d/ask_to_leave", encode(LEAVE))] * 8
    assert caplog.text.count('"event": "queue.not_understood"') == 7


def test_an_input_is_read() -> None:
    """The input has its declared type."""
    scope = Scope(workspace_id="w")
    context: Any = Context(encode(scope))
    assert played(input_of(context, Scope)) == scope


def test_an_input_that_cannot_be_read_is_kept(caplog: pytest.LogCaptureFixture) -> None:
    """If newer code wrote the input, continue-as-new repeats it unchanged after a while."""
    given = {"workspace_id": {"newer": "shape"}}
    context: Any = Context(given)
    assert played(input_of(context, Scope)) is None
    assert context.pauses == [timedelta(seconds=LONGEST_NOT_UNDERSTOOD_SECONDS).total_seconds()]
    assert context.next_input is given
    assert '"event": "input.not_understood"' in caplog.text


def test_a_replay_logs_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """The first execution has already logged its lines."""
    context: Any = Context()
    context.is_replaying = True
    log_once(context, Event("run.claimed", logging.ERROR))
    assert caplog.text == ""
    context.is_replaying = False
    log_once(context, Event("run.claimed", logging.ERROR))
    log_once(context, None)
    assert caplog.text.count("run.claimed") == 1
