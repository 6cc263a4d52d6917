"""Messages are converted to JSON and back, and older and newer formats are accepted at every level."""

import json
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from durable.codec import NotUnderstoodError, decode, encode, unwrapped
from refresh.failure.catalogue import failure
from refresh.history.look import ExternalRefresh
from refresh.history.outcome import Outcome
from refresh.messages import Message
from refresh.polling.limits import Limits
from refresh.queue.answers import AnyAnswer, Ended, Enrolled, Turn
from refresh.queue.operations import Enroll
from refresh.request.spec import RequestSpec
from refresh.request.state import RequestOutcome, RequestState, Retry, Standing
from refresh.scope.scope import RefreshOptions, Scope, TableRef

SCOPE = Scope(workspace_id="w", refresh=RefreshOptions(objects=(TableRef("Sales", "2026"),), retry_count=1))
OUTCOME = Outcome(status="Failed", refresh_id="r", error=failure("RefreshFailed", "d"), failed_objects=(TableRef("A"),))
BLOCKER = ExternalRefresh(refresh_id="x", refresh_type="Scheduled")
MESSAGES: list[msgspec.Struct] = [
    RequestState(
        spec=RequestSpec(dataset_id="d", scope=SCOPE, caller={"pipeline": "p"}, retries=1),
        token="t",
        read_token="r",
        cancel_token="c",
        requested_at="2026-03-31T12:00:00.000Z",
        limits=Limits(poll_min=7),
        standing=Standing(waits_for=BLOCKER, retry=Retry(attempt=2, at="later")),
        failed_outcome=RequestOutcome(status="Failed", error=failure("RefreshFailed", "d")),
    ),
    Enroll(at="now", request="a", token="t", scope=SCOPE),
    Enrolled(
        run="a-r1", incarnation=1, position=0, shared_with=0, active=Turn(run="a-r1", incarnation=1), waits_for=BLOCKER
    ),
    Ended(run="a-r1", outcome=OUTCOME, shared_with=1, served_by="own"),
]


def objects(value: Any) -> Iterator[dict[str, Any]]:
    """Each JSON object in a value, except in `caller`."""
    if isinstance(value, dict):
        yield value
        for key, inner in value.items():
            if key != "caller":
                yield from objects(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from objects(inner)


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_an_unknown_key_changes_nothing_at_any_level(message: msgspec.Struct) -> None:
    """Newer code may write additional keys: they are ignored at every level."""
    count = len(list(objects(json.loads(json.dumps(encode(message))))))
    assert count > 2
    for number in range(count):
        stored = json.loads(json.dumps(encode(message)))
        list(objects(stored))[number]["invented"] = {"by": ["newer", "code"]}
        assert decode(stored, type(message)) == message


def test_a_missing_key_has_its_default() -> None:
    """A key that older code did not write has its default."""
    bare = {"workspace_id": "w"}
    assert decode(bare, Scope) == Scope(workspace_id="w")
    assert decode({"dataset_id": "d", "scope": bare}, RequestSpec).retries == 0


@pytest.mark.parametrize(
    "value",
    [
        None,
        "text",
        [],
        {},
        {"answer": "invented"},
        {"answer": "enrolled"},
        {"answer": "enrolled", "run": 7},
        {"answer": "ended", "run": "r", "shared_with": 0, "outcome": {"status": "Invented"}},
    ],
)
def test_an_unreadable_value_is_one_error(value: object) -> None:
    """An unknown tag, a missing field and a value of a wrong type all raise NotUnderstoodError."""
    with pytest.raises(NotUnderstoodError):
        decode(value, AnyAnswer)


def test_members_of_a_union_are_distinguished() -> None:
    """The tags of the members distinguish them."""
    assert decode(encode(MESSAGES[2]), AnyAnswer) == MESSAGES[2]
    assert decode(encode(MESSAGES[3]), AnyAnswer) == MESSAGES[3]


def test_defaults_are_not_written() -> None:
    """Values that are equal to their defaults are not written, which keeps states small."""
    assert encode(Scope(workspace_id="w")) == {"workspace_id": "w"}


@pytest.mark.parametrize(
    ("stored", "value"),
    [("", None), ('{"a": 1}', {"a": 1}), ({"a": 1}, {"a": 1}), ("no JSON", "no JSON"), (None, None), ("[1]", [1])],
)
def test_a_value_may_be_json_in_a_text(stored: object, value: object) -> None:
    """The SDK stores inputs in this form."""
    assert unwrapped(stored) == value


def test_messages_are_frozen() -> None:
    """A message cannot be changed after it was created."""
    with pytest.raises(AttributeError):
        Scope(workspace_id="w").workspace_id = "x"  # type: ignore[misc]
    assert issubclass(Scope, Message)
