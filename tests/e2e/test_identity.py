"""The app signs in as in Azure: it gets tokens from a stub of the identity endpoint and calls Power BI over TLS."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from dev.identity_endpoint import FAULTS
from devhost_tests.process import KEY, ROOT, Devhost
from tests.e2e.azure import Azure, azure
from tests.e2e.world import CALL_SECONDS, FAST, World

pytestmark = pytest.mark.usefixtures("local")

CLIENT_ID = "44444444-aaaa-bbbb-cccc-000000000004"
FAILING_ANSWERS = 6
"""The number of failing answers of the endpoint: more than azure.identity would retry by itself within one call."""
BUDGET = {"OUTAGE_BUDGET_SECONDS": "60"}

Json = dict[str, Any]


@dataclass(frozen=True)
class Cloud:
    """An app, its world, and its surroundings in Azure."""

    world: World
    azure: Azure
    app: Devhost

    def fault(self, fault: str, times: int | None = None) -> None:
        """Makes the next answers of the identity endpoint fail."""
        self._control("POST", "/fault", {"fault": fault, "times": times})

    def well(self) -> None:
        """Removes all faults."""
        self._control("DELETE", "/fault")

    def revoke(self) -> None:
        """Makes all issued tokens invalid."""
        self._control("POST", "/revoke")

    def live(self, seconds: float) -> None:
        """Makes new tokens valid for this many seconds."""
        self._control("POST", "/tokens", {"lifeSeconds": seconds})

    def _control(self, method: str, route: str, body: Json | None = None) -> None:
        url = f"{self.azure.identity_url}/control{route}"
        assert requests.request(method, url, json=body, timeout=CALL_SECONDS).ok


@contextmanager
def deployed(folder: Path, *, certificate_for: str | None = None, **settings: str) -> Iterator[Cloud]:
    """An app in Azure, with these additional settings."""
    named = {} if certificate_for is None else {"certificate_for": certificate_for}
    with ExitStack() as stack:
        found = stack.enter_context(azure(folder, **named))
        env = {**FAST, "EXACT_TIMERS": "", **BUDGET, **found.settings, **settings}
        app = stack.enter_context(Devhost(ROOT, folder / "state", "--key", KEY, "--exact-timers", env=env))
        yield Cloud(World(app.base, found.power_bi), found, app)


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """One app for the tests that do not change it."""
    with deployed(tmp_path_factory.mktemp("azure")) as cloud:
        yield cloud


@pytest.fixture
def cloud(app: Cloud) -> Cloud:
    """The app without a valid token and without faults: it signs in with its next call."""
    app.well()
    app.live(3600)
    app.revoke()
    return app


def test_a_refresh_with_a_real_token_over_tls(cloud: Cloud) -> None:
    """The token is for the app's own identity and for the resource of Power BI."""
    result = cloud.world.refresh(cloud.world.model())
    assert (result.code, result.body["status"]) == (200, "Completed")
    assert cloud.azure.identity.asked["resource"] == "https://analysis.windows.net/powerbi/api"
    assert "client_id" not in cloud.azure.identity.asked


@pytest.mark.parametrize("fault", ["serverError", "throttled"])
def test_a_short_outage_of_the_identity_endpoint(cloud: Cloud, fault: str) -> None:
    """A short outage of the endpoint fails no request. In an earlier version, every request that began during such an
    outage failed."""
    cloud.fault(fault, FAILING_ANSWERS)
    before = cloud.azure.identity.calls
    result = cloud.world.refresh(cloud.world.model())
    assert (result.code, result.body["status"]) == (200, "Completed")
    assert cloud.azure.identity.calls > before + FAILING_ANSWERS


def test_a_short_outage_during_a_refresh(cloud: Cloud) -> None:
    """The token is revoked while the refresh runs, and at first the app gets no new one. The request succeeds
    nevertheless."""
    model = cloud.world.model(seconds=2)
    uri = cloud.world.ask(model)["statusUri"]
    cloud.world.until(uri, lambda status: status["status"] == "Refreshing")
    cloud.fault("serverError", 3)
    cloud.revoke()
    result = cloud.world.follow(uri)
    assert (result.code, result.body["status"]) == (200, "Completed")
    assert len(cloud.world.own(model)) == 1


def test_short_lived_tokens_are_renewed(cloud: Cloud) -> None:
    """A refresh that outlasts its token uses several tokens, and no call fails."""
    cloud.live(2)
    before = cloud.azure.identity.calls
    result = cloud.world.refresh(cloud.world.model(seconds=4))
    assert (result.code, result.body["status"]) == (200, "Completed")
    assert cloud.azure.identity.calls > before + 1


def test_a_refusal_fails_at_once_with_the_message_of_the_endpoint(cloud: Cloud) -> None:
    """A refused sign-in fails the request at once. An administrator has to act, and needs the message of the
    endpoint."""
    cloud.fault("noIdentity")
    result = cloud.world.refresh(cloud.world.model())
    status, body = FAULTS["noIdentity"]
    assert isinstance(body, dict)
    assert result.body["status"] == "Failed"
    error = result.body["error"]
    assert (error["code"], error["retryable"]) == ("TokenUnavailable", False)
    assert body["message"] in error["message"]
    assert f"HTTP {status}" in error["message"]


def test_no_secret_of_the_identity_is_logged(cloud: Cloud) -> None:
    """The log has neither the secret header of the endpoint nor a token."""
    cloud.fault("serverError", 2)
    cloud.world.refresh(cloud.world.model())
    log = cloud.app.log
    assert "power_bi.error" in log
    assert cloud.azure.identity.secret not in log
    assert "identity-" not in log


def test_an_outage_longer_than_the_budget(tmp_path: Path) -> None:
    """The error blames the service, not the caller. This holds for a user-assigned identity and for the app's own
    identity."""
    with deployed(tmp_path, OUTAGE_BUDGET_SECONDS="2", AZURE_CLIENT_ID=CLIENT_ID) as cloud:
        cloud.fault("serverError")
        result = cloud.world.refresh(cloud.world.model())
        assert result.body["status"] == "Failed"
        assert result.body["error"]["retryable"] is True
        assert cloud.azure.identity.asked["client_id"] == CLIENT_ID
        cloud.well()
        assert cloud.world.refresh(cloud.world.model()).body["status"] == "Completed"


def test_a_certificate_of_another_name_gets_no_token(tmp_path: Path) -> None:
    """A server that pretends to be Power BI gets no request."""
    with deployed(tmp_path, certificate_for="elsewhere.example", OUTAGE_BUDGET_SECONDS="1") as cloud:
        model = cloud.world.model()
        result = cloud.world.refresh(model)
        assert result.body["status"] == "Failed"
        calls = cloud.world.truth(model)["calls"]
    assert not any(calls.values())
