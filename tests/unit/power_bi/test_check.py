"""The results of a check, for programs and for people."""

from typing import Any

import pytest

from power_bi.check import check_model, no_answer, not_allowed
from power_bi.client import PowerBiClient
from power_bi.errors import Facts, NotSent, PowerBiError, Refused
from refresh.failure.catalogue import CATALOGUE
from tests.unit.power_bi.fake import DATASET, REFRESH, URL, WORKSPACE, Service, client, reply

ROW = {"requestId": REFRESH, "refreshType": "Scheduled", "status": "Completed", "startTime": "2026-03-23T13:48:31Z"}
DATE = "Mon, 23 Mar 2026 14:00:00 GMT"
EXPIRED = {"error": {"code": "TokenExpired", "message": "Access token has expired"}}


class NoTokens:
    """A token source without tokens."""

    def __init__(self, error: PowerBiError) -> None:
        self.error = error

    def token(self) -> str:
        """Raises the error."""
        raise self.error

    def renew(self, rejected: str) -> str:
        """Raises the error."""
        raise self.error


def test_a_model_that_can_be_read() -> None:
    """The result has the newest refresh, the running refresh, and what a check cannot find out."""
    running = {**ROW, "requestId": REFRESH.replace("9", "8"), "status": "Unknown", "startTime": "2026-03-23T13:59:00Z"}
    named, unnamed = reply(200, {"name": "Sales"}), reply(403)
    power_bi, service = client(reply(200, {"value": [ROW, running]}, Date=DATE), named, unnamed)
    found = check_model(power_bi, WORKSPACE, DATASET)
    assert found["ok"] is True
    assert "error" not in found
    assert found["checks"] == {"workspaceAllowed": "passed", "token": "passed", "history": "passed"}
    assert found["lastRefresh"]["refreshId"] == REFRESH
    assert found["running"]["startedAt"] == "2026-03-23T13:59:00.000Z"
    assert "whether this identity may start one" in found["notChecked"]
    assert (found["modelName"], found["workspaceName"]) == ("Sales", None)
    assert [request.method for request in service.requests] == ["GET"] * 3


@pytest.mark.parametrize(
    ("answer", "code", "token", "history"),
    [
        (reply(401), "NotAuthorized", "passed", "failed"),
        (reply(403, {"Message": "API is not accessible for application"}), "ApiNotAccessible", "passed", "failed"),
        (reply(404), "ModelNotFound", "passed", "failed"),
        (reply(403, EXPIRED), "TokenRejected", "failed", "unknown"),
        (reply(429, Retry_After="60"), "Throttled", "passed", "failed"),
        (reply(503), "ServiceUnavailable", "passed", "failed"),
    ],
)
def test_the_error_of_a_check(answer: Any, code: str, token: str, history: str) -> None:
    """The error comes first, with the remedy. The checks show how far the check got."""
    power_bi, _ = client(answer, answer)
    found = check_model(power_bi, WORKSPACE, DATASET)
    assert next(iter(found)) == "error"
    assert (found["ok"], found["error"]["code"]) == (False, code)
    assert found["error"]["message"].count(CATALOGUE[code].action) == 1
    assert found["checks"] == {"workspaceAllowed": "passed", "token": token, "history": history}


@pytest.mark.parametrize("kind", [Refused, NotSent])
def test_without_a_token_power_bi_is_not_called(kind: type[PowerBiError]) -> None:
    """Without a token, the check has an error, which can be permanent or transient."""
    code = "TokenUnavailable" if kind is Refused else "SignInUnavailable"
    service = Service()
    power_bi = PowerBiClient(URL, NoTokens(kind(Facts(), code)), transport=service)
    found = check_model(power_bi, WORKSPACE, DATASET)
    assert (found["ok"], found["error"]["code"]) == (False, code)
    assert found["checks"] == {"workspaceAllowed": "passed", "token": "failed", "history": "unknown"}
    assert service.requests == []


def test_checks_without_an_answer() -> None:
    """A check gets no answer if the workspace is not allowed, or if Power BI does not answer."""
    found = not_allowed(DATASET)
    assert (found["ok"], found["error"]["code"]) == (False, "WorkspaceNotAllowed")
    assert found["checks"] == {"workspaceAllowed": "failed", "token": "unknown", "history": "unknown"}
    found = no_answer(DATASET, 20.0)
    assert "no answer within 20 seconds" in found["error"]["message"]
    assert found["error"]["retryable"] is True
