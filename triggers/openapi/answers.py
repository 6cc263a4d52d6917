"""The answers of the API as JSON Schema. Callers should expect further keys in later versions."""

from typing import get_args

import msgspec

from refresh.failure.catalogue import CATALOGUE, MAX_MESSAGE, Failure
from refresh.history.progress import LONGEST_NAME, MAX_TABLES, STATES
from refresh.queue.answers import ServedBy
from refresh.reporting.status import ENDS, STATUSES
from triggers.openapi import health, models, places
from triggers.openapi.schema import Json, count, maybe, record, ref, text, time

REFUSALS: dict[str, tuple[int, tuple[str, ...]]] = {
    "Refusal": (400, ("InvalidRequest", "WorkspaceNotAllowed", "CallbackHostNotAllowed")),
    "NotSignedIn": (401, ("SignInRequired",)),
    "NotAllowed": (403, ("CallerNotAllowed", "CallerMayOnlyRead", "CrossSiteCall")),
    "OnlyReads": (403, ("TokenOnlyReads",)),
    "NotFound": (404, ("RequestNotFound", "BatchNotFound")),
    "ModelUnknown": (404, ("ModelUnknown",)),
    "KeyInUse": (409, ("IdempotencyKeyInUse",)),
    "NoRoom": (429, ("QueueFull",)),
    "Unavailable": (503, ("EngineUnavailable",)),
    "NotStarted": (503, ("NotStarted", "EngineUnavailable")),
}
"""The app's own refusals: name of the schema, HTTP status, and codes. A refused call has started nothing."""


def refusal(codes: tuple[str, ...]) -> Json:
    """The body of an answer with one of the app's own error codes."""
    error = record(
        {
            "code": text("What is wrong.", enum=list(codes)),
            "message": text("An explanation for a person.", maxLength=MAX_MESSAGE),
            "target": maybe(text("The key, parameter or header that is wrong.")),
        },
        "Why the call was refused.",
    )
    return record({"error": error}, "A refusal.")


def _caller() -> Json:
    return {
        "type": "object",
        "additionalProperties": {"type": "string"},
        "description": "The object `caller` of the request.",
    }


_SERVED_BY = (
    "`own`: a refresh with exactly this scope. `wider`, `merged`: a refresh with a larger scope, shared with other "
    "requests. `adopted`: a refresh that the app did not start, or cannot be sure that it started."
)


