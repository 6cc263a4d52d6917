"""An app that starts has valid settings; an app that does not start names the invalid setting."""

import json
from contextlib import suppress
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refresh.polling.limits import Limits
from refresh.settings import CLOUDS, Settings, SettingsError, is_loopback

ONE, TWO = "01234567-89ab-cdef-0123-456789abcdef", "fedcba98-7654-3210-fedc-ba9876543210"
NUMBERS = (
    "POLL_MIN_SECONDS",
    "POLL_MAX_SECONDS",
    "OUTAGE_BUDGET_SECONDS",
    "VISIBILITY_GRACE_SECONDS",
    "RECHECK_SECONDS",
)
URLS = ("POWER_BI_API_URL", "PUBLIC_BASE_URL")


def read(**values: str) -> Settings:
    """The settings of this environment."""
    return Settings.from_environment(values)


def test_no_setting_is_required() -> None:
    """The defaults are those of the documentation; empty or blank values count as not set."""
    assert read() == Settings()
    assert read(**dict.fromkeys([*NUMBERS, *URLS, "POWER_BI_CLOUD", "ALLOWED_WORKSPACES"], " ")) == Settings()
    assert read().limits == Limits(poll_min=5, poll_max=60, grace=120, outage=900)


def test_every_setting_can_be_set() -> None:
    """Fractions are valid, so that tests can be fast."""
    settings = read(
        POWER_BI_CLOUD=" GCCHigh ",
        POWER_BI_API_URL="https://api.example.test/",
        POWER_BI_SCOPE="https://example.test/.default",
        AZURE_CLIENT_ID=ONE,
        ALLOWED_WORKSPACES=f"{ONE.upper()}, {TWO};",
        POLL_MIN_SECONDS="0.05",
        POLL_MAX_SECONDS="0.5",
        OUTAGE_BUDGET_SECONDS="3",
        VISIBILITY_GRACE_SECONDS="2.5",
        RECHECK_SECONDS="1",
        EXPOSE_MANAGEMENT_URIS="True",
        UI_ENABLED="0",
        CALLBACK_ALLOWED_HOSTS="Example.test, my-app.azurewebsites.net;",
        AUTH_MODE="KEY",
        PUBLIC_BASE_URL="https://refresh.example.test/app",
        WEBSITE_HOSTNAME="x.azurewebsites.net",
        IDENTITY_ENDPOINT="http://localhost:8081/msi/token",
    )
    assert settings == Settings(
        power_bi_cloud="gcchigh",
        power_bi_api_url="https://api.example.test",
        power_bi_scope="https://example.test/.default",
        azure_client_id=ONE,
        allowed_workspaces=frozenset({UUID(ONE), UUID(TWO)}),
        callback_allowed_hosts=("example.test", "my-app.azurewebsites.net"),
        poll_min_seconds=0.05,
        poll_max_seconds=0.5,
        outage_budget_seconds=3,
        visibility_grace_seconds=2.5,
        recheck_seconds=1,
        expose_management_uris=True,
        ui_enabled=False,
        auth_mode="key",
        public_base_url="https://refresh.example.test/app",
        website_hostname="x.azurewebsites.net",
        app_identity=True,
    )
    assert settings.limits == Limits(poll_min=2, poll_max=2, grace=2.5, outage=3)


HERE = {"POWER_BI_API_URL": "http://127.0.0.1:7072"}


@pytest.mark.parametrize(
    ("least", "most", "pauses"),
    [("5", "60", (5, 60)), ("0.2", "0.5", (2, 2)), ("1", "60", (2, 60)), ("2.1", "7.5", (3, 8)), ("3", "3.5", (3, 4))],
)
def test_pauses_are_whole_seconds_and_at_least_two(least: str, most: str, pauses: tuple[float, float]) -> None:
    """The engine cuts a timer to whole seconds, and a timer of one second fires at once. So shorter pauses would be no
    pauses."""
    limits = read(POLL_MIN_SECONDS=least, POLL_MAX_SECONDS=most).limits
    assert (limits.poll_min, limits.poll_max) == pauses
    exact = read(POLL_MIN_SECONDS=least, POLL_MAX_SECONDS=most, EXACT_TIMERS="true", **HERE).limits
    assert (exact.poll_min, exact.poll_max) == (float(least), float(most))


