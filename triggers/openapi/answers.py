"""What we answer, as JSON Schema. Callers should expect further keys of later versions."""

from typing import Any, get_args

from refresh.failure.catalogue import CATALOGUE, MAX_MESSAGE
from refresh.history.progress import LONGEST_NAME, MOST_TABLES, STATES
from refresh.queue.answers import ServedBy
from refresh.reporting.status import ENDS, STATUSES

Json = dict[str, Any]

REFUSALS: dict[int, tuple[str, ...]] = {
    400: ("InvalidRequest", "WorkspaceNotAllowed", "CallbackHostNotAllowed"),
    401: ("SignInRequired",),
    403: ("CallerNotAllowed",),
    404: ("RequestNotFound",),
    409: ("IdempotencyKeyInUse",),
    429: ("QueueFull",),
    503: ("NotStarted",),
}
"""The codes of our own refusals, by HTTP status; nothing has been started after any of them."""


def text(description: str, **more: Any) -> Json:
    """A text."""
    return {"type": "string", "description": description, **more}


def maybe(schema: Json) -> Json:
    """The same, or null where there is none."""
    if "$ref" in schema:
        return {"anyOf": [schema, {"type": "null"}]}
    return {**schema, "type": [schema["type"], "null"]}


def _count(description: str) -> Json:
    return {"type": "integer", "minimum": 0, "description": description}


def time(description: str) -> Json:
    """A time, UTC."""
    return text(description, format="date-time")


def record(properties: Json, description: str, *, optional: tuple[str, ...] = ()) -> Json:
    """An object of which all keys are there but for `optional` ones."""
    required = [key for key in properties if key not in optional]
    return {"type": "object", "description": description, "required": required, "properties": properties}


def ref(name: str) -> Json:
    """A reference to a schema of `schemas`."""
    return {"$ref": f"#/components/schemas/{name}"}


def refusal(status: int) -> Json:
    """The body of an answer with one of our own error codes."""
    error = record(
        {
            "code": text("What is wrong.", enum=list(REFUSALS[status])),
            "message": text("One sentence for a person.", maxLength=MAX_MESSAGE),
            "target": maybe(text("The key, parameter or header that is wrong.")),
        },
        "Why the call was refused.",
    )
    return record({"error": error}, "A refusal.")


def _caller() -> Json:
    return {
        "type": "object",
        "additionalProperties": {"type": "string"},
        "description": "What the request gave as caller.",
    }


_SERVED_BY = (
    "own: our refresh of just this. wider, merged: our refresh of more than this, for others too. adopted: one of "
    "somebody else."
)
SERVED_BY = "own: a refresh of just this. wider, merged: one of more than this. adopted: one of somebody else."
_NO_END = "null while it goes on."


