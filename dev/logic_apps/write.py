"""Writes integrations/logic_apps: one workflow in eight forms, which differ in nothing but what they must.

The forms: the HTTP or the webhook action, sign-in by managed identity or a function key, a Consumption or a Standard
app.
"""

import json
import sys
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[2] / "integrations" / "logic_apps"
WAYS = ("http", "webhook")
SIGN_INS = ("identity", "key")

SCHEMA = "https://schema.management.azure.com/providers/Microsoft.Logic/schemas/2016-06-01/workflowdefinition.json#"
TEMPLATE = "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#"
TIMEOUT_MINUTES = 660
LIMIT = "PT12H"
"""An hour above the deadline of the request, so that our sentence arrives before the action's own time-out."""
RETRIES = {"type": "fixed", "count": 10, "interval": "PT30S"}
"""Five minutes of outage. Safe, because the idempotency key makes the same request of a repeated one."""

Json = dict[str, Any]

_MODEL = "items('For_each_model')"
_DATASET = f"@{_MODEL}?['datasetId']"
_KEY = f"@{{workflow().run.name}}-@{{{_MODEL}?['datasetId']}}"
_NO_VERDICT = (
    "concat('Semantic model ', items('For_each_model')?['datasetId'], ': ', "
    "if(equals(outputs('Refresh')?['statusCode'], null), "
    "coalesce(actions('Refresh')?['error']?['message'], 'the refresh service gave no verdict.'), "
    "concat('the refresh service answered with status ', string(outputs('Refresh')?['statusCode']), "
    "' and no verdict.')))"
)
_HAPPENED = ["Succeeded", "Failed", "TimedOut"]


def definition(way: str, sign_in: str) -> Json:
    """The workflow definition of a way (http, webhook) and a sign-in (identity, key), without its parameters."""
    return {
        "$schema": SCHEMA,
        "contentVersion": "1.0.0.0",
        "triggers": {"manual": _trigger()},
        "actions": {
            "Failures": {
                "type": "InitializeVariable",
                "inputs": {"variables": [{"name": "failures", "type": "array", "value": []}]},
                "runAfter": {},
            },
            "For_each_model": {
                "type": "Foreach",
                "foreach": "@triggerBody()?['models']",
                "runtimeConfiguration": {"concurrency": {"repetitions": 50}},
                "actions": {
                    "Refresh": _http(sign_in) if way == "http" else _webhook(sign_in),
                    "Refreshed": _refreshed(),
                    "Note_that_no_verdict_came": _no_verdict(),
                },
                "runAfter": {"Failures": ["Succeeded"]},
            },
            "All_refreshed": _verdict(),
        },
        "outputs": {},
    }


