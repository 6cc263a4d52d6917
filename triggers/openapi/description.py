"""Builds the whole OpenAPI document: operations, schemas, security."""

from refresh.reporting.status import STATUSES
from triggers.openapi import answers, batch_operations, batch_schemas, bodies, models
from triggers.openapi.operations import answer, body, completed, ended_otherwise, operation, query
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
        "description": "A Microsoft Entra ID token for the app, for a principal that it admits (AUTH_MODE entra).",
    },
    TOKEN: {
        "type": "apiKey",
        "in": "query",
        "name": "token",
        "description": "The token of one request or batch. It is part of the statusUri or of the cancelUri.",
    },
}
CALLER = "caller"
"""Marks the routes that need a sign-in (readers may only call the GET routes); it is replaced by the sign-in methods of
the app."""


def describe(server: Json, sign_ins: tuple[str, ...] = (FUNCTION_KEY, SIGN_IN)) -> Json:
    """The OpenAPI 3.1 document. `server` is an entry of `servers`: the address to which the routes are relative.

    `sign_ins`: the sign-in methods; an app has one of them.
    """
    paths = _paths()
    for item in paths.values():
        for method in item.keys() & METHODS:
            item[method] = _with_access(item[method], sign_ins, reads=method == "get")
    schemas = {
        "RefreshRequest": bodies.request(),
        "RefreshOptions": bodies.options(),
        "Cancellation": bodies.cancellation(),
        **batch_schemas.body_schemas(),
        **answers.schemas(),
        **batch_schemas.answer_schemas(),
    }
    if SIGN_IN not in sign_ins:
        del schemas["NotSignedIn"], schemas["NotAllowed"]
    return {
        "openapi": "3.1.0",
        "info": {"title": TITLE, "version": VERSION, "description": DESCRIPTION},
        "servers": [server],
        "paths": paths,
        "components": {"schemas": schemas, "securitySchemes": {name: SCHEMES[name] for name in (*sign_ins, TOKEN)}},
    }


METHODS = {"get", "post", "put", "patch", "delete"}


def _with_access(operation: Json, sign_ins: tuple[str, ...], *, reads: bool) -> Json:
    """The operation with its sign-in methods, and with the answers to a caller without access.

    `reads`: readers may call it, and pages of other sites are not refused, because it has no effect.
    """
    access = operation["security"]
    if access != CALLER:
        return {**operation, "security": [{access: []}] if access else []}
    responses = dict(operation["responses"])
    # with AUTH_MODE key, the platform itself answers, and the body is empty
    responses["401"] = {"description": "The key is missing or wrong."}
    if SIGN_IN in sign_ins:
        responses["401"] = answer("NotSignedIn", "The caller is not signed in; with AUTH_MODE key the body is empty.")
        examples = ("NotAllowed",) if reads else ("NotAllowed", "OnlyReader", "ForeignPage")
        responses["403"] = answer("NotAllowed", "The caller is signed in, but has no access.", example=examples)
    ordered = {status: responses[status] for status in sorted(responses)}
    return {**operation, "security": [{way: []} for way in sign_ins], "responses": ordered}


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
        "/refreshes/{id}/status": {"parameters": [request_id], "get": _status_for_callers()},
        "/refreshes/{id}/cancel": {"parameters": [request_id], "post": _cancel_for_callers()},
        **batch_operations.paths(CALLER, TOKEN),
        "/check": {"post": _check()},
        "/queues/{datasetId}": {"get": _queue()},
        "/capacity": {"get": _capacity()},
        "/models": {"get": models.list_models(CALLER, _UNAVAILABLE)},
        "/models/{datasetId}": {"get": models.get_model(CALLER, _UNAVAILABLE)},
        "/health": {"get": _health()},
        "/openapi.json": {"get": _openapi()},
    }


def _start() -> Json:
    return operation(
        "StartRefresh",
        "Refresh a semantic model",
        "Starts a refresh. The Location of the 202 is the statusUri, which answers 202 until the request has ended.",
        CALLER,
        {
            200: answer(("Status", "Started"), completed("request"), example=("Completed", "Accepted")),
            202: answer(
                "Started",
                "Accepted. If `repeated` is true, an earlier call with the same idempotency key started the request.",
                example=("Started", "Repeated"),
                polls=True,
            ),
            400: answer("Refusal", "The request is invalid; nothing has been started.", example=_REFUSED),
            409: answer("KeyInUse", "The idempotency key was used with different options; nothing has been started."),
            424: answer("Status", ended_otherwise("request"), example=_ENDED),
            429: answer("NoRoom", "The queue of this model is full; nothing has been started.", retries=True),
            503: answer(
                "NotStarted",
                "The request was not stored; nothing has been started. Send it again.",
                example=("NotStarted", "Unavailable"),
                retries=True,
            ),
        },
        parameters=[
            {
                "name": "Idempotency-Key",
                "in": "header",
                "description": "The same as idempotencyKey in the body.",
                "schema": bodies.idempotency_key(),
            }
        ],
        requestBody=body("RefreshRequest", "The request"),
    )


