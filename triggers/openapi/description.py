"""The whole document: operations, schemas, security. `describe` builds it."""

from typing import Any

from refresh.reporting.status import STATUSES
from refresh.request.spec import MAX_BODY_BYTES
from triggers.openapi import answers, asking
from triggers.openapi.examples import EXAMPLES, REQUESTS

Json = dict[str, Any]

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
        responses["401"] = _answer("NotSignedIn", "The caller has not signed in; with AUTH_MODE key the body is empty.")
        responses["403"] = _answer("NotAllowed", "The principal that has signed in may not call.")
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
    return _operation(
        "StartRefresh",
        "Refresh a semantic model",
        "Asks for a refresh. The 202 leads by its Location to the status, which stays 202 until the request has ended.",
        STARTER,
        {
            200: _answer(
                ("Status", "Started"),
                "It has completed, within waitSeconds or earlier under this idempotency key; or, with callBackUri, it "
                "was accepted.",
                example="Completed",
            ),
            202: _answer("Started", "Accepted, or with repeated accepted earlier.", following=True),
            400: _answer("Refusal", "It cannot be served; nothing has been started."),
            409: _answer(
                "KeyInUse", "A request with other options has this idempotency key; nothing has been started."
            ),
            424: _answer(
                "Status",
                "It has ended otherwise, within waitSeconds or earlier under this idempotency key.",
                example="Failed",
            ),
            429: _answer("NoRoom", "Too many requests wait for this model; nothing has been started.", later=True),
            503: _answer("NotStarted", "It could not be stored; nothing has been started. Send it again.", later=True),
        },
        parameters=[
            {
                "name": "Idempotency-Key",
                "in": "header",
                "description": "The same as idempotencyKey in the body.",
                "schema": asking.idempotency_key(),
            }
        ],
        requestBody=_body("RefreshRequest", "What is asked for"),
    )


def _cancel_by_key() -> Json:
    return _operation(
        "CancelByKey",
        "Cancel a request by its idempotency key",
        "Cancels a request without its URIs. The refresh is cancelled only if no other request shares it.",
        STARTER,
        {
            **_CANCELLED,
            400: _answer("Refusal", "That names no request."),
            404: _answer("NotFound", "No request of this model has this key.", example="KeyNotFound"),
        },
        requestBody=_body("Cancellation", "Which request"),
    )


def _list() -> Json:
    status = {"type": "array", "items": {"type": "string", "enum": list(STATUSES)}}
    return _operation(
        "ListRefreshes",
        "List requests",
        "The requests that the app remembers, newest first, at most 50 at a time. Fewer may be followed by more.",
        STARTER,
        {
            200: _answer("Requests", "A page of requests."),
            400: _answer("Refusal", "A filter cannot be used.", example="FilterRefused"),
            503: _UNAVAILABLE,
        },
        parameters=[
            _query("datasetId", "Only those for this semantic model.", asking.guid("A semantic model.")),
            _query(
                "since",
                "Only those since this time.",
                {"type": "string", "format": "date-time", "description": "A time with an offset or Z."},
            ),
            _query("status", "Only those in one of these states.", status, style="form", explode=False),
            _query(
                "continuation",
                "Where to go on: what the page before gave, with the same filters.",
                {"type": "string", "pattern": asking.CONTINUATION_PATTERN},
            ),
        ],
    )


def _status() -> Json:
    return _operation(
        "GetRefreshByToken",
        "Get the status of a request by its token",
        "How a request is doing, as its statusUri tells it. An unknown id and a wrong token look the same.",
        TOKEN,
        {**_STATUS, 404: _answer("NotFound", "No such request, or the wrong token.")},
    )


def _cancel() -> Json:
    return _operation(
        "CancelRefreshByToken",
        "Cancel a request by its token",
        "What its cancelUri does. The refresh is cancelled only if no other request shares it.",
        TOKEN,
        {
            **_CANCELLED,
            403: _answer("OnlyReads", "The token reads the status; that of cancelUri cancels."),
            404: _answer("NotFound", "No such request, or the wrong token."),
        },
    )


def _status_for_starters() -> Json:
    return _operation(
        "GetRefresh",
        "Get the status of a request",
        "How a request is doing, without its token.",
        STARTER,
        {**_STATUS, 404: _answer("NotFound", "No such request.")},
    )


