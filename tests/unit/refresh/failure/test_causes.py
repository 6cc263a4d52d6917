"""Causes are recognised by families of codes and by words, never by parts of names."""

from typing import Any

import pytest

from refresh.failure import signs
from refresh.failure.catalogue import CATALOGUE
from refresh.failure.families import BY_CODE, BY_FAMILY
from tests.unit.refresh.failure.wording import GENERIC, RAISED, TRANSIENT, described, failure_of, nested, underlying

Json = dict[str, Any]

# code of Power BI -> code of the catalogue
CODES: dict[str, str] = {
    "ModelRefreshFailed_CredentialsNotSpecified": "CredentialsRejected",
    "DM_GWPipeline_Client_GatewayUnreachable": "GatewayTimedOut",
    "DM_GWPipeline_Client_LoadBalancer_NoCandidateAvailable": "GatewayTimedOut",
    "DM_GWPipeline_Client_AsyncOperationExpired": "GatewayTimedOut",
    "DM_GWPipeline_Client_OAuthTokenLoginFailedError": "CredentialsRejected",
    "DM_GWPipeline_Client_OAuthTokenRefreshFailedError": "CredentialsRejected",
    "DM_GWPipeline_Client_ReceivedUncompressedDataExceedingLimit": "GatewayFailed",
    "DM_GWPipeline_Gateway_TimeoutError": "GatewayTimedOut",
    "DM_GWPipeline_Gateway_InvalidConnectionCredentials": "CredentialsRejected",
    "DM_GWPipeline_Gateway_MashupDataAccessError": "GatewayFailed",
    "DM_GWPipeline_Gateway_DataSourceAccessError": "GatewayFailed",
    "DM_GWPipeline_Gateway_SpooledOperationMissing": "GatewayFailed",
    "DM_GWPipeline_Gateway_InvalidObjectNameException": "DefinitionInvalid",
    "DM_GWPipeline_UnknownError": "RefreshFailed",
    "GatewayNotReachable": "GatewayTimedOut",
    "DMTS_DatasourceHasNoCredentialError": "CredentialsRejected",
    "DMTS_OAuthTokenRefreshFailedError": "CredentialsRejected",
    "DMTS_MonikerWithUnboundDataSources": "CredentialsRejected",
    "DMTS_PublishDatasourceToClusterErrorCode": "CredentialsRejected",
    "DMTS_UserNotFoundInADGraphError": "OwnerLostAccess",
    "DirectLake_TableNotFound": "SourceTablesMissing",
    "Premium_ASWL_Error": "RefreshFailed",
    "0xC11C0020": "ModelEvicted",
    "FabricThrottled": "CapacityLimitReached",
    "CapacityLimitExceeded": "CapacityLimitReached",
    GENERIC: "RefreshFailed",
    "SomethingNew": "RefreshFailed",
}


@pytest.mark.parametrize("code", CODES)
def test_a_code_alone(code: str) -> None:
    """The code may be flat or nested and is case-insensitive. Power BI's own code is kept with ours."""
    for row in (described("", code), nested(code), nested(code.lower()), nested(code.upper())):
        error = failure_of(row)
        assert error.code == CODES[code]
        assert error.retryable == CATALOGUE[CODES[code]].retryable
        assert error.service_code is not None
        assert error.service_code.lower() == code.lower()


