"""The Logic Apps workflows in integrations/logic_apps.

`refresh-with-http` and `refresh-with-webhook` make a request for each model, with the HTTP action or the HTTP webhook
action; `refresh-batch` makes one batch. Each workflow exists with a managed identity and with a function key,
for Consumption and for Standard apps.
"""

import json
from typing import Any

from dev.integrations import logic_batch
from dev.integrations.logic_actions import ENDED, LIMIT, RETRIES, TIMEOUT_MINUTES, call, failing, http, response

BATCH = "refresh-batch"
WAYS = ("http", "webhook", BATCH)
SIGN_INS = ("identity", "key")

SCHEMA = "https://schema.management.azure.com/providers/Microsoft.Logic/schemas/2016-06-01/workflowdefinition.json#"
TEMPLATE = "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#"
Json = dict[str, Any]

_MODEL = "items('For_each_model')"
_DATASET = f"@{_MODEL}?['datasetId']"
_KEY = f"@{{workflow().run.name}}-@{{{_MODEL}?['datasetId']}}"
_NO_OUTCOME = (
    "concat('Semantic model ', items('For_each_model')?['datasetId'], ': ', "
    "if(equals(outputs('Refresh')?['statusCode'], null), "
    "coalesce(actions('Refresh')?['error']?['message'], 'the refresh service reported no outcome.'), "
    "concat('the refresh service answered with status ', string(outputs('Refresh')?['statusCode']), "
    "' and no outcome.')))"
)


def definition(way: str, sign_in: str) -> Json:
    """The workflow definition for a way (one of WAYS) and a sign-in (one of SIGN_INS), without its parameters."""
    if way == BATCH:
        return _definition(
            logic_batch.trigger(), {"Refresh": logic_batch.batch(sign_in), "Check_outcome": logic_batch.check_outcome()}
        )
    return _definition(
        _trigger(),
        {
            "Initialize_failures": {
                "type": "InitializeVariable",
                "inputs": {"variables": [{"name": "failures", "type": "array", "value": []}]},
                "runAfter": {},
            },
            "For_each_model": {
                "type": "Foreach",
                "foreach": "@triggerBody()?['models']",
                "runtimeConfiguration": {"concurrency": {"repetitions": 50}},
                "actions": {
                    "Refresh": http(sign_in, "refreshes", _request()) if way == "http" else _webhook(sign_in),
                    "Check_outcome": _check_outcome(),
                    "Add_missing_outcome": _add_missing_outcome(),
                },
                "runAfter": {"Initialize_failures": ["Succeeded"]},
            },
            "Check_all_outcomes": _check_all_outcomes(),
        },
    )


def _definition(trigger: Json, actions: Json) -> Json:
    return {
        "$schema": SCHEMA,
        "contentVersion": "1.0.0.0",
        "triggers": {"manual": trigger},
        "actions": actions,
        "outputs": {},
    }


def name_of(way: str) -> str:
    """The name of the workflow of a way."""
    return way if way == BATCH else f"refresh-with-{way}"


def consumption(way: str, sign_in: str) -> Json:
    """The ARM template of a Consumption logic app."""
    name = name_of(way)
    secret = sign_in == "key"
    template_name, workflow_name = ("functionKey", "FunctionKey") if secret else ("audience", "Audience")
    kind = "securestring" if secret else "string"
    hint = (
        "A function key of the refresh service, for this logic app only."
        if secret
        else "Audience of the refresh service: api://CLIENT_ID of its app registration."
    )
    workflow = definition(way, sign_in)
    address = "Address of the refresh service, such as https://NAME.azurewebsites.net."
    workflow["parameters"] = {
        "BaseUrl": {"type": "string", "metadata": {"description": address}},
        workflow_name: {"type": kind, "metadata": {"description": hint}},
    }
    resource = {
        "type": "Microsoft.Logic/workflows",
        "apiVersion": "2019-05-01",
        "name": "[parameters('logicAppName')]",
        "location": "[parameters('location')]",
        "identity": {"type": "SystemAssigned"},
        "properties": {
            "state": "Enabled",
            "definition": workflow,
            "parameters": {
                "BaseUrl": {"value": "[parameters('baseUrl')]"},
                workflow_name: {"value": f"[parameters('{template_name}')]"},
            },
        },
    }
    template: Json = {
        "$schema": TEMPLATE,
        "contentVersion": "1.0.0.0",
        "parameters": {
            "logicAppName": {
                "type": "string",
                "defaultValue": name,
                "metadata": {"description": "Name of the logic app to create or update."},
            },
            "location": {
                "type": "string",
                "defaultValue": "[resourceGroup().location]",
                "metadata": {"description": "Region of the logic app."},
            },
            "baseUrl": {"type": "string", "metadata": {"description": address}},
            template_name: {"type": kind, "metadata": {"description": hint}},
        },
        "resources": [resource],
        "outputs": {},
    }
    if secret:
        del resource["identity"]
    else:
        identity = (
            "reference(resourceId('Microsoft.Logic/workflows', parameters('logicAppName')), '2019-05-01', 'Full')"
        )
        template["outputs"]["principalId"] = {"type": "string", "value": f"[{identity}.identity.principalId]"}
    return template