def schemas() -> Json:
    """The named schemas of answers."""
    identity = {
        "id": text("The request."),
        "status": text("Where it is.", enum=list(STATUSES)),
        "workspaceId": text("The workspace.", format="uuid"),
        "datasetId": text("The semantic model.", format="uuid"),
        "caller": _caller(),
    }
    ahead = {
        "expectedEnd": maybe(time("When the refresh should end, by how long earlier ones took.")),
        "progress": maybe(ref("Progress")),
    }
    repeated = {"repeated": {"type": "boolean", "description": "True if an earlier call began this request."}}
    run = {
        "runId": maybe(text("The run that serves the request: one refresh with all who share it.")),
        "refreshId": maybe(text("Power BI's id of the refresh.")),
    }
    to_look_at = {
        "statusUri": text("GET tells the status; opens by its token alone.", format="uri"),
        "statusQueryGetUri": text("The same as statusUri, unless the app gives out Durable's own URIs.", format="uri"),
    }
    asked = {"requestedAt": time("When the request was accepted.")}
    ended = {"endedAt": maybe(time("When it ended, as far as that is known."))}
    return {
        "Refusal": refusal(400),
        "NotSignedIn": refusal(401),
        "NotAllowed": refusal(403),
        "NotFound": refusal(404),
        "KeyInUse": refusal(409),
        "NoRoom": refusal(429),
        "NotStarted": refusal(503),
        "Started": record(
            {
                "id": identity["id"],
                "status": identity["status"],
                **repeated,
                **to_look_at,
                "cancelUri": text("DELETE takes the request back; opens by its token alone.", format="uri"),
                # templates, so no URIs in the strict sense
                **{name: text("Durable's own, if the app gives them out.") for name in MANAGEMENT},
            },
            "A request that was accepted.",
            optional=("repeated", *MANAGEMENT),
        ),
        "Failure": record(
            {
                "code": text(
                    "Our code, or Power BI's own code for a failed refresh.",
                    maxLength=80,
                    **{"x-extensible-enum": sorted(CATALOGUE)},
                ),
                "message": text("Stands alone: which model, what failed, what to do.", maxLength=MAX_MESSAGE),
                "table": maybe(text("The table that failed.")),
                "partition": maybe(text("The partition that failed.")),
                "retryable": {"type": "boolean", "description": "Whether the same request may succeed later."},
                "action": text("What a person can do."),
            },
            "Why a request did not end well.",
        ),
        "RefreshInTheWay": record(
            {
                "refreshId": maybe(text("Power BI's id of the refresh.")),
                "refreshType": maybe(text("How it was started, in Power BI's words.")),
                "startedAt": maybe(time("When it started.")),
            },
            "A running refresh that is waited for.",
        ),
        "Progress": record(
            {
                "objects": _count("Tables and partitions."),
                "byStatus": {
                    "type": "object",
                    "description": "How many of them are in which status, in Power BI's words.",
                    "properties": {state: _count("How many.") for state in STATES},
                },
                "tables": {
                    "type": "array",
                    "maxItems": MOST_TABLES,
                    "description": "Those that have failed, then those at work.",
                    "items": record(
                        {
                            "table": text("The table.", maxLength=LONGEST_NAME),
                            "status": text("Its status.", enum=list(STATES)),
                            "completed": _count("Partitions that are completed."),
                            "objects": _count("Partitions in all."),
                        },
                        "How far a table is.",
                    ),
                },
                "moreTables": _count("How many more there are, not named."),
            },
            "How far an enhanced refresh is.",
        ),
        "Status": record(
            {
                "error": ref("Failure"),
                **identity,
                **repeated,
                **to_look_at,
                "position": maybe(_count("Runs ahead of this one.")),
                **run,
                "sharedWith": maybe(_count("Other requests in the run.")),
                "servedBy": maybe(text(_SERVED_BY, enum=[*get_args(ServedBy), None])),
                **asked,
                "startedAt": maybe(time("When the refresh started.")),
                **ended,
                "waitsFor": maybe(ref("RefreshInTheWay")),
                "retry": maybe(
                    record(
                        {
                            "round": {"type": "integer", "minimum": 2, "description": "Which try that will be."},
                            "at": time("When it begins."),
                            "after": maybe(text("The code of the failure before.")),
                        },
                        "The next try, while the request rests after a failure.",
                    )
                ),
                **ahead,
                "lastReadError": maybe(text("The last trouble with reading from Power BI.")),
                "instanceId": text("The same as id; this and what follows is in the shape of Durable's own status."),
                "runtimeStatus": text("Durable's word.", enum=list(RUNTIME_STATUSES)),
                "customStatus": maybe(
                    record({"status": identity["status"]}, "The status once more; null after the end.")
                ),
                "output": maybe(
                    {
                        "type": "object",
                        "description": f"How it ended; {_NO_END}",
                        "required": ["status"],
                        "properties": {
                            "status": text("The end.", enum=list(ENDS)),
                            "error": ref("Failure"),
                            "runId": text("As above."),
                            "refreshId": text("As above."),
                            "sharedWith": _count("As above."),
                            "servedBy": text("As above.", enum=list(get_args(ServedBy))),
                            "startedAt": time("As above."),
                            "endedAt": time("As above."),
                        },
                    }
                ),
                "createdTime": time("The same as requestedAt."),
                "lastUpdatedTime": maybe(time("When the engine last changed its row.")),
            },
            "The status of a request.",
            optional=("error", "repeated", *to_look_at),
        ),
        "Summary": record(
            {**identity, **run, **asked, **ended, "error": maybe(ref("Failure"))}, "A request in the list."
        ),
        "Requests": record(
            {
                "refreshes": {"type": "array", "items": ref("Summary"), "description": "The requests, newest first."},
                "continuation": maybe(text("Hand it in with the same filters for more; null: that was all.")),
            },
            "A page of requests.",
        ),
        "Finding": _finding(identity),
        "Run": record(_run(), "A run in the queue with its requests."),
        "ActiveRun": record(
            {
                **_run(),
                "waitsFor": maybe(ref("RefreshInTheWay")),
                "waitsSince": maybe(time("Since when.")),
                **ahead,
                "lastReadError": maybe(text("The last trouble with reading from Power BI.")),
                "nextLookAt": maybe(time("When the run looks again.")),
            },
            "The run whose turn it is.",
        ),
        "Queue": record(
            {
                "datasetId": identity["datasetId"],
                "waiting": _count("Requests that wait, in all runs."),
                "active": maybe(ref("ActiveRun")),
                "queue": {"type": "array", "items": ref("Run"), "description": "The runs behind it, in their order."},
            },
            "Who waits for a model, for what and since when.",
        ),
    }


