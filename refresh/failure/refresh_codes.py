"""The codes of refreshes that did not complete: how they ended, and the causes that `refresh.failure.causes` can tell
apart."""

from refresh.failure.error_code import ErrorCode

REFRESH_CODES = (
    # How a refresh ends without completing.
    ErrorCode(
        "RefreshFailed",
        "the refresh failed",
        "Look at the refresh history of the model for the details and correct the cause.",
    ),
    ErrorCode(
        "RefreshCancelled",
        "the refresh was cancelled",
        "Send a new request if the refresh is still needed.",
    ),
    ErrorCode(
        "RefreshDisabled",
        "Power BI did not run the refresh because it is disabled",
        "Look at the refresh settings of the model: a selective refresh or the owner may have disabled it.",
    ),
    ErrorCode(
        "RefreshTimedOut",
        "the refresh took longer than Power BI allows",
        "Raise refresh.timeout, refresh fewer objects at once, or make the refresh faster.",
    ),
    # Causes of a failed refresh, as found by `refresh.failure.causes`.
    ErrorCode(
        "CredentialsRejected",
        "a data source has no stored credentials, or rejects the stored ones",
        "Enter the data source credentials in the settings of the model or of its gateway connection, and "
        "check that each "
        "data source is bound to a connection.",
    ),
    ErrorCode(
        "DefinitionInvalid",
        "the model, a query or the refresh options do not fit the data source",
        "Correct the named table, column or option in the model or in the request.",
    ),
    ErrorCode(
        "OutOfMemory",
        "the refresh needed more memory than the model may use",
        "Refresh fewer tables or partitions at once, load less data, or move the workspace to a larger capacity.",
    ),
    ErrorCode(
        "OwnerLostAccess",
        "the owner of the model no longer has access to the workspace",
        "Grant the owner the role Contributor or higher in the workspace, or take over the model with an account that "
        "has it.",
    ),
    ErrorCode(
        "SourceTablesMissing",
        "source tables are missing, or the model's owner is not allowed to read them",
        "Check that the named tables exist and that the owner of the model may read them. Right after a "
        "load, try again: "
        "the SQL endpoint lags behind the load.",
        retryable=True,
    ),
    ErrorCode(
        "EngineCrashed",
        "the engine that held the model ended unexpectedly",
        "Publish the model again; if the failure persists, open a support case.",
    ),
    ErrorCode(
        "ModelEvicted",
        "Power BI evicted the model from memory during the refresh",
        "Try again; if it happens often, refresh fewer models at once or use a larger capacity.",
        retryable=True,
    ),
    ErrorCode(
        "CapacityLimitReached",
        "the capacity reached its limits",
        "Try again when fewer models are being refreshed, or use a larger capacity.",
        retryable=True,
    ),
    ErrorCode(
        "SourceUnavailable",
        "the data source, or Power BI itself, was temporarily unavailable",
        "Try again later; if it happens often, check the availability of the data source.",
        retryable=True,
    ),
    ErrorCode(
        "GatewayTimedOut",
        "the gateway could not be reached or did not answer in time",
        "Try again; if it happens often, check the gateway: whether it is online, its load, and its connection to the "
        "data source.",
        retryable=True,
    ),
    ErrorCode(
        "GatewayFailed",
        "the gateway could not read from the data source",
        "Check the gateway connection of the model and the data source.",
    ),
)
