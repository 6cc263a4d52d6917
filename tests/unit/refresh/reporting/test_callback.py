"""Where a callback may go, what it says, and when it is tried again."""

import json
import string
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from refresh.reporting.callback import (
    GIVEN_KEYS,
    LONGEST_PAUSE,
    CallbackState,
    body_of,
    instance_of,
    kind_of,
    prefix_of,
)
from refresh.reporting.status import Instance
from refresh.request.callback_uri import UriError, check_uri, host_of
from refresh.request.spec import Scope, Wish
from refresh.request.state import RequestState
from refresh.request.stored import verdict
from refresh.settings import Settings

CLOUD = Settings(callback_allowed_hosts=("azure.com", "hooks.example"))
LOCAL = Settings(callback_allowed_hosts=("azure.com", "127.0.0.1"), power_bi_api_url="http://127.0.0.1:7072")
NOW = datetime(2026, 3, 31, 6, tzinfo=UTC)

ALLOWED = [
    "https://azure.com",
    "https://azure.com/",
    "https://a.azure.com/x/y?sp=1&sig=a%2Bb_c-d~e=",
    "https://A.B.Azure.COM:443/x",
    "HTTPS://a.azure.com/x",
    "https://a.azure.com?x=1",
    "https://hooks.example/@user:password@host/",
    "https://xn--bcher-kva.azure.com/x",
    "https://a.azure.com/x?to=https://evil.example/",
    "https://a.azure.com/workflows/1(2)/runs/[3]/x;y,z!*'$",
]
REFUSED = [
    "http://a.azure.com/x",
    "ftp://a.azure.com/x",
    "//a.azure.com/x",
    "a.azure.com/x",
    "https:a.azure.com/x",
    "https:/a.azure.com/x",
    "https:///a.azure.com/x",
    "https://",
    "https:///",
    # other hosts
    "https://evil.example/x",
    "https://evil-azure.com/x",
    "https://evilazure.com/x",
    "https://azure.com.evil.example/x",
    "https://azure.example/x",
    "https://com/x",
    "https://.azure.com/x",
    "https://a..azure.com/x",
    "https://-a.azure.com/x",
    "https://a-.azure.com/x",
    "https://azure.com./x",
    "https://a.azure.com../x",
    "https://azure.com%2e/x",
    "https://evil.example%2f.azure.com/x",
    "https://evil.example%23.azure.com/x",
    "https://evil_x.azure.com/x",
    "https://*.azure.com/x",
    # users, and what looks like one
    "https://user@a.azure.com/x",
    "https://user:pw@a.azure.com/x",
    "https://a.azure.com@evil.example/x",
    "https://a.azure.com:443@evil.example/x",
    "https://a.azure.com:@evil.example/x",
    "https://@a.azure.com/x",
    # what parsers read differently
    "https://evil.example\\.azure.com/x",
    "https://evil.example\\@a.azure.com/x",
    "https://a.azure.com\\@evil.example/x",
    "https:\\\\a.azure.com/x",
    "https://evil.example#.azure.com/x",
    "https://evil.example/#a.azure.com",
    "https://a.azure.com/x#part",
    "https://evil.example?.azure.com/x",
    "https://evil.example;.azure.com/x",
    "https://a.azure.com/x y",
    "https://a.azure.com/x\r\nHost: evil.example",
    "https://a.azure.com\t/x",
    "https://a.azure.com/\x00",
    " https://a.azure.com/x",
    "https://a.azure.com/x\n",
    # letters that only look like it
    "https://a.\u0430zure.com/x",
    "https://a.azure\u3002com/x",
    "https://a.azure.com\uff0f.evil.example/x",
    "https://\u24d0zure.com/x",
    "https://a.azure.com/\u00e4",
    # addresses
    "https://10.0.0.1/x",
    "https://169.254.169.254/metadata",
    "https://127.0.0.1/x",
    "https://127.1/x",
    "https://2130706433/x",
    "https://0x7f000001/x",
    "https://0x7f.0.0.1/x",
    "https://0177.0.0.1/x",
    "https://[::1]/x",
    "https://[::ffff:10.0.0.1]/x",
    "https://[fe80::1%25eth0]/x",
    "https://localhost/x",
    # ports
    "https://a.azure.com:80/x",
    "https://a.azure.com:8443/x",
    "https://a.azure.com:0443/x",
    "https://a.azure.com:/x",
    "https://a.azure.com:44x/x",
    "https://a.azure.com:-443/x",
    "https://a.azure.com:999999/x",
    "https://a.azure.com/" + "x" * 4000,
]