def schemas() -> Json:
    """The named schemas of answers."""
    identity = {
        "id": text("The id of the request."),
        "status": text("The status of the request.", enum=list(STATUSES)),
        "workspaceId": text("The id of the workspace.", format="uuid"),
        "datasetId": text("The id of the semantic model.", format="uuid"),
        "caller": _caller(),
        "batchId": text("The batch that this request is part of."),
    }
    expected_end = time("The expected end of the refresh, estimated from the durations of earlier refreshes.")
    last_error = "If the last call for the {} failed: the error of Power BI, of the sign-in, or of the app itself."
    repeated = {"repeated": {"type": "boolean", "description": "True if an earlier call started this request."}}
    run = {
        "runId": text("The run that serves the request: one refresh for all requests that share it."),
        "refreshId": text("Power BI's id of the refresh."),
    }
    links = {
        "statusUri": text("GET returns the status; the URI contains its own token.", format="uri"),
        "statusQueryGetUri": text("The same as statusUri, unless the app returns Durable's own URIs.", format="uri"),
    }
    requested = {"requestedAt": time("When the request was accepted.")}
    ended = {"endedAt": time("When the refresh ended; if the request ended earlier, when the request ended.")}
    outcome = {
        **run,
        "sharedWith": count("Number of other requests in the run."),
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
                **links,
                "cancelUri": text(
                    "DELETE cancels the request; the URI contains its own token. Returned only to the caller that "
                    "started the request, who is recognised by principal or key.",
                    format="uri",
                ),
                # templates, so not URIs in the strict sense
                **{name: text("A management URI of Durable, if the app returns these.") for name in MANAGEMENT},
            },
            "An accepted request.",
            optional=("repeated", "cancelUri", *MANAGEMENT),
        ),
        "Failure": _failure(),
        "BlockingRefresh": record(
            {
                "refreshId": text("Power BI's id of the refresh."),
                "refreshType": text("The type of the refresh, in Power BI's words."),
                "startedAt": time("When the refresh started."),
            },
            "A running refresh that the run waits for.",
            optional=("refreshType", "startedAt"),
        ),
        "WaitsForPlace": places.waits_for_place(),
        "Progress": record(
            {
                "objects": count("Number of partitions that the refresh processes."),
                "byStatus": {
                    "type": "object",
                    "description": "The number of these partitions by status, in Power BI's words.",
                    "properties": {state: count("Number of partitions with this status.") for state in STATES},
                },
                "tables": {
                    "type": "array",
                    "maxItems": MAX_TABLES,
                    "description": "Tables that failed, then tables in progress.",
                    "items": record(
                        {
                            "table": text("The name of the table.", maxLength=LONGEST_NAME),
                            "status": text("The status of the table.", enum=list(STATES)),
                            "completed": count("Number of completed partitions of the table."),
                            "objects": count("Number of partitions of the table."),
                        },
                        "The progress of a table.",
                    ),
                },
                "moreTables": count("Number of further tables that failed or are in progress."),
            },
            "The progress of an enhanced refresh.",
        ),
        "Status": record(
            {
                "error": ref("Failure"),
                **identity,
                **_names(),
                **requested,
                **repeated,
                "cancelling": {"type": "boolean", "description": "True if this call cancels the request."},
                **links,
                "position": count("Number of runs ahead of this request's run."),
                **outcome,
                "waitsFor": ref("BlockingRefresh"),
                "waitsForPlace": ref("WaitsForPlace"),
                "retry": record(
                    {
                        "attempt": {"type": "integer", "minimum": 2, "description": "The number of the next attempt."},
                        "at": time("When the next attempt starts."),
                        "after": text("The error code of the last failure."),
                    },
                    "The next attempt, while the request is backing off after a failure.",
                    optional=("after",),
                ),
                "expectedEnd": expected_end,
                "progress": ref("Progress"),
                "lastReadError": text(
                    f"{last_error.format('request')} If the request waits for its next attempt, or for room in "
                    "the queue: the reason."
                ),
                "instanceId": text("The same as `id`. This key and those below have the form of Durable's own status."),
                "runtimeStatus": text("Durable's status.", enum=list(RUNTIME_STATUSES)),
                "customStatus": maybe(
                    record({"status": identity["status"]}, "Repeats the status; null after the end.")
                ),
                "output": maybe(
                    record(
                        {"status": text("The outcome.", enum=list(ENDS)), **outcome, **_names()},
                        "The outcome, without the error; null before the end.",
                        optional=(*outcome, *_names()),
                    )
                ),
                "createdTime": time("The same as requestedAt."),
                "lastUpdatedTime": maybe(time("When the engine last changed the instance.")),
            },
            "The status of a request. Keys without a value are omitted.",
            optional=(
                *("error", "caller", "batchId", *_names(), "repeated", "cancelling", *links, "position", *outcome),
                *("waitsFor", "waitsForPlace", "retry", "expectedEnd", "progress", "lastReadError"),
            ),
        ),
        "Summary": record(
            {**identity, **_names(), **run, **requested, **ended, "error": ref("Failure")},
            "A request in the list. Keys without a value are omitted.",
            optional=("caller", "batchId", *_names(), *run, *ended, "error"),
        ),
        "Requests": record(
            {
                "refreshes": {"type": "array", "items": ref("Summary"), "description": "The requests, newest first."},
                "continuation": maybe(
                    text("Pass it with the same filters to get the next page; null on the last page.")
                ),
            },
            "A page of requests.",
        ),
        **models.schemas(),
        "Finding": _finding(identity),
        "Health": health.health(),
        "Run": record(_run(), "A run in the queue with its requests."),
        "ActiveRun": record(
            {
                **_run(),
                "waitsFor": maybe(ref("BlockingRefresh")),
                "waitsSince": maybe(time("When the run began to wait for that refresh.")),
                "waitsForPlace": maybe(ref("WaitsForPlace")),
                "expectedEnd": maybe(expected_end),
                "progress": maybe(ref("Progress")),
                "lastReadError": maybe(text(last_error.format("run"))),
                "nextLookAt": maybe(time("When the run reads Power BI again.")),
            },
            "The first run of the queue.",
        ),
        "Queue": record(
            {
                "datasetId": identity["datasetId"],
                **_names(),
                "waiting": count("Number of waiting requests, in all runs."),
                "active": maybe(ref("ActiveRun")),
                "queue": {
                    "type": "array",
                    "items": ref("Run"),
                    "description": "The runs behind the active one, in their order.",
                },
            },
            "The requests that wait for a model, what they wait for, and since when.",
        ),
        "Capacity": places.capacity(),
    }


