"""The codes of requests and of calls to Power BI: how a request ends, and what Power BI refuses."""

from refresh.failure.error_code import ROLE, ErrorCode

TENANT_SETTING = '"Service principals can call Fabric public APIs"'

REQUEST_CODES = (
    # A request's own ends.
    ErrorCode(
        "TimedOut",
        "the request did not end before its deadline",
        "Raise timeoutMinutes, or look at what the model was busy with in its refresh history.",
        retryable=True,
    ),
    ErrorCode("RequestCancelled", "the request was cancelled", "Send a new request if the refresh is still wanted."),
    ErrorCode(
        "RequestTerminated",
        "the orchestration of the request was terminated",
        "Send a new request if the refresh is still wanted.",
        retryable=True,
    ),
    ErrorCode(
        "WorkspaceNotAllowed",
        "its workspace is not in the app setting ALLOWED_WORKSPACES",
        "Check workspaceId, or have the workspace added to the setting.",
    ),
    ErrorCode(
        "InternalError",
        "the refresh service itself failed",
        "Try again; if it happens again, give the request id to the operator of the service.",
        retryable=True,
    ),
    # What can become of a refresh on its way.
    ErrorCode(
        "AnswerLost",
        "Power BI did not answer the start of the refresh, several times over, and no new refresh appeared",
        "Try again later; look at the service health of Power BI if it goes on.",
        retryable=True,
    ),
    ErrorCode(
        "RefreshUnproven",
        "Power BI did not tell which refresh it had started, and none of the new ones is known to have served this "
        "request",
        "Look at the refresh history of the model for the details and correct the cause.",
    ),
    ErrorCode(
        "RefreshDropped",
        "Power BI accepted the refresh several times, but it never appeared in the refresh history",
        "Try again when fewer refreshes are asked for at once; Power BI drops requests that arrive in bursts.",
        retryable=True,
    ),
    ErrorCode(
        "RefreshNeverEnded",
        "no end of the refresh could be read",
        "Look at the refresh history of the model and at the state of its capacity.",
    ),
    ErrorCode(
        "HistoryRolledOver",
        "newer refreshes have pushed this one out of the history, so its end cannot be read",
        "Check whether the model has the new data. A refresh with the key refresh can be read by its id and "
        "is not lost "
        "in this way.",
    ),
    # Power BI could not be reached or asked for patience.
    ErrorCode(
        "ServiceUnavailable",
        "Power BI could not be reached or answered with errors",
        "Try again later; look at the service health of Power BI if it goes on.",
        retryable=True,
    ),
    ErrorCode(
        "SignInUnavailable",
        "Microsoft Entra issued no token, for the moment",
        "Try again later; look at the service health of Microsoft Entra if it goes on.",
        retryable=True,
    ),
    ErrorCode(
        "Throttled",
        "Power BI accepts no calls for the moment",
        "Try again later. Fewer refreshes at once, a larger capacity, or fewer tools that call Power BI "
        "with this identity "
        "help.",
        retryable=True,
    ),
    ErrorCode(
        "RefreshInProgress",
        "another refresh of the model is running",
        "Try again when it has ended.",
        retryable=True,
    ),
    # Power BI refuses for good.
    ErrorCode(
        "TokenUnavailable",
        "the app cannot get a token for Power BI",
        "Turn on the app's managed identity, or check AZURE_CLIENT_ID and the other credential settings of the app.",
    ),
    ErrorCode(
        "TokenRejected",
        "Power BI rejects the token of the app, a new one as well",
        "Check that POWER_BI_CLOUD fits the tenant, and the clock of the machine.",
    ),
    ErrorCode(
        "NotAuthorized",
        "the app's identity may not use this model",
        f"Give the app's identity the role {ROLE} in the workspace, and check that both ids are right; "
        "a new role can take some minutes.",
    ),
    ErrorCode(
        "ApiNotAccessible",
        "the tenant does not let this identity call the Power BI API",
        f"Have a Fabric administrator turn on the tenant setting {TENANT_SETTING} for the app's identity or a group "
        "it is in; that takes up to 30 minutes.",
    ),
    ErrorCode(
        "ModelNotFound",
        "the model or its workspace does not exist, or the app's identity may not see it",
        f"Check workspaceId and datasetId, and give the app's identity the role {ROLE} in the workspace.",
    ),
    ErrorCode(
        "RefreshNotFound",
        "Power BI does not know this refresh",
        "Look at the refresh history of the model.",
    ),
    ErrorCode(
        "ModelNotRefreshable",
        "this kind of model has nothing to refresh through the API",
        "Refresh the model that holds the data: push, streaming, live-connected and DirectQuery models cannot be "
        "refreshed.",
    ),
    ErrorCode(
        "DailyLimitReached",
        "the model has used up its refreshes of the last 24 hours",
        "Try again tomorrow, or move the workspace to a Premium or Fabric capacity, which has no daily limit.",
    ),
    ErrorCode(
        "CapacityRequired",
        "the options of an enhanced refresh need a capacity, and the workspace has none",
        "Leave out the key refresh, or move the workspace to a Premium, Embedded or Fabric capacity.",
    ),
    ErrorCode(
        "CapacityNotActive",
        "the capacity of the workspace is paused or not active",
        "Resume the capacity, then ask again.",
    ),
    ErrorCode(
        "NotifyOptionRefused",
        "Power BI sends no mails for the identity of an app",
        "Leave out notifyOption.",
    ),
    ErrorCode(
        "InvalidRefreshRequest",
        "Power BI refused the request as invalid",
        "Check the options of the refresh; options beside notifyOption also need a Premium, Embedded or Fabric "
        "capacity.",
    ),
    ErrorCode(
        "LicenseRequired",
        "the identity that calls Power BI has no license for this call",
        "Assign a Power BI Pro or Premium Per User license to that identity, or let the app use a service principal or "
        "managed identity and a workspace on a capacity.",
    ),
    ErrorCode(
        "PersonalWorkspace",
        "the workspace is a personal one, which the API does not serve to apps",
        "Publish the model to a shared workspace and give the app's identity a role there.",
    ),
    ErrorCode(
        "UnexpectedAnswer",
        "the answer is not one of the Power BI API",
        "Check for a proxy or firewall between the app and Power BI, and the settings POWER_BI_CLOUD and "
        "POWER_BI_API_URL.",
    ),
)
