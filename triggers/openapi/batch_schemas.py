"""Batches as JSON Schema: what a caller may send, and what the app answers."""

from refresh.batch.spec import (
    BATCH_LEVEL_KEYS,
    DEFAULT_CONCURRENT,
    MAX_CONCURRENT,
    MAX_MODEL_NAME,
    MAX_MODELS,
    MODEL_KEYS,
    ON_FAILURE,
    OPTION_KEYS,
)
from refresh.ids import BATCH_PREFIX
from refresh.reporting.batch import BATCH_ENDS, BATCH_STATUSES, MODEL_STATUSES
from triggers.openapi import bodies
from triggers.openapi.answers import MANAGEMENT, RUNTIME_STATUSES
from triggers.openapi.schema import Json, count, maybe, record, ref, text, time


def body_schemas() -> Json:
    """The named schemas of what callers send."""
    request = bodies.request()["properties"]
    name = {"type": "string", "minLength": 1, "maxLength": MAX_MODEL_NAME}
    own: Json = {
        "datasetId": request["datasetId"],
        "name": {**name, "description": "A name that is unique in the batch; by default the dataset id."},
        "dependsOn": {
            "type": "array",
            "items": name,
            "description": "Names of the models of the batch that have to complete before this model is started.",
        },
        "timeoutMinutes": request["timeoutMinutes"],
    }
    options = {key: request[key] for key in OPTION_KEYS}
    model = {key: {**own, **options}[key] for key in MODEL_KEYS}
    batch_level = {key: request[key] for key in BATCH_LEVEL_KEYS}
    return {
        "BatchModel": {
            "type": "object",
            "additionalProperties": False,
            "required": ["datasetId"],
            "description": "A semantic model of a batch. Missing options are taken from the batch.",
            "properties": model,
        },
        "BatchRequest": {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "models": {
                    "type": "array",
                    "minItems": 1,
                    "maxItems": MAX_MODELS,
                    "description": "The models; each entry is an object, or only the dataset id of the model. "
                    "Required unless `all` or `retryOf` is given.",
                    "items": {"anyOf": [ref("BatchModel"), request["datasetId"]]},
                },
                "all": {
                    "type": "boolean",
                    "default": False,
                    "description": "Whether to refresh all refreshable models of the workspace; replaces `models`.",
                },
                "except": {
                    "type": "array",
                    "maxItems": MAX_MODELS,
                    "items": name,
                    "description": "With `all`: names or dataset ids of the models to leave out.",
                },
                "onFailure": {
                    "type": "string",
                    "enum": list(ON_FAILURE),
                    "default": ON_FAILURE[0],
                    "description": "After a failure, continue with the models that do not depend on the failed one, "
                    "or stop: start no other model.",
                },
                "maxConcurrent": {
                    "type": "integer",
                    "minimum": 1,
                    "maximum": MAX_CONCURRENT,
                    "default": DEFAULT_CONCURRENT,
                    "description": "How many requests of the batch may be in progress at the same time.",
                },
                "retryOf": {
                    "type": "string",
                    "pattern": f"^{BATCH_PREFIX}[0-9A-Za-z-]+$",
                    "maxLength": 100,
                    "description": "Id of an earlier batch that has ended; its completed models are not refreshed "
                    "again.",
                },
                **options,
                **batch_level,
            },
        },
    }


