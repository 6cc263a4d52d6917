"""The workflow `refresh-batch`: sends one batch and checks its outcome."""

from dev.integrations.logic_actions import ENDED, TIMEOUT_MINUTES, Json, failing, http, response


def trigger() -> Json:
    """Accepts a list of models, or `all` for the whole workspace."""
    model = {
        "type": "object",
        "properties": {
            "datasetId": {"type": "string", "description": "GUID of the semantic model."},
            "name": {"type": "string", "description": "Name of the model in the batch; by default the GUID."},
            "dependsOn": {"type": "array", "description": "Names of the models that have to complete first."},
        },
        "required": ["datasetId"],
    }
    properties = {
        "workspaceId": {"type": "string", "description": "GUID of the workspace."},
        "models": {"type": "array", "items": model, "description": "The models. Omit them if all is true."},
        "all": {"type": "boolean", "description": "Whether to refresh all refreshable models."},
        "except": {"type": "array", "description": 'With "all": names or GUIDs of the models to leave out.'},
        "refresh": {"type": "object", "description": "Options of an enhanced refresh, for all models."},
        "onFailure": {"type": "string", "description": "continue (default) or stop."},
        "maxConcurrent": {"type": "integer", "description": "How many models are refreshed at once; 50 by default."},
    }
    schema = {"type": "object", "properties": properties, "required": ["workspaceId"]}
    return {"type": "Request", "kind": "Http", "inputs": {"method": "POST", "schema": schema}}


def batch(sign_in: str) -> Json:
    """One action that waits for the outcome of all models."""
    body = {
        "workspaceId": "@triggerBody()?['workspaceId']",
        "models": "@triggerBody()?['models']",
        "all": "@equals(triggerBody()?['all'], true)",
        "except": "@triggerBody()?['except']",
        "refresh": "@triggerBody()?['refresh']",
        "onFailure": "@coalesce(triggerBody()?['onFailure'], 'continue')",
        "maxConcurrent": "@coalesce(triggerBody()?['maxConcurrent'], 50)",
        "timeoutMinutes": TIMEOUT_MINUTES,
        "idempotencyKey": "@workflow().run.name",
        "caller": {"logicApp": "@workflow().name", "runId": "@workflow().run.name"},
    }
    return http(sign_in, "batches", body)


def check_outcome() -> Json:
    """Checks the outcome. After a 424, the HTTP action fails; the message in the body names the first failures."""
    message = (
        "@coalesce(body('Refresh')?['error']?['message'], actions('Refresh')?['error']?['message'], "
        "'The refresh service reported no outcome.')"
    )
    error = {"code": "RefreshFailed", "message": message}
    completed = {"status": "Completed", "counts": "@body('Refresh')?['counts']"}
    return {
        "type": "If",
        "expression": {
            "and": [
                {"equals": ["@actions('Refresh')?['status']", "Succeeded"]},
                {"equals": ["@body('Refresh')?['status']", "Completed"]},
            ]
        },
        "actions": {"Respond_completed": response(200, completed, {})},
        "else": {"actions": failing({"status": "Failed", "error": error})},
        "runAfter": {"Refresh": ENDED},
    }