def _cancel_for_starters() -> Json:
    return _operation(
        "CancelRefresh",
        "Cancel a request",
        "Cancels a request, without its token. The refresh is cancelled only if no other request shares it.",
        STARTER,
        {**_CANCELLED, 404: _answer("NotFound", "No such request.")},
    )


def _check() -> Json:
    return _operation(
        "CheckModel",
        "Check what stands in the way of a refresh",
        "Starts nothing: whether the app can get a token and read the history. Takes some 20 seconds at most.",
        STARTER,
        {
            200: _answer("Finding", "What was found; ok to branch on."),
            400: _answer("Refusal", "As a start would answer."),
        },
        requestBody=_body("RefreshRequest", "What would be asked for"),
    )


def _queue() -> Json:
    dataset_id = {
        "name": "datasetId",
        "in": "path",
        "required": True,
        "description": "The semantic model.",
        "schema": asking.guid("A semantic model."),
    }
    return _operation(
        "GetQueue",
        "See which requests wait for a model",
        "The active run of a semantic model and the queue behind it.",
        STARTER,
        {
            200: _answer("Queue", "The queue; it may be empty."),
            400: _answer("Refusal", "That is no GUID.", example="GuidRefused"),
            503: _UNAVAILABLE,
        },
        parameters=[dataset_id],
    )


def _health() -> Json:
    return _operation(
        "GetHealth",
        "Check whether the app can work",
        "Whether engine, storage, sign-in and timers work. Open to all: it says nothing secret.",
        None,
        {
            200: _answer("Health", "All is well."),
            503: _answer("Health", "checks says what is not.", example="Unhealthy"),
        },
    )


def _openapi() -> Json:
    example = {"openapi": "3.1.0", "info": {"title": TITLE, "version": VERSION}, "paths": {}}
    schema = {"type": "object", "required": ["openapi", "paths"]}
    content = {"application/json": {"schema": schema, "example": example}}
    return _operation(
        "GetDescription",
        "Get this description",
        "This description, for tools that import one by its address.",
        None,
        {200: {"description": "OpenAPI 3.1.", "content": content}},
    )


def _operation(
    name: str, summary: str, description: str, opener: str | None, responses: dict[int, Json], **more: Any
) -> Json:
    return {
        "operationId": name,
        "summary": summary,
        "description": description,
        "security": opener,
        **more,
        "responses": {str(status): responses[status] for status in sorted(responses)},
    }


def _query(name: str, description: str, schema: Json, **more: Any) -> Json:
    return {"name": name, "in": "query", "description": description, **more, "schema": schema}


def _body(schema: str, description: str) -> Json:
    return {
        "required": True,
        "description": f"{description}; at most {MAX_BODY_BYTES} bytes.",
        "content": {"application/json": {"schema": answers.ref(schema), "example": REQUESTS[schema]}},
    }


def _answer(
    schema: str | tuple[str, ...],
    description: str,
    *,
    example: str = "",
    following: bool = False,
    later: bool = False,
) -> Json:
    """An answer with a body; one of several schemas if there are more.

    `example`: its name in EXAMPLES, if that is not the schema's. `following`: it says where to ask next and when;
    `later`: when to send the call again.
    """
    first = schema if isinstance(schema, str) else schema[0]
    choice = answers.ref(schema) if isinstance(schema, str) else {"anyOf": [answers.ref(name) for name in schema]}
    body = {"schema": choice, "example": EXAMPLES[example or first]}
    response: Json = {"description": description, "content": {"application/json": body}}
    headers = {}
    if following:
        headers["Location"] = {
            "required": True,
            "description": "Where to ask next.",
            "schema": {"type": "string", "format": "uri"},
        }
    if following or later:
        headers["Retry-After"] = {
            "required": True,
            "description": "Seconds until that makes sense.",
            "schema": {"type": "integer", "minimum": 1},
        }
    return {**response, **({"headers": headers} if headers else {})}


_UNAVAILABLE = _answer("Unavailable", "The durable engine does not answer for now. Send the call again.", later=True)
_CANCELLED = {
    200: _answer("Status", "It had already ended.", example="Completed"),
    202: _answer("Status", "The cancellation takes effect.", example="Cancelling", following=True),
    503: _UNAVAILABLE,
}
_STATUS = {
    200: _answer("Status", "The model was refreshed.", example="Completed"),
    202: _answer("Status", "It goes on.", example="Refreshing", following=True),
    424: _answer("Status", "It ended in any other way; error says how.", example="Failed"),
    503: _UNAVAILABLE,
}