# words -> code of the catalogue
WORDS: dict[str, str] = {
    # not enough memory
    "Resource Governing: This operation was canceled because there wasn't enough memory to finish running "
    "it.": "OutOfMemory",
    "There's not enough memory to complete this operation. Please try again later.": "OutOfMemory",
    "Exception of type 'System.OutOfMemoryException' was thrown.": "OutOfMemory",
    "You have reached the maximum allowable memory allocation for your tier: memory limit exceeded": "OutOfMemory",
    # the owner
    "We are unable to refresh because the model owner no longer has access to the workspace.": "OwnerLostAccess",
    "The dataset owner does not have access to the workspace.": "OwnerLostAccess",
    # Direct Lake
    "One or multiple source tables either do not exist or access was denied.": "SourceTablesMissing",
    "We cannot access the source Delta table 'customers' referenced by table 'Customers'.": "SourceTablesMissing",
    "The source table 'customers' could not be found.": "SourceTablesMissing",
    # the definition
    "The 'Amount' column does not exist in the rowset.": "DefinitionInvalid",
    "The column 'Region' of the table wasn't found.": "DefinitionInvalid",
    "Expression.Error: The key didn't match any rows in the table.": "DefinitionInvalid",
    "Expression.Error: The import Table matches no exports. Did you miss a module reference?": "DefinitionInvalid",
    "Invalid object name 'dbo.Sales'.": "DefinitionInvalid",
    "Invalid column name 'Region'.": "DefinitionInvalid",
    "A cyclic reference was encountered during evaluation.": "DefinitionInvalid",
    "Value was either too large or too small for a Currency.": "DefinitionInvalid",
    "DataFormat.Error: We couldn't convert to Number.": "DefinitionInvalid",
    "must have the property 'CommitMode' = 'Transactional'": "DefinitionInvalid",
    # credentials
    "Access was denied.": "CredentialsRejected",
    "Access to the resource is forbidden.": "CredentialsRejected",
    "AccessUnauthorized": "CredentialsRejected",
    "Failed to get OAuth resource id": "CredentialsRejected",
    "Login failed for user 'loader'.": "CredentialsRejected",
    "The credentials provided for the Sql source are invalid.": "CredentialsRejected",
    "The password of the account has expired.": "CredentialsRejected",
    "AADSTS700082: The refresh token has expired due to inactivity.": "CredentialsRejected",
    "Web.Contents failed to get contents from 'https://example.com' (401): Unauthorized": "CredentialsRejected",
    "Web.Contents failed to get contents from 'https://example.com' (403): Forbidden": "CredentialsRejected",
    "Exception of type 'Microsoft.Mashup.Engine.Interface.ResourceAccessForbiddenException' was "
    "thrown.": "CredentialsRejected",
    # the engine
    "Container exited unexpectedly with code 0x0000DEAD": "EngineCrashed",
    "The XML for Analysis request timed out before it was completed. Timeout value: 18000 sec.": "RefreshTimedOut",
    "connected to a database that has been evicted to free up memory": "ModelEvicted",
    # the capacity
    "You've exceeded the capacity limit for semantic model refreshes.": "CapacityLimitReached",
    "Capacity level limit exceeded.": "CapacityLimitReached",
    "Node level limit exceeded.": "CapacityLimitReached",
    "Cannot load model due to reaching capacity limits.": "CapacityLimitReached",
    "Your organization's Fabric compute capacity has exceeded its limits. Try again later.": "CapacityLimitReached",
    # the source
    "Web.Contents failed to get contents from 'https://example.com' (502): Bad Gateway": "SourceUnavailable",
    "Web.Contents failed to get contents from 'https://example.com' (503): Backend fetch failed": "SourceUnavailable",
    "Web.Contents failed to get contents from 'https://example.com' (504): Gateway Time-out": "SourceUnavailable",
    "[DataSource.Error] The remote server returned an error: (503) Server Unavailable.": "SourceUnavailable",
    "The request failed with HTTP status 504: Gateway Timeout.": "SourceUnavailable",
    "Database 'sales' on server 'x' is not currently available. Please retry the connection "
    "later.": "SourceUnavailable",
    "The service is currently busy. Retry the request after 10 seconds. Code: 0.": "SourceUnavailable",
    "SqlException: Error Number: 40197, State: 1": "SourceUnavailable",
    # the gateway
    "The gateway is offline.": "GatewayTimedOut",
    "The on-premises data gateway is either offline or could not be reached.": "GatewayTimedOut",
    "Unable to connect to the data gateway.": "GatewayTimedOut",
    "The gateway timed out.": "GatewayTimedOut",
    # nothing
    "Web.Contents failed to get contents from 'https://example.com' (500): Internal Server Error": "RefreshFailed",
    "The underlying connection was closed: An unexpected error occurred on a receive.": "RefreshFailed",
    "An error occurred.": "RefreshFailed",
}


@pytest.mark.parametrize("text", WORDS)
def test_words_of_a_cause(text: str) -> None:
    """The words of a cause are found in upper and lower case, before the engine's closing, after a phrase about a
    transient failure, inside the service's marks, and beside a code that says nothing."""
    expected = WORDS[text]
    for variant in (
        text,
        text.upper(),
        f"{text} {RAISED} Table: Sales.",
        f"{TRANSIENT} <ccon>{text}</ccon>. Table: Sales.",
    ):
        assert failure_of(described(variant)).code == expected, variant
    assert failure_of(nested("DM_GWPipeline_UnknownError", underlying(text))).code == expected
    assert failure_of({"messages": [{"message": text, "type": "Error"}]}).code == expected