def test_exact_timers_are_for_this_machine() -> None:
    """EXACT_TIMERS is accepted only with a service on this machine, because no engine in the cloud has exact timers."""
    assert read(EXACT_TIMERS="1", **HERE).exact_timers
    for elsewhere in ({}, {"POWER_BI_API_URL": "https://api.example.test", "POWER_BI_SCOPE": "s"}):
        with pytest.raises(SettingsError, match="EXACT_TIMERS") as caught:
            read(EXACT_TIMERS="true", **elsewhere)
        assert caught.value.name == "EXACT_TIMERS"


@pytest.mark.parametrize("name", ["ALLOWED_WORKSPACES", "ALLOWED_CALLERS", "ALLOWED_READERS", "CALLBACK_ALLOWED_HOSTS"])
@pytest.mark.parametrize("value", [",", ";", " , ; ,"])
def test_a_list_without_entries_stops_the_start(name: str, value: str) -> None:
    """The author of such a list wanted to restrict something, but without entries it would allow everything."""
    with pytest.raises(SettingsError, match="contains no") as caught:
        read(**{name: value})
    assert caught.value.name == name


def test_retention_is_days() -> None:
    """The retention is a number of days, at most ten years. The error names the limit in days."""
    assert read(RETENTION_DAYS="0.5").retention_days == 0.5
    assert read(RETENTION_DAYS="3650").retention_days == 3650
    for value, problem in (("0", "number of days"), ("-1", "number of days"), ("3651", "at most 3650 days")):
        with pytest.raises(SettingsError, match=problem) as caught:
            read(RETENTION_DAYS=value)
        assert caught.value.name == "RETENTION_DAYS"


def test_a_slot_has_an_address_of_its_own() -> None:
    """A deployment slot needs PUBLIC_BASE_URL: after a swap, the platform's name of the app may be that of the other
    slot."""
    with pytest.raises(SettingsError, match="deployment slot staging") as caught:
        read(WEBSITE_SLOT_NAME="staging")
    assert caught.value.name == "PUBLIC_BASE_URL"
    assert read(WEBSITE_SLOT_NAME="staging", PUBLIC_BASE_URL="https://app-staging.example.net").slot == "staging"
    for name in ("", "Production", "production"):
        assert read(WEBSITE_SLOT_NAME=name).slot is None


@pytest.mark.parametrize("cloud", CLOUDS)
def test_each_cloud_is_known(cloud: str) -> None:
    """The name of a cloud is case-insensitive."""
    assert read(POWER_BI_CLOUD=cloud.upper()).power_bi_cloud == cloud


BAD: list[tuple[str, str]] = [
    *((name, value) for name in NUMBERS for value in ("0", "-1", "5s", "1e3", "nan", "inf", "1,5", "9" * 30, "0.0")),
    *(
        (name, value)
        for name in URLS
        for value in (
            "api.powerbi.com",
            "ftp://api.powerbi.com",
            "http://api.powerbi.com",
            "http://127.0.0.1.example.test",
            "https://",
            "https:///path",
            "https://user@api.powerbi.com",
            "https://:word@api.powerbi.com",
            "https://api.powerbi.com?x=1",
            "https://api.powerbi.com#x",
            "https://api.powerbi.com:99999",
            "https://api.powerbi.com:port",
            "https://[::1",
            "https://[api]/",
            "https://api powerbi.com",
        )
    ),
    ("POWER_BI_CLOUD", "azure"),
    ("AUTH_MODE", "none"),
    ("AUTH_MODE", "entra"),
    ("EXPOSE_MANAGEMENT_URIS", "maybe"),
    ("UI_ENABLED", "off"),
    ("ALLOWED_WORKSPACES", "Finance"),
    ("ALLOWED_WORKSPACES", f"{ONE},{ONE[:-1]}"),
    *(
        ("CALLBACK_ALLOWED_HOSTS", value)
        for value in (
            "com",
            "*.azure.com",
            ".azure.com",
            "azure.com.",
            "https://azure.com",
            "azure.com:443",
            "azure.com/path",
            "user@azure.com",
            "10.0.0.1",
            "[::1]",
            "b\u00fccher.example",
            "localhost",
            "azure.com,127.0.0.1",
        )
    ),
]


