"""What we answer, as JSON Schema. Callers should expect further keys of later versions."""

from typing import get_args

import msgspec

from refresh.failure.catalogue import CATALOGUE, MAX_MESSAGE, Failure
from refresh.history.progress import LONGEST_NAME, MOST_TABLES, STATES
from refresh.queue.answers import ServedBy
from refresh.reporting.status import ENDS, STATUSES
from triggers.openapi.schema import Json, count, maybe, record, ref, text, time

REFUSALS: dict[str, tuple[int, tuple[str, ...]]] = {
    "Refusal": (400, ("InvalidRequest", "WorkspaceNotAllowed", "CallbackHostNotAllowed")),
    "NotSignedIn": (401, ("SignInRequired",)),
    "NotAllowed": (403, ("CallerNotAllowed",)),
    "OnlyReads": (403, ("TokenOnlyReads",)),
    "NotFound": (404, ("RequestNotFound",)),
    "KeyInUse": (409, ("IdempotencyKeyInUse",)),
    "NoRoom": (429, ("QueueFull",)),
    "Unavailable": (503, ("EngineUnavailable",)),
    "NotStarted": (503, ("NotStarted", "EngineUnavailable")),
}
"""Our own refusals: the name of the schema, the HTTP status, and the codes. None of them has started anything."""


