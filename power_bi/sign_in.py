"""Signs in with azure.identity and classifies its failures: is the failure transient, or does a person have to act?

Order: a service principal or user in the environment (AZURE_CLIENT_SECRET and similar settings); the managed identity,
if the platform has an endpoint for it or AZURE_CLIENT_ID names one; a developer's login.

The errors of azure.identity do not allow that classification. For a managed identity, a short outage of the
endpoint and a missing identity both raise ClientAuthenticationError without a status, or any exception of its parser.
So the HTTP answers are recorded as they pass through its pipeline.

azure.identity takes a noticeable part of a second to import. To keep cold starts fast, it is imported for the first
real token.
"""

import os
from collections.abc import Iterator, Mapping
from typing import Any

from power_bi.answers import service_error_in
from power_bi.errors import Facts, NotSent, PowerBiError, Refused
from refresh.text import cut

REFUSALS = (400, 401, 403)
"""After these answers a person has to act, and also if the sign-in fails without any answer or network error (no
credential). All other failures are transient: 5xx, 408, 429, no connection, unreadable answers."""
CONNECT_SECONDS = 5
READ_SECONDS = 10
_SIGN_IN = "AZURE_CLIENT_SECRET", "AZURE_CLIENT_CERTIFICATE_PATH", "AZURE_USERNAME"
"""Settings that sign in as a service principal or user, even if AZURE_CLIENT_ID is also set."""
_FEDERATED = "AZURE_FEDERATED_TOKEN_FILE"


class SignIn:
    """Fetches a token of `scope`, with a new credential each time: a cached credential would repeat a rejected
    token."""

    def __init__(self, scope: str, client_id: str | None, authority: str) -> None:
        self._scope, self._client_id, self._authority = scope, client_id, authority

    def __call__(self) -> tuple[str, float]:
        """The token and its expiry (seconds since 1970).

        Raises NotSent (SignInUnavailable) for transient failures, Refused (TokenUnavailable) if a person has to act.
        """
        from azure.core.exceptions import ServiceRequestError, ServiceResponseError

        answer = _LastAnswer()
        try:
            with self._credential(answer) as credential:
                token = credential.get_token(self._scope)
            return token.token, float(token.expires_on)
        except Exception as error:  # msal's parser raises any exception on an answer that it does not expect
            network = (ServiceRequestError, ServiceResponseError)
            unreachable = any(isinstance(cause, network) for cause in _causes(error))
            raise _failed(answer, error, unreachable=unreachable) from None

    def _credential(self, answer: "_LastAnswer") -> Any:
        from azure.identity import DefaultAzureCredential, EnvironmentCredential, ManagedIdentityCredential

        limits: dict[str, Any] = {
            # no retries here: timers do the waiting
            "retry_total": 0,
            "connection_timeout": CONNECT_SECONDS,
            "read_timeout": READ_SECONDS,
            "raw_response_hook": answer.keep,
        }
        environ: Mapping[str, str] = os.environ
        if any(environ.get(name) for name in _SIGN_IN):
            return EnvironmentCredential(authority=self._authority, **limits)
        endpoint = environ.get("IDENTITY_ENDPOINT") and environ.get("IDENTITY_HEADER")
        if endpoint or (self._client_id and not environ.get(_FEDERATED)):
            return ManagedIdentityCredential(client_id=self._client_id, **limits)
        return DefaultAzureCredential(authority=self._authority, **limits)


class _LastAnswer:
    """The last HTTP answer to azure.identity."""

    def __init__(self) -> None:
        self.status: int | None = None
        self.body = b""

    def keep(self, response: Any) -> None:
        """azure.core calls this with each answer."""
        self.status, self.body = response.http_response.status_code, response.http_response.content


def _failed(answer: _LastAnswer, error: Exception, *, unreachable: bool) -> PowerBiError:
    """The error for a failed sign-in, with the text of the last answer if there is one."""
    kind = type(error).__name__
    if answer.status is None:
        facts = Facts(operation="get a token", service_message=cut(f"{kind}: {error}", 300))
        return NotSent(facts, "SignInUnavailable") if unreachable else Refused(facts, "TokenUnavailable")
    if answer.status < 400:
        # the body is not quoted, because it may contain a token
        facts = Facts(operation="get a token", service_message=f"the answer contains no token, {kind}")
        return NotSent(facts, "SignInUnavailable")
    facts = Facts(
        operation="get a token", http_status=answer.status, service_message=service_error_in(answer.body)[0].text
    )
    if answer.status in REFUSALS:
        return Refused(facts, "TokenUnavailable")
    return NotSent(facts, "SignInUnavailable")


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error and its causes: azure.identity wraps a failing network in a ClientAuthenticationError."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