NAMES = ["PasswordHash", "App Credentials", "Login Failed", "Bad Gateway", "Access denied", "Out of memory", "(503)"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "text",
    [
        "Something odd with column '{}' was seen.",
        "Something odd with column '<oii>{}</oii>' was seen.",
        "Something odd with <oii>{}</oii> was seen.",
        'Something odd with "{}" was seen.',
        "Something odd with Sales[{}] was seen.",
        "Something odd was seen. Table: {}.",
        "Something odd was seen. Table: {0}. Partition: {0}.",
        "Something odd was seen in O'Brien's column '{}' here.",
    ],
)
def test_a_name_is_not_a_sign(name: str, text: str) -> None:
    """The name of a table, a column or a partition is not read as a sign of a cause."""
    assert failure_of(described(text.format(name))).code == "RefreshFailed"


@pytest.mark.parametrize(
    "number", ["503 rows were odd", "row 504 is odd", "order 40613 is odd", "12.502 is odd", "item 401"]
)
def test_a_number_is_not_a_status_of_a_source(number: str) -> None:
    """A number counts as a sign only if it is the status of an answer."""
    assert failure_of(described(f"Something is odd: {number}.")).code == "RefreshFailed"


@pytest.mark.parametrize(
    "excuse",
    [
        TRANSIENT,
        "This is usually a transient issue.",
        "An internal error occurred. This is a transient error. Please try again later.",
        "A temporary error has occurred. Please try again later.",
        f"{TRANSIENT} {RAISED} Table: Sales.",
        f"<ccon>{TRANSIENT}</ccon>",
    ],
)
def test_an_excuse_counts_as_a_transient_failure(excuse: str) -> None:
    """A phrase about a transient failure counts only if the service reports nothing else. Any other text has
    priority."""
    assert (failure_of(described(excuse)).code, failure_of(described(excuse)).retryable) == ("SourceUnavailable", True)
    lasting = failure_of(described(f"{TRANSIENT} The flux is out of phase. Table: Sales."))
    assert (lasting.code, lasting.retryable) == ("RefreshFailed", False)
    assert "flux" in lasting.message
    assert "transient" not in lasting.message
    beside = failure_of({**described(excuse), "messages": [{"message": "The flux is out of phase.", "type": "Error"}]})
    assert (beside.code, beside.retryable) == ("RefreshFailed", False)


def test_permanent_causes_have_priority() -> None:
    """An error with signs of a permanent and of a transient cause is not retried, and neither is a refresh with errors
    of both kinds."""
    assert failure_of(described("Login failed, and the gateway timed out.")).code == "CredentialsRejected"
    messages = [{"code": "0xC11C0020", "message": "x has been evicted"}, {"message": "Login failed."}]
    assert failure_of({"messages": messages}).code == "CredentialsRejected"


def test_advice_of_the_service_is_not_a_sign() -> None:
    """Advice only mentions possible causes, so its words count only if nothing else matches."""
    text = "The gateway is offline. Please check that the credentials are correct."
    assert failure_of(described(text)).code == "GatewayTimedOut"
    assert failure_of(described("Please check the credentials.")).code == "CredentialsRejected"


def test_a_number_of_azure_sql_in_the_details_is_a_sign() -> None:
    """An error number of Azure SQL in the details is a sign of a cause. The message does not show it."""
    error = failure_of(
        nested(
            "DM_GWPipeline_Gateway_MashupDataAccessError",
            underlying("Microsoft SQL: something."),
            ("Microsoft.Data.Mashup.ValueError.Number", "40613"),
        )
    )
    assert error.code == "SourceUnavailable"
    assert "40613" not in error.message


def test_memory_sizes_are_reported() -> None:
    """Users need the memory sizes to decide, so the service's advice before them is cut first."""
    text = (
        "Resource Governing: This operation was canceled because there wasn't enough memory to finish "
        "running it. Either "
        "reduce the memory footprint of your dataset by doing things such as limiting the amount of "
        "imported data, or if "
        "using Power BI Premium, increase the memory of the Premium capacity where this dataset is hosted. "
        "More details: "
        "consumed memory 905 MB, memory limit 134 MB, database size before command execution 2937 MB. See "
        "https://go.microsoft.com/fwlink/?linkid=2159753 to learn more."
    )
    error = failure_of({**described(f"{text} Table: {'T' * 200}. Partition: {'P' * 200}.")})
    for figure in ("905 MB", "134 MB", "2937 MB"):
        assert figure in error.message
    assert "https" not in error.message


def test_every_recognised_code_is_in_the_catalogue() -> None:
    """All codes of causes are in the catalogue. Those of transient causes are retryable."""
    assert {*signs.LASTING, *signs.TRANSIENT, *BY_CODE, *BY_FAMILY} <= set(CATALOGUE)
    assert all(CATALOGUE[code].retryable for code in signs.TRANSIENT)
    assert not any(CATALOGUE[code].retryable for code in signs.LASTING if code != "SourceTablesMissing")
