"""What each answer and network failure means: whether it took effect, whether to retry, and who has to act."""

import re
import time
from typing import Any

import pytest

import power_bi.errors
from outbound.exchange import NoAnswerError, NotSentError
from power_bi.answers import error_of, facts_of, retry_after, service_error_in
from power_bi.client import PowerBiClient
from power_bi.errors import (
    AnswerLost,
    BadAnswer,
    Facts,
    NoAnswer,
    NotSent,
    PowerBiError,
    RefreshInProgress,
    Refused,
    ServiceUnavailable,
    Throttled,
)
from refresh.failure.catalogue import CATALOGUE
from tests.unit.power_bi.fake import DATASET, REFRESH, WORKSPACE, Tokens, client, reply
from tests.unit.speed import SLOWER


def request_error(message: str, code: str = "InvalidRequest") -> dict[str, Any]:
    """The most frequent shape of an error body."""
    return {"error": {"code": code, "message": message}}


def power_bi_error(code: str) -> dict[str, Any]:
    """The shape without a message."""
    return {
        "error": {"code": code, "pbi.error": {"code": code, "parameters": {}, "details": [], "exceptionCulprit": 1}}
    }


RUNNING = "Invalid dataset refresh request. Another refresh request is already executing"
DAILY = "Invalid dataset refresh request. Number of refresh requests in last 24 hours exceeded limit"
OVERLOADED = (
    "Unable to complete the action because your organization's Fabric compute capacity has exceeded its limits."
)
PAGE = b"<html><head><title>Access Denied</title></head><body><h1>Access Denied</h1><p>Sign in.</p></body></html>"
TOO_MANY = {"message": "You have exceeded the amount of requests allowed. Retry in 3392 seconds."}