@pytest.mark.parametrize(("name", "value"), BAD)
def test_a_bad_value_names_its_setting(name: str, value: str) -> None:
    """The error names the invalid setting, even if other values are valid."""
    with pytest.raises(SettingsError, match=f"^App setting {name}: ") as caught:
        read(**{"POWER_BI_SCOPE": "s", name: value})
    assert caught.value.name == name


SIGN_IN = {"AUTH_MODE": "entra", "WEBSITE_AUTH_ENABLED": "True", "ALLOWED_CALLERS": f"{ONE.upper()}, {TWO}"}


def test_callers_may_sign_in() -> None:
    """The platform's sign-in must be on, and principals must be listed."""
    settings = read(**SIGN_IN)
    assert settings.auth_mode == "entra"
    assert settings.allows_caller(ONE)
    assert not settings.allows_caller("99999999-89ab-cdef-0123-456789abcdef")


def test_readers_may_only_read() -> None:
    """Readers may only read. Callers may read, too."""
    reader, stranger = "99999999-89ab-cdef-0123-456789abcdef", "99999999-89ab-cdef-0123-000000000000"
    settings = read(**SIGN_IN, ALLOWED_READERS=reader.upper())
    assert [settings.allows_reader(one) for one in (ONE, reader, stranger)] == [True, True, False]
    assert [settings.allows_caller(one) for one in (ONE, reader, stranger)] == [True, False, False]
    assert not read(**SIGN_IN).allows_reader(reader)


def test_expectations_of_models() -> None:
    """Expectations are in hours, by dataset id in lower case."""
    assert read().expected_every_hours == {}
    assert read(EXPECTED_EVERY_HOURS="").expected_every_hours == {}
    value = json.dumps({ONE.upper(): 24, TWO: 0.5})
    assert read(EXPECTED_EVERY_HOURS=value).expected_every_hours == {ONE: 24.0, TWO: 0.5}


@pytest.mark.parametrize(
    "value",
    [
        *("24", "[]", "{}", "{", "null", '"24"', f'["{ONE}"]', f'[["{ONE}", 24]]', "[" * 100_000),
        *(f'{{"{ONE}": {hours}}}' for hours in ("0", "-1", "true", '"24"', "null", "NaN", "Infinity", "8785", "[24]")),
        f'{{"{ONE}": {{"hours": 24}}}}',
        '{"Sales": 24}',
        f'{{"{ONE}": 24, "{ONE.upper()}": 12}}',
    ],
)
def test_a_bad_expectation_stops_the_start(value: str) -> None:
    """An invalid expectation stops the start. If it were ignored, it would have no effect."""
    with pytest.raises(SettingsError) as caught:
        read(EXPECTED_EVERY_HOURS=value)
    assert caught.value.name == "EXPECTED_EVERY_HOURS"


