"""The whole document: operations, schemas, security. `describe` builds it."""

from refresh.reporting.status import STATUSES
from triggers.openapi import answers, asking
from triggers.openapi.operations import answer, body, operation, query
from triggers.openapi.schema import Json

TITLE = "Power BI refresh for data pipelines"
VERSION = "1"
DESCRIPTION = (
    "Refreshes a semantic model and reports how that ended: 202 while it goes on, 200 only for success, 424 for every "
    "other outcome. Requests that are made at the same time share one refresh."
)
FUNCTION_KEY, SIGN_IN, TOKEN = "functionKey", "signIn", "requestToken"
SCHEMES: Json = {
    FUNCTION_KEY: {
        "type": "apiKey",
        "in": "header",
        "name": "x-functions-key",
        "description": "A function key or host key of the app (AUTH_MODE key).",
    },
    SIGN_IN: {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "A token of Microsoft Entra ID for the app, of a principal that it allows (AUTH_MODE entra).",
    },
    TOKEN: {
        "type": "apiKey",
        "in": "query",
        "name": "token",
        "description": "The token of one request: part of its statusUri, or of its cancelUri.",
    },
}
STARTER = "starter"
"""Opens what is for callers that may start a refresh, in the ways that the app has for them."""


def describe(server: Json, ways: tuple[str, ...] = (FUNCTION_KEY, SIGN_IN)) -> Json:
    """The OpenAPI 3.1 document. `server` says where the routes begin, as an entry of `servers`.

    `ways`: how a caller is known. An app has one of them.
    """
    paths = _paths()
    for item in paths.values():
        for method in item.keys() & METHODS:
            item[method] = _opened(item[method], ways)
    schemas = {
        "RefreshRequest": asking.request(),
        "RefreshOptions": asking.options(),
        "Cancellation": asking.cancellation(),
        **answers.schemas(),
    }
    if SIGN_IN not in ways:
        del schemas["NotSignedIn"], schemas["NotAllowed"]
    return {
        "openapi": "3.1.0",
        "info": {"title": TITLE, "version": VERSION, "description": DESCRIPTION},
        "servers": [server],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {name: SCHEMES[name] for name in (*ways, TOKEN)},
        },
    }


METHODS = {"get", "post", "put", "patch", "delete"}


def _opened(operation: Json, ways: tuple[str, ...]) -> Json:
    """The operation with its ways to open it, and what it answers to a caller that has none."""
    opener = operation["security"]
    if opener != STARTER:
        return {**operation, "security": [{opener: []}] if opener else []}
    responses = dict(operation["responses"])
    # with keys it is the platform that answers, with an empty body
    responses["401"] = {"description": "The key is missing or wrong."}
    if SIGN_IN in ways:
        responses["401"] = answer("NotSignedIn", "The caller has not signed in; with AUTH_MODE key the body is empty.")
        responses["403"] = answer("NotAllowed", "The principal that has signed in may not call.")
    ordered = {status: responses[status] for status in sorted(responses)}
    return {**operation, "security": [{way: []} for way in ways], "responses": ordered}


def _paths() -> Json:
    request_id = {
        "name": "id",
        "in": "path",
        "required": True,
        "description": "The id of the request.",
        "schema": {"type": "string", "minLength": 1},
    }
    return {
        "/refreshes": {"post": _start(), "get": _list()},
        "/refreshes/cancel": {"post": _cancel_by_key()},
        "/refreshes/{id}": {"parameters": [request_id], "get": _status(), "delete": _cancel()},
        "/refreshes/{id}/status": {"parameters": [request_id], "get": _status_for_starters()},
        "/refreshes/{id}/cancel": {"parameters": [request_id], "post": _cancel_for_starters()},
        "/check": {"post": _check()},
        "/queues/{datasetId}": {"get": _queue()},
        "/health": {"get": _health()},
        "/openapi.json": {"get": _openapi()},
    }


def _start() -> Json:
    return operation(
        "StartRefresh",
        "Refresh a semantic model",
        "Asks for a refresh. The 202 leads by its Location to the status, which stays 202 until the request has ended.",
        STARTER,
        {
            200: answer(
                ("Status", "Started"),
                "It has completed, within waitSeconds or earlier under this idempotency key; or, with callBackUri, it "
                "was accepted.",
                example="Completed",
            ),
            202: answer("Started", "Accepted, or with repeated accepted earlier.", following=True),
            400: answer("Refusal", "It cannot be served; nothing has been started."),
            409: answer("KeyInUse", "A request with other options has this idempotency key; nothing has been started."),
            424: answer(
                "Status",
                "It has ended otherwise, within waitSeconds or earlier under this idempotency key.",
                example="Failed",
            ),
            429: answer("NoRoom", "Too many requests wait for this model; nothing has been started.", later=True),
            503: answer("NotStarted", "It could not be stored; nothing has been started. Send it again.", later=True),
        },
        parameters=[
            {
                "name": "Idempotency-Key",
                "in": "header",
                "description": "The same as idempotencyKey in the body.",
                "schema": asking.idempotency_key(),
            }
        ],
        requestBody=body("RefreshRequest", "What is asked for"),
    )


