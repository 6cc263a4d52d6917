"""The four calls of the client: their requests, results and exceptions."""

import json
import logging
import subprocess
import sys
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from multidict import CIMultiDict

from outbound import deadline
from outbound.exchange import Limits, NoAnswerError, Outgoing, Received
from power_bi.client import HISTORY_LIMITS, PowerBiClient
from power_bi.errors import (
    AnswerLost,
    PowerBiError,
    RefreshInProgress,
    Refused,
    ServiceUnavailable,
    Throttled,
)
from power_bi.wire import Wire
from tests.unit.outbound.hostile import Peer, serving
from tests.unit.power_bi.fake import DATASET, PATH, REFRESH, URL, WORKSPACE, Tokens, client, reply

OTHER = "00000000-0000-0000-0000-00000000beef"
LOCATION = f"https://wabi-west-europe-d-primary-redirect.analysis.windows.net/v1.0/myorg/groups/x/refreshes/{REFRESH}"
EXPIRED = {"error": {"code": "TokenExpired", "message": "Access token has expired, resubmit with a new access token"}}
DATE = "Mon, 23 Mar 2026 13:48:31 GMT"
ROW = {"requestId": REFRESH, "refreshType": "ViaApi", "status": "Unknown", "startTime": "2026-03-23T13:48:31.017Z"}


def test_history_reads_the_newest_rows() -> None:
    """The result has the rows, the service's clock and the request id. A row without an id is left out."""
    body = {"@odata.context": "x", "value": [ROW, {"id": 5}, "?"]}
    power_bi, service = client(reply(200, body, Date=DATE, RequestId=OTHER))
    history = power_bi.history(WORKSPACE, DATASET, top=5)
    assert [row.request_id for row in history.rows] == [REFRESH]
    assert history.service_time == datetime(2026, 3, 23, 13, 48, 31, tzinfo=UTC)
    assert history.power_bi_request_id == OTHER
    assert service.requests[0].url == f"{URL}{PATH}?$top=5"
    assert service.limits == [HISTORY_LIMITS]


def test_an_empty_history_is_a_history() -> None:
    """A model that was never refreshed has an empty history. An invalid Date header counts as absent."""
    power_bi, _ = client(reply(200, {"value": []}, Date="soon"))
    history = power_bi.history(WORKSPACE, DATASET)
    assert (history.rows, history.service_time) == ((), None)


@pytest.mark.parametrize(
    "headers",
    [
        {"Location": LOCATION, "x_ms_request_id": OTHER, "RequestId": OTHER},
        {"Location": "https://nowhere/", "x_ms_request_id": REFRESH.upper(), "RequestId": OTHER},
        {"requestid": REFRESH},
        {"location": LOCATION + "/?x=1"},
    ],
)
def test_the_refresh_id_comes_from_the_first_header_that_has_one(headers: dict[str, str]) -> None:
    """The order of the headers is Location, x-ms-request-id, RequestId. Their names are case-insensitive."""
    power_bi, service = client(reply(202, Date=DATE, **headers))
    started = power_bi.start(WORKSPACE, DATASET, {"type": "Full"})
    assert started.refresh_id == REFRESH
    assert started.service_time == datetime(2026, 3, 23, 13, 48, 31, tzinfo=UTC)
    assert len(service.requests) == 1


@pytest.mark.parametrize("body", [{"type": "Full"}, {"notifyOption": "NoNotification"}, None])
def test_the_body_is_always_sent_as_json(body: dict[str, Any] | None) -> None:
    """Without the content type, Power BI would ignore the body and refresh the whole model."""
    power_bi, service = client(reply(202, RequestId=REFRESH))
    power_bi.start(WORKSPACE, DATASET, body)
    request = service.requests[0]
    assert request.method == "POST"
    assert request.headers["Content-Type"] == "application/json"
    assert json.loads(request.body or b"") == (body or {})
    assert request.headers["Authorization"] == "Bearer token-0"


