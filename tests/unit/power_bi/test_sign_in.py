"""Sign-in with the real azure.identity: with a stub of App Service's endpoint, and without any answer."""

import logging
from collections.abc import Callable, Iterator

import pytest

from dev.identity_endpoint import FAULTS, IdentityEndpoint, Serving, serve
from power_bi import sign_in
from power_bi.clouds import CLOUDS
from power_bi.credentials import CachedTokens, token_source
from power_bi.errors import NotSent, PowerBiError, Refused
from power_bi.sign_in import SignIn
from tests.unit.outbound.hostile import Peer, serving, silent

SCOPE = CLOUDS["public"].scope
AUTHORITY = "login.microsoftonline.com"
CLIENT_ID = "44444444-aaaa-bbbb-cccc-000000000004"
SETTINGS = (
    "AZURE_CLIENT_ID",
    "AZURE_CLIENT_SECRET",
    "AZURE_CLIENT_CERTIFICATE_PATH",
    "AZURE_FEDERATED_TOKEN_FILE",
    "AZURE_TENANT_ID",
    "AZURE_USERNAME",
    "IDENTITY_ENDPOINT",
    "IDENTITY_HEADER",
    "MSI_ENDPOINT",
)


@pytest.fixture(autouse=True)
def no_identity(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hides all other identities of this machine."""
    for name in SETTINGS:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def identity(monkeypatch: pytest.MonkeyPatch) -> Iterator[Serving]:
    """An app with an identity."""
    with serve(IdentityEndpoint()) as endpoint:
        for name, value in endpoint.settings.items():
            monkeypatch.setenv(name, value)
        yield endpoint


def fetched(client_id: str | None = None) -> tuple[str, float]:
    """A new token and the time at which it expires."""
    return SignIn(SCOPE, client_id, AUTHORITY)()


def failure(client_id: str | None = None) -> PowerBiError:
    """The error of a fetch that fails."""
    with pytest.raises(PowerBiError) as caught:
        fetched(client_id)
    assert caught.value.facts.operation == "get a token"
    return caught.value


@pytest.mark.parametrize("client_id", [None, CLIENT_ID])
def test_the_managed_identity_is_used_directly(identity: Serving, client_id: str | None) -> None:
    """The identity is the app's own or that of AZURE_CLIENT_ID. The resource is that of Power BI, and there is one
    call."""
    token, expires = fetched(client_id)
    assert identity.endpoint.accepts(token)
    assert expires == pytest.approx(identity.endpoint.clock() + identity.endpoint.life_seconds, abs=30)
    expected = {"api-version": "2019-08-01", "resource": "https://analysis.windows.net/powerbi/api"}
    assert identity.endpoint.asked == expected | ({"client_id": client_id} if client_id else {})
    assert identity.endpoint.calls == 1


@pytest.mark.parametrize("client_id", [None, CLIENT_ID])
@pytest.mark.parametrize("fault", ["serverError", "throttled", "garbage", "wrongJson", "drop"])
def test_a_short_outage_of_the_endpoint_is_transient(identity: Serving, fault: str, client_id: str | None) -> None:
    """Each call makes one attempt, because pauses are durable timers. The next call may succeed."""
    identity.endpoint.fail(fault, times=1)
    error = failure(client_id)
    assert (type(error), error.code, error.retryable) == (NotSent, "SignInUnavailable", True)
    status, body = FAULTS[fault]
    assert error.http_status == (status if status >= 400 else None)
    if isinstance(body, dict):
        assert error.service_message == body["message"]
    assert identity.endpoint.calls == 1
    assert identity.endpoint.accepts(fetched(client_id)[0])


@pytest.mark.parametrize("client_id", [None, CLIENT_ID])
@pytest.mark.parametrize("fault", ["noIdentity", "forbidden"])
def test_a_refusal_is_permanent(identity: Serving, fault: str, client_id: str | None) -> None:
    """A refusal is reported at once, with the endpoint's own message and without that of azure.identity."""
    identity.endpoint.fail(fault)
    error = failure(client_id)
    status, body = FAULTS[fault]
    assert isinstance(body, dict)
    assert (type(error), error.code, error.retryable) == (Refused, "TokenUnavailable", False)
    assert (error.http_status, error.service_message) == (status, body["message"])
    assert "not found in environment" not in str(error)
    assert identity.endpoint.calls == 1


@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, Refused), (401, Refused), (403, Refused), (404, NotSent), (408, NotSent), (410, NotSent), (503, NotSent)],
)
@pytest.mark.parametrize("body", ["", "[]", "null", "not JSON", '{"statusCode": "500"}', '{"access_token": 5}'])
def test_the_status_decides_with_any_body(
    monkeypatch: pytest.MonkeyPatch, status: int, kind: type[PowerBiError], body: str
) -> None:
    """The HTTP status decides. With a body, azure.identity either puts the status into its error, or fails to read the
    body."""
    head = f"HTTP/1.1 {status} Thing\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}"

    def script(peer: Peer) -> None:
        peer.request()
        peer.send(head.encode())

    with serving(script) as server:
        monkeypatch.setenv("IDENTITY_ENDPOINT", server.url)
        monkeypatch.setenv("IDENTITY_HEADER", "secret")
        error = failure()
    assert (type(error), error.http_status) == (kind, status)