def standard(way: str, sign_in: str) -> Json:
    """The workflow.json of a Standard logic app."""
    return {"definition": definition(way, sign_in), "kind": "Stateful"}


def standard_parameters(sign_in: str) -> Json:
    """The parameters.json for a sign-in. Standard has no secure types, so the key is an app setting."""
    name, setting = ("FunctionKey", "REFRESHER_KEY") if sign_in == "key" else ("Audience", "REFRESHER_AUDIENCE")
    return {
        "BaseUrl": {"type": "String", "value": "@appsetting('REFRESHER_URL')"},
        name: {"type": "String", "value": f"@appsetting('{setting}')"},
    }


def texts() -> dict[str, str]:
    """The content of all files by their path in integrations/logic_apps."""
    files: dict[str, Json] = {}
    for sign_in in SIGN_INS:
        files[f"standard/{sign_in}/parameters.json"] = standard_parameters(sign_in)
        for way in WAYS:
            files[f"consumption/{name_of(way)}.{sign_in}.json"] = consumption(way, sign_in)
            files[f"standard/{sign_in}/{name_of(way)}/workflow.json"] = standard(way, sign_in)
    return {path: json.dumps(content, indent=2) + "\n" for path, content in files.items()}


def _trigger() -> Json:
    model = {
        "type": "object",
        "properties": {
            "workspaceId": {"type": "string", "description": "GUID of the workspace."},
            "datasetId": {"type": "string", "description": "GUID of the semantic model."},
            "refresh": {
                "type": "object",
                "description": 'Options of an enhanced refresh, such as {"type": "full"}. By default, a standard '
                "refresh.",
            },
        },
        "required": ["workspaceId", "datasetId"],
    }
    schema = {"type": "object", "properties": {"models": {"type": "array", "items": model}}, "required": ["models"]}
    return {"type": "Request", "kind": "Http", "inputs": {"method": "POST", "schema": schema}}


def _request() -> Json:
    return {
        "workspaceId": f"@{_MODEL}?['workspaceId']",
        "datasetId": _DATASET,
        "refresh": f"@{_MODEL}?['refresh']",
        "timeoutMinutes": TIMEOUT_MINUTES,
        "idempotencyKey": _KEY,
        "caller": {"logicApp": "@workflow().name", "runId": "@workflow().run.name"},
    }


def _webhook(sign_in: str) -> Json:
    request = {**_request(), "callBackUri": "@{listCallbackUrl()}"}
    cancel = {"datasetId": _DATASET, "idempotencyKey": _KEY}
    return {
        "type": "HttpWebhook",
        "inputs": {
            "subscribe": {**call(sign_in, "refreshes", request), "retryPolicy": RETRIES},
            # the reference documents no retry policy here
            "unsubscribe": call(sign_in, "refreshes/cancel", cancel),
        },
        # the callback's address is a secret: anyone who has it can complete the action
        "runtimeConfiguration": {"secureData": {"properties": ["inputs"]}},
        "limit": {"timeout": LIMIT},
        "runAfter": {},
    }


def _add_failure(text: str) -> Json:
    return {"type": "AppendToArrayVariable", "inputs": {"name": "failures", "value": text}}


def _check_outcome() -> Json:
    """Checks the outcome. A 424 fails the HTTP action; the webhook action succeeds, with the outcome in its body."""
    message = (
        "@coalesce(body('Refresh')?['Error']?['Message'], body('Refresh')?['error']?['message'], " + _NO_OUTCOME + ")"
    )
    return {
        "type": "If",
        "expression": {
            "and": [
                {"equals": ["@actions('Refresh')?['status']", "Succeeded"]},
                {"equals": ["@body('Refresh')?['status']", "Completed"]},
            ]
        },
        "actions": {},
        "else": {"actions": {"Add_failure": {**_add_failure(message), "runAfter": {}}}},
        "runAfter": {"Refresh": ENDED},
    }


def _add_missing_outcome() -> Json:
    """Runs if the body is not a JSON object but, for example, a gateway's page: reading a property of it is an error.

    Runs even if the action reached its limit.timeout: according to the reference its status is then Cancelled, a status
    that no runAfter can name.
    """
    return {**_add_failure("@" + _NO_OUTCOME), "runAfter": {"Check_outcome": ["Failed", "Skipped"]}}


def _check_all_outcomes() -> Json:
    message = (
        "@if(empty(variables('failures')), 'The loop over the models failed; see its action Refresh.', "
        "join(variables('failures'), ' '))"
    )
    error = {"code": "RefreshFailed", "message": message}
    return {
        "type": "If",
        "expression": {
            "and": [
                {"equals": ["@actions('For_each_model')?['status']", "Succeeded"]},
                {"equals": ["@empty(variables('failures'))", True]},
            ]
        },
        "actions": {"Respond_completed": response(200, {"status": "Completed"}, {})},
        "else": {"actions": failing({"status": "Failed", "error": error})},
        "runAfter": {"For_each_model": [*ENDED, "Skipped"]},
    }