def test_accepted_without_an_id_is_a_lost_answer() -> None:
    """If a POST is accepted without an id, the refresh runs, but only the history can identify it."""
    power_bi, _ = client(reply(202))
    with pytest.raises(AnswerLost):
        power_bi.start(WORKSPACE, DATASET, None)


def test_an_acceptance_with_an_incomplete_body_is_an_acceptance() -> None:
    """The body of an acceptance need not be complete: the id is in the headers."""
    power_bi, _ = client(Received(202, CIMultiDict({"RequestId": REFRESH}), incomplete_because="ClientPayloadError"))
    assert power_bi.start(WORKSPACE, DATASET, None).refresh_id == REFRESH


@pytest.mark.parametrize("status", [200, 403, 500])
def test_an_incomplete_answer_is_lost(status: int) -> None:
    """An incomplete answer counts as no answer, whatever its status is. The error contains the status."""
    power_bi, _ = client(Received(status, CIMultiDict(), incomplete_because="TimeoutError"))
    with pytest.raises(AnswerLost) as caught:
        power_bi.history(WORKSPACE, DATASET)
    assert caught.value.http_status == status
    assert "TimeoutError" in str(caught.value)


@pytest.mark.parametrize("status", [200, 202])
def test_a_refresh_is_read_by_id_whether_it_runs_or_not(status: int) -> None:
    """The HTTP status is 202 while a refresh runs and 200 at its end, but only the status in the body decides."""
    power_bi, service = client(reply(status, {"status": "Unknown", "extendedStatus": "InProgress"}))
    row = power_bi.refresh(WORKSPACE, DATASET, REFRESH)
    assert row is not None
    assert (row.request_id, row.state) == (REFRESH, "running")
    assert service.requests[0].url == f"{URL}{PATH}/{REFRESH}"


@pytest.mark.parametrize(
    "answer",
    [
        reply(404, {"error": {"code": "PowerBIEntityNotFound", "pbi.error": {"code": "PowerBIEntityNotFound"}}}),
        reply(404),
        reply(400, {"error": {"code": "InvalidRequest", "message": "Invalid refresh id"}}),
    ],
)
def test_an_id_that_cannot_be_read_returns_none(answer: Any) -> None:
    """Standard refreshes may not be readable by id, but the history has them."""
    power_bi, _ = client(answer)
    assert power_bi.refresh(WORKSPACE, DATASET, UUID(REFRESH)) is None


def test_a_success_without_a_status_is_not_a_refresh() -> None:
    """A 200 without a status, for example of a gateway, does not count as a running refresh."""
    power_bi, _ = client(reply(200, {}), reply(200, b"<html>Sign in</html>"), reply(200, {"hello": 1}))
    for _ in range(2):
        with pytest.raises(ServiceUnavailable):
            power_bi.refresh(WORKSPACE, DATASET, REFRESH)
    with pytest.raises(ServiceUnavailable):
        power_bi.history(WORKSPACE, DATASET)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (reply(200), True),
        (reply(202), True),
        (reply(409, {"error": {"code": "Conflict", "message": "The refresh cannot be cancelled."}}), False),
        (reply(409), False),
        (reply(400, {"error": {"code": "InvalidRequest", "message": "It cannot be cancelled"}}), False),
    ],
)
def test_cancel_returns_whether_power_bi_will_try(answer: Any, expected: bool) -> None:
    """The result is True if Power BI accepts the cancellation, and False if the refresh has already ended."""
    power_bi, service = client(answer)
    assert power_bi.cancel(WORKSPACE, DATASET, REFRESH) is expected
    assert service.requests[0].method == "DELETE"
    assert service.requests[0].url == f"{URL}{PATH}/{REFRESH}"


def test_cancel_of_an_unknown_refresh_is_refused() -> None:
    """For a refresh that Power BI does not know, the client raises Refused. It does not say that the refresh has
    ended."""
    power_bi, _ = client(reply(404))
    with pytest.raises(Refused) as caught:
        power_bi.cancel(WORKSPACE, DATASET, REFRESH)
    assert caught.value.code == "RefreshNotFound"


