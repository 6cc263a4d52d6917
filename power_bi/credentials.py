"""Tokens for Power BI: fetched when needed, cached until shortly before they expire, renewed on demand."""

import secrets
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Protocol

from outbound import deadline
from power_bi.errors import Facts, NotSent, Refused
from power_bi.sign_in import SignIn
from refresh.settings import is_loopback

RENEW_BEFORE_SECONDS = 300.0
RENEW_AGAIN_SECONDS = 30.0
"""The pause after a failed renewal, while the old token is still valid."""
LAST_USE_SECONDS = 30.0
"""A token is not used in its last seconds, because it could expire on the way."""
DEVELOPMENT_TOKEN_SECONDS = 3600

Fetch = Callable[[], tuple[str, float]]
"""Fetches a new token and its expiry (seconds since 1970). Raises NotSent or Refused."""


class TokenSource(Protocol):
    """A source of bearer tokens. Safe to use from several threads.

    Both methods raise NotSent if no token is available at the moment, and Refused (TokenUnavailable) if a person has to
    act.
    """

    def token(self) -> str:
        """A token that is valid for some minutes."""
        ...

    def renew(self, rejected: str) -> str:
        """A token other than `rejected`, which Power BI refused."""
        ...


class CachedTokens:
    """A token source that caches the token of `fetch` until shortly before it expires.

    All threads that need a new token at the same time share one fetch, and its error. While the old token is still
    valid, a transient failure of a fetch has no effect.
    """

    def __init__(self, fetch: Fetch, clock: Callable[[], float] = time.time) -> None:
        self._fetch, self._clock = fetch, clock
        self._lock = threading.Lock()
        self._token: str | None = None
        self._expires = self._renew_at = 0.0
        self._fetching: Future[str] | None = None

    def token(self) -> str:
        """The cached token, or a new one if it expires within five minutes (or half its lifetime, if shorter)."""
        with self._lock:
            cached = self._token if self._clock() < self._expires - LAST_USE_SECONDS else None
            if self._token is not None and self._clock() < self._renew_at:
                return self._token
        try:
            return self._fetch_shared()
        except NotSent:
            if cached is None:
                raise
            with self._lock:
                self._renew_at = self._clock() + RENEW_AGAIN_SECONDS
            return cached

    def renew(self, rejected: str) -> str:
        """A new token, unless another thread has already replaced the rejected one."""
        with self._lock:
            if self._token is not None and self._token != rejected:
                return self._token
            # no other thread should use the rejected token or fall back on it
            self._token, self._expires = None, 0.0
        return self._fetch_shared()

    def _fetch_shared(self) -> str:
        with self._lock:
            shared_fetch, own_fetch = self._fetching, Future[str]()
            if shared_fetch is None:
                self._fetching = own_fetch
        if shared_fetch is not None:
            try:
                return shared_fetch.result(min(deadline.remaining(), threading.TIMEOUT_MAX))
            except TimeoutError:
                raise NotSent(Facts(operation="get a token"), "SignInUnavailable") from None
        try:
            token, expires = self._fetch()
            # the HTTP library would quote a malformed token in its error
            if not token or not token.isascii() or not token.isprintable() or " " in token:
                raise Refused(Facts(operation="get a token"), "TokenUnavailable")
        except BaseException as error:
            with self._lock:
                self._fetching = None
            own_fetch.set_exception(error)
            raise
        with self._lock:
            lifetime = expires - self._clock()
            self._token, self._expires, self._fetching = token, expires, None
            self._renew_at = expires - min(RENEW_BEFORE_SECONDS, lifetime / 2)
        own_fetch.set_result(token)
        return token


def token_source(scope: str, api_url: str, client_id: str | None, authority: str) -> TokenSource:
    """Tokens of `scope` from `authority` (host name); made-up tokens for a service on this machine.

    `client_id` names a user-assigned managed identity; `power_bi.sign_in` says which identity signs in otherwise.
    """
    if is_loopback(api_url):
        return CachedTokens(_development_token)
    return CachedTokens(SignIn(scope, client_id, authority))


def _development_token() -> tuple[str, float]:
    return f"development-{secrets.token_urlsafe(24)}", time.time() + DEVELOPMENT_TOKEN_SECONDS