def consumption(way: str, sign_in: str) -> Json:
    """The ARM template of a Consumption logic app."""
    name = f"refresh-with-{way}"
    secret = sign_in == "key"
    own, ours = ("functionKey", "FunctionKey") if secret else ("audience", "Audience")
    kind = "securestring" if secret else "string"
    hint = (
        "A function key of the refresh service, named for this logic app."
        if secret
        else "Audience of the refresh service: api:// and the client id of its app registration."
    )
    workflow = definition(way, sign_in)
    workflow["parameters"] = {"BaseUrl": {"type": "string"}, ours: {"type": kind}}
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
                ours: {"value": f"[parameters('{own}')]"},
            },
        },
    }
    template: Json = {
        "$schema": TEMPLATE,
        "contentVersion": "1.0.0.0",
        "parameters": {
            "logicAppName": {"type": "string", "defaultValue": name},
            "location": {"type": "string", "defaultValue": "[resourceGroup().location]"},
            "baseUrl": {
                "type": "string",
                "metadata": {"description": "Address of the refresh service, such as https://NAME.azurewebsites.net."},
            },
            own: {"type": kind, "metadata": {"description": hint}},
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
    """The parameters.json that the workflows of a sign-in share. Standard has no secure types; the key is a setting."""
    own, setting = ("FunctionKey", "REFRESHER_KEY") if sign_in == "key" else ("Audience", "REFRESHER_AUDIENCE")
    return {
        "BaseUrl": {"type": "String", "value": "@appsetting('REFRESHER_URL')"},
        own: {"type": "String", "value": f"@appsetting('{setting}')"},
    }


def files() -> dict[Path, str]:
    """All files, by their paths below integrations/logic_apps."""
    made: dict[Path, Json] = {}
    for sign_in in SIGN_INS:
        made[Path("standard", sign_in, "parameters.json")] = standard_parameters(sign_in)
        for way in WAYS:
            made[Path("consumption", f"refresh-with-{way}.{sign_in}.json")] = consumption(way, sign_in)
            made[Path("standard", sign_in, f"refresh-with-{way}", "workflow.json")] = standard(way, sign_in)
    return {path: json.dumps(content, indent=2) + "\n" for path, content in made.items()}


def _trigger() -> Json:
    model = {
        "type": "object",
        "properties": {
            "workspaceId": {"type": "string"},
            "datasetId": {"type": "string"},
            "refresh": {"type": "object"},
        },
        "required": ["workspaceId", "datasetId"],
    }
    schema = {"type": "object", "properties": {"models": {"type": "array", "items": model}}, "required": ["models"]}
    return {"type": "Request", "kind": "Http", "inputs": {"method": "POST", "schema": schema}}


def _wish() -> Json:
    return {
        "workspaceId": f"@{_MODEL}?['workspaceId']",
        "datasetId": _DATASET,
        "refresh": f"@{_MODEL}?['refresh']",
        "timeoutMinutes": TIMEOUT_MINUTES,
        "idempotencyKey": _KEY,
        "caller": {"logicApp": "@workflow().name", "runId": "@workflow().run.name"},
    }


def _call(sign_in: str, route: str, body: Json) -> Json:
    call: Json = {
        "method": "POST",
        "uri": f"@{{parameters('BaseUrl')}}/api/{route}",
        "headers": {"Content-Type": "application/json"},
        "body": body,
    }
    if sign_in == "key":
        call["headers"]["x-functions-key"] = "@parameters('FunctionKey')"
    else:
        call["authentication"] = {"type": "ManagedServiceIdentity", "audience": "@parameters('Audience')"}
    return call


def _http(sign_in: str) -> Json:
    action: Json = {
        "type": "Http",
        "inputs": {**_call(sign_in, "refreshes", _wish()), "retryPolicy": RETRIES},
        "limit": {"timeout": LIMIT},
        "runAfter": {},
    }
    if sign_in == "key":
        action["runtimeConfiguration"] = {"secureData": {"properties": ["inputs"]}}
    return action


def _webhook(sign_in: str) -> Json:
    wish = {**_wish(), "callBackUri": "@{listCallbackUrl()}"}
    cancel = {"datasetId": _DATASET, "idempotencyKey": _KEY}
    return {
        "type": "HttpWebhook",
        "inputs": {
            "subscribe": {**_call(sign_in, "refreshes", wish), "retryPolicy": RETRIES},
            # the reference knows no retry policy here
            "unsubscribe": _call(sign_in, "refreshes/cancel", cancel),
        },
        # whoever has the callback's address can answer in our place
        "runtimeConfiguration": {"secureData": {"properties": ["inputs"]}},
        "limit": {"timeout": LIMIT},
        "runAfter": {},
    }


def _note(text: str) -> Json:
    return {"type": "AppendToArrayVariable", "inputs": {"name": "failures", "value": text}}


def _refreshed() -> Json:
    """The HTTP action fails with a 424; a callback always succeeds, and the status in it says how the refresh ended."""
    sentence = (
        "@coalesce(body('Refresh')?['Error']?['Message'], body('Refresh')?['error']?['message'], " + _NO_VERDICT + ")"
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
        "else": {"actions": {"Note_the_sentence": {**_note(sentence), "runAfter": {}}}},
        "runAfter": {"Refresh": _HAPPENED},
    }


def _no_verdict() -> Json:
    """After a body that is no JSON object, a gateway's page, say: it has no properties, and asking for one is an error.

    And after an action at its limit.timeout: the reference says that it is Cancelled, and nothing can run after that.
    """
    return {**_note("@" + _NO_VERDICT), "runAfter": {"Refreshed": ["Failed", "Skipped"]}}


def _verdict() -> Json:
    sentence = (
        "@if(empty(variables('failures')), 'The loop over the models did not end well; look at its action Refresh.', "
        "join(variables('failures'), ' '))"
    )
    error = {"code": "RefreshFailed", "message": sentence}
    return {
        "type": "If",
        "expression": {
            "and": [
                {"equals": ["@actions('For_each_model')?['status']", "Succeeded"]},
                {"equals": ["@empty(variables('failures'))", True]},
            ]
        },
        "actions": {"Answer_that_all_is_well": _response(200, {"status": "Completed"}, {})},
        "else": {
            "actions": {
                "Answer_with_the_sentence": _response(424, {"status": "Failed", "error": error}, {}),
                "End_as_failed": {
                    "type": "Terminate",
                    "inputs": {"runStatus": "Failed", "runError": error},
                    # also if nobody waits for the answer any more
                    "runAfter": {"Answer_with_the_sentence": [*_HAPPENED, "Skipped"]},
                },
            }
        },
        "runAfter": {"For_each_model": [*_HAPPENED, "Skipped"]},
    }


def _response(code: int, body: Json, after: Json) -> Json:
    """Asynchronous: whoever called the workflow over HTTP gets 202 at once and asks until this answer is there."""
    return {
        "type": "Response",
        "kind": "Http",
        "operationOptions": "Asynchronous",
        "inputs": {"statusCode": code, "headers": {"Content-Type": "application/json"}, "body": body},
        "runAfter": after,
    }


def main() -> int:
    """Writes all files."""
    for path, text in files().items():
        target = FOLDER / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
        print(target.relative_to(FOLDER.parents[1]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