def _finding(identity: Json) -> Json:
    step = text("Whether it was found in order.", enum=["passed", "failed", "unknown"])
    refresh = record(
        {
            "refreshId": text("Power BI's id of the refresh."),
            "refreshType": text("How it was started, in Power BI's words."),
            "status": text("Its status, in Power BI's words."),
            "startedAt": maybe(time("When it started.")),
            "endedAt": maybe(time("When it ended.")),
        },
        "A refresh of the model.",
    )
    return record(
        {
            "error": ref("Failure"),
            "ok": {"type": "boolean", "description": "Whether nothing was found that stands in the way."},
            "checks": record(dict.fromkeys(("workspaceAllowed", "token", "history"), step), "What was looked at."),
            "lastRefresh": maybe(refresh),
            "running": maybe(refresh),
            "notChecked": text("What only a refresh shows."),
            "workspaceId": identity["workspaceId"],
            "datasetId": identity["datasetId"],
        },
        "What stands in the way of a refresh.",
        optional=("error",),
    )


def _run() -> Json:
    request = record(
        {
            "id": text("The request."),
            "since": time("When it was enrolled."),
            "caller": maybe(_caller()),
        },
        "A request that waits.",
    )
    return {
        "runId": text("The run."),
        "generation": {"type": "integer", "minimum": 1, "description": "How often it was begun."},
        "status": text("Where it is.", enum=[status for status in STATUSES if status not in ENDS]),
        "enhanced": {"type": "boolean", "description": "Whether it is an enhanced refresh."},
        "refreshId": maybe(text("Power BI's id of the refresh.")),
        "adopted": {"type": "boolean", "description": "Whether it is somebody else's refresh."},
        "startedAt": maybe(time("When it was started.")),
        "requests": {"type": "array", "items": request, "description": "Those who share it."},
        "moreRequests": _count("How many more there are, not shown."),
    }


RUNTIME_STATUSES = ("Pending", "Running", "ContinuedAsNew", "Suspended", "Completed", "Failed", "Terminated")
MANAGEMENT = (
    "sendEventPostUri",
    "terminatePostUri",
    "rewindPostUri",
    "purgeHistoryDeleteUri",
    "restartPostUri",
    "suspendPostUri",
    "resumePostUri",
)
"""Names of Durable's own URIs, as the SDK gives them."""