@pytest.mark.parametrize(
    ("changed", "name"),
    [
        ({"WEBSITE_AUTH_ENABLED": ""}, "AUTH_MODE"),
        ({"WEBSITE_AUTH_ENABLED": "False"}, "AUTH_MODE"),
        ({"ALLOWED_CALLERS": ""}, "ALLOWED_CALLERS"),
        ({"ALLOWED_CALLERS": "the-factory"}, "ALLOWED_CALLERS"),
        ({"AUTH_MODE": "key"}, "ALLOWED_CALLERS"),
        ({"AUTH_MODE": ""}, "ALLOWED_CALLERS"),
        ({"ALLOWED_READERS": "the-people"}, "ALLOWED_READERS"),
        ({"AUTH_MODE": "key", "ALLOWED_CALLERS": "", "ALLOWED_READERS": ONE}, "ALLOWED_READERS"),
    ],
)
def test_ineffective_access_control_stops_the_start(changed: dict[str, str], name: str) -> None:
    """Without the platform's sign-in, any caller could forge its headers. A list that is not used protects nothing."""
    with pytest.raises(SettingsError) as caught:
        read(**{**SIGN_IN, **changed})
    assert caught.value.name == name


def test_this_machine_may_be_called_in_development() -> None:
    """If the service is on this machine, callbacks may also call this machine."""
    settings = read(POWER_BI_API_URL="http://localhost:7072", CALLBACK_ALLOWED_HOSTS="localhost 127.0.0.1")
    assert settings.local
    assert settings.callback_allowed_hosts == ("localhost", "127.0.0.1")
    assert not read().local


def test_the_shortest_wait_must_not_exceed_the_longest() -> None:
    """The app does not start. The error names the setting."""
    with pytest.raises(SettingsError, match="POLL_MAX_SECONDS"):
        read(POLL_MIN_SECONDS="61")
    assert read(POLL_MIN_SECONDS="60").limits.poll_min == 60
    with pytest.raises(SettingsError, match="RECHECK_SECONDS"):
        read(RECHECK_SECONDS="43201")


def test_another_service_needs_its_scope() -> None:
    """A service in no known cloud needs POWER_BI_SCOPE. A service on this machine does not: invented tokens are enough
    for it."""
    with pytest.raises(SettingsError, match="POWER_BI_SCOPE"):
        read(POWER_BI_API_URL="https://api.example.test")
    assert read(POWER_BI_API_URL="http://127.0.0.1:8000").power_bi_api_url == "http://127.0.0.1:8000"


@pytest.mark.parametrize(
    ("url", "local"),
    [
        ("http://localhost:7071/api", True),
        ("http://127.0.0.1", True),
        ("http://127.8.9.1:80", True),
        ("http://[::1]:80", True),
        ("http://localhost.example.test", False),
        ("http://127.0.0.1.example.test", False),
        ("http://127.0.0.1@example.test", False),
        ("http://10.0.0.1", False),
        ("http://0.0.0.0", False),
        ("http:///x", False),
    ],
)
def test_only_this_machine_is_a_loopback(url: str, local: bool) -> None:
    """Only an address of this machine counts. To any other address, tokens would be sent in plain text."""
    assert is_loopback(url) is local


def test_workspaces_are_restricted_only_with_the_setting() -> None:
    """Without ALLOWED_WORKSPACES, all workspaces are allowed."""
    assert read().allows_workspace(UUID(ONE))
    assert read(ALLOWED_WORKSPACES=TWO).allows_workspace(UUID(TWO))
    assert not read(ALLOWED_WORKSPACES=TWO).allows_workspace(UUID(ONE))


@pytest.mark.parametrize("name", ["IDENTITY_ENDPOINT", "MSI_ENDPOINT", "AZURE_CLIENT_SECRET"])
def test_the_identity_of_an_app_is_recognised(name: str) -> None:
    """The app has to know whether it has its own identity, because Power BI sends no emails to it."""
    assert read(**{name: "x"}).app_identity


@given(
    st.sampled_from([*NUMBERS, *URLS, "POWER_BI_CLOUD", "ALLOWED_WORKSPACES", "AUTH_MODE", "CALLBACK_ALLOWED_HOSTS"]),
    st.text(max_size=30),
)
def test_any_text_is_accepted_or_refused_with_its_setting(name: str, value: str) -> None:
    """Any text is accepted or raises SettingsError, and no other exception."""
    with suppress(SettingsError):
        read(**{name: value})