# Answers to a POST, as documented or seen: HTTP status, body -> class, code.
ON_POST: list[tuple[int, Any, type[PowerBiError], str]] = [
    (400, request_error(RUNNING), RefreshInProgress, "RefreshInProgress"),
    (409, request_error(RUNNING), RefreshInProgress, "RefreshInProgress"),
    (409, b"", RefreshInProgress, "RefreshInProgress"),
    (400, request_error("A refresh is already in progress for this dataset."), RefreshInProgress, "RefreshInProgress"),
    (400, request_error("x", "RefreshInProgressException"), RefreshInProgress, "RefreshInProgress"),
    (400, request_error("Another dataset refresh is running"), RefreshInProgress, "RefreshInProgress"),
    (400, request_error(DAILY, "Request Throttled"), Refused, "DailyLimitReached"),
    (429, request_error(DAILY, "Request Throttled"), Refused, "DailyLimitReached"),
    (
        415,
        request_error("Invalid dataset. This API can only be called on a Model-based dataset"),
        Refused,
        "ModelNotRefreshable",
    ),
    (415, b"", Refused, "ModelNotRefreshable"),
    (400, request_error("Refresh is not supported for DirectQuery datasets"), Refused, "ModelNotRefreshable"),
    (
        400,
        request_error("Invalid NotifyOption value 'MailOnFailure' for app only owner requests"),
        Refused,
        "NotifyOptionRefused",
    ),
    (400, request_error("Enhanced refresh is not available on shared capacity"), Refused, "CapacityRequired"),
    (400, request_error("Something is wrong"), Refused, "InvalidRefreshRequest"),
    (400, b"", Refused, "InvalidRefreshRequest"),
    (401, power_bi_error("PowerBINotAuthorizedException"), Refused, "NotAuthorized"),
    (401, b"", Refused, "NotAuthorized"),
    (401, {"Message": "ServicePrincipalIsNotAllowedByTenantAdminSwitch"}, Refused, "ApiNotAccessible"),
    (403, {"Message": "API is not accessible for application"}, Refused, "ApiNotAccessible"),
    (400, PAGE, Refused, "UnexpectedAnswer"),
    (401, PAGE, Refused, "UnexpectedAnswer"),
    (403, b"<html>Forbidden</html>", Refused, "UnexpectedAnswer"),
    (403, b"\xef\xbb\xbf \r\n<!DOCTYPE html><html>only premium users see this</html>", Refused, "UnexpectedAnswer"),
    (404, PAGE, Refused, "UnexpectedAnswer"),
    (407, PAGE, Refused, "UnexpectedAnswer"),
    (429, PAGE, Throttled, "Throttled"),
    (401, power_bi_error("PowerBINotLicensedException"), Refused, "LicenseRequired"),
    (403, power_bi_error("PowerBINotLicensedException"), Refused, "LicenseRequired"),
    (
        401,
        request_error("Calling group APIs not permitted for personal workspace", "GroupNotAccessible"),
        Refused,
        "PersonalWorkspace",
    ),
    (403, request_error("Calling group APIs not permitted for personal workspace"), Refused, "PersonalWorkspace"),
    (401, power_bi_error("GroupNotAccessible"), Refused, "NotAuthorized"),
    (400, request_error("The model owner no longer has access to the workspace."), Refused, "OwnerLostAccess"),
    (400, request_error(OVERLOADED, "FabricThrottled"), Throttled, "Throttled"),
    (403, request_error("x", "fabricthrottled"), Throttled, "Throttled"),
    (429, request_error(OVERLOADED, "FabricThrottled"), Throttled, "Throttled"),
    (503, request_error("x", "CapacityLimitExceeded"), Throttled, "Throttled"),
    (403, request_error("x", "CapacityLimitExceeded"), Throttled, "Throttled"),
    (400, power_bi_error("CapacityLimitExceeded"), Throttled, "Throttled"),
    (400, {"errorCode": "FabricThrottled", "message": "x"}, Throttled, "Throttled"),
    (
        400,
        {"error": {"code": "BadRequest", "details": [{"code": "FabricThrottled", "message": "x"}]}},
        Throttled,
        "Throttled",
    ),
    (400, request_error(OVERLOADED), Throttled, "Throttled"),
    (
        430,
        {"errorCode": "TooManyRequestsForCapacity", "message": "You have hit a compute or API rate limit."},
        Throttled,
        "Throttled",
    ),
    (430, b"", Throttled, "Throttled"),
    (400, request_error("Increase the memory of the Premium capacity: not enough memory"), Refused, "OutOfMemory"),
    (400, power_bi_error("DMTS_MonikerWithUnboundDataSources"), Refused, "CredentialsRejected"),
    (400, power_bi_error("DM_GWPipeline_Client_GatewayUnreachable"), Refused, "GatewayTimedOut"),
    (400, request_error("Table 'X' does not exist in the model."), Refused, "DefinitionInvalid"),
    (403, request_error("Only workspaces on a Premium capacity may do that"), Refused, "CapacityRequired"),
    (404, power_bi_error("PowerBIEntityNotFound"), Refused, "ModelNotFound"),
    (404, {"errorCode": "CapacityNotActive", "message": "x", "requestId": "y"}, Refused, "CapacityNotActive"),
    (503, {"error": {"code": "CapacityNotActive"}}, Refused, "CapacityNotActive"),
    (429, TOO_MANY, Throttled, "Throttled"),
    (429, b"", Throttled, "Throttled"),
    (500, {"Message": "An error has occurred."}, AnswerLost, "ServiceUnavailable"),
    (502, b"<html>Bad gateway</html>", AnswerLost, "ServiceUnavailable"),
    (503, b"", AnswerLost, "ServiceUnavailable"),
    (504, b"", AnswerLost, "ServiceUnavailable"),
    (408, b"", AnswerLost, "ServiceUnavailable"),
    (200, {"Message": "API is not accessible for application"}, Refused, "ApiNotAccessible"),
    (200, b"<html>Please sign in</html>", AnswerLost, "ServiceUnavailable"),
    (302, b"", Refused, "UnexpectedAnswer"),
    (410, b"", Refused, "UnexpectedAnswer"),
]
ON_GET: list[tuple[int, Any, type[PowerBiError], str]] = [
    (200, {"Message": "API is not accessible for application"}, Refused, "ApiNotAccessible"),
    (200, b"<html>Hello</html>", ServiceUnavailable, "ServiceUnavailable"),
    (204, b"", ServiceUnavailable, "ServiceUnavailable"),
    (404, power_bi_error("PowerBIEntityNotFound"), Refused, "ModelNotFound"),
    (429, TOO_MANY, Throttled, "Throttled"),
    (400, request_error(OVERLOADED, "FabricThrottled"), Throttled, "Throttled"),
    (430, b"", Throttled, "Throttled"),
    (401, power_bi_error("PowerBINotLicensedException"), Refused, "LicenseRequired"),
    (401, PAGE, Refused, "UnexpectedAnswer"),
    # no requested option needs a capacity
    (403, request_error("Only workspaces on a Premium capacity may do that"), Refused, "NotAuthorized"),
    (403, request_error("Access was denied."), Refused, "NotAuthorized"),
    (500, {"Message": "An error has occurred."}, ServiceUnavailable, "ServiceUnavailable"),
    (503, b"<html>only premium users see this</html>", ServiceUnavailable, "ServiceUnavailable"),
    (504, b"", ServiceUnavailable, "ServiceUnavailable"),
]


