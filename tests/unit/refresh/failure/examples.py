"""One failure of each code, produced by its own cause, so that docs/errors.md shows real errors."""

from collections.abc import Callable, Mapping

from power_bi.answers import error_of, facts_of
from power_bi.errors import AnswerLost, Facts, NotSent
from refresh.batch.outcome import failure_of_listing, failure_without_models, outcome_of
from refresh.batch.state import Progress
from refresh.failure.catalogue import LAST_ERROR, SITUATION, Failure, ModelNames, failure
from refresh.history.outcome import judge
from refresh.history.rows import parse_details
from refresh.request.state import Final
from tests.reports import REPORTS, text_of
from tests.unit.power_bi.fake import reply
from tests.unit.refresh.batch.batches import AT, batch
from tests.unit.refresh.failure.wording import Json, described, nested, power_bi_error, underlying

MODEL = "22222222-aaaa-bbbb-cccc-000000000002"
REFRESH = "9b2a5aa3-6207-47f9-8520-ed61b24c8634"
REQUEST_ID = "0f8fad5b-d9cb-469f-a165-70867728950e"
NAMES = ModelNames(model="Sales", workspace="Finance")


def _request(code: str, detail: str | None = None, link: str = ": ") -> Failure:
    """An outcome that Power BI did not cause."""
    return failure(code, MODEL, detail=detail, link=link, names=NAMES)


def _batch(status: Final) -> Failure:
    """The end of a batch of three models, one of which ends with this failure and one of which is skipped."""
    state = batch({"Sales": [], "Margins": ["Sales"], "Stock": []})
    bad = Progress(status=status, error=failure("CredentialsRejected", MODEL, names=NAMES))
    skipped = Progress(status="Skipped", reason="Sales, which it depends on, ended as Failed")
    found = outcome_of(state.replace(progress=(bad, skipped, Progress(status="Completed")), ended_at=AT))
    assert found is not None
    assert found.error is not None
    return found.error


def _refresh(code: str) -> Failure:
    """A failure of a refresh between POST and end."""
    return failure(code, MODEL, refresh_id=REFRESH, names=NAMES)


def _answer(status: int, body: object, *, method: str = "GET", enhanced: bool = False) -> Failure:
    """An answer of Power BI to a call."""
    _, headers, content = reply(status, body, RequestId=REQUEST_ID)
    return error_of(facts_of(status, headers, content), method, enhanced=enhanced).failure(MODEL, NAMES)


def _coded(status: int, code: str, message: str, **more: object) -> Failure:
    """An answer with a code and a message."""
    return _answer(status, {"error": {"code": code, "message": message}}, **more)  # type: ignore[arg-type]


def _ended(row: Json, status: str = "Failed", extended: str | None = None) -> Failure:
    """A refresh that ended, read by its id."""
    details = parse_details({"status": status, "extendedStatus": extended or status, **row}, REFRESH)
    outcome = judge(details, MODEL, NAMES) if details else None
    assert outcome is not None
    assert outcome.error is not None
    return outcome.error


def _reported(name: str) -> Failure:
    """A failure of tests/reports.json."""
    row = {key: value for key, value in REPORTS[name]["failed"].items() if key != "enhanced"}
    if "serviceExceptionJson" in row:
        row["serviceExceptionJson"] = text_of(row["serviceExceptionJson"])
    return _ended(row)


