"""The description of the routes of models: their operations, and the schemas of their answers."""

from typing import get_args

from refresh.history.outcome import Status
from refresh.queue.answers import ServedBy
from refresh.reporting.models import DEFAULT_LIMIT, HEALTHS, MAX_LIMIT, MAX_SEARCH, SORTS, STATES
from refresh.reporting.status import ENDS, STATUSES
from triggers.openapi import asking
from triggers.openapi.operations import answer, operation, query
from triggers.openapi.schema import Json, count, record, ref, text, time


def list_models(opener: str, unavailable: Json) -> Json:
    """GET /models."""
    states = {"type": "array", "items": {"type": "string", "enum": list(STATES)}}
    limit = {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT}
    return operation(
        "ListModels",
        "List models",
        "Every model with a request within the retention, or that EXPECTED_EVERY_HOURS names: how fresh it is, how "
        "its last refresh ended, what runs or waits now. At most some seconds old.",
        opener,
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
            query("workspaceId", "Only models of this workspace.", asking.guid("A workspace.")),
            query(
                "sort",
                "freshness: overdue ones first, then failing ones, then the oldest success first. name: by name. "
                "duration: the longest first. failures: most in a row first.",
                {"type": "string", "enum": list(SORTS), "default": SORTS[0]},
            ),
            query("limit", "Models on a page.", limit),
            query(
                "continuation",
                "The continuation of the previous page, with the same sort.",
                {"type": "string", "pattern": asking.CONTINUATION_PATTERN},
            ),
        ],
    )


def get_model(opener: str, unavailable: Json) -> Json:
    """GET /models/{datasetId}."""
    dataset_id = {
        "name": "datasetId",
        "in": "path",
        "required": True,
        "description": "The semantic model.",
        "schema": asking.guid("A semantic model."),
    }
    return operation(
        "GetModel",
        "Get the state of a model and its reason",
        "One model with the reason for its state in a sentence, and its last runs and requests.",
        opener,
        {
            200: answer("ModelDetails", "The model."),
            400: answer("Refusal", "The id is not a GUID.", example="GuidRefused"),
            404: answer("ModelUnknown", "No refresh of this model was requested within the retention."),
            503: unavailable,
        },
        parameters=[dataset_id],
    )