@pytest.mark.parametrize("uri", ALLOWED)
def test_an_allowed_host_is_called(uri: str) -> None:
    """What is called is the host that was checked, also for the library that will call it."""
    assert check_uri(uri, CLOUD) == uri
    prepared = requests.Request("POST", uri).prepare()
    assert prepared.url is not None
    host = requests.compat.urlsplit(prepared.url).hostname
    assert host == host_of(uri)
    assert host == "hooks.example" or str(host).endswith("azure.com")


@pytest.mark.parametrize("uri", REFUSED)
@pytest.mark.parametrize("settings", [CLOUD, LOCAL], ids=["cloud", "local"])
def test_nothing_else_is_called(uri: str, settings: Settings) -> None:
    """And the refusal shows nothing behind the host."""
    if settings is LOCAL and "//127.0.0.1" in uri:
        assert check_uri(uri, settings) == uri
        return
    with pytest.raises(UriError) as refusal:
        check_uri(uri, settings)
    assert "/x" not in str(refusal.value).replace("https://host/path", "")


@pytest.mark.parametrize("uri", ["http://127.0.0.1:8080/x?a=1", "https://127.0.0.1/x", "http://127.0.0.1"])
def test_this_machine_is_called_in_development_only(uri: str) -> None:
    """Where the service is on it too, and the host is listed."""
    assert check_uri(uri, LOCAL) == uri
    for settings in (
        CLOUD,
        Settings(callback_allowed_hosts=("azure.com",), power_bi_api_url="http://127.0.0.1:7072"),
        Settings(callback_allowed_hosts=("localhost",), power_bi_api_url="http://127.0.0.1:7072"),
        Settings(callback_allowed_hosts=("127.0.0.1",), power_bi_api_url="https://api.example.test"),
        Settings(callback_allowed_hosts=("127.0.0.1",)),
    ):
        with pytest.raises(UriError):
            check_uri(uri, settings)


def test_a_suffix_of_a_local_host_is_nothing() -> None:
    """`x.localhost` is another name, which anybody's resolver may answer."""
    settings = Settings(callback_allowed_hosts=("localhost",), power_bi_api_url="http://127.0.0.1:7072")
    for uri in ("http://x.localhost/", "https://x.localhost/", "http://1.127.0.0.1/"):
        with pytest.raises(UriError):
            check_uri(uri, settings)


@given(st.text(st.sampled_from(string.printable + "\u3002\uff0e\u00ad"), max_size=30))
def test_no_text_brings_the_library_elsewhere(middle: str) -> None:
    """Whatever stands between the scheme and an allowed host: refused, or the library goes where we looked."""
    uri = f"https://{middle}azure.com/"
    try:
        check_uri(uri, CLOUD)
    except UriError:
        return
    url = requests.Request("POST", uri).prepare().url
    assert url is not None
    host = requests.compat.urlsplit(url).hostname or ""
    assert host == "azure.com" or host.endswith((".azure.com", "hooks.example"))


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        *[(code, "delivered") for code in (200, 202, 204)],
        *[(code, "again") for code in (408, 429, 500, 502, 503, 504)],
        *[(code, "gone") for code in (301, 302, 307, 308, 400, 401, 403, 410, 422)],
        *[(code, "refused") for code in (404, 409)],
    ],
)
def test_what_an_answer_means(status: int, kind: str) -> None:
    """Another answer may come next time, or never."""
    assert kind_of(status) == kind


def ended(engine: str, custom: dict[str, Any]) -> dict[str, Any]:
    """The body for a request that ended like this."""
    wish = Wish("22222222-aaaa-bbbb-cccc-000000000001", Scope("w"), caller={"pipeline": "p"})
    state = RequestState(wish, "life", "read-token", "cancel-token", "2026-03-31T06:00:00.000Z")
    told = verdict((Instance("id", engine, custom, None, "2026-03-31T07:00:00.000Z"), state))
    assert told
    return body_of(told)