@pytest.mark.parametrize("status", [403, 401])
def test_an_expired_token_is_renewed_once(status: int) -> None:
    """The call is repeated with a new token. This includes a POST, because the answer proves that it was not
    accepted."""
    power_bi, service = client(reply(status, EXPIRED), reply(202, RequestId=REFRESH))
    assert power_bi.start(WORKSPACE, DATASET, {"type": "Full"}).refresh_id == REFRESH
    assert [r.headers["Authorization"] for r in service.requests] == ["Bearer token-0", "Bearer token-1"]
    assert service.requests[0].body == service.requests[1].body


def test_a_token_that_expires_twice_is_refused() -> None:
    """If the new token is also refused, there is no third attempt, which would not help."""
    power_bi, service = client(reply(403, EXPIRED), reply(403, EXPIRED))
    with pytest.raises(Refused) as caught:
        power_bi.history(WORKSPACE, DATASET)
    assert caught.value.code == "TokenRejected"
    assert len(service.requests) == 2


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_an_error_and_gets_no_token(status: int) -> None:
    """A redirect is not followed, because the token is for the configured host only."""
    power_bi, service = client(reply(status, Location="https://elsewhere.example/"))
    with pytest.raises(Refused) as caught:
        power_bi.history(WORKSPACE, DATASET)
    assert (caught.value.code, caught.value.http_status) == ("UnexpectedAnswer", status)
    assert len(service.requests) == 1


@pytest.mark.parametrize("url", ["http://api.powerbi.com", "http://127.0.0.1.example", "ftp://localhost", "x", ""])
def test_tokens_go_to_https_only(url: str) -> None:
    """An address with plain http is refused, unless it is on this machine."""
    with pytest.raises(ValueError, match="https"):
        PowerBiClient(url, Tokens())


@pytest.mark.parametrize("url", ["http://localhost:7072", "http://127.0.0.1:7072/", "http://[::1]:7072"])
def test_http_is_allowed_for_this_machine(url: str) -> None:
    """This machine may be called with http, because the development service has no certificate."""
    power_bi, service = client(reply(200, {"value": []}), url=url)
    power_bi.history(WORKSPACE, DATASET)
    assert service.requests[0].url == f"{url.rstrip('/')}{PATH}?$top=60"


@pytest.mark.parametrize("bad", ["../../admin", "", "x", REFRESH + "/.."])
def test_only_guids_reach_a_path(bad: str) -> None:
    """An invalid id never leaves the process."""
    power_bi, service = client()
    with pytest.raises(ValueError, match="hexadecimal UUID"):
        power_bi.refresh(WORKSPACE, DATASET, bad)
    with pytest.raises(ValueError, match="hexadecimal UUID"):
        power_bi.history(bad, DATASET)  # type: ignore[arg-type]
    assert service.requests == []


def test_a_call_may_have_less_time_than_others() -> None:
    """Optional calls have a shorter limit than necessary calls."""

    def transport(request: Outgoing, limits: Limits) -> Received:
        left.append(deadline.remaining())
        return Received(200, CIMultiDict())

    left: list[float] = []
    wire = Wire(URL, Tokens(), transport)
    wire.exchange("GET", PATH, None, "read", str(DATASET), seconds=5)
    wire.exchange("GET", PATH, None, "read", str(DATASET))
    assert 0 < left[0] <= 5
    assert left[1] == float("inf")


def test_an_error_has_its_facts() -> None:
    """An error has the facts that log lines and support cases need."""
    body = {"message": "You have exceeded the amount of requests. Retry in 3392 seconds."}
    power_bi, _ = client(reply(429, body, Retry_After="3392", RequestId=OTHER))
    with pytest.raises(Throttled) as caught:
        power_bi.history(WORKSPACE, DATASET)
    error = caught.value
    assert (error.http_status, error.retry_after_seconds, error.power_bi_request_id) == (429, 3392.0, OTHER)
    assert (error.code, error.retryable) == ("Throttled", True)
    assert "read the refresh history" in str(error)
    assert OTHER in str(error)
    assert str(DATASET) in error.failure().message


