"""Builds the whole document: operations, schemas, security."""

from refresh.reporting.status import STATUSES
from triggers.openapi import answers, asking, batch_operations, batch_schemas, models
from triggers.openapi.operations import answer, body, operation, query
from triggers.openapi.schema import Json

TITLE = "Power BI refresh for data pipelines"
VERSION = "1"
DESCRIPTION = (
    "Refreshes a semantic model and reports the outcome: 202 while the refresh is in progress, 200 only for success, "
    "424 for every other outcome. Requests that are sent at the same time share one refresh."
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
        "description": "A Microsoft Entra ID token for the app, of a principal that the app allows (AUTH_MODE entra).",
    },
    TOKEN: {
        "type": "apiKey",
        "in": "query",
        "name": "token",
        "description": "The token of one request or batch: part of its statusUri, or of its cancelUri.",
    },
}
STARTER = "starter"
"""Marks the routes for callers that may start a refresh; the sign-in methods of the app replace it."""


def describe(server: Json, ways: tuple[str, ...] = (FUNCTION_KEY, SIGN_IN)) -> Json:
    """The OpenAPI 3.1 document. `server` is an entry of `servers`: where the routes begin.

    `ways`: the sign-in methods; an app has one of them.
    """
    paths = _paths()
    for item in paths.values():
        for method in item.keys() & METHODS:
            item[method] = _opened(item[method], ways)
    schemas = {
        "RefreshRequest": asking.request(),
        "RefreshOptions": asking.options(),
        "Cancellation": asking.cancellation(),
        **batch_schemas.asked_schemas(),
        **answers.schemas(),
        **batch_schemas.answer_schemas(),
    }
    if SIGN_IN not in ways:
        del schemas["NotSignedIn"], schemas["NotAllowed"]
    return {
        "openapi": "3.1.0",
        "info": {"title": TITLE, "version": VERSION, "description": DESCRIPTION},
        "servers": [server],
        "paths": paths,
        "components": {"schemas": schemas, "securitySchemes": {name: SCHEMES[name] for name in (*ways, TOKEN)}},
    }


METHODS = {"get", "post", "put", "patch", "delete"}


def _opened(operation: Json, ways: tuple[str, ...]) -> Json:
    """The operation with its sign-in methods, and its answer to a caller without access."""
    opener = operation["security"]
    if opener != STARTER:
        return {**operation, "security": [{opener: []}] if opener else []}
    responses = dict(operation["responses"])
    # with keys the platform answers, with an empty body
    responses["401"] = {"description": "The key is missing or wrong."}
    if SIGN_IN in ways:
        responses["401"] = answer("NotSignedIn", "The caller is not signed in; with AUTH_MODE key the body is empty.")
        responses["403"] = answer("NotAllowed", "No access.", example=("NotAllowed", "OnlyReader", "ForeignPage"))
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
        **batch_operations.paths(STARTER, TOKEN),
        "/check": {"post": _check()},
        "/queues/{datasetId}": {"get": _queue()},
        "/capacity": {"get": _capacity()},
        "/models": {"get": models.list_models(STARTER, _UNAVAILABLE)},
        "/models/{datasetId}": {"get": models.get_model(STARTER, _UNAVAILABLE)},
        "/health": {"get": _health()},
        "/openapi.json": {"get": _openapi()},
    }


def _start() -> Json:
    return operation(
        "StartRefresh",
        "Refresh a semantic model",
        "Starts a refresh. The Location of the 202 is the status, which answers 202 until the request has ended.",
        STARTER,
        {
            200: answer(
                ("Status", "Started"),
                "Completed, within waitSeconds or by an earlier call with this idempotency key; or, with callBackUri, "
                "accepted.",
                example=("Completed", "Accepted"),
            ),
            202: answer(
                "Started",
                "Accepted; with `repeated`, accepted by an earlier call.",
                example=("Started", "Repeated"),
                following=True,
            ),
            400: answer("Refusal", "The request is invalid; nothing has been started.", example=_REFUSED),
            409: answer("KeyInUse", "The idempotency key was used with different options; nothing has been started."),
            424: answer(
                "Status",
                "Any other outcome, within waitSeconds or by an earlier call with this idempotency key.",
                example=_ENDED,
            ),
            429: answer("NoRoom", "The queue of this model is full; nothing has been started.", later=True),
            503: answer(
                "NotStarted",
                "Not stored; nothing has been started. Send it again.",
                example=("NotStarted", "Unavailable"),
                later=True,
            ),
        },
        parameters=[
            {
                "name": "Idempotency-Key",
                "in": "header",
                "description": "The same as idempotencyKey in the body.",
                "schema": asking.idempotency_key(),
            }
        ],
        requestBody=body("RefreshRequest", "The request"),
    )


def _cancel_by_key() -> Json:
    return operation(
        "CancelByKey",
        "Cancel a request by its idempotency key",
        "Cancels a request without its URIs. The refresh is cancelled only if no other request shares it.",
        STARTER,
        {
            **_CANCELLED,
            400: answer("Refusal", "The body is invalid."),
            404: answer("NotFound", "No request of this model has this key.", example="KeyNotFound"),
        },
        requestBody=body("Cancellation", "The request to cancel"),
    )


