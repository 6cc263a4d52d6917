"""Tokens for Power BI: asked for when needed, kept until shortly before they expire, renewed on demand.

azure.identity takes a noticeable part of a second to import, which every cold start would pay, so it is imported when
the first real token is asked for.
"""

import os
import secrets
import threading
import time
from collections.abc import Callable
from typing import Protocol

from power_bi.errors import Facts, NotSent, PowerBiError, Refused
from refresh.settings import is_loopback
from refresh.text import cut

RENEW_BEFORE_SECONDS = 300
DEVELOPMENT_TOKEN_SECONDS = 3600

# Settings that sign in as something else than a managed identity, although AZURE_CLIENT_ID is there too.
_OTHER_SIGN_INS = (
    "AZURE_CLIENT_SECRET",
    "AZURE_CLIENT_CERTIFICATE_PATH",
    "AZURE_FEDERATED_TOKEN_FILE",
    "AZURE_USERNAME",
)

Fetch = Callable[[], tuple[str, float]]
"""Gets a new token and when it expires (seconds since 1970). Raises NotSent or Refused."""


class TokenSource(Protocol):
    """Where bearer tokens come from. Safe to use from several threads.

    Both methods raise NotSent if no token can be had for now, and Refused (TokenUnavailable) if a person has to act.
    """

    def token(self) -> str:
        """A token that is valid for some minutes."""
        ...

    def renew(self, rejected: str) -> str:
        """Another token than `rejected`, which Power BI did not take."""
        ...


class CachedTokens:
    """A token source that keeps what `fetch` gets until shortly before it expires."""

    def __init__(self, fetch: Fetch, clock: Callable[[], float] = time.time) -> None:
        self._fetch, self._clock = fetch, clock
        self._lock = threading.Lock()
        self._token: str | None = None
        self._expires = 0.0

    def token(self) -> str:
        """The kept token, or a new one if it expires within five minutes."""
        with self._lock:
            if self._token is None or self._clock() >= self._expires - RENEW_BEFORE_SECONDS:
                return self._renewed()
            return self._token

    def renew(self, rejected: str) -> str:
        """A new token, unless another thread has already replaced the rejected one."""
        with self._lock:
            if self._token is None or self._token == rejected:
                return self._renewed()
            return self._token

    def _renewed(self) -> str:
        token, self._expires = self._fetch()
        # a broken token would make the HTTP library quote it in its error
        if not token.isascii() or not token.isprintable() or " " in token or not token:
            raise Refused(Facts(operation="get a token"), "TokenUnavailable")
        self._token = token
        return token


def token_source(scope: str, api_url: str, client_id: str | None, authority: str) -> TokenSource:
    """Tokens of `scope` from `authority` (host name), for a service on this machine made-up ones.

    With `client_id` and no other sign-in in the environment that user-assigned managed identity is used, else what
    azure.identity finds: the app's own identity, a service principal in the environment, a developer's login.
    """
    if is_loopback(api_url):
        return CachedTokens(_development_token)
    return CachedTokens(_Azure(scope, client_id, authority))


def _development_token() -> tuple[str, float]:
    return f"development-{secrets.token_urlsafe(24)}", time.time() + DEVELOPMENT_TOKEN_SECONDS


class _Azure:
    """Fetches real tokens. A new credential for each: those of azure.identity would repeat a rejected token."""

    def __init__(self, scope: str, client_id: str | None, authority: str) -> None:
        self._scope, self._client_id, self._authority = scope, client_id, authority

    def __call__(self) -> tuple[str, float]:
        from azure.core.exceptions import AzureError, ClientAuthenticationError
        from azure.identity import DefaultAzureCredential, ManagedIdentityCredential

        managed = self._client_id and not any(os.environ.get(name) for name in _OTHER_SIGN_INS)
        credential: DefaultAzureCredential | ManagedIdentityCredential
        try:
            if managed:
                credential = ManagedIdentityCredential(client_id=self._client_id)
            else:
                credential = DefaultAzureCredential(authority=self._authority)
            with credential:
                answer = credential.get_token(self._scope)
        except ClientAuthenticationError as error:
            raise _not_signed_in(error.status_code, str(error.message)) from None
        except (AzureError, ValueError) as error:
            raise _not_signed_in(
                None, f"{type(error).__name__}: {error}", passing=isinstance(error, AzureError)
            ) from None
        return answer.token, float(answer.expires_on)


def _not_signed_in(status: int | None, text: str, *, passing: bool = False) -> PowerBiError:
    facts = Facts(operation="get a token", http_status=status, service_message=cut(text, 300))
    if passing or (status is not None and (status >= 500 or status in (408, 429))):
        return NotSent(facts, "SignInUnavailable")
    return Refused(facts, "TokenUnavailable")