def test_a_success_is_told() -> None:
    """Status code 200, no error, and the status both for those that read Output and for those that read the body."""
    body = ended("Running", {"status": "Completed", "refreshId": "r", "endedAt": "2026-03-31T06:30:00.000Z"})
    assert body["StatusCode"] == "200"
    assert "Error" not in body
    assert "error" not in body["Output"]
    assert body["status"] == body["Output"]["status"] == "Completed"
    assert body["caller"] == {"pipeline": "p"}
    assert body["refreshId"] == "r"


def test_a_failure_is_told_with_its_sentence() -> None:
    """As the WebHook activity shows it, and as our status has it."""
    error = {"code": "TimedOut", "message": "Too long.", "retryable": True}
    body = ended("Running", {"status": "TimedOut", "error": error})
    assert body["StatusCode"] == "424"
    assert body["Error"] == {"ErrorCode": "TimedOut", "Message": "Too long."}
    assert body["Output"]["error"] == error
    assert {key.lower() for key in body if key != "Error"}.isdisjoint({"error"})


def test_a_request_that_cannot_speak_is_spoken_for() -> None:
    """Terminated by hand, it said nothing itself."""
    body = ended("Terminated", {"status": "Refreshing"})
    assert (body["StatusCode"], body["status"], body["Error"]["ErrorCode"]) == (
        "424",
        "Terminated",
        "RequestTerminated",
    )


def test_no_token_is_told() -> None:
    """The other side learns how it ended, not how to ask or to cancel."""
    body = ended("Running", {"status": "Completed"})
    assert "token" not in json.dumps(body)
    assert set(body) <= {*GIVEN_KEYS, "Output", "StatusCode"}


def test_a_callback_has_one_name() -> None:
    """The same URI of the same request is one callback, another is another; the name does not tell the URI."""
    one, other = "https://a.azure.com/x?sig=1", "https://a.azure.com/x?sig=2"
    assert instance_of("r", one) == instance_of("r", one)
    assert len({instance_of("r", one), instance_of("r", other), instance_of("s", one)}) == 3
    assert instance_of("r", one).startswith(prefix_of("r"))
    assert "azure" not in instance_of("r", one)


def test_pauses_grow_up_to_a_quarter_of_an_hour() -> None:
    """Unless the other side wants more time; and never longer."""
    state = CallbackState("r", "u", NOW.isoformat(), first_pause=5)
    pauses = []
    for _ in range(12):
        state = state.failed(NOW)
        pauses.append(state.pause(None))
    assert pauses == [5, 10, 20, 40, 80, 160, 320, 640, *[LONGEST_PAUSE] * 4]
    assert state.pause(1) == LONGEST_PAUSE
    assert CallbackState("r", "u", "", 5).failed(NOW).pause(60) == 60
    assert CallbackState("r", "u", "", 5).failed(NOW).pause(99999) == LONGEST_PAUSE


def test_a_day_is_enough() -> None:
    """Counted from the first failure, not from when the callback was asked for."""
    state = CallbackState("r", "u", (NOW - timedelta(days=5)).isoformat(), 5)
    assert not state.too_late(NOW)
    state = state.failed(NOW).failed(NOW + timedelta(hours=20))
    assert not state.too_late(NOW + timedelta(hours=23, minutes=59))
    assert state.too_late(NOW + timedelta(hours=24))


def test_an_end_that_is_not_seen_yet_is_looked_for_again() -> None:
    """A few times, with the shortest pause: the news can be quicker than the status."""
    state = CallbackState("r", "u", "", 5)
    assert state.looks == 0
    state = state.told()
    pauses = []
    while state.looks:
        state = state.looked()
        pauses.append(state.pause(None))
    assert pauses == [5, 5, 5]


def test_a_state_can_be_stored() -> None:
    """And read again, by a code that knows more or fewer keys."""
    state = CallbackState("r", "u", NOW.isoformat(), 5).failed(NOW).revived()
    stored = json.loads(json.dumps(state.to_json()))
    assert CallbackState.from_json({**stored, "newer": 1}) == state
    assert CallbackState.from_json({k: stored[k] for k in ("request", "uri", "added_at", "first_pause")}).life == 1