@pytest.mark.parametrize(("status", "body", "kind", "code"), ON_POST)
def test_the_meaning_of_an_answer_to_a_post(status: int, body: Any, kind: type[PowerBiError], code: str) -> None:
    """The app never guesses whether the refresh was accepted."""
    answer = reply(status, body, RequestId=REFRESH)
    power_bi, _ = client(answer, answer)
    with pytest.raises(PowerBiError) as caught:
        power_bi.start(WORKSPACE, DATASET, {"type": "Full"})
    error = caught.value
    assert (type(error), error.code, error.http_status) == (kind, code, status)
    assert error.failure().code == code
    assert error.failure().retryable == CATALOGUE[code].retryable
    if not isinstance(error, Refused):
        assert error.retryable == CATALOGUE[code].retryable


@pytest.mark.parametrize(("status", "body", "kind", "code"), ON_GET)
def test_the_meaning_of_an_answer_to_a_get(status: int, body: Any, kind: type[PowerBiError], code: str) -> None:
    """The answer to a GET cannot be lost, because a GET has no effect."""
    power_bi, _ = client(reply(status, body))
    with pytest.raises(PowerBiError) as caught:
        power_bi.history(WORKSPACE, DATASET)
    assert (type(caught.value), caught.value.code) == (kind, code)


@pytest.mark.parametrize(
    ("raised", "kind"),
    [(NotSentError("ConnectionRefusedError"), NotSent), (NoAnswerError("TimeoutError"), AnswerLost)],
)
@pytest.mark.parametrize("call", ["history", "start"])
def test_the_meaning_of_a_network_failure(raised: Exception, kind: type[PowerBiError], call: str) -> None:
    """Only without a connection is it certain that the call had no effect."""
    power_bi, _ = client(raised)
    with pytest.raises(NoAnswer) as caught:
        getattr(power_bi, call)(WORKSPACE, DATASET, 1 if call == "history" else None)
    assert type(caught.value) is kind
    assert caught.value.retryable
    assert f"api.powerbi.com, {raised}" in str(caught.value)