def _failure() -> Json:
    properties = {
        "code": text("The kind of failure; branch on it.", maxLength=80, **{"x-extensible-enum": sorted(CATALOGUE)}),
        "message": text("A self-contained message: which model, what failed, what to do.", maxLength=MAX_MESSAGE),
        "serviceCode": text("Power BI's own code."),
        "table": text("The table that failed."),
        "partition": text("The partition that failed."),
        "retryable": {"type": "boolean", "description": "Whether the same request may succeed later."},
        "action": text("What a person can do."),
    }
    fields = {field.encode_name: field for field in msgspec.structs.fields(Failure)}
    optional = tuple(name for name in properties if fields[name].default is None)
    return record(properties, "Why a request did not complete.", optional=optional)


def _finding(identity: Json) -> Json:
    step = text("The result of the check.", enum=["passed", "failed", "unknown"])
    refresh = record(
        {
            "refreshId": text("Power BI's id of the refresh."),
            "refreshType": text("The type of the refresh, in Power BI's words."),
            "status": text("The status of the refresh, in Power BI's words."),
            "startedAt": maybe(time("When the refresh started.")),
            "endedAt": maybe(time("When the refresh ended.")),
        },
        "A refresh of the model.",
    )
    return record(
        {
            "error": ref("Failure"),
            "ok": {"type": "boolean", "description": "Whether all checks passed."},
            "checks": record(
                dict.fromkeys(("workspaceAllowed", "token", "history"), step), "The results of the checks."
            ),
            "lastRefresh": maybe(refresh),
            "running": maybe(refresh),
            "notChecked": text("What only a real refresh could show."),
            "workspaceId": identity["workspaceId"],
            "datasetId": identity["datasetId"],
            **_names(),
        },
        "The result of a check.",
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
            "id": text("The id of the request."),
            "since": time("When the request was enrolled."),
            "caller": maybe(_caller()),
        },
        "A request in the run.",
    )
    return {
        "runId": text("The id of the run."),
        "incarnation": {"type": "integer", "minimum": 1, "description": "How many times the run was started."},
        "status": text("The status of the run.", enum=[status for status in STATUSES if status not in ENDS]),
        "enhanced": {"type": "boolean", "description": "Whether the run makes an enhanced refresh."},
        "refreshId": maybe(text("Power BI's id of the refresh.")),
        "adopted": {
            "type": "boolean",
            "description": "True if the app did not start the refresh, or cannot be sure that it did.",
        },
        "startedAt": maybe(time("When the refresh was started.")),
        "requests": {"type": "array", "items": request, "description": "The requests that share the run."},
        "moreRequests": count("Number of further requests that are not listed."),
    }


RUNTIME_STATUSES = ("Pending", "Running", "ContinuedAsNew", "Suspended", "Completed", "Failed", "Terminated")
MANAGEMENT = (
    *("sendEventPostUri", "terminatePostUri", "rewindPostUri", "purgeHistoryDeleteUri"),
    *("restartPostUri", "suspendPostUri", "resumePostUri"),
)
"""Names of Durable's own URIs, as the SDK gives them."""
