"""The body of a callback, and its retries."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from durable.codec import decode, encode
from refresh.failure.catalogue import failure
from refresh.ids import callback_instance, callback_prefix
from refresh.reporting.callback import (
    GIVEN_KEYS,
    LONGEST_PAUSE,
    LOOKS,
    CallbackState,
    body_of,
    kind_of,
)
from refresh.reporting.status import Json, final_report
from refresh.request.spec import RequestSpec
from refresh.request.state import RequestOutcome, RequestState
from refresh.request.stored import StoredRequest, outcome_by_engine
from refresh.run.orders import ActivityFailure, NotDelivered
from refresh.scope.scope import Scope

NOW = datetime(2026, 3, 31, 6, tzinfo=UTC)
DATASET = "22222222-aaaa-bbbb-cccc-000000000001"
STATE = RequestState(
    spec=RequestSpec(dataset_id=DATASET, scope=Scope(workspace_id="w"), caller={"pipeline": "p"}),
    token="incarnation",
    read_token="read-token",
    cancel_token="cancel-token",
    requested_at="2026-03-31T06:00:00.000Z",
)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        *[(code, "delivered") for code in (200, 202, 204)],
        *[(code, "again") for code in (408, 429, 500, 502, 503, 504)],
        *[(code, "gone") for code in (301, 302, 307, 308, 400, 401, 403, 410, 422)],
        *[(code, "refused") for code in (404, 409)],
    ],
)
def test_the_meaning_of_an_answer(status: int, kind: str) -> None:
    """Each status of a receiver has a meaning, which decides whether a retry may get a different answer."""
    assert kind_of(status) == kind


def body(outcome: RequestOutcome) -> Json:
    """The body for a request with this outcome."""
    report = final_report(StoredRequest(id="id", engine_status="Running", state=STATE, outcome=outcome))
    assert report
    return body_of(report)


def test_a_success() -> None:
    """A success has the status code 200 and no error. For both kinds of receivers, the status is in Output and in the
    body."""
    sent = body(RequestOutcome(status="Completed", refresh_id="r", ended_at="2026-03-31T06:30:00.000Z"))
    assert sent["StatusCode"] == "200"
    assert "Error" not in sent
    assert "error" not in sent["Output"]
    assert sent["status"] == sent["Output"]["status"] == "Completed"
    assert sent["caller"] == {"pipeline": "p"}
    assert sent["refreshId"] == "r"


def test_a_failure_has_its_message() -> None:
    """The error has the form that the WebHook activity shows. Output has the same error as our status."""
    error = failure("TimedOut", DATASET)
    sent = body(RequestOutcome(status="TimedOut", error=error))
    assert sent["StatusCode"] == "424"
    assert sent["Error"] == {"ErrorCode": "TimedOut", "Message": error.message}
    assert sent["Output"]["error"] == encode(error)
    assert "error" not in sent


def test_a_terminated_request() -> None:
    """A terminated request has no outcome of its own, so the receiver gets the code RequestTerminated."""
    sent = body(outcome_by_engine(STATE, "Terminated", "by hand", "2026-03-31T07:00:00.000Z"))
    assert (sent["StatusCode"], sent["status"]) == ("424", "Terminated")
    assert sent["Error"]["ErrorCode"] == "RequestTerminated"


def test_no_token_is_sent() -> None:
    """The receiver gets the outcome, but no access to the request."""
    sent = body(RequestOutcome(status="Completed"))
    assert "token" not in json.dumps(sent)
    assert set(sent) <= {*GIVEN_KEYS, "Output", "StatusCode"}
    assert None not in sent.values()


def test_a_callback_has_one_name() -> None:
    """Each URI of a request is one callback with one name. The name does not show the URI."""
    one, other = "https://a.azure.com/x?sig=1", "https://a.azure.com/x?sig=2"
    assert callback_instance("r", one) == callback_instance("r", one)
    assert len({callback_instance("r", one), callback_instance("r", other), callback_instance("s", one)}) == 3
    assert callback_instance("r", one).startswith(callback_prefix("r"))
    assert "azure" not in callback_instance("r", one)


def callback(added: datetime = NOW) -> CallbackState:
    """A callback that was added at this time."""
    return CallbackState(request="r", uri="u", added_at=added.isoformat(), first_pause=5)


def test_pauses_grow_up_to_a_quarter_of_an_hour() -> None:
    """The pauses double up to a quarter of an hour. A receiver may ask for a longer pause, within the same limit."""
    state = callback()
    pauses = []
    for _ in range(12):
        state = state.after_failure(NOW)
        pauses.append(state.pause(None))
    assert pauses == [5, 10, 20, 40, 80, 160, 320, 640, *[LONGEST_PAUSE] * 4]
    assert state.pause(1) == LONGEST_PAUSE
    assert callback().after_failure(NOW).pause(60) == 61
    assert callback().after_failure(NOW).pause(99_999) == LONGEST_PAUSE


AGAIN, FINAL, REFUSED = (NotDelivered(kind=kind, response="HTTP") for kind in ("again", "gone", "refused"))


def test_the_app_gives_up_after_a_day() -> None:
    """The day begins with the first failure, not when the callback was registered. This holds for any answer."""
    state = callback(NOW - timedelta(days=5)).after_failure(NOW).after_failure(NOW + timedelta(hours=20))
    for answer in (AGAIN, ActivityFailure(error="")):
        assert not state.is_abandoned_after(answer, NOW + timedelta(hours=23, minutes=59))
        assert state.is_abandoned_after(answer, NOW + timedelta(hours=24))


def test_only_an_early_404_or_409_is_retried() -> None:
    """A 404 or 409 (`refused`) is retried in the first five minutes, because a receiver may not listen yet. Other
    refusals (`gone`) end the callback at once."""
    state = callback().after_failure(NOW)
    assert state.is_abandoned_after(FINAL, NOW)
    assert not state.is_abandoned_after(REFUSED, NOW + timedelta(minutes=4, seconds=59))
    assert state.is_abandoned_after(REFUSED, NOW + timedelta(minutes=5))
    assert not state.is_abandoned_after(AGAIN, NOW + timedelta(minutes=5))


def test_a_notification_before_the_status() -> None:
    """The app looks again a few times, with the shortest pause, because the notification can overtake the status."""
    state = callback()
    assert state.looks == 0
    state = state.after_notification()
    pauses = []
    while state.looks:
        state = state.after_look()
        pauses.append(state.pause(None))
    assert pauses == [5] * LOOKS


def test_a_state_can_be_stored() -> None:
    """A stored state can be read by code that knows more or fewer keys."""
    state = callback().after_failure(NOW).restarted()
    stored = json.loads(json.dumps(encode(state)))
    assert decode({**stored, "newer": 1}, CallbackState) == state
    bare = {key: stored[key] for key in ("request", "uri", "added_at", "first_pause")}
    assert decode(bare, CallbackState).incarnation == 1