def test_an_unknown_host_name_is_not_an_acceptance() -> None:
    """A call to an unknown host was not accepted. The test uses the real resolver: names under `.invalid` never exist
    (RFC 6761)."""
    power_bi = PowerBiClient("https://power-bi.invalid", Tokens())
    with pytest.raises(NotSent) as caught:
        power_bi.start(WORKSPACE, DATASET, None)
    assert "power-bi.invalid" in str(caught.value)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"error":{"code":"A","message":"m"}}', ("A", "m")),
        (b'{"error":{"code":"A","pbi.error":{"code":"B"}}}', ("B", None)),
        (b'{"error":{"pbi.error":{"code":"B"}}}', ("B", None)),
        (b'{"Message":"m"}', (None, "m")),
        (b'{"message":"m"}', (None, "m")),
        (b'{"errorCode":"A","message":"m","requestId":"r"}', ("A", "m")),
        (b'{"error":"invalid_token","error_description":"m"}', ("invalid_token", "m")),
        (b"", (None, None)),
        (b"<html><style>p{}</style><h1>Bad</h1>\n<p>gateway</p></html>", (None, "Bad gateway")),
        (b"\xff\xfe", (None, "��")),
        (b'{"error":{"code":5,"message":["m"]}}', ("5", None)),
        (b"[" * 100_000, (None, ("[" * 299) + "…")),
        (
            b"<html><head><title>Access Denied</title></head><h1>Access Denied</h1><p>Why</p></html>",
            (None, "Access Denied Why"),
        ),
        (
            b'{"error":{"code":"A","pbi.error":{"code":"A","details":[{"code":"DM_ErrorDetailNameCode_UnderlyingErrorMessage",'
            b'"detail":{"type":1,"value":"It is not bound."}},'
            b'{"code":"Server","detail":{"type":1,"value":"sql01"}}]}}}',
            ("A", "It is not bound. Server: sql01"),
        ),
        (
            b'{"error":{"code":"A","message":"That is so.",'
            b'"details":[{"code":"B","message":"It is not so.","target":"t"}]}}',
            ("A", "That is so."),
        ),
        (
            b'{"error":{"code":"A","details":[{"code":"B","message":"It is not so.","target":"t"}]}}',
            ("A", "It is not so."),
        ),
        (b'{"error":{"code":"A","message":{"lang":"en","value":"m"}}}', ("A", "m")),
    ],
)
def test_every_shape_of_error_body_is_read(body: bytes, expected: tuple[str | None, str | None]) -> None:
    """The shapes are five documented ones, two observed ones, and those of gateways."""
    error, evidence = service_error_in(body)
    assert (error.code, error.text) == expected
    assert all(part in evidence for part in (expected[0], expected[1] and expected[1][:5]) if part)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("1", 1.0),
        ("3392", 3392.0),
        ("0.5", 0.5),
        ("0", 0.0),
        ("999999999", 86400.0),
        ("Mon, 23 Mar 2026 13:49:31 GMT", 60.0),
        ("Mon, 23 Mar 2026 13:00:00 GMT", 0.0),
        ("-5", None),
        ("nan", None),
        ("soon", None),
        ("", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(header: str, seconds: float | None) -> None:
    """A date is compared with the service's own clock. The pause is never longer than a day."""
    assert retry_after({"Retry-After": header, "Date": "Mon, 23 Mar 2026 13:48:31 GMT"}) == seconds


def test_the_pause_of_a_throttle_without_header_is_in_the_text_or_unknown() -> None:
    """The text may contain the seconds of the pause. If it does not, the pause is unknown, and waits grow."""
    in_words = error_of(facts_of(429, {}, b'{"message":"Retry in 3392 seconds."}'), "GET")
    assert in_words.retry_after_seconds == 3392.0
    assert error_of(facts_of(429, {}, b""), "GET").retry_after_seconds is None


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    """The docstring of the module has every error class, under its base class."""
    drawn = re.findall(r"[├└]── (\w+)", power_bi.errors.__doc__ or "")
    families: list[type[PowerBiError]] = [NoAnswer, BadAnswer]
    assert drawn == [cls.__name__ for family in families for cls in (family, *family.__subclasses__())]
    assert PowerBiError.__subclasses__() == families


@pytest.mark.parametrize("kind", [NotSent, AnswerLost, ServiceUnavailable, Throttled, RefreshInProgress, Refused])
def test_retryable_is_what_the_catalogue_says(kind: type[PowerBiError]) -> None:
    """A class and its code agree, and an error keeps its class when it is assigned to a call."""
    error = kind(Facts(service_message="x"))
    assert CATALOGUE[error.code].retryable == error.retryable == error.failure().retryable
    again = error.about("read the refresh history", str(DATASET))
    assert (type(again), again.code, again.service_message) == (kind, error.code, "x")


def test_options_that_need_a_capacity() -> None:
    """A text about a Premium capacity means CapacityRequired only if the requested options need such a capacity."""
    answer = reply(400, request_error("Enhanced refresh needs a Premium capacity"))
    for body, code in (({"type": "Full"}, "CapacityRequired"), ({"notifyOption": "x"}, "InvalidRefreshRequest")):
        power_bi, _ = client(answer)
        with pytest.raises(Refused) as caught:
            power_bi.start(WORKSPACE, DATASET, body)
        assert caught.value.code == code


def test_a_page_is_no_unknown_refresh() -> None:
    """A page of a proxy says nothing about refreshes, because a proxy does not know them."""
    power_bi, _ = client(reply(404, PAGE), reply(400, PAGE))
    for _ in range(2):
        with pytest.raises(Refused) as caught:
            power_bi.refresh(WORKSPACE, DATASET, REFRESH)
        assert caught.value.code == "UnexpectedAnswer"


def test_the_table_of_a_refusal_is_reported() -> None:
    """The error has the table in its parameters."""
    inner = {"code": "X", "parameters": [{"Key": "TableName", "Value": "Sales"}], "details": []}
    power_bi, _ = client(reply(400, {"error": {"code": "X", "pbi.error": inner}}))
    with pytest.raises(Refused) as caught:
        power_bi.start(WORKSPACE, DATASET, {"type": "Full"})
    assert caught.value.failure().table == "Sales"


@pytest.mark.parametrize(
    "body", [b"<" * 200_000, b"<title>" * 30_000, b"<style><" * 30_000, b"<!--" * 60_000, b"{" * 200_000]
)
def test_hostile_bodies_cost_no_more_than_their_length(body: bytes) -> None:
    """The cost is limited for any body, even that of a proxy."""
    began = time.process_time()
    error_of(facts_of(400, {}, body), "POST", enhanced=True)
    assert time.process_time() - began < SLOWER * 0.15
