"""Tokens are cached, renewed once for all threads, and invented only for this machine."""

import threading
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from power_bi import credentials
from power_bi.clouds import CLOUDS
from power_bi.credentials import CachedTokens, token_source
from power_bi.errors import Facts, NotSent, Refused
from refresh.settings import CLOUDS as CLOUD_NAMES

SCOPE = CLOUDS["public"].scope


class Fetch:
    """Issues tokens that are valid for an hour, and counts them."""

    def __init__(self) -> None:
        self.count, self.now = 0, 1000.0
        self.lock = threading.Lock()

    def __call__(self) -> tuple[str, float]:
        with self.lock:
            self.count += 1
            return f"t{self.count}", self.now + 3600


def test_a_token_is_kept_until_shortly_before_it_expires() -> None:
    """A token is renewed five minutes before it expires, so that the call that uses it has enough time."""
    fetch = Fetch()
    tokens = CachedTokens(fetch, clock=lambda: fetch.now)
    assert (tokens.token(), tokens.token()) == ("t1", "t1")
    fetch.now += 3299
    assert tokens.token() == "t1"
    fetch.now += 1
    assert tokens.token() == "t2"


def test_a_rejected_token_is_renewed_once_for_all() -> None:
    """If many threads have the same rejected token, one new token serves all of them."""
    fetch = Fetch()
    tokens = CachedTokens(fetch, clock=lambda: fetch.now)
    rejected = tokens.token()
    with ThreadPoolExecutor(8) as pool:
        renewed = set(pool.map(lambda _: tokens.renew(rejected), range(32)))
    assert renewed == {"t2"}
    assert tokens.token() == "t2"


@pytest.mark.parametrize("broken", ["", "a b", "a\nb", "ä"])
def test_a_broken_token_is_not_sent(broken: str) -> None:
    """An invalid token is not sent, because the HTTP library would quote it in its error."""
    with pytest.raises(Refused) as caught:
        CachedTokens(lambda: (broken, 9e9)).token()
    assert caught.value.code == "TokenUnavailable"
    assert repr(broken) not in str(caught.value)


@pytest.mark.parametrize("url", ["http://localhost:7072", "http://127.0.0.1:1", "https://[::1]"])
def test_invented_tokens_for_this_machine(url: str) -> None:
    """Invented tokens are opaque, and stay the same until they are renewed."""
    tokens = token_source(SCOPE, url, None, "login.microsoftonline.com")
    first = tokens.token()
    assert tokens.token() == first
    assert tokens.renew(first) != first
    assert first.startswith("development-")


@pytest.mark.parametrize("cloud", CLOUDS)
def test_every_cloud_has_its_own_addresses(cloud: str) -> None:
    """Each cloud has its own addresses, because tokens of one cloud are not valid in another."""
    addresses = CLOUDS[cloud]
    assert addresses.api_url.startswith("https://api.")
    assert addresses.scope.startswith("https://")
    assert addresses.scope.endswith("/powerbi/api/.default")
    assert addresses.authority.startswith("login.")


def test_the_clouds_are_those_of_the_settings() -> None:
    """The clouds are those that the setting POWER_BI_CLOUD can name."""
    assert tuple(CLOUDS) == CLOUD_NAMES


class Failing(Fetch):
    """A source that fails as long as the test requires."""

    error: Exception | None = None

    def __call__(self) -> tuple[str, float]:
        token, expires = super().__call__()
        if self.error:
            raise self.error
        return token, expires


UNAVAILABLE = NotSent(Facts(), "SignInUnavailable")


def test_a_failed_renewal_has_no_effect_while_the_old_token_is_valid() -> None:
    """A short outage of the sign-in in the last minutes of a token has no effect. Few calls try to renew the token."""
    fetch = Failing()
    tokens = CachedTokens(fetch, clock=lambda: fetch.now)
    assert tokens.token() == "t1"
    fetch.error = UNAVAILABLE
    fetch.now += 3301
    assert [tokens.token() for _ in range(5)] == ["t1"] * 5
    assert fetch.count == 2
    fetch.now += 31
    assert tokens.token() == "t1"
    assert fetch.count == 3
    fetch.error = None
    fetch.now += 31
    assert tokens.token() == "t4"


def test_a_token_is_not_used_in_its_last_seconds() -> None:
    """A token is not used in its last seconds: it could expire on the way, and the error would blame the token."""
    fetch = Failing()
    tokens = CachedTokens(fetch, clock=lambda: fetch.now)
    tokens.token()
    fetch.error = UNAVAILABLE
    fetch.now += 3571
    with pytest.raises(NotSent):
        tokens.token()


def test_a_rejected_token_is_not_a_fallback() -> None:
    """A token that Power BI has rejected is not used again, even if the renewal fails."""
    fetch = Failing()
    tokens = CachedTokens(fetch, clock=lambda: fetch.now)
    rejected = tokens.token()
    fetch.error = UNAVAILABLE
    for _ in range(2):
        with pytest.raises(NotSent):
            tokens.renew(rejected)
    with pytest.raises(NotSent):
        tokens.token()
    fetch.error = None
    assert tokens.token() == "t5"


def test_a_refusal_counts_although_the_old_token_is_valid() -> None:
    """If the identity was removed, an administrator should learn this before all refreshes fail."""
    fetch = Failing()
    tokens = CachedTokens(fetch, clock=lambda: fetch.now)
    tokens.token()
    fetch.error = Refused(Facts(), "TokenUnavailable")
    fetch.now += 3301
    with pytest.raises(Refused):
        tokens.token()


def test_short_lived_tokens_are_used_for_half_their_time() -> None:
    """A token of two minutes is renewed after one minute. With the usual margin, it would be fetched again for each
    call."""
    now = 1000.0
    fetched = iter(["t1", "t2"])
    tokens = CachedTokens(lambda: (next(fetched), now + 120), clock=lambda: now)
    assert tokens.token() == "t1"
    now += 59
    assert tokens.token() == "t1"
    now += 2
    assert tokens.token() == "t2"


@pytest.mark.parametrize("error", [None, UNAVAILABLE])
def test_waiting_calls_share_one_fetch_and_its_result(error: NotSent | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sign-in that hangs delays each waiting call once, not once for each call that waited before it."""
    joined, calls = threading.Semaphore(0), []

    class Counted(Future[str]):
        def result(self, timeout: float | None = None) -> str:
            joined.release()
            return super().result(timeout)

    def fetch() -> tuple[str, float]:
        calls.append(1)
        for _ in range(7):
            assert joined.acquire(timeout=60)
        if error:
            raise error
        return "t", 9e9

    def call(_: int) -> str:
        try:
            return tokens.token()
        except NotSent as problem:
            return problem.code

    monkeypatch.setattr(credentials, "Future", Counted)
    tokens = CachedTokens(fetch)
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(call, range(8))) == [error.code if error else "t"] * 8
    assert len(calls) == 1