def _cancel_by_key() -> Json:
    return operation(
        "CancelByKey",
        "Cancel a request by its idempotency key",
        "Cancels a request without its URIs. The refresh is cancelled only if no other request shares it.",
        STARTER,
        {
            **_CANCELLED,
            400: answer("Refusal", "That names no request."),
            404: answer("NotFound", "No request of this model has this key.", example="KeyNotFound"),
        },
        requestBody=body("Cancellation", "Which request"),
    )


def _list() -> Json:
    status = {"type": "array", "items": {"type": "string", "enum": list(STATUSES)}}
    return operation(
        "ListRefreshes",
        "List requests",
        "The requests that the app remembers, newest first, at most 50 at a time. Fewer may be followed by more.",
        STARTER,
        {
            200: answer("Requests", "A page of requests."),
            400: answer("Refusal", "A filter cannot be used.", example="FilterRefused"),
            503: _UNAVAILABLE,
        },
        parameters=[
            query("datasetId", "Only those for this semantic model.", asking.guid("A semantic model.")),
            query(
                "since",
                "Only those since this time.",
                {"type": "string", "format": "date-time", "description": "A time with an offset or Z."},
            ),
            query("status", "Only those in one of these states.", status, style="form", explode=False),
            query(
                "continuation",
                "Where to go on: what the page before gave, with the same filters.",
                {"type": "string", "pattern": asking.CONTINUATION_PATTERN},
            ),
        ],
    )


def _status() -> Json:
    return operation(
        "GetRefreshByToken",
        "Get the status of a request by its token",
        "How a request is doing, as its statusUri tells it. An unknown id and a wrong token look the same.",
        TOKEN,
        {**_STATUS, 404: answer("NotFound", "No such request, or the wrong token.")},
    )


def _cancel() -> Json:
    return operation(
        "CancelRefreshByToken",
        "Cancel a request by its token",
        "What its cancelUri does. The refresh is cancelled only if no other request shares it.",
        TOKEN,
        {
            **_CANCELLED,
            403: answer("OnlyReads", "The token reads the status; that of cancelUri cancels."),
            404: answer("NotFound", "No such request, or the wrong token."),
        },
    )


def _status_for_starters() -> Json:
    return operation(
        "GetRefresh",
        "Get the status of a request",
        "How a request is doing, without its token.",
        STARTER,
        {**_STATUS, 404: answer("NotFound", "No such request.")},
    )


def _cancel_for_starters() -> Json:
    return operation(
        "CancelRefresh",
        "Cancel a request",
        "Cancels a request, without its token. The refresh is cancelled only if no other request shares it.",
        STARTER,
        {**_CANCELLED, 404: answer("NotFound", "No such request.")},
    )


def _check() -> Json:
    return operation(
        "CheckModel",
        "Check what stands in the way of a refresh",
        "Starts nothing: whether the app can get a token and read the history. Takes some 20 seconds at most.",
        STARTER,
        {
            200: answer("Finding", "What was found; ok to branch on."),
            400: answer("Refusal", "As a start would answer."),
        },
        requestBody=body("RefreshRequest", "What would be asked for"),
    )


def _queue() -> Json:
    dataset_id = {
        "name": "datasetId",
        "in": "path",
        "required": True,
        "description": "The semantic model.",
        "schema": asking.guid("A semantic model."),
    }
    return operation(
        "GetQueue",
        "See which requests wait for a model",
        "The active run of a semantic model and the queue behind it.",
        STARTER,
        {
            200: answer("Queue", "The queue; it may be empty."),
            400: answer("Refusal", "That is no GUID.", example="GuidRefused"),
            503: _UNAVAILABLE,
        },
        parameters=[dataset_id],
    )


def _health() -> Json:
    return operation(
        "GetHealth",
        "Check whether the app can work",
        "Whether engine, storage, sign-in and timers work. Open to all: it says nothing secret.",
        None,
        {
            200: answer("Health", "All is well."),
            503: answer("Health", "checks says what is not.", example="Unhealthy"),
        },
    )


def _openapi() -> Json:
    example = {"openapi": "3.1.0", "info": {"title": TITLE, "version": VERSION}, "paths": {}}
    schema = {"type": "object", "required": ["openapi", "paths"]}
    content = {"application/json": {"schema": schema, "example": example}}
    return operation(
        "GetDescription",
        "Get this description",
        "This description, for tools that import one by its address.",
        None,
        {200: {"description": "OpenAPI 3.1.", "content": content}},
    )


_UNAVAILABLE = answer("Unavailable", "The durable engine does not answer for now. Send the call again.", later=True)
_CANCELLED = {
    200: answer("Status", "It had already ended.", example="Completed"),
    202: answer("Status", "The cancellation takes effect.", example="Cancelling", following=True),
    503: _UNAVAILABLE,
}
_STATUS = {
    200: answer("Status", "The model was refreshed.", example="Completed"),
    202: answer("Status", "It goes on.", example="Refreshing", following=True),
    424: answer("Status", "It ended in any other way; error says how.", example="Failed"),
    503: _UNAVAILABLE,
}
