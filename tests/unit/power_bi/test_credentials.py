"""Tokens: kept, renewed once for all threads, made up for this machine only."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from power_bi.clouds import CLOUDS
from power_bi.credentials import CachedTokens, token_source
from power_bi.errors import Refused
from refresh.settings import CLOUDS as CLOUD_NAMES
from tests.unit.power_bi.fake import URL

SCOPE = CLOUDS["public"].scope


class Fetch:
    """Hands out tokens that live an hour, and counts them."""

    def __init__(self) -> None:
        self.count, self.now = 0, 1000.0
        self.lock = threading.Lock()

    def __call__(self) -> tuple[str, float]:
        with self.lock:
            self.count += 1
            return f"t{self.count}", self.now + 3600


def test_a_token_is_kept_until_shortly_before_it_expires() -> None:
    """Five minutes are left for the call that uses it."""
    fetch = Fetch()
    tokens = CachedTokens(fetch, clock=lambda: fetch.now)
    assert (tokens.token(), tokens.token()) == ("t1", "t1")
    fetch.now += 3299
    assert tokens.token() == "t1"
    fetch.now += 1
    assert tokens.token() == "t2"


def test_a_rejected_token_is_renewed_once_for_all() -> None:
    """Many threads may hold the same rejected token; one new one serves them all."""
    fetch = Fetch()
    tokens = CachedTokens(fetch, clock=lambda: fetch.now)
    rejected = tokens.token()
    with ThreadPoolExecutor(8) as pool:
        renewed = set(pool.map(lambda _: tokens.renew(rejected), range(32)))
    assert renewed == {"t2"}
    assert tokens.token() == "t2"


@pytest.mark.parametrize("broken", ["", "a b", "a\nb", "ä"])
def test_a_broken_token_is_not_sent(broken: str) -> None:
    """The HTTP library would quote it in its error."""
    with pytest.raises(Refused) as caught:
        CachedTokens(lambda: (broken, 9e9)).token()
    assert caught.value.code == "TokenUnavailable"
    assert repr(broken) not in str(caught.value)


@pytest.mark.parametrize("url", ["http://localhost:7072", "http://127.0.0.1:1", "https://[::1]"])
def test_this_machine_gets_made_up_tokens(url: str) -> None:
    """Opaque, the same until renewed, then another."""
    tokens = token_source(SCOPE, url, None, "login.microsoftonline.com")
    first = tokens.token()
    assert tokens.token() == first
    assert tokens.renew(first) != first
    assert first.startswith("development-")


@pytest.mark.parametrize("cloud", CLOUDS)
def test_every_cloud_has_its_own_places(cloud: str) -> None:
    """Tokens of one cloud are of no use in another."""
    places = CLOUDS[cloud]
    assert places.api_url.startswith("https://api.")
    assert places.scope.startswith("https://")
    assert places.scope.endswith("/powerbi/api/.default")
    assert places.authority.startswith("login.")


def test_the_clouds_are_those_of_the_settings() -> None:
    """POWER_BI_CLOUD names one of them."""
    assert tuple(CLOUDS) == CLOUD_NAMES


def test_an_identity_that_is_not_there_needs_a_person(monkeypatch: pytest.MonkeyPatch) -> None:
    """A service principal whose tenant is no tenant is refused by the real library before any connection."""
    for name, value in {"AZURE_TENANT_ID": "not/a/tenant", "AZURE_CLIENT_ID": "x", "AZURE_CLIENT_SECRET": "s"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(Refused) as caught:
        token_source(SCOPE, URL, "x", "login.microsoftonline.com").token()
    assert caught.value.code == "TokenUnavailable"
    assert "tenant" in str(caught.value)
