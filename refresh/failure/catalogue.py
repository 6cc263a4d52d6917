"""The catalogue of our error codes: what each means, whether trying again helps, and what a person can do.

One entry serves everybody who speaks of an error: the verdict on a refresh, the refusals of the Power BI client, a
request's own end, and the table in docs/errors.md, which a test holds against this module. To add a code, add an
`ErrorCode` here and its row there.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from refresh.messages import Shown
from refresh.text import cut, joined

MAX_MESSAGE = 500
"""Callers show and store no more of an error than this many characters, so what matters has to fit."""

ROLE = "Contributor, Member or Admin"
TENANT_SETTING = '"Service principals can call Fabric public APIs"'


class Failure(Shown, frozen=True, kw_only=True):
    """The error object that callers get. `code` is one of the catalogue, `service_code` is Power BI's own."""

    code: str
    message: str
    service_code: str | None = None
    table: str | None = None
    partition: str | None = None
    retryable: bool = False
    action: str | None = None


@dataclass(frozen=True)
class ErrorCode:
    """One kind of failure. `meaning` continues "Semantic model X: ..."; `action` is one sentence for a data engineer.

    `retryable` is True if the same request may well succeed later without anybody changing anything.
    """

    code: str
    meaning: str
    action: str
    retryable: bool = False


_OURS = (
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
        "the request was terminated by hand",
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
        "Try again; if it happens again, give the request id to whoever runs the service.",
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
        "Power BI never said which refresh it had started, and each one that appeared did not complete",
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
        "the refresh never came to an end that could be read",
        "Look at the refresh history of the model and at the state of its capacity.",
    ),
    ErrorCode(
        "HistoryRolledOver",
        "newer refreshes fill the history, and how this one ended cannot be read any more",
        "Look whether the model has the new data; with the key refresh a refresh can be read by its id and does not "
        "get out of sight.",
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
        "the sign-in service gave the app no token for now",
        "Try again later; look at the service health of Microsoft Entra if it goes on.",
        retryable=True,
    ),
    ErrorCode(
        "Throttled",
        "Power BI refuses further calls for the moment",
        "Try again later; fewer refreshes and fewer tools that ask Power BI with this identity help.",
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
        "Power BI refuses the request as invalid",
        "Check the options of the refresh; options beside notifyOption also need a Premium, Embedded or Fabric "
        "capacity.",
    ),
    ErrorCode(
        "UnexpectedAnswer",
        "Power BI gave an answer that the API does not describe",
        "Check POWER_BI_CLOUD or POWER_BI_API_URL, and proxies between the app and Power BI.",
    ),
    # How a refresh ends badly.
    ErrorCode(
        "RefreshFailed",
        "the refresh failed",
        "Look at the refresh history of the model for the details and correct the cause.",
    ),
    ErrorCode(
        "RefreshCancelled",
        "somebody cancelled the refresh",
        "Ask again if the refresh is still wanted.",
    ),
    ErrorCode(
        "RefreshDisabled",
        "Power BI did not run the refresh, it is disabled",
        "Look at the refresh settings of the model: a selective refresh or the owner may have disabled it.",
    ),
    ErrorCode(
        "RefreshTimedOut",
        "the refresh took longer than Power BI allows it",
        "Raise refresh.timeout, refresh fewer objects at once, or make the refresh faster.",
    ),
    # Causes of a failed refresh that can be told apart, as `refresh.failure.causes` does.
    ErrorCode(
        "CredentialsRejected",
        "a data source has no stored credentials or does not accept them",
        "Enter the data source credentials in the settings of the model, or in those of its gateway connection.",
    ),
    ErrorCode(
        "DefinitionInvalid",
        "the model, a query or the refresh options do not fit the data source",
        "Correct the named table, column or option in the model or in the request.",
    ),
    ErrorCode(
        "EngineCrashed",
        "the engine that held the model ended unexpectedly",
        "Publish the model again; if it goes on failing, open a support case.",
    ),
    ErrorCode(
        "ModelEvicted",
        "Power BI evicted the model from memory during the refresh",
        "Try again; if it happens often, refresh fewer models at once or use a larger capacity.",
        retryable=True,
    ),
    ErrorCode(
        "CapacityLimitReached",
        "the capacity was refreshing too many models at once",
        "Try again when fewer models are refreshed, or use a larger capacity.",
        retryable=True,
    ),
    ErrorCode(
        "GatewayTimedOut",
        "the gateway could not be reached or did not answer in time",
        "Try again; if it happens often, look at the load of the gateway and its way to the data source.",
        retryable=True,
    ),
    ErrorCode(
        "GatewayFailed",
        "the gateway could not read from the data source",
        "Look at the gateway connection of the model and at the data source.",
    ),
)

CATALOGUE: Mapping[str, ErrorCode] = {entry.code: entry for entry in _OURS}


def failure(
    code: str,
    dataset_id: str,
    *,
    detail: str | None = None,
    refresh_id: str | None = None,
    table: str | None = None,
    partition: str | None = None,
    reported_as: str | None = None,
) -> Failure:
    """The error object that callers get: `code`, `message`, `table`, `partition`, `retryable`, `action`.

    `code` is one of the catalogue; `reported_as` shows Power BI's own code instead and keeps the rest. The message
    stands alone in at most 500 characters: which model, what failed, what to do; `detail`, the text of somebody
    else, gives way first. A code that the catalogue does not have is reported as itself, with InternalError's advice.
    """
    entry = CATALOGUE.get(code) or CATALOGUE["InternalError"]
    shown = cut(reported_as or code, 80)
    tail = f". {entry.action}"
    head = ""
    for limit in (60, 40, 20):
        # names of any length come from outside; meaning and advice stay whole
        where = joined(
            table and f"table {cut(table, limit)}",
            partition and f"partition {cut(partition, limit)}",
            f"code {cut(shown, limit)}",
            refresh_id and f"refresh {cut(refresh_id, 40)}",
        )
        head = f"Semantic model {cut(dataset_id, 40)}: {entry.meaning} ({where})"
        if len(head) + len(tail) <= MAX_MESSAGE:
            break
    room = MAX_MESSAGE - len(head) - len(tail) - 2
    said = cut((detail or "").strip().rstrip("."), room) if room > 20 else ""
    return Failure(
        code=shown,
        message=f"{head}: {said}{tail}" if said else head + tail,
        table=table,
        partition=partition,
        retryable=entry.retryable,
        action=entry.action,
    )
