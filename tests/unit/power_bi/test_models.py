"""The models of a workspace are read page by page from the configured host, within limits, with the client's errors."""

import json
from uuid import UUID

import pytest
from multidict import CIMultiDict

from outbound.exchange import Limits, Outgoing, Received
from power_bi.client import PowerBiClient
from power_bi.credentials import CachedTokens
from power_bi.errors import PowerBiError, Refused, Throttled
from power_bi.models import MAX_PAGES, ListedModel

WORKSPACE = UUID("0a1b2c3d-0000-4000-8000-000000000001")
DATASET = "22222222-aaaa-bbbb-cccc-{:012}"
PATH = f"http://127.0.0.1:1/v1.0/myorg/groups/{WORKSPACE}/datasets"


def client(*answers: tuple[int, object]) -> tuple[PowerBiClient, list[str]]:
    """A client that gets these answers in turn and then the last one repeatedly, and the URLs of its requests."""
    urls: list[str] = []

    def transport(outgoing: Outgoing, limits: Limits) -> Received:
        urls.append(outgoing.url)
        status, body = answers[min(len(urls), len(answers)) - 1]
        return Received(status, CIMultiDict({"Retry-After": "60"}), json.dumps(body).encode())

    tokens = CachedTokens(lambda: ("token", 3600.0), clock=lambda: 0.0)
    return PowerBiClient("http://127.0.0.1:1", tokens, transport=transport), urls


def test_entries_that_are_not_models_are_left_out() -> None:
    """Entries without a valid id are left out. A model is refreshable only if its `isRefreshable` is true. An invalid
    name becomes empty."""
    rows: list[object] = [
        {"id": DATASET.format(1).upper(), "name": "Sales", "isRefreshable": True},
        {"id": DATASET.format(2), "name": 7, "isRefreshable": "true"},
        {"id": DATASET.format(3), "name": "Read only"},
        {"id": "x", "name": "No id", "isRefreshable": True},
        "nothing",
    ]
    power_bi, urls = client((200, {"value": rows}))
    assert list(power_bi.models(WORKSPACE)) == [
        ListedModel(DATASET.format(1), "Sales", True),
        ListedModel(DATASET.format(2), "", False),
        ListedModel(DATASET.format(3), "Read only", False),
    ]
    assert urls == [PATH]


def test_the_next_page_is_requested_from_the_configured_host() -> None:
    """Only the query of the address of the next page is used, so no token is sent to another host."""
    first = {"value": [{"id": DATASET.format(1)}], "@odata.nextLink": "https://elsewhere.example/x?$skip=1"}
    power_bi, urls = client((200, first), (200, {"value": [{"id": DATASET.format(2)}]}))
    assert len(list(power_bi.models(WORKSPACE))) == 2
    assert urls == [PATH, f"{PATH}?$skip=1"]


@pytest.mark.parametrize("link", ["https://x/?a=b c", "https://x/", 7, "https://x/?" + "a" * 2001])
def test_a_link_that_cannot_be_followed_is_the_end(link: object) -> None:
    """A link with an unusual query or without a query ends the list."""
    power_bi, urls = client((200, {"value": [], "@odata.nextLink": link}))
    assert list(power_bi.models(WORKSPACE)) == []
    assert urls == [PATH]


def test_pages_have_an_end() -> None:
    """A service that always names one more page gets MAX_PAGES calls and no more."""
    power_bi, urls = client((200, {"value": [], "@odata.nextLink": "https://x/?a=b"}))
    assert list(power_bi.models(WORKSPACE)) == []
    assert len(urls) == MAX_PAGES


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [(401, {}, Refused), (429, {}, Throttled), (200, {"value": "x"}, PowerBiError), (500, {}, PowerBiError)],
)
def test_errors_are_those_of_the_client(status: int, body: object, kind: type[PowerBiError]) -> None:
    """A failed call raises the errors of the client, even for an answer of an unknown form."""
    power_bi, _ = client((status, body))
    with pytest.raises(kind):
        list(power_bi.models(WORKSPACE))


def test_a_throttled_workspace_is_left_alone() -> None:
    """A throttled workspace gets no call until the pause that the service requested has passed."""
    power_bi, urls = client((429, {}))
    for _ in range(2):
        with pytest.raises(Throttled):
            list(power_bi.models(WORKSPACE))
    assert len(urls) == 1