def refusal(codes: tuple[str, ...]) -> Json:
    """The body of an answer with one of our own error codes."""
    error = record(
        {
            "code": text("What is wrong.", enum=list(codes)),
            "message": text("Sentences for a person.", maxLength=MAX_MESSAGE),
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
    "own: a refresh of just this. wider, merged: a refresh of more than this, made for other requests too. adopted: a "
    "refresh that the app did not start, or is not sure to have started."
)


def schemas() -> Json:
    """The named schemas of answers."""
    identity = {
        "id": text("The request."),
        "status": text("Where it is.", enum=list(STATUSES)),
        "workspaceId": text("The workspace.", format="uuid"),
        "datasetId": text("The semantic model.", format="uuid"),
        "caller": _caller(),
    }
    expected_end = time("When the refresh should end, by how long earlier ones took.")
    last_read_error = text("The last error that Power BI answered to a read.")
    repeated = {"repeated": {"type": "boolean", "description": "True if an earlier call began this request."}}
    run = {
        "runId": text("The run that serves the request: one refresh, with all requests that share it."),
        "refreshId": text("Power BI's id of the refresh."),
    }
    to_look_at = {
        "statusUri": text("GET tells the status; opens by its token alone.", format="uri"),
        "statusQueryGetUri": text("The same as statusUri, unless the app gives out Durable's own URIs.", format="uri"),
    }
    asked = {"requestedAt": time("When the request was accepted.")}
    ended = {"endedAt": time("When the refresh ended, or the request if it ended before.")}
    outcome = {
        **run,
        "sharedWith": count("Other requests in the run."),
        "servedBy": text(_SERVED_BY, enum=list(get_args(ServedBy))),
        "startedAt": time("When the refresh started."),
        **ended,
    }
    return {
        **{name: refusal(codes) for name, (_, codes) in REFUSALS.items()},
        "Started": record(
            {
                "id": identity["id"],
                "status": identity["status"],
                **repeated,
                **to_look_at,
                "cancelUri": text(
                    "DELETE cancels the request; opens by its token alone. Only the caller that began the request gets "
                    "it, known by principal or key.",
                    format="uri",
                ),
                # templates, so no URIs in the strict sense
                **{name: text("Durable's own, if the app gives them out.") for name in MANAGEMENT},
            },
            "A request that was accepted.",
            optional=("repeated", "cancelUri", *MANAGEMENT),
        ),
        "Failure": _failure(),
        "RefreshInTheWay": record(
            {
                "refreshId": text("Power BI's id of the refresh."),
                "refreshType": text("How it was started, in Power BI's words."),
                "startedAt": time("When it started."),
            },
            "A running refresh that has to end first.",
            optional=("refreshType", "startedAt"),
        ),
        "Progress": record(
            {
                "objects": count("Tables and partitions."),
                "byStatus": {
                    "type": "object",
                    "description": "How many of them are in which status, in Power BI's words.",
                    "properties": {state: count("How many.") for state in STATES},
                },
                "tables": {
                    "type": "array",
                    "maxItems": MOST_TABLES,
                    "description": "Those that have failed, then those at work.",
                    "items": record(
                        {
                            "table": text("The table.", maxLength=LONGEST_NAME),
                            "status": text("Its status.", enum=list(STATES)),
                            "completed": count("Partitions that are completed."),
                            "objects": count("Partitions in all."),
                        },
                        "How far a table is.",
                    ),
                },
                "moreTables": count("How many more there are, not named."),
            },
            "How far an enhanced refresh is.",
        ),
        "Status": record(
            {
                "error": ref("Failure"),
                **identity,
                **_names(),
                **asked,
                **repeated,
                "cancelling": {"type": "boolean", "description": "True if this call cancels the request."},
                **to_look_at,
                "position": count("Runs ahead of this one."),
                **outcome,
                "waitsFor": ref("RefreshInTheWay"),
                "retry": record(
                    {
                        "attempt": {"type": "integer", "minimum": 2, "description": "The number of that attempt."},
                        "at": time("When it begins."),
                        "after": text("The code of the failure before."),
                    },
                    "The next attempt, while the request backs off after a failure.",
                    optional=("after",),
                ),
                "expectedEnd": expected_end,
                "progress": ref("Progress"),
                "lastReadError": last_read_error,
                "instanceId": text("The same as id; this and what follows is in the shape of Durable's own status."),
                "runtimeStatus": text("Durable's word.", enum=list(RUNTIME_STATUSES)),
                "customStatus": maybe(
                    record({"status": identity["status"]}, "The status once more; null after the end.")
                ),
                "output": maybe(
                    record(
                        {"status": text("The outcome.", enum=list(ENDS)), **outcome, **_names()},
                        "How it ended, without the error; null while it goes on.",
                        optional=(*outcome, *_names()),
                    )
                ),
                "createdTime": time("The same as requestedAt."),
                "lastUpdatedTime": maybe(time("When the engine last changed its row.")),
            },
            "The status of a request. A key that would say nothing is left out.",
            optional=(
                *("error", "caller", *_names(), "repeated", "cancelling", *to_look_at, "position", *outcome),
                *("waitsFor", "retry", "expectedEnd", "progress", "lastReadError"),
            ),
        ),
        "Summary": record(
            {**identity, **_names(), **run, **asked, **ended, "error": ref("Failure")},
            "A request in the list. A key that would say nothing is left out.",
            optional=("caller", *_names(), *run, *ended, "error"),
        ),
        "Requests": record(
            {
                "refreshes": {"type": "array", "items": ref("Summary"), "description": "The requests, newest first."},
                "continuation": maybe(text("Hand it in with the same filters for more; null: that was all.")),
            },
            "A page of requests.",
        ),
        "Finding": _finding(identity),
        "Health": _health(),
        "Run": record(_run(), "A run in the queue with its requests."),
        "ActiveRun": record(
            {
                **_run(),
                "waitsFor": maybe(ref("RefreshInTheWay")),
                "waitsSince": maybe(time("Since when.")),
                "expectedEnd": maybe(expected_end),
                "progress": maybe(ref("Progress")),
                "lastReadError": maybe(last_read_error),
                "nextLookAt": maybe(time("When the run looks again.")),
            },
            "The run whose turn it is.",
        ),
        "Queue": record(
            {
                "datasetId": identity["datasetId"],
                **_names(),
                "waiting": count("Requests that wait, in all runs."),
                "active": maybe(ref("ActiveRun")),
                "queue": {"type": "array", "items": ref("Run"), "description": "The runs behind it, in their order."},
            },
            "Which requests wait for a model, for what and since when.",
        ),
    }


def _failure() -> Json:
    properties = {
        "code": text("The kind of failure, to branch on.", maxLength=80, **{"x-extensible-enum": sorted(CATALOGUE)}),
        "message": text("Stands alone: which model, what failed, what to do.", maxLength=MAX_MESSAGE),
        "serviceCode": text("Power BI's own code."),
        "table": text("The table that failed."),
        "partition": text("The partition that failed."),
        "retryable": {"type": "boolean", "description": "Whether the same request may succeed later."},
        "action": text("What a person can do."),
    }
    fields = {field.encode_name: field for field in msgspec.structs.fields(Failure)}
    optional = tuple(name for name in properties if fields[name].default is None)
    return record(properties, "Why a request did not end well.", optional=optional)


def _health() -> Json:
    timer = record(
        {
            "lastRun": maybe(time("When it ran last; null if it never did.")),
            "late": {"type": "boolean", "description": "Whether it has missed runs."},
        },
        "A timer of the app.",
    )
    step = text("Whether it works.", enum=["passed", "failed", "unknown"])
    checks = record(
        {
            "engine": step,
            "storage": step,
            "token": text("passed, or the code of the error."),
            "timers": {"type": "object", "description": "The timers by name.", "additionalProperties": timer},
        },
        "What was looked at.",
    )
    status = text("Whether all is well.", enum=["ok", "unhealthy"])
    return record({"status": status, "checks": checks}, "Whether the app can work.")


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
            **_names(),
        },
        "What stands in the way of a refresh.",
        optional=("error",),
    )


def _names() -> Json:
    return {
        "modelName": maybe(text("The name of the model, if it is known.")),
        "workspaceName": maybe(text("The name of the workspace, if it is known.")),
    }


def _run() -> Json:
    request = record(
        {
            "id": text("The request."),
            "since": time("When it was enrolled."),
            "caller": maybe(_caller()),
        },
        "A request that is enrolled in the run.",
    )
    return {
        "runId": text("The run."),
        "incarnation": {"type": "integer", "minimum": 1, "description": "How often it was begun."},
        "status": text("Where it is.", enum=[status for status in STATUSES if status not in ENDS]),
        "enhanced": {"type": "boolean", "description": "Whether it is an enhanced refresh."},
        "refreshId": maybe(text("Power BI's id of the refresh.")),
        "adopted": {"type": "boolean", "description": "Whether it is not known to be a refresh of the app."},
        "startedAt": maybe(time("When it was started.")),
        "requests": {"type": "array", "items": request, "description": "The requests that share it."},
        "moreRequests": count("How many more there are, not shown."),
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