def answer_schemas() -> Json:
    """The named schemas of answers."""
    counts = record(
        {name: count(f"Number of {name} models.") for name in ("waiting", "started", "completed", "failed", "skipped")}
        | {"models": count("Number of all models.")},
        "The number of models in each state.",
    )
    uris = {
        "statusUri": text("GET returns the status; the URI contains its own token.", format="uri"),
        "statusQueryGetUri": text("The same as statusUri, unless the app returns Durable's own URIs.", format="uri"),
    }
    repeated = {"repeated": {"type": "boolean", "description": "True if an earlier call started this batch."}}
    status = text("The status of the batch.", enum=list(BATCH_STATUSES))
    error = record(
        {
            "code": text("The kind of failure; branch on it.", maxLength=80),
            "message": text("A self-contained message: which model, what failed, what to do."),
            "retryable": {"type": "boolean", "description": "Whether the same request may succeed later."},
        },
        "Why the model was not refreshed.",
    )
    return {
        "BatchStarted": record(
            {
                "id": text("The id of the batch."),
                "status": status,
                **repeated,
                **uris,
                "cancelUri": text(
                    "DELETE cancels the batch. This URI is returned only to the caller that started the batch.",
                    format="uri",
                ),
                "counts": counts,
                **{name: text("A management URI of Durable, if the app returns these.") for name in MANAGEMENT},
            },
            "A batch that was accepted.",
            optional=("repeated", "cancelUri", *MANAGEMENT),
        ),
        "ModelInBatch": record(
            {
                "name": text("The name of the model in the batch."),
                "status": text("The status of the model, or its outcome.", enum=[*MODEL_STATUSES, "Skipped"]),
                "error": error,
                "reason": text("Why the model was skipped."),
                "workspaceId": text("The id of the workspace.", format="uuid"),
                "datasetId": text("The id of the semantic model.", format="uuid"),
                "dependsOn": {
                    "type": "array",
                    "items": {"type": "string"},
                    "description": "The models that have to complete before this one is started.",
                },
                "requestId": text("The id of the model's request, for /refreshes/{id}/status."),
                "refreshId": text("Power BI's id of the refresh."),
                "startedAt": time("When the request of the model was started."),
                "endedAt": time(
                    "When the refresh of the model ended; if its request ended earlier, when the request ended."
                ),
                "earlier": {
                    "type": "boolean",
                    "description": "True if the model had already completed in the batch that `retryOf` names.",
                },
            },
            "A model of a batch. Keys without a value are omitted.",
            optional=(*("error", "reason", "dependsOn", "requestId", "refreshId", "startedAt", "endedAt", "earlier"),),
        ),
        "BatchStatus": record(
            {
                "error": ref("Failure"),
                "id": text("The id of the batch."),
                "status": status,
                "workspaceId": text("The id of the workspace, if the batch refreshes all its models.", format="uuid"),
                "caller": {
                    "type": "object",
                    "additionalProperties": {"type": "string"},
                    "description": "The object `caller` of the batch.",
                },
                "retryOf": text("The id of the earlier batch."),
                "requestedAt": time("When the batch was accepted."),
                "deadline": time("When the batch times out."),
                "endedAt": time("When the batch ended."),
                "lastReadError": text("Why the models of the workspace could not be listed yet."),
                "exceptNotFound": {
                    "type": "array",
                    "items": {"type": "string"},
                    "description": "Entries of `except` that match no model.",
                },
                **repeated,
                "cancelling": {"type": "boolean", "description": "True if this call cancels the batch."},
                **uris,
                "counts": counts,
                "models": {
                    "type": "array",
                    "items": ref("ModelInBatch"),
                    "description": "The models of the batch; empty until the models of the workspace are known.",
                },
                "instanceId": text("The same as `id`. This key and those below have the form of Durable's own status."),
                "runtimeStatus": text("Durable's status.", enum=list(RUNTIME_STATUSES)),
                "customStatus": maybe(record({"status": status}, "Repeats the status; null after the end.")),
                "output": maybe(
                    record({"status": text("The outcome.", enum=list(BATCH_ENDS))}, "The outcome; null before the end.")
                ),
                "createdTime": time("The same as requestedAt."),
                "lastUpdatedTime": maybe(time("When the engine last changed the instance.")),
            },
            "The status of a batch. Keys without a value are omitted.",
            optional=(
                *("error", "workspaceId", "caller", "retryOf", "endedAt", "lastReadError", "exceptNotFound"),
                *("repeated", "cancelling", *uris),
            ),
        ),
    }
