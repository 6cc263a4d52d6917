"""After a throttled answer, all callers of the model wait until Power BI's pause has passed."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from power_bi.errors import Throttled
from refresh import clock
from tests.unit.power_bi.fake import DATASET, REFRESH, WORKSPACE, client, reply

NOON = datetime(2026, 3, 31, 12, tzinfo=UTC)
OTHER = UUID("33333333-aaaa-bbbb-cccc-000000000003")
HISTORY = reply(200, {"value": []})


class Clock:
    """The app's clock, set by the test."""

    def __init__(self) -> None:
        self.now = NOON

    def tick(self, seconds: float) -> None:
        """Advances the time."""
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """A clock that the test controls."""
    moved = Clock()
    monkeypatch.setattr(clock, "now", lambda: moved.now)
    return moved


def test_no_call_during_the_pause(time: Clock) -> None:
    """During the pause, no read and no start is sent. The error has the remaining seconds."""
    power_bi, service = client(reply(429, Retry_After="3392"), HISTORY)
    with pytest.raises(Throttled):
        power_bi.history(WORKSPACE, DATASET)
    time.tick(392)
    for call in (
        lambda: power_bi.history(WORKSPACE, DATASET),
        lambda: power_bi.start(WORKSPACE, DATASET, None),
        lambda: power_bi.refresh(WORKSPACE, DATASET, REFRESH),
    ):
        with pytest.raises(Throttled) as caught:
            call()
        assert caught.value.retry_after_seconds == 3000
        assert "2026-03-31T12:56:32.000Z" in str(caught.value)
    assert len(service.requests) == 1
    time.tick(3000)
    power_bi.history(WORKSPACE, DATASET)
    assert len(service.requests) == 2


def test_a_pause_is_over_one_second_before_its_end(time: Clock) -> None:
    """Durable timers can fire early. If a call a second early were refused, every throttled answer would cause one more
    wait."""
    power_bi, _ = client(reply(429, Retry_After="60"), HISTORY)
    with pytest.raises(Throttled):
        power_bi.history(WORKSPACE, DATASET)
    time.tick(59)
    assert power_bi.history(WORKSPACE, DATASET).rows == ()


def test_other_models_are_not_paused(time: Clock) -> None:
    """A throttle of one model does not apply to other models."""
    power_bi, _ = client(reply(429, Retry_After="60"), HISTORY)
    with pytest.raises(Throttled):
        power_bi.history(WORKSPACE, DATASET)
    assert power_bi.history(WORKSPACE, OTHER).rows == ()


def test_a_cancellation_is_sent_nevertheless(time: Clock) -> None:
    """A cancellation is sent even during the pause: a caller waits for it, and it is sent only a few times."""
    power_bi, service = client(reply(429, Retry_After="60"), reply(200))
    with pytest.raises(Throttled):
        power_bi.history(WORKSPACE, DATASET)
    assert power_bi.cancel(WORKSPACE, DATASET, REFRESH)
    assert len(service.requests) == 2


def test_the_daily_limit_is_not_throttling(time: Clock) -> None:
    """If the daily limit comes as a 429, reads continue, because a user has to act."""
    daily = {"error": {"code": "Request Throttled", "message": "Number of refresh requests in last 24 hours exceeded"}}
    power_bi, _ = client(reply(429, daily, Retry_After="60"), HISTORY)
    with pytest.raises(Exception, match="last 24 hours"):
        power_bi.start(WORKSPACE, DATASET, None)
    assert power_bi.history(WORKSPACE, DATASET).rows == ()


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, {"error": {"code": "FabricThrottled", "message": "x"}}),
        (403, {"error": {"code": "CapacityLimitExceeded", "message": "x"}}),
        (430, b""),
    ],
)
def test_an_overloaded_capacity_is_not_called_during_its_pause(time: Clock, status: int, body: object) -> None:
    """The pause applies whatever the status of the answer is. If no pause is given, the callers decide when to call
    again."""
    power_bi, service = client(reply(status, body, Retry_After="60"), reply(status, body), HISTORY)
    for _ in range(2):
        with pytest.raises(Throttled) as caught:
            power_bi.history(WORKSPACE, DATASET)
        assert caught.value.retry_after_seconds == 60
    time.tick(60)
    with pytest.raises(Throttled) as caught:
        power_bi.start(WORKSPACE, DATASET, None)
    assert caught.value.retry_after_seconds is None
    assert power_bi.history(WORKSPACE, DATASET).rows == ()
    assert len(service.requests) == 3


def test_the_refusal_of_a_cancellation_by_an_overloaded_capacity_is_transient() -> None:
    """A cancellation that an overloaded capacity refuses can be sent again."""
    throttled = reply(400, {"error": {"code": "FabricThrottled", "message": "x"}})
    power_bi, _ = client(throttled, reply(200))
    with pytest.raises(Throttled):
        power_bi.cancel(WORKSPACE, DATASET, REFRESH)
    assert power_bi.cancel(WORKSPACE, DATASET, REFRESH)