def _cancel_by_key() -> Json:
    return operation(
        "CancelByKey",
        "Cancel a request by its idempotency key",
        "Cancels a request without its URIs. The refresh is cancelled only if no other request shares it.",
        CALLER,
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
        "Lists the stored requests, newest first, at most 50 a page. Only the last page has no continuation.",
        CALLER,
        {
            200: answer("Requests", "A page of requests."),
            400: answer("Refusal", "A filter cannot be used.", example="FilterRefused"),
            503: _UNAVAILABLE,
        },
        parameters=[
            query("datasetId", "Only requests for this semantic model.", bodies.guid("A semantic model.")),
            query(
                "since",
                "Only requests that were sent at this time or later.",
                {"type": "string", "format": "date-time", "description": "A time with an offset or Z."},
            ),
            query("status", "Only requests with one of these statuses.", status, style="form", explode=False),
            query(
                "continuation",
                "The continuation of the previous page; send it with the same filters.",
                {"type": "string", "pattern": bodies.CONTINUATION_PATTERN},
            ),
        ],
    )


def _status() -> Json:
    return operation(
        "GetRefreshByToken",
        "Get the status of a request by its token",
        "Returns the status of a request by its statusUri. An unknown id and a wrong token get the same answer.",
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
            403: answer("OnlyReads", "This token only permits reading; the token in cancelUri permits cancelling."),
            404: answer("NotFound", "The request does not exist, or the token is wrong."),
        },
    )


def _status_for_callers() -> Json:
    return operation(
        "GetRefresh",
        "Get the status of a request",
        "Returns the status of a request without its token.",
        CALLER,
        {**_STATUS, 404: answer("NotFound", "The request does not exist.")},
    )


def _cancel_for_callers() -> Json:
    return operation(
        "CancelRefresh",
        "Cancel a request",
        "Cancels a request without its token. The refresh is cancelled only if no other request shares it.",
        CALLER,
        {**_CANCELLED, 404: answer("NotFound", "The request does not exist.")},
    )


def _check() -> Json:
    return operation(
        "CheckModel",
        "Check whether a refresh is possible",
        "Checks whether the app can get a token and read the history, within about 20 seconds. Starts no refresh.",
        CALLER,
        {
            200: answer("Finding", "The results; branch on ok.", example=("Finding", "Obstacle")),
            400: answer("Refusal", "The body is invalid; the same rules apply as for a start.", example=_REFUSED),
        },
        requestBody=body("RefreshRequest", "The request to check"),
    )


def _queue() -> Json:
    dataset_id = {
        "name": "datasetId",
        "in": "path",
        "required": True,
        "description": "The semantic model.",
        "schema": bodies.guid("A semantic model."),
    }
    return operation(
        "GetQueue",
        "List the requests that wait for a model",
        "Returns the active run of a semantic model and the runs behind it.",
        CALLER,
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
        "See which runs hold the places of each capacity group",
        "Returns, for each group of CAPACITY_LIMITS, the runs that have places, external refreshes and waiting runs.",
        CALLER,
        {200: answer("Capacity", "The groups; an empty list if the setting has no value."), 503: _UNAVAILABLE},
    )


def _health() -> Json:
    return operation(
        "GetHealth",
        "Check whether the app can work",
        "Reports whether the engine, the storage, the token for Power BI and the timers work. Callers need not "
        "authenticate, because the answer contains nothing secret.",
        None,
        {
            200: answer("Health", "All checks passed."),
            503: answer("Health", "A check failed; `checks` shows which one.", example="Unhealthy"),
        },
    )


def _openapi() -> Json:
    example = {"openapi": "3.1.0", "info": {"title": TITLE, "version": VERSION}, "paths": {}}
    schema = {"type": "object", "required": ["openapi", "paths"]}
    content = {"application/json": {"schema": schema, "example": example}}
    return operation(
        "GetDescription",
        "Get this description",
        "Returns this description, for tools that import a description from a URL.",
        None,
        {200: {"description": "OpenAPI 3.1.", "content": content}},
    )


_REFUSED = ("Refusal", "WorkspaceRefused", "CallbackHostRefused")
_GOING_ON = ("Queued", "WaitingForIdle", "WaitingForCapacity", "Starting", "Refreshing", "BackingOff")
_ENDED = ("Failed", "Cancelled", "TimedOut", "OutcomeUnknown", "Terminated")
_UNAVAILABLE = answer("Unavailable", "The durable engine does not answer. Send the call again later.", retries=True)
_CANCELLED = {
    200: answer("Status", "The request had already ended.", example="Completed"),
    202: answer("Status", "The cancellation is in progress.", example="Cancelling", polls=True),
    503: _UNAVAILABLE,
}
_STATUS = {
    200: answer("Status", "The model was refreshed.", example="Completed"),
    202: answer("Status", "The request is in progress.", example=_GOING_ON, polls=True),
    424: answer("Status", "The request ended without success; `error` says why.", example=_ENDED),
    503: _UNAVAILABLE,
}