@pytest.mark.parametrize(
    "body",
    [
        "null",
        "[]",
        "5",
        '{"access_token": "eyJtoken"}',
        '{"access_token": "eyJtoken", "expires_on": "soon"}',
        "eyJtoken",
    ],
)
def test_an_answer_without_a_valid_token_is_transient_and_not_quoted(
    monkeypatch: pytest.MonkeyPatch, body: str
) -> None:
    """An answer without a valid token is not quoted, because it may contain a token nevertheless."""
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}"

    def script(peer: Peer) -> None:
        peer.request()
        peer.send(head.encode())

    with serving(script) as server:
        monkeypatch.setenv("IDENTITY_ENDPOINT", server.url)
        monkeypatch.setenv("IDENTITY_HEADER", "secret")
        error = failure()
    assert (type(error), error.code) == (NotSent, "SignInUnavailable")
    assert "eyJ" not in f"{error} {error.facts}"


def test_a_silent_endpoint_is_a_transient_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """If the endpoint does not answer, the call fails at its limit."""
    monkeypatch.setattr(sign_in, "READ_SECONDS", 0.2)
    with serving(silent) as server:
        monkeypatch.setenv("IDENTITY_ENDPOINT", server.url)
        monkeypatch.setenv("IDENTITY_HEADER", "secret")
        error = failure()
        assert server.connection_is_over()
    assert (type(error), error.code) == (NotSent, "SignInUnavailable")


def test_an_endpoint_that_does_not_listen_is_a_transient_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """The failure is transient, because the platform may be restarting the endpoint."""
    monkeypatch.setenv("IDENTITY_ENDPOINT", "http://127.0.0.1:9/msi/token")
    monkeypatch.setenv("IDENTITY_HEADER", "secret")
    error = failure()
    assert (type(error), error.code) == (NotSent, "SignInUnavailable")


def test_tokens_are_renewed_when_they_expire_and_when_they_are_revoked(identity: Serving) -> None:
    """The endpoint is called again for each renewal: no cache keeps a rejected token."""
    now = identity.endpoint.clock()
    identity.endpoint.clock = lambda: now
    identity.endpoint.life_seconds = 600
    tokens = CachedTokens(SignIn(SCOPE, None, AUTHORITY), clock=lambda: now)
    first = tokens.token()
    assert tokens.token() == first
    now += 301
    second = tokens.token()
    assert (second != first, identity.endpoint.accepts(second)) == (True, True)
    identity.endpoint.revoke()
    assert not identity.endpoint.accepts(second)
    third = tokens.renew(second)
    assert (third != second, identity.endpoint.accepts(third)) == (True, True)


def test_no_token_and_no_secret_is_logged(identity: Serving, caplog: pytest.LogCaptureFixture) -> None:
    """No token and no secret is in the log, not even in lines of azure.identity, azure.core and msal at any level."""
    with caplog.at_level(logging.DEBUG):
        token, _ = fetched()
        identity.endpoint.fail("noIdentity")
        failure()
    assert caplog.records
    assert token not in caplog.text
    assert identity.endpoint.secret not in caplog.text


def test_a_service_principal_in_the_environment_has_priority(
    identity: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A service principal in the environment is used, because it was set on purpose. Its tenant is invalid here, so the
    real library refuses it without a connection."""
    for name, value in {"AZURE_TENANT_ID": "not/a/tenant", "AZURE_CLIENT_ID": "x", "AZURE_CLIENT_SECRET": "s"}.items():
        monkeypatch.setenv(name, value)
    error = failure("x")
    assert (type(error), error.code) == (Refused, "TokenUnavailable")
    assert "tenant" in str(error)
    assert identity.endpoint.calls == 0


def test_an_unreachable_sign_in_of_a_service_principal_is_transient(monkeypatch: pytest.MonkeyPatch) -> None:
    """If the sign-in cannot be reached, the failure is transient, although azure.identity raises an authentication
    error."""
    settings = {"AZURE_TENANT_ID": CLIENT_ID, "AZURE_CLIENT_ID": CLIENT_ID, "AZURE_CLIENT_SECRET": "s"}
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(NotSent) as caught:
        SignIn(SCOPE, None, "sign-in.invalid")()
    assert caught.value.code == "SignInUnavailable"


def test_the_token_source_signs_in(identity: Serving) -> None:
    """The token source signs in for every service that is not on this machine."""
    source: Callable[[], str] = token_source(SCOPE, "https://api.powerbi.com", None, AUTHORITY).token
    assert identity.endpoint.accepts(source())
