"""Names are optional: they are read once and delay no other call."""

from types import SimpleNamespace
from uuid import UUID

import pytest

from outbound import deadline
from outbound.exchange import Limits, NoAnswerError, NotSentError, Outgoing, Received
from power_bi.client import PowerBiClient
from power_bi.errors import Throttled
from power_bi.names import ASK_AGAIN
from refresh.failure.catalogue import ModelNames
from tests.unit.power_bi.fake import DATASET, URL, WORKSPACE, Service, Tokens, client, reply
from tests.unit.power_bi.test_throttle import Clock, time

__all__ = ["time"]

OTHER = UUID("33333333-aaaa-bbbb-cccc-000000000003")
MODEL, FINANCE = reply(200, {"id": "x", "name": "Sales"}), reply(200, {"name": "Finance"})
BOTH = ModelNames(model="Sales", workspace="Finance")


def test_names_are_read_once() -> None:
    """There is one call for the name of a model and one for that of its workspace, which other models share."""
    power_bi, service = client(MODEL, FINANCE, reply(200, {"name": "Costs"}))
    assert power_bi.known_names(WORKSPACE, DATASET) == ModelNames()
    assert [power_bi.names(WORKSPACE, DATASET) for _ in range(3)] == [BOTH] * 3
    assert power_bi.known_names(WORKSPACE, DATASET) == BOTH
    assert power_bi.names(WORKSPACE, OTHER) == ModelNames(model="Costs", workspace="Finance")
    paths = [request.url for request in service.requests]
    root = f"{URL}/v1.0/myorg/groups/{WORKSPACE}"
    assert paths == [f"{root}/datasets/{DATASET}", root, f"{root}/datasets/{OTHER}"]


@pytest.mark.parametrize(
    "answer",
    [
        reply(404),
        reply(403, b"<html>no</html>"),
        reply(500),
        reply(200, b"nonsense"),
        reply(200, {"name": 5}),
        reply(200, {"name": "  "}),
        reply(200, ["name"]),
        NoAnswerError("ReadTimeout"),
        NotSentError("refused"),
    ],
)
def test_a_name_that_cannot_be_read_is_not_read_again_soon(answer: object, time: Clock) -> None:
    """A name that cannot be read counts as unknown and raises no error. It is read again later."""
    power_bi, service = client(answer, FINANCE, MODEL)  # type: ignore[arg-type]
    for _ in range(3):
        assert power_bi.names(WORKSPACE, DATASET) == ModelNames(workspace="Finance")
    assert len(service.requests) == 2
    time.tick(ASK_AGAIN.total_seconds())
    assert power_bi.names(WORKSPACE, DATASET) == BOTH


def test_a_call_for_a_name_waits_a_few_seconds_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """A refresh waits a few seconds for a name, or less if the caller has less time left."""
    monkeypatch.setattr(deadline, "time", SimpleNamespace(monotonic=lambda: 100.0))
    service, left = Service(MODEL, FINANCE, MODEL), list[float]()

    def transport(request: Outgoing, limits: Limits) -> Received:
        left.append(deadline.remaining())
        return service(request, limits)

    power_bi = PowerBiClient(URL, Tokens(), transport=transport)
    power_bi.names(WORKSPACE, DATASET)
    with deadline.within(1):
        power_bi.names(WORKSPACE, OTHER)
    assert left == [3, 3, 1]


def test_no_name_is_read_during_a_pause(time: Clock) -> None:
    """During a throttle, names are not read either: a throttle applies to calls of all kinds."""
    power_bi, service = client(reply(429, Retry_After="60"))
    with pytest.raises(Throttled):
        power_bi.history(WORKSPACE, DATASET)
    assert power_bi.names(WORKSPACE, DATASET) == ModelNames()
    assert len(service.requests) == 1


def test_names_are_cut_and_cleaned() -> None:
    """Names are cut and cleaned, because they come from outside the app."""
    power_bi, _ = client(reply(200, {"name": "a\nb" + "c" * 999}), FINANCE)
    name = power_bi.names(WORKSPACE, DATASET).model
    assert name is not None
    assert name.startswith("a bc")
    assert len(name) == 200


def test_the_number_of_stored_names_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    """The memory of a process has a limit."""
    monkeypatch.setattr("power_bi.names.MAX_NAMES", 4)
    power_bi, service = client(*[MODEL, FINANCE, *[MODEL] * 20])
    for number in range(10):
        power_bi.names(WORKSPACE, UUID(int=number))
    assert len(service.requests) >= 11
    assert len(power_bi._names._known) <= 5
