"""The URIs in the answer to a start: only the caller that started the request gets the URI that cancels it."""

from typing import Any

import azure.functions as func
import pytest

from durable.engine import Engine
from refresh.request.spec import RequestSpec
from refresh.request.state import RequestState
from refresh.request.stored import StoredRequest
from refresh.scope.scope import Scope
from refresh.settings import Settings
from tests.unit.durable.engine_server import binding
from triggers import accepted, auth
from triggers.accepted import uris_of
from triggers.auth import secrets_match, starter_of

ENGINE = Engine(binding("http://127.0.0.1:1/"))
FACTORY, OTHER = "0a1b2c3d-0000-4000-8000-00000000000a", "0a1b2c3d-0000-4000-8000-00000000000b"
URL = "http://127.0.0.1:7071/api/refreshes"


def call(url: str = URL, params: dict[str, str] | None = None, **headers: str) -> func.HttpRequest:
    """A call with these headers, in whose names `_` means `-`."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return func.HttpRequest("POST", url, headers=named, params=params, body=b"{}")


def signed_in(principal: str, key: str = "") -> func.HttpRequest:
    """A call that the platform's sign-in has admitted, with this key."""
    return call(x_ms_client_principal_id=principal, x_ms_client_principal_idp="aad", x_functions_key=key)


def request_of(starter: func.HttpRequest) -> StoredRequest:
    """A request that this call started."""
    state = RequestState(
        spec=RequestSpec(dataset_id="d", scope=Scope(workspace_id="w")),
        token="",
        read_token="read-token",
        cancel_token="cancel-token",
        requested_at="2026-03-31T12:00:00.000Z",
        starter=starter_of(starter, ENGINE.secret),
    )
    return StoredRequest(id="a", engine_status="Running", state=state)


@pytest.fixture
def entra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes the app use the platform's sign-in."""
    settings = Settings(auth_mode="entra")
    monkeypatch.setattr(auth, "current_settings", lambda: settings)


def uris(starter: func.HttpRequest, caller: func.HttpRequest) -> dict[str, str]:
    """The URIs that a caller gets of a request that another call started."""
    return uris_of(caller, ENGINE, request_of(starter))


WITH_KEY = call(x_functions_key="one")


@pytest.mark.parametrize("caller", [WITH_KEY, call(f"{URL}?code=one", {"code": "one"})])
def test_the_same_key_gets_all(caller: func.HttpRequest) -> None:
    """The key may be in the header or in the URL."""
    given = uris(WITH_KEY, caller)
    assert given["cancelUri"] == f"{URL}/a?token=cancel-token"
    assert given["statusUri"] == given["statusQueryGetUri"] == f"{URL}/a?token=read-token"


@pytest.mark.parametrize("caller", [call(x_functions_key="two"), call(), call(x_functions_key=""), signed_in(FACTORY)])
def test_another_key_or_none_gets_no_cancel_uri(caller: func.HttpRequest) -> None:
    """Another key, or no key, gets no URI to cancel. Headers of a sign-in that is off do not help."""
    assert list(uris(WITH_KEY, caller)) == ["statusUri", "statusQueryGetUri"]


def test_without_keys_all_callers_are_the_same() -> None:
    """On a development machine, where the host checks no keys, every caller gets the cancel URI."""
    assert "cancelUri" in uris(call(), call())


@pytest.mark.usefixtures("entra")
@pytest.mark.parametrize(
    ("caller", "expected"), [(FACTORY, True), (FACTORY.upper(), True), (OTHER, False), ("", False)]
)
def test_the_same_principal_gets_all(caller: str, expected: bool) -> None:
    """The same principal gets all URIs, with any key or none. Another one gets no URI to cancel, even with the key of
    the start."""
    names = {"statusUri", "statusQueryGetUri", *(["cancelUri"] if expected else [])}
    starter = signed_in(FACTORY, "one")
    for key in ("", "one", "two"):
        assert set(uris(starter, signed_in(caller, key))) == names


def test_a_caller_is_stored_as_a_digest() -> None:
    """The digest contains the app's secret, so that neither key nor principal can be derived from it."""
    digest = starter_of(WITH_KEY, b"secret")
    assert "one" not in digest
    assert len(digest) == 16
    assert digest != starter_of(WITH_KEY, b"another secret")
    assert starter_of(call(), b"secret") == ""


@pytest.mark.parametrize(
    ("given", "expected", "equal"), [("a", "a", True), ("a", "b", False), (None, "a", False), ("ü", "ü", True)]
)
def test_secrets_are_compared(given: str | None, expected: str, equal: bool) -> None:
    """Secrets are compared even if they have characters that cannot be in a header."""
    assert secrets_match(given, expected) is equal


def test_management_uris_are_returned_only_with_the_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    """The management URIs contain a key that gives access to all orchestrations of the app. So they are returned only
    with the setting."""
    assert not any("durabletask" in uri or "management" in uri for uri in uris(WITH_KEY, WITH_KEY).values())
    exposing: Any = Settings(expose_management_uris=True)
    monkeypatch.setattr(accepted, "current_settings", lambda: exposing)
    assert "instances/a" in uris(WITH_KEY, WITH_KEY)["statusQueryGetUri"]