def test_a_race_is_distinguished_from_a_lost_answer() -> None:
    """After a race, the POST was certainly not accepted; after a lost answer, it may have been."""
    running = {"error": {"code": "InvalidRequest", "message": "Another refresh request is already executing"}}
    power_bi, _ = client(reply(400, running), reply(504))
    with pytest.raises(RefreshInProgress):
        power_bi.start(WORKSPACE, DATASET, None)
    with pytest.raises(AnswerLost):
        power_bi.start(WORKSPACE, DATASET, None)


def test_no_token_is_ever_logged_or_raised(caplog: pytest.LogCaptureFixture) -> None:
    """No log line and no error contains a token, even if the service or the network quotes it."""
    quoted = {"error": {"code": "x", "message": "Got Authorization: Bearer token-0 from you"}}
    power_bi, _ = client(reply(418, quoted), NoAnswerError("ServerDisconnectedError"), reply(200, {"value": []}))
    with caplog.at_level(logging.DEBUG):
        for _ in range(2):
            with pytest.raises(PowerBiError) as caught:
                power_bi.history(WORKSPACE, DATASET)
            assert "token-0" not in f"{caught.value} {caught.value!r} {caught.value.facts} {caught.value.failure()}"
        power_bi.history(WORKSPACE, DATASET)
    assert "token-0" not in caplog.text
    assert PATH in caplog.text


@pytest.mark.parametrize(
    ("head", "part"),
    [
        pytest.param(b"HTTP/1.1 200 OK\r\n\r\n", b" " * 65536, id="an endless body"),
        pytest.param(b"HTTP/1.1 200 OK\r\n", b"X: 1\r\n" * 1000, id="endless headers"),
        pytest.param(b"HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n", b" " * 65536, id="an endless redirect"),
    ],
)
def test_an_endless_answer_is_cut(head: bytes, part: bytes) -> None:
    """The answer of a service that sends without end is cut, so that it occupies neither memory nor a thread."""

    def script(peer: Peer) -> None:
        peer.request()
        peer.send(head)
        peer.forever(part)

    with serving(script) as server:
        with pytest.raises(PowerBiError):
            PowerBiClient(server.url, Tokens()).history(WORKSPACE, DATASET)
        assert server.connection_is_over()


def test_the_client_imports_no_library_of_azure() -> None:
    """The client does not import azure.identity and requests: every cold start would need time for them, even without
    Azure."""
    heavy = ("azure", "msal", "requests")
    program = f"import sys, power_bi.client; sys.exit(any(name.split('.')[0] in {heavy} for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", program], timeout=60, check=False).returncode == 0


@settings(deadline=None, max_examples=200)
@given(
    st.integers(200, 599),
    st.binary(max_size=60) | st.sampled_from([b"null", b"[]", b'{"error": []}', b'{"value": 5}', b'{"status": {}}']),
    st.dictionaries(
        st.sampled_from(["Retry-After", "Date", "Location", "RequestId", "x-ms-request-id"]),
        st.text(st.characters(min_codepoint=32, max_codepoint=255)) | st.sampled_from(["-1", "1e9", "nan", DATE]),
    ),
)
def test_any_answer_is_understood_or_raised_as_our_error(status: int, body: bytes, headers: dict[str, str]) -> None:
    """The only exception for any answer, including those of proxies, is PowerBiError."""
    for call in ("history", "start", "refresh", "cancel"):
        answer = (status, headers, body)
        power_bi, _ = client(answer, answer)
        argument: Any = {"history": 3, "start": {"type": "Full"}}.get(call, REFRESH)
        raised: PowerBiError | None = None
        try:
            getattr(power_bi, call)(WORKSPACE, DATASET, argument)
        except PowerBiError as error:
            raised = error
        if raised is not None:
            assert len(str(raised)) <= 500
            assert len(raised.failure().message) <= 500
            assert 0 <= (raised.retry_after_seconds or 0) <= 86400
