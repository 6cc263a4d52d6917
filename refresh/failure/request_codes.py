"""The codes of requests and of calls to Power BI: how a request ends, and what Power BI refuses."""

from refresh.failure.error_code import ROLE, ErrorCode

TENANT_SETTING = '"Service principals can call Fabric public APIs"'

REQUEST_CODES = (
    # How a request ends.
    ErrorCode(
        "TimedOut",
        "the request did not end before its deadline",
        'Raise "timeoutMinutes", or check the refresh history to see what kept the model busy.',
        retryable=True,
    ),
    ErrorCode("RequestCancelled", "the request was cancelled", "Send a new request if the refresh is still needed."),
    ErrorCode(
        "RequestTerminated",
        "the orchestration of the request was terminated",
        "Send a new request if the refresh is still needed.",
        retryable=True,
    ),
    ErrorCode(
        "WorkspaceNotAllowed",
        "the workspace is not in the app setting ALLOWED_WORKSPACES",
        'Check "workspaceId", or ask the operator to add the workspace to the setting.',
    ),
    ErrorCode(
        "InternalError",
        "the app itself failed",
        "Try again; if it happens again, report the request id to the operator of the app.",
        retryable=True,
    ),
    # How a batch ends.
    ErrorCode(
        "ModelsNotRefreshed",
        "not all models of the batch were refreshed",
        'Correct the causes, then send the batch again with "retryOf": only what did not complete is refreshed.',
    ),
    ErrorCode(
        "TooManyModels",
        "the workspace has more refreshable models than a batch may have",
        'Exclude some models with "except", or split the models over several batches.',
    ),
    ErrorCode(
        "NoRefreshableModels",
        "no model of the workspace remains to be refreshed",
        'Check "workspaceId" and "except" in the body, and check that the identity of the app can see the models '
        "of the workspace.",
    ),
    # What can happen to a refresh that was started.
    ErrorCode(
        "AnswerLost",
        "Power BI repeatedly gave no answer when the refresh was started, and no new refresh appeared",
        "Try again later; if the failure persists, check the service health of Power BI.",
        retryable=True,
    ),
    ErrorCode(
        "RefreshUnproven",
        "Power BI did not report which refresh it had started, and no new refresh is known to have served this request",
        "Look in the refresh history of the model for a refresh that began after this request was sent and that "
        "completed. If there is none, send a new request.",
    ),
    ErrorCode(
        "RefreshDropped",
        "Power BI accepted the refresh several times, but it never appeared in the refresh history",
        "Start fewer refreshes at the same time, then try again; Power BI drops requests that arrive in bursts.",
        retryable=True,
    ),
    ErrorCode(
        "RefreshNeverEnded",
        "the app could not find out how the refresh ended",
        "Check the refresh history of the model and the state of its capacity.",
    ),
    ErrorCode(
        "HistoryRolledOver",
        "newer refreshes have pushed this one out of the refresh history, so the app cannot find out how it ended",
        'Check whether the model has the new data. To avoid this, request an enhanced refresh (the key "refresh" in '
        "the body): it can be read by its id at any time.",
    ),
    # Power BI could not be reached or asked the app to wait.
    ErrorCode(
        "ServiceUnavailable",
        "Power BI answered with errors or could not be reached",
        "Try again later; if the failure persists, check the service health of Power BI.",
        retryable=True,
    ),
    ErrorCode(
        "SignInUnavailable",
        "Microsoft Entra issued no token",
        "Try again later; if the failure persists, check the service health of Microsoft Entra.",
        retryable=True,
    ),
    ErrorCode(
        "Throttled",
        "Power BI is throttling calls",
        "Try again later. It helps to start fewer refreshes at once, to use a larger capacity, or to let fewer "
        "tools call Power BI "
        "with this identity.",
        retryable=True,
    ),
    ErrorCode(
        "RefreshInProgress",
        "another refresh of the model is running",
        "Try again when that refresh has ended.",
        retryable=True,
    ),
    # Power BI refuses permanently.
    ErrorCode(
        "TokenUnavailable",
        "the app cannot get a token for Power BI",
        "Turn on the app's managed identity, or check AZURE_CLIENT_ID and the other credential settings of the app.",
    ),
    ErrorCode(
        "TokenRejected",
        "Power BI rejects the token of the app, even a new one",
        "Check that POWER_BI_CLOUD matches the tenant, and that the clock of the machine is right.",
    ),
    ErrorCode(
        "NotAuthorized",
        "the app's identity is not allowed to use this model",
        f"Give the app's identity the role {ROLE} in the workspace, and check that both ids are right; "
        "a new role can take some minutes to apply.",
    ),
    ErrorCode(
        "ApiNotAccessible",
        "the tenant does not let this identity call the Power BI API",
        f"Have a Fabric administrator turn on the tenant setting {TENANT_SETTING} for the app's identity or a group "
        "it is in; the change takes up to 30 minutes.",
    ),
    ErrorCode(
        "ModelNotFound",
        "the model or its workspace does not exist, or the app's identity is not allowed to see it",
        f'Check "workspaceId" and "datasetId", and give the identity of the app the role {ROLE} in the workspace.',
    ),
    ErrorCode(
        "RefreshNotFound",
        "Power BI does not know this refresh",
        "Check the refresh history of the model.",
    ),
    ErrorCode(
        "ModelNotRefreshable",
        "this kind of model has nothing to refresh through the API",
        "Refresh the model that holds the data: push, streaming, live-connected and DirectQuery models cannot be "
        "refreshed.",
    ),
    ErrorCode(
        "DailyLimitReached",
        "the model has reached the limit of refreshes in 24 hours",
        "Try again tomorrow, or move the workspace to a Premium, Embedded or Fabric capacity, which has no daily "
        "limit.",
    ),
    ErrorCode(
        "CapacityRequired",
        "the options of an enhanced refresh need a capacity, and the workspace is not on one",
        'Remove "refresh" from the body, or move the workspace to a Premium, Embedded or Fabric capacity.',
    ),
    ErrorCode(
        "CapacityNotActive",
        "the capacity of the workspace is paused or not active",
        "Resume the capacity, then try again.",
    ),
    ErrorCode(
        "NotifyOptionRefused",
        "Power BI does not send mail for the identity of an app",
        'Remove "notifyOption" from the body.',
    ),
    ErrorCode(
        "InvalidRefreshRequest",
        "Power BI refused the request as invalid",
        'Check the options of the refresh; all options other than "notifyOption" also need a Premium, Embedded or '
        "Fabric capacity.",
    ),
    ErrorCode(
        "LicenseRequired",
        "the identity that calls Power BI has no license for this call",
        "Assign a Power BI Pro or Premium Per User license to that identity if it is a user. A service principal or "
        "managed identity should not need one; if it gets this error, try a workspace on a capacity.",
    ),
    ErrorCode(
        "PersonalWorkspace",
        "the workspace is a personal workspace, which apps cannot use through the API",
        "Publish the model to a shared workspace and give the app's identity a role there.",
    ),
    ErrorCode(
        "UnexpectedAnswer",
        "the answer does not come from the Power BI API",
        "Check whether a proxy or firewall is between the app and Power BI, and check the settings POWER_BI_CLOUD and "
        "POWER_BI_API_URL.",
    ),
)