EXAMPLES: Mapping[str, Callable[[], Failure]] = {
    "TimedOut": lambda: _request("TimedOut", f"refresh {REFRESH} was running and continues", SITUATION),
    "RequestCancelled": lambda: _request("RequestCancelled", "it was in the queue behind 2 other runs", SITUATION),
    "RequestTerminated": lambda: _request("RequestTerminated"),
    "WorkspaceNotAllowed": lambda: _request("WorkspaceNotAllowed"),
    "InternalError": lambda: _request("InternalError"),
    "ModelsNotRefreshed": lambda: _batch("Failed"),
    "TooManyModels": lambda: failure_of_listing("TooManyModels", 'more than 500 of them are not in "except".'),
    "NoRefreshableModels": lambda: failure_without_models(2),
    "AnswerLost": lambda: _request(
        "AnswerLost", AnswerLost(Facts("start a refresh", service_message="ReadTimeout")).message, LAST_ERROR
    ),
    "RefreshUnproven": lambda: _refresh("RefreshUnproven"),
    "RefreshDropped": lambda: _refresh("RefreshDropped"),
    "RefreshNeverEnded": lambda: _refresh("RefreshNeverEnded"),
    "HistoryRolledOver": lambda: _refresh("HistoryRolledOver"),
    "ServiceUnavailable": lambda: _answer(500, {"Message": "An error has occurred."}),
    "SignInUnavailable": lambda: NotSent(Facts(service_message="ConnectTimeout"), "SignInUnavailable").failure(
        MODEL, NAMES
    ),
    "Throttled": lambda: _coded(
        400, "FabricThrottled", "Your organization's Fabric compute capacity has exceeded its limits."
    ),
    "RefreshInProgress": lambda: _coded(
        400, "InvalidRequest", "Invalid dataset refresh request. Another refresh request is already executing"
    ),
    "TokenUnavailable": lambda: _request("TokenUnavailable"),
    "TokenRejected": lambda: _coded(403, "TokenExpired", "Access token has expired, resubmit with a new access token"),
    "NotAuthorized": lambda: _answer(401, power_bi_error("PowerBINotAuthorizedException")),
    "ApiNotAccessible": lambda: _answer(403, {"Message": "API is not accessible for application"}),
    "ModelNotFound": lambda: _answer(404, power_bi_error("PowerBIEntityNotFound")),
    "RefreshNotFound": lambda: _request("RefreshNotFound"),
    "ModelNotRefreshable": lambda: _coded(
        415, "InvalidRequest", "Invalid dataset. This API can only be called on a Model-based dataset", method="POST"
    ),
    "DailyLimitReached": lambda: _coded(
        400,
        "Request Throttled",
        "Invalid dataset refresh request. Number of refresh requests in last 24 hours exceeded limit",
        method="POST",
    ),
    "CapacityRequired": lambda: _coded(
        400, "InvalidRequest", "Enhanced refresh is not available on shared capacity", method="POST", enhanced=True
    ),
    "CapacityNotActive": lambda: _answer(
        404,
        {
            "errorCode": "CapacityNotActive",
            "message": "The operation could not be completed: the capacity is not active",
        },
    ),
    "NotifyOptionRefused": lambda: _coded(
        400,
        "InvalidRequest",
        "Invalid NotifyOption value 'MailOnFailure' for app only owner requests",
        method="POST",
    ),
    "InvalidRefreshRequest": lambda: _coded(400, "InvalidRequest", "Invalid dataset refresh request.", method="POST"),
    "LicenseRequired": lambda: _answer(401, power_bi_error("PowerBINotLicensedException")),
    "PersonalWorkspace": lambda: _coded(
        401, "GroupNotAccessible", "Calling group APIs not permitted for personal workspace"
    ),
    "UnexpectedAnswer": lambda: _answer(
        401, b"<html><head><title>Access Denied</title></head><body><p>Sign in to the proxy.</p></body></html>"
    ),
    "RefreshFailed": lambda: _ended(described("The underlying connection was closed. Table: Orders.")),
    "RefreshCancelled": lambda: _ended({}, "Cancelled"),
    "RefreshDisabled": lambda: _ended({}, "Disabled"),
    "RefreshTimedOut": lambda: _ended({}, "Failed", "TimedOut"),
    "CredentialsRejected": lambda: _reported("details-are-labelled"),
    "DefinitionInvalid": lambda: _reported("root-cause-after-its-consequences"),
    "OutOfMemory": lambda: _reported("not-enough-memory"),
    "OwnerLostAccess": lambda: _reported("owner-lost-access"),
    "SourceTablesMissing": lambda: _reported("direct-lake-right-after-a-load"),
    "EngineCrashed": lambda: _ended({"messages": [{"message": "Container exited unexpectedly with code 0x0000DEAD"}]}),
    "ModelEvicted": lambda: _ended(
        {
            "messages": [
                {
                    "code": "0xC11C0020",
                    "message": "Session cancelled because it is connected to a database that has been "
                    "evicted to free up "
                    "memory for other operations",
                    "type": "Error",
                }
            ]
        }
    ),
    "CapacityLimitReached": lambda: _reported("capacity-limit-inside-a-refresh"),
    "SourceUnavailable": lambda: _reported("a-source-answers-504"),
    "GatewayTimedOut": lambda: _reported("gateway-unreachable-of-the-client"),
    "GatewayFailed": lambda: _ended(
        nested(
            "DM_GWPipeline_Gateway_MashupDataAccessError",
            underlying("The underlying connection was closed: An unexpected error occurred on a receive."),
        )
    ),
}
