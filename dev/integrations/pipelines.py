"""The pipelines that we ship: four ways to ask for a refresh, each with an identity or with a function key."""

from dataclasses import dataclass
from typing import Any

from dev.integrations.activities import (
    ANSWER,
    JSON_HEADER,
    LONGEST,
    LOOK_SECONDS,
    PAUSE_SECONDS,
    RETRIES,
    SHORTEST,
    activity,
    after,
    expression,
    fail,
    policy,
    set_variable,
    unless,
    until,
    wait,
)

Json = dict[str, Any]

READ_KEY = "Read key"
VAULT = "https://vault.azure.net"
VAULT_VERSION = "7.4"
START_URL = "@concat(pipeline().parameters.BaseUrl, '/api/refreshes')"
KEY = f"@activity('{READ_KEY}').output.value"
"""The function key. It travels in a header only: URLs are written into logs on their way."""


@dataclass(frozen=True)
class Access:
    """How a pipeline proves who it is. `parameter` is the pipeline's parameter for it."""

    name: str
    parameter: str
    linked_service: str
    words: str


IDENTITY = Access(
    "identity",
    "Audience",
    "RefreshServiceWithIdentity",
    "Signs in with the managed identity of the factory (AUTH_MODE entra).",
)
FUNCTION_KEY = Access(
    "key",
    "KeySecretUri",
    "RefreshServiceWithKey",
    "Reads the function key from Key Vault and sends it in a header (AUTH_MODE key).",
)


@dataclass(frozen=True)
class Shipped:
    """A pipeline: `properties` is what the REST API takes; `linked_service` the one it needs, if any."""

    name: str
    properties: Json
    linked_service: str | None = None


def shipped() -> list[Shipped]:
    """All of them."""
    return [way(access) for way in (_web, _webhook, _function, _poll) for access in (IDENTITY, FUNCTION_KEY)]


def body(*, may_wait: bool = False) -> Json:
    """The body of the start: Options, and over them what only the pipeline knows.

    The idempotency key names this run of this pipeline: an activity that is tried again asks for the same refresh.
    The caller is the pipeline that called this one, whose name somebody knows. `waitSeconds` only where the activity
    can use it: the others need the answer that tells where the status is.
    """
    parts = [
        '{"workspaceId":"',
        "pipeline().parameters.WorkspaceId",
        '","datasetId":"',
        "pipeline().parameters.DatasetId",
        '","idempotencyKey":"',
        "pipeline().RunId",
        '/Refresh","caller":{"factory":"',
        "pipeline().DataFactory",
        '","pipeline":"',
        "replace(coalesce(pipeline()?.TriggeredByPipelineName, pipeline().Pipeline), '\"', '')",
        '","runId":"',
        "coalesce(pipeline()?.TriggeredByPipelineRunId, pipeline().RunId)",
        '"}}' if may_wait else '"},"waitSeconds":0}',
    ]
    texts = [part if part.startswith(("pipeline()", "replace(", "coalesce(")) else f"'{part}'" for part in parts]
    return expression(f"@string(union(pipeline().parameters.Options, json(concat({', '.join(texts)}))))")


def _web(access: Access) -> Shipped:
    before, access_properties, secret = _proof(access)
    call = {
        "method": "POST",
        "url": expression(START_URL),
        "body": body(may_wait=True),
        **access_properties,
        "httpRequestTimeout": ANSWER,
        "turnOffAsync": False,
    }
    refresh = activity("Refresh", "WebActivity", call, _after(before), policy=policy(LONGEST, secure_input=secret))
    words = "Refreshes a semantic model with one Web activity, which waits for the end by itself."
    return _pipeline("refresh-with-web", access, words, [*before, refresh])


def _webhook(access: Access) -> Shipped:
    """A WebHook activity has no retry of its own, so each try is an activity that runs if the one before failed.

    No loop around it: whichever try is the last is red with its own message, and a pipeline in which a later try
    succeeds is green, because only the last activities of the branches count.
    """
    before, access_properties, secret = _proof(access)
    call = {
        "method": "POST",
        "url": expression(START_URL),
        "body": body(),
        **access_properties,
        "timeout": LONGEST,
        "reportStatusOnCallBack": True,
    }
    secure = {"secureInput": secret, "secureOutput": False}
    tries = [activity("Refresh", "WebHook", call, _after(before), policy=secure)]
    for number in range(2, RETRIES + 2):
        pause = wait(f"Pause before try {number}", PAUSE_SECONDS, after(tries[-1]["name"], "Failed"))
        again = activity(f"Refresh, try {number}", "WebHook", call, after(pause["name"]), policy=secure)
        tries += [pause, again]
    words = "Refreshes a semantic model with a WebHook activity, which is called back at the end."
    return _pipeline("refresh-with-webhook", access, words, [*before, *tries])


