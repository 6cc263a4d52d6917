"""The project's own client with the service, in one process."""

from __future__ import annotations

from uuid import UUID

import pytest

from power_bi.client import PowerBiClient
from power_bi.errors import AnswerLost, RefreshInProgress, Refused, ServiceUnavailable, Throttled
from tests.power_bi_service.world import DATASET, FULL, OTHER, START, WORKSPACE, InProcess, World

IDS = (UUID(WORKSPACE), UUID(DATASET))


class Tokens:
    """A token source that counts its tokens."""

    def __init__(self) -> None:
        self.renewed = 0

    def token(self) -> str:
        """The first token."""
        return "token-0"

    def renew(self, rejected: str) -> str:
        """The next token."""
        self.renewed += 1
        return f"token-{self.renewed}"


def client_of(world: World) -> tuple[PowerBiClient, Tokens]:
    """A client that calls the service of the world, and its token source."""
    tokens = Tokens()
    return PowerBiClient("https://api.powerbi.com", tokens, transport=InProcess(world)), tokens


@pytest.mark.parametrize("body", [None, FULL])
def test_a_refresh_from_start_to_end(body: dict[str, str] | None) -> None:
    """The start returns the id that the history shows; the times are those of the service's clock."""
    world = World()
    client, _ = client_of(world)
    started = client.start(*IDS, body)
    assert started.service_time == START.replace(microsecond=0)
    row = client.history(*IDS).rows[0]
    assert (row.request_id, row.state, row.start) == (started.refresh_id, "running", START)
    world.tick(10)
    assert client.history(*IDS, top=1).rows[0].state == "completed"


def test_an_enhanced_refresh_by_id() -> None:
    """An enhanced refresh is read with its objects; a standard refresh cannot be read by id."""
    world = World()
    client, _ = client_of(world)
    refresh_id = client.start(*IDS, FULL).refresh_id
    world.tick(6)
    row = client.refresh(*IDS, refresh_id)
    assert row is not None
    assert (row.state, row.type, [entry.status for entry in row.objects]) == (
        "running",
        "Full",
        ["Completed", "InProgress"],
    )
    assert client.refresh(*IDS, OTHER) is None


@pytest.mark.parametrize(
    ("outcome", "state"),
    [
        ("Completed", "completed"),
        ("Failed", "failed"),
        ("Cancelled", "cancelled"),
        ("Disabled", "disabled"),
        ("TimedOut", "timedOut"),
        ("Stuck", "running"),
    ],
)
def test_every_outcome_is_understood(outcome: str, state: str) -> None:
    """The client reads each outcome from the history and by id."""
    world = World(outcome=outcome)
    client, _ = client_of(world)
    refresh_id = client.start(*IDS, FULL).refresh_id
    world.tick(10)
    listed, read = client.history(*IDS).rows[0], client.refresh(*IDS, refresh_id)
    assert (listed.state, read.state if read else None) == (state, state)


def test_a_failure_has_a_code() -> None:
    """The code of a failure is the one in serviceExceptionJson."""
    world = World(outcome="Failed")
    client, _ = client_of(world)
    client.start(*IDS, FULL)
    world.tick(10)
    error = client.history(*IDS).rows[0].error
    assert error is not None
    assert error.code == "ModelRefreshFailed_CredentialsNotSpecified"


def test_cancelling() -> None:
    """The result is True while the refresh runs and False when it has ended. An unknown refresh raises an error."""
    world = World()
    client, _ = client_of(world)
    refresh_id = client.start(*IDS, FULL).refresh_id
    assert client.cancel(*IDS, refresh_id) is True
    world.tick(1)
    assert client.history(*IDS).rows[0].state == "cancelled"
    assert client.cancel(*IDS, refresh_id) is False
    with pytest.raises(Refused) as refused:
        client.cancel(*IDS, OTHER)
    assert refused.value.code == "RefreshNotFound"


@pytest.mark.parametrize("conflict", [400, 409])
def test_a_conflict_is_not_a_failure(conflict: int) -> None:
    """The service may answer a second start with either of two statuses. Both mean that another refresh is running."""
    world = World(conflict=conflict)
    client, _ = client_of(world)
    client.start(*IDS, FULL)
    with pytest.raises(RefreshInProgress):
        client.start(*IDS, FULL)


@pytest.mark.parametrize("name", ["drop", "hang", "serverError", "unavailable", "gatewayTimeout"])
@pytest.mark.parametrize("effect", [True, False])
def test_a_lost_answer(name: str, effect: bool) -> None:
    """After a lost answer, only the history shows whether the refresh runs."""
    world = World()
    client, _ = client_of(world)
    world.service.add_fault({"fault": name, "route": "start", "afterEffect": effect})
    with pytest.raises(AnswerLost):
        client.start(*IDS, FULL)
    assert len(client.history(*IDS).rows) == effect


def test_an_expired_token_is_renewed() -> None:
    """A POST with an expired token is repeated, because it was certainly not accepted."""
    world = World()
    client, tokens = client_of(world)
    world.service.add_fault({"fault": "tokenExpired"})
    client.start(*IDS, FULL)
    assert tokens.renewed == 1


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("notAuthorized", "NotAuthorized"),
        ("notAccessible", "ApiNotAccessible"),
        ("notFound", "ModelNotFound"),
        ("capacityNotActive", "CapacityNotActive"),
        ("notModelBased", "ModelNotRefreshable"),
    ],
)
def test_refusals_are_distinguished(name: str, code: str) -> None:
    """The client distinguishes refusals by their messages."""
    world = World()
    client, _ = client_of(world)
    world.service.add_fault({"fault": name})
    with pytest.raises(Refused) as refused:
        client.start(*IDS, FULL)
    assert refused.value.code == code


def test_throttles_and_slow_answers() -> None:
    """A throttle has a pause; a slow answer is a normal answer."""
    world = World()
    client, _ = client_of(world)
    world.service.add_fault({"fault": "unavailable"})
    world.service.add_fault({"fault": "slow"})
    world.service.add_fault({"fault": "throttled", "seconds": 90})
    with pytest.raises(ServiceUnavailable):
        client.history(*IDS)
    assert client.history(*IDS).rows == ()
    with pytest.raises(Throttled) as throttled:
        client.history(*IDS)
    assert throttled.value.facts.retry_after_seconds == 90


@pytest.mark.parametrize("status", [400, 429])
def test_the_daily_limit(status: int) -> None:
    """The daily limit is recognised with either status."""
    world = World(capacity="shared", dailyLimit=0, dailyLimitStatus=status)
    client, _ = client_of(world)
    with pytest.raises(Refused) as refused:
        client.start(*IDS, None)
    assert refused.value.code == "DailyLimitReached"


def test_a_start_without_any_id_is_a_lost_answer() -> None:
    """One of the three headers with the id is enough."""
    world = World(dropHeaders=["Location", "x-ms-request-id"])
    client, _ = client_of(world)
    assert client.start(*IDS, FULL).refresh_id == client.history(*IDS).rows[0].request_id
    world.tick(10)
    world.service.set_knobs(DATASET, {"dropHeaders": ["Location", "x-ms-request-id", "RequestId"]})
    with pytest.raises(AnswerLost):
        client.start(*IDS, FULL)
