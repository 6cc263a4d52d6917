"""Permanent refusals of Power BI, and failed refreshes: reported at once, with a message for data engineers."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e.service_case import Case, all_as_expected
from tests.e2e.world import World

FULL = {"refresh": {"type": "full"}}
SHARED = {"capacity": "shared", "dailyLimit": 0}
ROLE = "Contributor, Member or Admin"
SETTING = "Service principals can call Fabric public APIs"
PROCESSING = "ModelRefresh_ShortMessage_ProcessingError"

Json = dict[str, Any]


def refused(row: str, fault: str, route: str, code: str, *message_has: str, count: int = 1) -> Case:
    """A refusal that the app does not retry. The refused call may be the POST."""
    starts = 1 if route == "start" else 0
    faults = [(fault, route, {"count": count})]
    return Case(row, faults=faults, status="Failed", code=code, message_has=message_has, refreshes=0, starts=starts)


REFUSALS = [
    refused("model or workspace that does not exist", "notFound", "history", "ModelNotFound", "workspaceId", ROLE),
    refused("model that is deleted before the start", "notFound", "start", "ModelNotFound", ROLE),
    refused("model that does not exist, in a sentence", "datasetNotFound", "history", "ModelNotFound", "ItemNotFound"),
    refused("workspace without a role", "notAuthorized", "history", "NotAuthorized", ROLE),
    refused("role that only allows reading", "notAuthorized", "start", "NotAuthorized", ROLE),
    refused("bare 401", "unauthorized", "history", "NotAuthorized", ROLE, "HTTP 401"),
    refused("403 of a proxy", "forbiddenPage", "history", "UnexpectedAnswer", "403 Forbidden", "proxy"),
    refused("401 of a proxy", "proxyPage", "history", "UnexpectedAnswer", "could not be authenticated", "proxy"),
    refused("identity without a license", "notLicensed", "history", "LicenseRequired", "license"),
    refused("personal workspace", "personalWorkspace", "history", "PersonalWorkspace", "shared workspace"),
    refused(
        "data source without a connection", "unboundDataSource", "start", "CredentialsRejected", "Bind its data sources"
    ),
    refused("tenant setting that is off", "notAccessible", "history", "ApiNotAccessible", SETTING),
    refused("tenant setting that is off, when started", "notAccessible", "start", "ApiNotAccessible", SETTING),
    refused("tenant setting in its old words", "notAllowedByTenant", "history", "ApiNotAccessible", SETTING),
    refused("tenant setting under a 200", "notAccessibleIn200", "history", "ApiNotAccessible", SETTING),
    refused("tenant setting under a 200 to a POST", "notAccessibleIn200", "start", "ApiNotAccessible", SETTING),
    refused("token that stays expired", "tokenExpired", "history", "TokenRejected", "POWER_BI_CLOUD", count=2),
    refused("push, streaming or live-connected model", "notModelBased", "start", "ModelNotRefreshable", "DirectQuery"),
    refused("DirectQuery model", "directQuery", "start", "ModelNotRefreshable", "DirectQuery"),
    refused("paused capacity as 404", "capacityNotActive", "start", "CapacityNotActive", "Resume the capacity"),
    refused("paused capacity as 503", "capacityNotActive503", "start", "CapacityNotActive", "Resume the capacity"),
    refused("paused capacity when read", "capacityNotActive", "history", "CapacityNotActive", "Resume the capacity"),
    refused("redirect to another host", "redirected", "start", "UnexpectedAnswer", "HTTP 307"),
    Case(
        "daily limit as 400",
        SHARED,
        status="Failed",
        code="DailyLimitReached",
        message_has=["tomorrow"],
        refreshes=0,
        starts=1,
    ),
    Case(
        "daily limit as 429",
        {**SHARED, "dailyLimitStatus": 429},
        status="Failed",
        code="DailyLimitReached",
        message_has=["tomorrow", "Request Throttled"],
        refreshes=0,
        starts=1,
    ),
    Case(
        "enhanced options on shared capacity",
        {"capacity": "shared"},
        options=FULL,
        status="Failed",
        code="InvalidRefreshRequest",
        message_has=["Premium, Embedded or Fabric capacity"],
        refreshes=0,
        starts=1,
    ),
    Case(
        "mails for the identity of an app",
        options={"notifyOption": "MailOnFailure"},
        status="Failed",
        code="NotifyOptionRefused",
        message_has=['Remove "notifyOption"'],
        refreshes=0,
        starts=1,
    ),
    Case("token that expires while reading", faults=[("tokenExpired", "history", {})]),
    Case("token that expires before the POST", faults=[("tokenExpired", "start", {})], starts=2),
]


def failed(row: str, outcome: Json, code: str, *message_has: str, **more: Any) -> Case:
    """A refresh that ran and failed."""
    knobs = {"outcome": {"outcome": "Failed", **outcome}, **more.pop("knobs", {})}
    return Case(row, knobs, status="Failed", code=code, message_has=message_has, **more)


def generic(description: str) -> Json:
    """A failure with the generic code and a text with the details."""
    return {"errorCode": PROCESSING, "errorDescription": description}


NESTED = {
    "error": {
        "code": "DM_GWPipeline_Gateway_DataSourceAccessError",
        "pbi.error": {
            "code": "DM_GWPipeline_Gateway_DataSourceAccessError",
            "details": [
                {"code": "DM_ErrorDetailNameCode_UnderlyingErrorMessage", "detail": {"value": "Login failed for app."}},
                {"code": "DM_ErrorDetailNameCode_DataSourceName", "detail": {"value": "warehouse.example.com;Sales"}},
            ],
        },
    }
}
GATEWAY_TIMEOUT = "DM_GWPipeline_Gateway_TimeoutError"
ONLY_IN_ATTEMPTS = {"errorCode": None, "attemptExceptionJson": json.dumps({"errorCode": GATEWAY_TIMEOUT})}
EVICTED = {
    "code": "0xC11C0020",
    "message": "Session cancelled because it is connected to a database that has been evicted to free up memory.",
    "type": "Error",
}
POLICY = "RefreshApiRequest for table refresh using refresh policy must have the property 'CommitMode'."
BUSY_CAPACITY = "You've exceeded the capacity limit for semantic model refreshes. Try again when fewer are processed."

CONSEQUENCES = (
    "Retry attempts for failures while executing the refresh exceeded the retry limit set on the request.\n"
    "0xC112001C: The operation was canceled.. The exception was raised by the IDbCommand interface. Table: Ledger.\n"
)

FAILURES = [
    failed(
        "missing credentials",
        {"errorCode": "ModelRefreshFailed_CredentialsNotSpecified"},
        "CredentialsRejected",
        "Enter the data source credentials",
        service_code="ModelRefreshFailed_CredentialsNotSpecified",
    ),
    failed(
        "missing credentials of a data source with a name",
        generic("The credentials of the data source 'warehouse.example.com' are missing."),
        "CredentialsRejected",
        "'warehouse.example.com'",
        "Enter the data source credentials",
        service_code=PROCESSING,
    ),
    failed("access denied", generic("Access was denied."), "CredentialsRejected", "Access was denied"),
    failed("failed OAuth", generic("Failed to get OAuth resource id"), "CredentialsRejected"),
    failed(
        "operations that were cancelled, then the error",
        generic(f"{CONSEQUENCES}0xC112001A: Invalid column name 'Region'. Table: Stores. Partition: s."),
        "DefinitionInvalid",
        "Invalid column name 'Region'",
        service_code="0xC112001A",
        table="Stores",
    ),
    failed(
        "data source that fails behind a gateway",
        {"errorCode": "DM_GWPipeline_Gateway_MashupDataAccessError"},
        "GatewayFailed",
        "gateway connection",
    ),
    failed(
        "gateway that times out",
        {"errorCode": GATEWAY_TIMEOUT},
        "GatewayTimedOut",
        "gateway",
        service_code=GATEWAY_TIMEOUT,
        retryable=True,
    ),
    failed("gateway out of reach", {"errorCode": "GatewayNotReachable"}, "GatewayTimedOut", retryable=True),
    failed(
        "table that a framing does not find",
        {"errorCode": "DirectLake_TableNotFound"},
        "SourceTablesMissing",
        retryable=True,
    ),
    failed("framing without details", {"errorCode": "Premium_ASWL_Error"}, "RefreshFailed", "refresh history"),
    failed(
        "eviction, in the messages only",
        {"errorCode": PROCESSING, "messages": [EVICTED]},
        "ModelEvicted",
        "evicted",
        options=FULL,
        service_code="0xC11C0020",
        retryable=True,
        table="Sales",
    ),
    failed(
        "capacity with too many refreshes",
        generic(BUSY_CAPACITY),
        "CapacityLimitReached",
        "fewer models",
        retryable=True,
    ),
    failed("limit of the capacity", generic("Capacity level limit exceeded."), "CapacityLimitReached", retryable=True),
    failed("limit of the node", generic("Node level limit exceeded."), "CapacityLimitReached", retryable=True),
    failed(
        "engine that crashed",
        generic("Container exited unexpectedly with code 0x0000DEAD"),
        "EngineCrashed",
        "Publish the model again",
    ),
    failed(
        "exception with everything nested",
        {"serviceExceptionJson": json.dumps(NESTED)},
        "CredentialsRejected",
        "warehouse.example.com",
        "Login failed",
        service_code="DM_GWPipeline_Gateway_DataSourceAccessError",
    ),
    failed(
        "exception that is JSON in a JSON text",
        {"serviceExceptionJson": json.dumps(json.dumps({"errorCode": GATEWAY_TIMEOUT}))},
        "GatewayTimedOut",
        retryable=True,
    ),
    failed(
        "exception that is broken JSON",
        {"serviceExceptionJson": '{"errorCode":"Model'},
        "RefreshFailed",
        '{"errorCode":"Model',
    ),
    failed("failure without details", {"errorCode": None}, "RefreshFailed", "refresh history"),
    failed("enhanced failure without details", {"errorCode": None}, "RefreshFailed", options=FULL, table="Sales"),
    failed("cause in the attempts only", ONLY_IN_ATTEMPTS, "GatewayTimedOut", retryable=True),
    failed(
        "cause in the history, not by id",
        {"errorCode": GATEWAY_TIMEOUT, "messages": []},
        "GatewayTimedOut",
        knobs={"detailsException": False},
        options=FULL,
        retryable=True,
        table="Sales",
    ),
    failed(
        "message without a code",
        {"errorCode": None, "messages": [{"message": POLICY, "type": "Error"}]},
        "DefinitionInvalid",
        "CommitMode",
        'applyRefreshPolicy" to false',
        options=FULL,
        table="Sales",
    ),
    failed(
        "partition of a table with a refresh policy",
        {"outcome": "Completed"},
        "DefinitionInvalid",
        'applyRefreshPolicy" to false',
        knobs={"refreshPolicies": ["Sales"], "outcome": ["Completed"]},
        options={"refresh": {"objects": [{"table": "Sales", "partition": "Sales-2026"}]}},
        table="Sales",
    ),
    failed(
        "effective date without a refresh policy",
        {"outcome": "Completed"},
        "DefinitionInvalid",
        'Leave out "refresh.effectiveDate"',
        knobs={"outcome": ["Completed"]},
        options={"refresh": {"effectiveDate": "2026-03-31"}},
        table="Sales",
    ),
    failed(
        "warning beside the error",
        {**generic("x"), "messages": [{"message": "Old driver.", "type": "Warning"}, EVICTED]},
        "ModelEvicted",
        options=FULL,
        retryable=True,
        table="Sales",
    ),
    failed(
        "table that is named in the text",
        generic("The column 'Price' of table 'Sales' wasn't found."),
        "DefinitionInvalid",
        "table Sales",
        table="Sales",
    ),
    failed(
        "table that is named by the objects",
        {**generic("x"), "objects": [{"table": "DimDate", "partition": "P", "status": "Failed"}]},
        "RefreshFailed",
        "partition P",
        options=FULL,
        table="DimDate",
    ),
]


@pytest.mark.parametrize(("name", "cases"), [("refused for good", REFUSALS), ("why it failed", FAILURES)])
def test_each_row_has_its_verdict(
    world: World, name: str, cases: list[Case], record_property: Callable[[str, object], None]
) -> None:
    """Status, code, remedy and number of refreshes are those of the row; otherwise the test names the row."""
    record_property("measured", f"service faults over HTTP, {name}: {all_as_expected(world, cases)}")
