"""Calls that pages of other sites make in a browser are refused if the browser has a session."""

from __future__ import annotations

import json
import logging

import azure.functions as func
import pytest

from refresh.settings import Settings
from triggers import cross_site
from triggers.cross_site import cross_site_refusal

COOKIE = {"Cookie": "other=1; AppServiceAuthSession=abc"}
ENTRA = Settings(auth_mode="entra", website_hostname="refresh.example.net")


def refused(
    monkeypatch: pytest.MonkeyPatch,
    headers: dict[str, str],
    *,
    method: str = "POST",
    settings: Settings = ENTRA,
    host: str = "https://refresh.example.net",
) -> bool:
    """Whether the call is refused. A refusal must be as documented."""
    monkeypatch.setattr(cross_site, "current_settings", lambda: settings)
    answer = cross_site_refusal(func.HttpRequest(method, f"{host}/api/refreshes", headers=headers, body=b""))
    if answer is None:
        return False
    assert answer.status_code == 403
    assert json.loads(answer.get_body())["error"]["code"] == "CrossSiteCall"
    return True


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": ""},
        {"Sec-Fetch-Site": "cross-site", "Origin": "https://refresh.example.net"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": ""},
        {"Origin": "https://refresh.example.net.evil.example"},
        {"Origin": "https://refresh.example.net:8443"},
        {"Origin": "https://[half"},
        {},
    ],
)
def test_a_page_of_another_site_changes_nothing(monkeypatch: pytest.MonkeyPatch, headers: dict[str, str]) -> None:
    """Calls of a page of another site are refused with any method, with or without the most precise header."""
    for method in ("POST", "DELETE", "PUT", "PATCH"):
        assert refused(monkeypatch, {**COOKIE, **headers}, method=method)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer token", "User-Agent": "azure-data-factory/2.0"},
        {"Sec-Fetch-Site": "same-origin", "Origin": "https://refresh.example.net", **COOKIE},
        {"Sec-Fetch-Site": "none"},
        {"Origin": "https://refresh.example.net", **COOKIE},
        {"Origin": "https://REFRESH.example.net", **COOKIE},
    ],
)
def test_pipelines_and_the_apps_own_page_are_accepted(monkeypatch: pytest.MonkeyPatch, headers: dict[str, str]) -> None:
    """Calls of pipelines, which send none of the headers, and of the app's own page are accepted."""
    assert not refused(monkeypatch, headers)


def test_the_address_of_a_gateway_is_the_apps_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page with the address in PUBLIC_BASE_URL is the app's own page."""
    behind = Settings(auth_mode="entra", public_base_url="https://gateway.example/bi")
    assert not refused(monkeypatch, {"Origin": "https://gateway.example", **COOKIE}, settings=behind)
    assert refused(monkeypatch, {"Origin": "https://gateway.example", **COOKIE})


def test_reading_is_left_to_the_browser(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page of another site may call routes that only read, because the browser itself does not show it the answer."""
    for method in ("GET", "HEAD", "OPTIONS"):
        assert not refused(monkeypatch, {"Sec-Fetch-Site": "cross-site", **COOKIE}, method=method)


def test_with_keys_nothing_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """With keys, the Azure portal calls from its own site; a page of another site has no key."""
    headers = {"Sec-Fetch-Site": "cross-site", "Origin": "https://portal.azure.com", "x-functions-key": "k"}
    assert not refused(monkeypatch, headers, settings=Settings())


def test_a_refusal_is_logged(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """The log line does not have the address of the page, which the author of the page chose."""
    with caplog.at_level(logging.WARNING):
        assert refused(monkeypatch, {"Origin": "https://evil.example"})
    (line,) = caplog.messages
    assert json.loads(line)["event"] == "auth.cross_site_refused"
    assert "evil" not in line
