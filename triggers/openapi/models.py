"""The description of the routes of models: their operations, and the schemas of their answers."""

from typing import get_args

from refresh.history.outcome import Status
from refresh.queue.answers import ServedBy
from refresh.reporting.models import DEFAULT_LIMIT, HEALTHS, MAX_LIMIT, MAX_SEARCH, SORTS, STATES
from refresh.reporting.status import STATUSES
from triggers.openapi import bodies
from triggers.openapi.operations import answer, operation, query
from triggers.openapi.schema import Json, count, record, ref, text, time


def list_models(access: str, unavailable: Json) -> Json:
    """GET /models."""
    states = {"type": "array", "items": {"type": "string", "enum": list(STATES)}}
    limit = {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT}
    return operation(
        "ListModels",
        "List models",
        "Lists every model that was requested within the retention period or that EXPECTED_EVERY_HOURS names: how "
        "fresh it is, how its last refresh ended, what runs or waits now. The list is at most some seconds old.",
        access,
        {
            200: answer("Models", "A page of models."),
            400: answer("Refusal", "A parameter is invalid.", example="StateRefused"),
            503: unavailable,
        },
        parameters=[
            query(
                "search",
                "Only models with this text in the name or id of the model or its workspace, in any letter case.",
                {"type": "string", "maxLength": MAX_SEARCH},
            ),
            query("state", "Only models in one of these states.", states, style="form", explode=False),
            query("workspaceId", "Only models of this workspace.", bodies.guid("A workspace.")),
            query(
                "sort",
                "`freshness`: overdue models first, then failing ones, then the oldest success first. `name`: by name. "
                "`duration`: the longest refresh first. `failures`: the most failures in a row first.",
                {"type": "string", "enum": list(SORTS), "default": SORTS[0]},
            ),
            query("limit", "How many models a page has at most.", limit),
            query(
                "continuation",
                "The continuation of the previous page; send it with the same parameters.",
                {"type": "string", "pattern": bodies.CONTINUATION_PATTERN},
            ),
        ],
    )


def get_model(access: str, unavailable: Json) -> Json:
    """GET /models/{datasetId}."""
    dataset_id = {
        "name": "datasetId",
        "in": "path",
        "required": True,
        "description": "The semantic model.",
        "schema": bodies.guid("A semantic model."),
    }
    return operation(
        "GetModel",
        "Get the state of a model and the reason for it",
        "Returns one model with a sentence that explains its state, and its last runs and requests.",
        access,
        {
            200: answer("ModelDetails", "The model."),
            400: answer("Refusal", "The id is not a GUID.", example="GuidRefused"),
            404: answer("ModelUnknown", "No refresh of this model was requested within the retention period."),
            503: unavailable,
        },
        parameters=[dataset_id],
    )


def schemas() -> Json:
    """The named schemas of answers about models."""
    as_of = {"asOf": time("The time of this information.")}
    details = {
        "summary": text("The reason for the model's state, in one sentence."),
        "runs": _list(_run(), "The last ended runs, newest first; at most 50."),
        "requests": _list(_request(), "The last requests, newest first; at most 50."),
        **as_of,
    }
    model, optional = _model(), _OPTIONAL
    counts: Json = {name: count(f"Number of models that are {name}.") for name in HEALTHS}
    counts["active"] = count("Number of models with a run that waits or refreshes.")
    return {
        "Model": record(model, "A semantic model. A key without a value is omitted.", optional=optional),
        "ModelDetails": record({**model, **details}, "A semantic model with its history.", optional=optional),
        "Models": record(
            {
                "models": _list(ref("Model"), "The models."),
                "total": count("Number of models that match all filters, on all pages."),
                "counts": record(counts, "Number of models that match `search` and `workspaceId`, by state."),
                **as_of,
                "continuation": text(
                    "Pass it with the same parameters to get the next page; missing on the last page."
                ),
            },
            "A page of models.",
            optional=("continuation",),
        ),
    }


_OPTIONAL = (
    *("workspaceId", "modelName", "workspaceName", "lastSuccess", "lastSuccessAgeSeconds", "lastOutcome"),
    *("durations", "expectedEveryHours", "overdueSince", "active"),
)


