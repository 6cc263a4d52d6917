"""The pipelines: four that refresh one model, and two that refresh many, each with an identity or a function key."""

from dataclasses import dataclass
from typing import Any

from dev.integrations.data_factory.activities import (
    HTTP_TIMEOUT,
    JSON_HEADER,
    PAUSE_SECONDS,
    POLL_SECONDS,
    QUICK_TIMEOUT,
    RETRIES,
    WAITING_TIMEOUT,
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
BATCH_URL = "@concat(pipeline().parameters.BaseUrl, '/api/batches')"
OF_ONE_MODEL = ('","datasetId":"', "pipeline().parameters.DatasetId", '","idempotencyKey":"')
OF_MODELS = ('","models":', "string(pipeline().parameters.Models)", ',"idempotencyKey":"')
OF_ALL_MODELS = ('","all":true,"except":', "string(pipeline().parameters.Except)", ',"idempotencyKey":"')
KEY = f"@activity('{READ_KEY}').output.value"
"""The function key. It is sent only in a header, because proxies and servers log URLs."""


@dataclass(frozen=True)
class Access:
    """How a pipeline authenticates. `parameter`: the pipeline parameter that the method needs."""

    name: str
    parameter: str
    linked_service: str
    description: str


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


DESCRIPTIONS = {
    "BaseUrl": "address of the refresh service, without a slash at the end; azd up prints it",
    "WorkspaceId": "GUID of the workspace, in the address of the workspace after /groups/",
    "DatasetId": "GUID of the semantic model, in the address of its page after /datasets/",
    "Models": 'array of models, such as [{"name": "A", "datasetId": "GUID"}], each optionally with dependsOn and '
    "options",
    "Except": "array of names or GUIDs of the models to leave out",
    "Options": 'object with other keys of the request, such as {"refresh": {"type": "full"}, "timeoutMinutes": 90}',
    "Audience": "audience of the service's app registration; azd up prints it",
    "KeySecretUri": "address of the key vault secret that holds a function key of the service",
}
"""What each parameter is. Data Factory has no descriptions of parameters, so the pipeline's description has them."""
TYPES = {"Models": "array", "Except": "array", "Options": "object"}
"""The types of parameters that are not strings. Data Factory refuses a value or a default of another type."""
DEFAULTS: Json = {
    "BaseUrl": "https://YOUR_APP.azurewebsites.net",
    "Options": {},
    "Except": [],
    "Audience": "api://CLIENT_ID",
    "KeySecretUri": "https://VAULT.vault.azure.net/secrets/NAME",
}
"""Values that depend on the deployment are placeholders, at which no service exists: set them after the import."""


@dataclass(frozen=True)
class Pipeline:
    """A pipeline: `properties` is its JSON for the REST API; `linked_service`: the one that it needs, if any."""

    name: str
    properties: Json
    linked_service: str | None = None

    @property
    def of_the_deployment(self) -> list[str]:
        """The parameters whose value is the same for all models."""
        return [name for name in self.properties["parameters"] if isinstance(DEFAULTS.get(name), str)]


def all_pipelines() -> list[Pipeline]:
    """All pipelines: each way with each kind of access."""
    ways = (_web, _webhook, _function, _poll, _batch, _workspace)
    return [way(access) for way in ways for access in (IDENTITY, FUNCTION_KEY)]


def body(*, may_wait: bool = False, of: tuple[str, ...] = OF_ONE_MODEL) -> Json:
    """The body of the POST: Options, overridden by values that only the pipeline knows.

    The idempotency key names this run of this pipeline: a retried activity requests the same refresh. The caller is the
    parent pipeline, because people know its name. `waitSeconds` is kept if the activity can use it; other activities
    need the answer that contains the address of the status. `of`: the part of the body that names the models.
    """
    parts = [
        '{"workspaceId":"',
        "pipeline().parameters.WorkspaceId",
        *of,
        "pipeline().RunId",
        '/Refresh","caller":{"factory":"',
        "pipeline().DataFactory",
        '","pipeline":"',
        "replace(coalesce(pipeline()?.TriggeredByPipelineName, pipeline().Pipeline), '\"', '')",
        '","runId":"',
        "coalesce(pipeline()?.TriggeredByPipelineRunId, pipeline().RunId)",
        '"}}' if may_wait else '"},"waitSeconds":0}',
    ]
    texts = [
        part if part.startswith(("pipeline()", "replace(", "coalesce(", "string(")) else f"'{part}'" for part in parts
    ]
    return expression(f"@string(union(pipeline().parameters.Options, json(concat({', '.join(texts)}))))")


def _web(access: Access) -> Pipeline:
    before, access_properties, secret = _authentication(access)
    call = {
        "method": "POST",
        "url": expression(START_URL),
        "body": body(may_wait=True),
        **access_properties,
        "httpRequestTimeout": HTTP_TIMEOUT,
        "turnOffAsync": False,
    }
    refresh = activity(
        "Refresh", "WebActivity", call, _after(before), policy=policy(WAITING_TIMEOUT, secure_input=secret)
    )
    description = "Refreshes a semantic model with one Web activity, which waits for the outcome."
    return _pipeline("refresh-with-web", access, description, [*before, refresh])


def _batch(access: Access) -> Pipeline:
    description = (
        "Refreshes several semantic models in the order of their dependencies; succeeds if all were refreshed."
    )
    return _many("refresh-batch", access, description, OF_MODELS, "Models")


def _workspace(access: Access) -> Pipeline:
    description = (
        'Refreshes all refreshable semantic models of a workspace, without those in "Except"; succeeds if all were '
        "refreshed."
    )
    return _many("refresh-workspace", access, description, OF_ALL_MODELS, "Except")


def _many(way: str, access: Access, description: str, of: tuple[str, ...], which: str) -> Pipeline:
    """One Web activity that waits for the outcome of a batch. `which`: the parameter that selects the models."""
    before, access_properties, secret = _authentication(access)
    call = {
        "method": "POST",
        "url": expression(BATCH_URL),
        "body": body(may_wait=True, of=of),
        **access_properties,
        "httpRequestTimeout": HTTP_TIMEOUT,
        "turnOffAsync": False,
    }
    refresh = activity(
        "Refresh", "WebActivity", call, _after(before), policy=policy(WAITING_TIMEOUT, secure_input=secret)
    )
    return _pipeline(way, access, description, [*before, refresh], which=which)


def _webhook(access: Access) -> Pipeline:
    """A WebHook activity has no retry policy, so each attempt is an activity that runs if the previous one failed.

    There is no loop around these activities: the last attempt fails with its own message, and the pipeline succeeds if
    a later attempt succeeds, because only the last activities of the branches count.
    """
    before, access_properties, secret = _authentication(access)
    call = {
        "method": "POST",
        "url": expression(START_URL),
        "body": body(),
        **access_properties,
        "timeout": WAITING_TIMEOUT,
        "reportStatusOnCallBack": True,
    }
    secure = {"secureInput": secret, "secureOutput": False}
    attempts = [activity("Refresh", "WebHook", call, _after(before), policy=secure)]
    for number in range(2, RETRIES + 2):
        pause = wait(f"Wait before attempt {number}", PAUSE_SECONDS, after(attempts[-1]["name"], "Failed"))
        again = activity(f"Refresh, attempt {number}", "WebHook", call, after(pause["name"]), policy=secure)
        attempts += [pause, again]
    description = "Refreshes a semantic model with a WebHook activity, which is called back with the outcome."
    return _pipeline("refresh-with-webhook", access, description, [*before, *attempts])


def _function(access: Access) -> Pipeline:
    linked = {"referenceName": access.linked_service, "type": "LinkedServiceReference"}
    call = {"functionName": "refreshes", "method": "POST", "headers": JSON_HEADER, "body": body()}
    # the output contains the token that can cancel the request
    hidden = policy(QUICK_TIMEOUT, secure_output=True)
    start = activity("Start", "AzureFunctionActivity", call, [], linkedServiceName=linked, policy=hidden)
    poll = {
        "method": "GET",
        "url": expression("@activity('Start').output.statusUri"),
        "httpRequestTimeout": HTTP_TIMEOUT,
        "turnOffAsync": False,
    }
    refresh = activity(
        "Refresh", "WebActivity", poll, after("Start"), policy=policy(WAITING_TIMEOUT, secure_input=True)
    )
    description = (
        "Refreshes a semantic model: an Azure Function activity starts it, a Web activity waits for the outcome."
    )
    return _pipeline("refresh-with-function", access, description, [start, refresh], linked=True)


def _poll(access: Access) -> Pipeline:
    """Polls in a loop that ends with the first failed poll: the status is 424 for every outcome except Completed."""
    before, access_properties, secret = _authentication(access)
    call = {
        "method": "POST",
        "url": expression(START_URL),
        "body": body(),
        **access_properties,
        "httpRequestTimeout": HTTP_TIMEOUT,
        "turnOffAsync": True,
    }
    hidden = policy(QUICK_TIMEOUT, secure_input=secret, secure_output=True)
    start = activity("Start", "WebActivity", call, _after(before), policy=hidden)
    poll = {
        "method": "GET",
        "url": expression("@activity('Start').output.statusQueryGetUri"),
        "turnOffAsync": True,
    }
    iteration = [
        wait("Wait", POLL_SECONDS, []),
        activity("Poll status", "WebActivity", poll, after("Wait"), policy=policy(QUICK_TIMEOUT, secure_input=True)),
        set_variable("Set status", "Status", "@activity('Poll status').output.runtimeStatus", after("Poll status")),
        set_variable("Set reason", "Reason", "@activity('Poll status').error.message", after("Poll status", "Failed")),
    ]
    # Durable's own status, which statusQueryGetUri may lead to, answers 200 for Terminated
    ends = "createArray('Completed', 'Failed', 'Terminated', 'Canceled')"
    ended = f"@or(contains({ends}, variables('Status')), not(equals(variables('Reason'), '')))"
    otherwise = "concat('The refresh did not complete, its last status was ', variables('Status'), '.')"
    reason = f"@if(equals(variables('Reason'), ''), {otherwise}, variables('Reason'))"
    activities = [
        *before,
        start,
        until("Until ended", ended, iteration, after("Start")),
        # runs even if the loop counts as failed, because its last poll failed
        unless(
            "Check outcome",
            "@equals(variables('Status'), 'Completed')",
            [fail("Fail with reason", reason, "RefreshFailed")],
            after("Until ended", "Completed"),
        ),
    ]
    variables = {name: {"type": "String", "defaultValue": ""} for name in ("Status", "Reason")}
    description = "Refreshes a semantic model and polls its status every 30 seconds."
    return _pipeline("refresh-and-poll", access, description, activities, variables=variables)


def _authentication(access: Access) -> tuple[list[Json], Json, bool]:
    """Activities that run first, the properties of the call that uses them, and whether these contain a secret."""
    if access is IDENTITY:
        audience = expression(f"@pipeline().parameters.{IDENTITY.parameter}")
        return [], {"headers": JSON_HEADER, "authentication": {"type": "MSI", "resource": audience}}, False
    secret = {
        "method": "GET",
        "url": expression(f"@concat(pipeline().parameters.{access.parameter}, '?api-version={VAULT_VERSION}')"),
        "authentication": {"type": "MSI", "resource": VAULT},
    }
    read = activity(READ_KEY, "WebActivity", secret, [], policy=policy(QUICK_TIMEOUT, secure_output=True))
    return [read], {"headers": {**JSON_HEADER, "x-functions-key": expression(KEY)}}, True


def _after(before: list[Json]) -> list[Json]:
    return after(before[-1]["name"]) if before else []


def parameter(name: str) -> Json:
    """The declaration of a parameter, with its default if it has one."""
    kind: Json = {"type": TYPES.get(name, "string")}
    return {**kind, "defaultValue": DEFAULTS[name]} if name in DEFAULTS else kind


def description_of(text: str, names: list[str], descriptions: dict[str, str]) -> str:
    """The description of a pipeline, with a line for each parameter."""
    return "\n".join([text, "", "Parameters", *(f"{name}: {descriptions[name]}" for name in names)])


def _pipeline(
    way: str,
    access: Access,
    description: str,
    activities: list[Json],
    *,
    linked: bool = False,
    which: str = "DatasetId",
    **more: Json,
) -> Pipeline:
    names = ["WorkspaceId", which, "Options"]
    if not linked:
        names = ["BaseUrl", *names, access.parameter]
    about = "The linked service contains the address and the key." if access is FUNCTION_KEY else IDENTITY.description
    properties = {
        "description": description_of(f"{description} {about if linked else access.description}", names, DESCRIPTIONS),
        "activities": activities,
        "parameters": {name: parameter(name) for name in names},
        **more,
        "folder": {"name": "Power BI refresh"},
        "annotations": [],
    }
    return Pipeline(f"{way}-{access.name}", properties, access.linked_service if linked else None)