def schemas() -> Json:
    """The named schemas of answers about models."""
    as_of = {"asOf": time("When the app looked.")}
    details = {
        "summary": text("The reason for the model's state, in one sentence."),
        "runs": _list(_run(), "The last runs that ended, newest first; at most 50."),
        "requests": _list(_request(), "The last requests, newest first; at most 50."),
        **as_of,
    }
    model, optional = _model(), _OPTIONAL
    counts: Json = {name: count(f"Models that are {name}.") for name in HEALTHS}
    counts["active"] = count("Models with a run that waits or refreshes.")
    return {
        "Model": record(model, "A semantic model. A key without a value is left out.", optional=optional),
        "ModelDetails": record({**model, **details}, "A semantic model with its history.", optional=optional),
        "Models": record(
            {
                "models": _list(ref("Model"), "The models."),
                "total": count("Models that match all filters, on all pages."),
                "counts": record(counts, "Models that match search and workspaceId, by state."),
                **as_of,
                "continuation": text("Pass it with the same sort for the next page; missing on the last one."),
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
        "datasetId": text("The semantic model.", format="uuid"),
        "workspaceId": text("Its workspace; missing while only EXPECTED_EVERY_HOURS names the model.", format="uuid"),
        "modelName": text("The name of the model."),
        "workspaceName": text("The name of the workspace."),
        "health": text(
            "overdue: no success for longer than expected. failing: the last run that was not cancelled failed. ok: it "
            "completed. unknown: no run has completed or failed yet.",
            enum=list(HEALTHS),
        ),
        "activity": text("The current activity.", enum=["idle", "waiting", "refreshing"]),
        "lastSuccess": record(
            {
                "startedAt": time("When it started."),
                "endedAt": time("When it ended."),
                "refreshId": text("Power BI's id of the refresh."),
            },
            "The last refresh that completed and loaded data.",
            optional=("startedAt", "refreshId"),
        ),
        "lastSuccessAgeSeconds": count("Seconds since its end."),
        "lastOutcome": record(
            {
                "status": text("The outcome.", enum=list(get_args(Status))),
                "at": time("When the app recorded it."),
                "code": text("The kind of failure."),
                "message": text("The message of the failure."),
                "action": text("The remedy."),
            },
            "The outcome of the last run.",
            optional=("code", "message", "action"),
        ),
        "failuresInARow": count("Runs that failed since the last success."),
        "durations": record(
            {
                "usualSeconds": {**seconds, "description": "The median."},
                "p95Seconds": {**seconds, "description": "The 95th percentile."},
                "count": count("The number of completed refreshes among the last 20 runs."),
            },
            "The durations of its refreshes.",
        ),
        "expectedEveryHours": {
            "type": "number",
            "exclusiveMinimum": 0,
            "description": "How often a success is expected: by EXPECTED_EVERY_HOURS, or by its last request.",
        },
        "overdueSince": time("When the success became overdue."),
        "days": {
            "type": "array",
            "maxItems": 14,
            "description": "The last days on which runs completed or failed, newest first.",
            "items": record(
                {
                    "date": text("The day, UTC.", format="date"),
                    "completed": count("Runs that completed."),
                    "failed": count("Runs that failed."),
                },
                "A day.",
            ),
        },
        "active": record(
            {
                "runId": text("The run."),
                "since": time("When it began to wait; once it refreshes, when its refresh began."),
                "status": text("Its status.", enum=[status for status in STATUSES if status not in ENDS]),
                "requests": count("Requests that shared it at its last change."),
                "refreshId": text("Power BI's id of the refresh."),
            },
            "The run whose turn it is.",
            optional=("refreshId",),
        ),
    }


def _run() -> Json:
    seconds = {"type": "number", "minimum": 0}
    return record(
        {
            "runId": text("The run."),
            "refreshId": text("Power BI's id of the refresh."),
            "status": text("How it ended.", enum=list(get_args(Status))),
            "code": text("The kind of failure."),
            "message": text("The sentence of the failure."),
            "waitingSince": time("When the first of its requests was enrolled."),
            "startedAt": time("When its refresh started."),
            "endedAt": time("When it ended."),
            "durationSeconds": {**seconds, "description": "How long the refresh took."},
            "waitedSeconds": {**seconds, "description": "How long it waited for its refresh to start."},
            "requests": count("Requests that it served."),
            "servedBy": text("Whether the refresh is known to be one of the app's own.", enum=["own", "adopted"]),
        },
        "A run that ended.",
        optional=("refreshId", "code", "message", "startedAt", "durationSeconds", "servedBy"),
    )


def _request() -> Json:
    caller = {"type": "object", "additionalProperties": {"type": "string"}, "description": "Caller of the request."}
    return record(
        {
            "id": text("The request."),
            "status": text("The status of the request.", enum=list(STATUSES)),
            "code": text("The kind of failure."),
            "caller": caller,
            "requestedAt": time("When it was accepted."),
            "endedAt": time("When it ended."),
            "waitedSeconds": {"type": "number", "minimum": 0, "description": "How long it waited for its refresh."},
            "runId": text("Its run."),
            "servedBy": text("As in the status of a request.", enum=list(get_args(ServedBy))),
            "shared": {"type": "boolean", "description": "Whether other requests share its run."},
        },
        "A request.",
        optional=("code", "caller", "endedAt", "waitedSeconds", "runId", "servedBy"),
    )


def _list(items: Json, description: str) -> Json:
    return {"type": "array", "items": items, "description": description}