def _function(access: Access) -> Shipped:
    linked = {"referenceName": access.linked_service, "type": "LinkedServiceReference"}
    call = {"functionName": "refreshes", "method": "POST", "headers": JSON_HEADER, "body": body()}
    # its output holds the token that cancels the request
    hidden = policy(SHORTEST, secure_output=True)
    start = activity("Start", "AzureFunctionActivity", call, [], linkedServiceName=linked, policy=hidden)
    look = {
        "method": "GET",
        "url": expression("@activity('Start').output.statusUri"),
        "httpRequestTimeout": ANSWER,
        "turnOffAsync": False,
    }
    refresh = activity("Refresh", "WebActivity", look, after("Start"), policy=policy(LONGEST, secure_input=True))
    words = "Refreshes a semantic model: an Azure Function activity starts, a Web activity waits for the end by itself."
    return _pipeline("refresh-with-function", access, words, [start, refresh], linked=True)


def _poll(access: Access) -> Shipped:
    """The loop ends with the first look that fails for good: a status is 424 after every end but Completed."""
    before, access_properties, secret = _proof(access)
    call = {
        "method": "POST",
        "url": expression(START_URL),
        "body": body(),
        **access_properties,
        "httpRequestTimeout": ANSWER,
        "turnOffAsync": True,
    }
    hidden = policy(SHORTEST, secure_input=secret, secure_output=True)
    start = activity("Start", "WebActivity", call, _after(before), policy=hidden)
    look = {
        "method": "GET",
        "url": expression("@activity('Start').output.statusQueryGetUri"),
        "turnOffAsync": True,
    }
    turn = [
        wait("Pause", LOOK_SECONDS, []),
        activity("Look", "WebActivity", look, after("Pause"), policy=policy(SHORTEST, secure_input=True)),
        set_variable("Keep status", "Status", "@activity('Look').output.runtimeStatus", after("Look")),
        set_variable("Keep reason", "Reason", "@activity('Look').error.message", after("Look", "Failed")),
    ]
    # Durable's own status, which statusQueryGetUri may lead to, answers 200 for Terminated
    ends = "createArray('Completed', 'Failed', 'Terminated', 'Canceled')"
    ended = f"@or(contains({ends}, variables('Status')), not(equals(variables('Reason'), '')))"
    otherwise = "concat('The refresh did not complete, its last status was ', variables('Status'), '.')"
    reason = f"@if(equals(variables('Reason'), ''), {otherwise}, variables('Reason'))"
    activities = [
        *before,
        start,
        until("Until it has ended", ended, turn, after("Start")),
        # also where the loop itself counts as failed, because its last look did
        unless(
            "Refreshed",
            "@equals(variables('Status'), 'Completed')",
            [fail("Not refreshed", reason, "RefreshFailed")],
            after("Until it has ended", "Completed"),
        ),
    ]
    variables = {name: {"type": "String", "defaultValue": ""} for name in ("Status", "Reason")}
    words = "Refreshes a semantic model and looks every 30 seconds whether that has ended."
    return _pipeline("refresh-and-poll", access, words, activities, variables=variables)


def _proof(access: Access) -> tuple[list[Json], Json, bool]:
    """Activities that come first, what the call gets of them, and whether that is secret."""
    if access is IDENTITY:
        audience = expression(f"@pipeline().parameters.{IDENTITY.parameter}")
        return [], {"headers": JSON_HEADER, "authentication": {"type": "MSI", "resource": audience}}, False
    secret = {
        "method": "GET",
        "url": expression(f"@concat(pipeline().parameters.{access.parameter}, '?api-version={VAULT_VERSION}')"),
        "authentication": {"type": "MSI", "resource": VAULT},
    }
    read = activity(READ_KEY, "WebActivity", secret, [], policy=policy(SHORTEST, secure_output=True))
    return [read], {"headers": {**JSON_HEADER, "x-functions-key": expression(KEY)}}, True


def _after(before: list[Json]) -> list[Json]:
    return after(before[-1]["name"]) if before else []


def _pipeline(
    way: str, access: Access, words: str, activities: list[Json], *, linked: bool = False, **more: Json
) -> Shipped:
    names = ["WorkspaceId", "DatasetId"] if linked else ["BaseUrl", "WorkspaceId", "DatasetId"]
    parameters: Json = {name: {"type": "string"} for name in names}
    parameters["Options"] = {"type": "object", "defaultValue": {}}
    if not linked:
        parameters[access.parameter] = {"type": "string"}
    about = "The linked service knows address and key." if access is FUNCTION_KEY else IDENTITY.words
    properties = {
        "description": f"{words} {about if linked else access.words}",
        "activities": activities,
        "parameters": parameters,
        **more,
        "folder": {"name": "Power BI refresh"},
        "annotations": [],
    }
    return Shipped(f"{way}-{access.name}", properties, access.linked_service if linked else None)