def _model() -> Json:
    seconds = {"type": "number", "minimum": 0}
    return {
        "datasetId": text("The id of the semantic model.", format="uuid"),
        "workspaceId": text(
            "The id of the workspace; missing while only EXPECTED_EVERY_HOURS names the model.", format="uuid"
        ),
        "modelName": text("The name of the model."),
        "workspaceName": text("The name of the workspace."),
        "health": text(
            "overdue: no success for longer than expected. failing: the last run that was not cancelled failed. ok: "
            "that run completed. unknown: no run has completed or failed yet.",
            enum=list(HEALTHS),
        ),
        "activity": text("The current activity.", enum=["idle", "waiting", "refreshing"]),
        "lastSuccess": record(
            {
                "startedAt": time("When the refresh started."),
                "endedAt": time("When the refresh ended."),
                "refreshId": text("Power BI's id of the refresh."),
            },
            "The last refresh that completed and loaded data.",
            optional=("startedAt", "refreshId"),
        ),
        "lastSuccessAgeSeconds": count("Seconds since the last success."),
        "lastOutcome": record(
            {
                "status": text("The outcome.", enum=list(get_args(Status))),
                "at": time("When the app recorded the outcome."),
                "code": text("The kind of failure."),
                "message": text("The message of the failure."),
                "action": text("What a person can do."),
            },
            "The outcome of the last run.",
            optional=("code", "message", "action"),
        ),
        "failuresInARow": count("Number of runs that have failed since the last one that completed."),
        "durations": record(
            {
                "usualSeconds": {**seconds, "description": "The median duration."},
                "p95Seconds": {**seconds, "description": "The 95th percentile of the durations."},
                "count": count("The number of completed refreshes among the last 20 runs."),
            },
            "The durations of the model's refreshes.",
        ),
        "expectedEveryHours": {
            "type": "number",
            "exclusiveMinimum": 0,
            "description": "How often the model is expected to be refreshed successfully, in hours: according to "
            "EXPECTED_EVERY_HOURS, or to the last request of the model that has this key.",
        },
        "overdueSince": time("When the model became overdue."),
        "days": {
            "type": "array",
            "maxItems": 14,
            "description": "The last days on which runs completed or failed, newest first.",
            "items": record(
                {
                    "date": text("The day, UTC.", format="date"),
                    "completed": count("Number of completed runs."),
                    "failed": count("Number of failed runs."),
                },
                "A day.",
            ),
        },
        "active": record(
            {
                "runId": text("The id of the run."),
                "since": time("When the run began to wait; once it refreshes, when its refresh began."),
                "status": text(
                    "The status of the run. In the list only Waiting (no refresh is known yet) and Refreshing.",
                    enum=["Waiting", "WaitingForIdle", "WaitingForCapacity", "Starting", "Refreshing"],
                ),
                "requests": count("Number of requests that shared the run at its last change."),
                "refreshId": text("Power BI's id of the refresh."),
            },
            "The first run of the queue.",
            optional=("refreshId",),
        ),
    }


def _run() -> Json:
    seconds = {"type": "number", "minimum": 0}
    return record(
        {
            "runId": text("The id of the run."),
            "refreshId": text("Power BI's id of the refresh."),
            "status": text("How the run ended.", enum=list(get_args(Status))),
            "code": text("The kind of failure."),
            "message": text("The message of the failure."),
            "waitingSince": time("When the first request of the run was enrolled."),
            "startedAt": time("When the refresh of the run started."),
            "endedAt": time("When the run ended."),
            "durationSeconds": {**seconds, "description": "How long the refresh took."},
            "waitedSeconds": {**seconds, "description": "How long the run waited for its refresh to start."},
            "requests": count("Number of requests that the run served."),
            "servedBy": text(
                "own: the app started the refresh. adopted: it did not, or cannot prove that it did.",
                enum=["own", "adopted"],
            ),
        },
        "An ended run.",
        optional=("refreshId", "code", "message", "startedAt", "durationSeconds", "servedBy"),
    )


def _request() -> Json:
    caller = {
        "type": "object",
        "additionalProperties": {"type": "string"},
        "description": "The caller object of the request.",
    }
    return record(
        {
            "id": text("The id of the request."),
            "status": text("The status of the request.", enum=list(STATUSES)),
            "code": text("The kind of failure."),
            "caller": caller,
            "requestedAt": time("When the request was accepted."),
            "endedAt": time("When the request ended."),
            "waitedSeconds": {
                "type": "number",
                "minimum": 0,
                "description": "How long the request waited for its refresh.",
            },
            "runId": text("The id of the run that serves the request."),
            "servedBy": text("The same as in the status of a request.", enum=list(get_args(ServedBy))),
            "shared": {"type": "boolean", "description": "Whether other requests share the run."},
        },
        "A request.",
        optional=("code", "caller", "endedAt", "waitedSeconds", "runId", "servedBy"),
    )


def _list(items: Json, description: str) -> Json:
    return {"type": "array", "items": items, "description": description}
