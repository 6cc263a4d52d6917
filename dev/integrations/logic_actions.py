"""Common actions of the workflows."""

from typing import Any

TIMEOUT_MINUTES = 660
LIMIT = "PT12H"
"""An hour more than the deadline of the request, so that the outcome comes before the timeout of the action."""
RETRIES = {"type": "fixed", "count": 10, "interval": "PT30S"}
"""They cover an outage of five minutes. They are safe, because the idempotency key makes them the same request."""

ENDED = ["Succeeded", "Failed", "TimedOut"]

Json = dict[str, Any]


def call(sign_in: str, route: str, body: Json) -> Json:
    """A POST to a route of the app."""
    inputs: Json = {
        "method": "POST",
        "uri": f"@{{parameters('BaseUrl')}}/api/{route}",
        "headers": {"Content-Type": "application/json"},
        "body": body,
    }
    if sign_in == "key":
        inputs["headers"]["x-functions-key"] = "@parameters('FunctionKey')"
    else:
        inputs["authentication"] = {"type": "ManagedServiceIdentity", "audience": "@parameters('Audience')"}
    return inputs


def http(sign_in: str, route: str, body: Json) -> Json:
    """An HTTP action that waits for the outcome: it polls `Location` while the answer is 202."""
    action: Json = {
        "type": "Http",
        "inputs": {**call(sign_in, route, body), "retryPolicy": RETRIES},
        "limit": {"timeout": LIMIT},
        "runAfter": {},
    }
    if sign_in == "key":
        action["runtimeConfiguration"] = {"secureData": {"properties": ["inputs"]}}
    return action


def failing(body: Json) -> Json:
    """Answers the caller, and ends the run as Failed."""
    return {
        "Respond_failed": response(424, body, {}),
        "Terminate_as_failed": {
            "type": "Terminate",
            "inputs": {"runStatus": "Failed", "runError": body["error"]},
            # even if the caller no longer waits for the answer
            "runAfter": {"Respond_failed": [*ENDED, "Skipped"]},
        },
    }


def response(code: int, body: Json, after: Json) -> Json:
    """An asynchronous response: a caller over HTTP gets 202 at once and polls until this response is available."""
    return {
        "type": "Response",
        "kind": "Http",
        "operationOptions": "Asynchronous",
        "inputs": {"statusCode": code, "headers": {"Content-Type": "application/json"}, "body": body},
        "runAfter": after,
    }