def _list() -> Json:
    status = {"type": "array", "items": {"type": "string", "enum": list(STATUSES)}}
    return operation(
        "ListRefreshes",
        "List requests",
        "The stored requests, newest first, at most 50 on a page. Even a shorter page can have a next one.",
        STARTER,
        {
            200: answer("Requests", "A page of requests."),
            400: answer("Refusal", "A filter cannot be used.", example="FilterRefused"),
            503: _UNAVAILABLE,
        },
        parameters=[
            query("datasetId", "Only requests for this semantic model.", asking.guid("A semantic model.")),
            query(
                "since",
                "Only requests since this time.",
                {"type": "string", "format": "date-time", "description": "A time with an offset or Z."},
            ),
            query("status", "Only requests with one of these statuses.", status, style="form", explode=False),
            query(
                "continuation",
                "The continuation of the previous page, with the same filters.",
                {"type": "string", "pattern": asking.CONTINUATION_PATTERN},
            ),
        ],
    )


def _status() -> Json:
    return operation(
        "GetRefreshByToken",
        "Get the status of a request by its token",
        "The status of a request, from its statusUri. An unknown id and a wrong token get the same answer.",
        TOKEN,
        {**_STATUS, 404: answer("NotFound", "The request does not exist, or the token is wrong.")},
    )


def _cancel() -> Json:
    return operation(
        "CancelRefreshByToken",
        "Cancel a request by its token",
        "Cancels a request by its cancelUri. The refresh is cancelled only if no other request shares it.",
        TOKEN,
        {
            **_CANCELLED,
            403: answer("OnlyReads", "The token only reads the status; the token of cancelUri cancels."),
            404: answer("NotFound", "The request does not exist, or the token is wrong."),
        },
    )


def _status_for_starters() -> Json:
    return operation(
        "GetRefresh",
        "Get the status of a request",
        "The status of a request, without its token.",
        STARTER,
        {**_STATUS, 404: answer("NotFound", "The request does not exist.")},
    )


def _cancel_for_starters() -> Json:
    return operation(
        "CancelRefresh",
        "Cancel a request",
        "Cancels a request without its token. The refresh is cancelled only if no other request shares it.",
        STARTER,
        {**_CANCELLED, 404: answer("NotFound", "The request does not exist.")},
    )


def _check() -> Json:
    return operation(
        "CheckModel",
        "Check whether a refresh is possible",
        "Starts nothing. Checks whether the app can get a token and read the history. Takes about 20 seconds at most.",
        STARTER,
        {
            200: answer("Finding", "The results; branch on ok.", example=("Finding", "Obstacle")),
            400: answer("Refusal", "The same errors as for a start.", example=_REFUSED),
        },
        requestBody=body("RefreshRequest", "The request to check"),
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
        "List the requests that wait for a model",
        "The active run of a semantic model and the queue behind it.",
        STARTER,
        {
            200: answer("Queue", "The queue; it may be empty.", example=("Queue", "EmptyQueue")),
            400: answer("Refusal", "The id is not a GUID.", example="GuidRefused"),
            503: _UNAVAILABLE,
        },
        parameters=[dataset_id],
    )


def _capacity() -> Json:
    return operation(
        "GetCapacity",
        "See which runs hold the places of each capacity",
        "For each group of CAPACITY_LIMITS: the runs that have places, external refreshes, and the runs that wait.",
        STARTER,
        {200: answer("Capacity", "The groups; none without that setting."), 503: _UNAVAILABLE},
    )


def _health() -> Json:
    return operation(
        "GetHealth",
        "Check whether the app can work",
        "Whether engine, storage, sign-in and timers work. No sign-in: the answer contains nothing secret.",
        None,
        {
            200: answer("Health", "All checks passed."),
            503: answer("Health", "A check failed, see checks.", example="Unhealthy"),
        },
    )


def _openapi() -> Json:
    example = {"openapi": "3.1.0", "info": {"title": TITLE, "version": VERSION}, "paths": {}}
    schema = {"type": "object", "required": ["openapi", "paths"]}
    content = {"application/json": {"schema": schema, "example": example}}
    return operation(
        "GetDescription",
        "Get this description",
        "This description, for tools that import one from a URL.",
        None,
        {200: {"description": "OpenAPI 3.1.", "content": content}},
    )


_REFUSED = ("Refusal", "WorkspaceRefused", "CallbackHostRefused")
_GOING_ON = ("Queued", "WaitingForIdle", "WaitingForCapacity", "Starting", "Refreshing", "BackingOff")
_ENDED = ("Failed", "Cancelled", "TimedOut")
_UNAVAILABLE = answer("Unavailable", "The durable engine does not answer. Send the call again later.", later=True)
_CANCELLED = {
    200: answer("Status", "The request had already ended.", example="Completed"),
    202: answer("Status", "The cancellation is in progress.", example="Cancelling", following=True),
    503: _UNAVAILABLE,
}
_STATUS = {
    200: answer("Status", "The model was refreshed.", example="Completed"),
    202: answer("Status", "The request is in progress.", example=_GOING_ON, following=True),
    424: answer("Status", "The request ended without success; error says why.", example=_ENDED),
    503: _UNAVAILABLE,
}
