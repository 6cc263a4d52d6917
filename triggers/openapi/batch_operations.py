"""The operations of batches."""

from refresh.batch.spec import MAX_BATCH_BODY_BYTES
from triggers.openapi import bodies
from triggers.openapi.batch_examples import BATCH_REQUEST
from triggers.openapi.operations import answer, completed, ended_otherwise, operation
from triggers.openapi.schema import Json, ref

_ENDED = ("BatchFailed", "BatchCancelled", "BatchTimedOut", "BatchTerminated")


def paths(caller: str, token: str) -> Json:
    """The operations, by path. `caller` and `token` mark their access control."""
    batch_id = {
        "name": "id",
        "in": "path",
        "required": True,
        "description": "The id of the batch.",
        "schema": {"type": "string", "minLength": 1},
    }
    wrong = answer("NotFound", "The batch does not exist, or the token is wrong.", example="BatchNotFound")
    unknown = answer("NotFound", "The batch does not exist.", example="BatchNotFound")
    return {
        "/batches": {"post": _start(caller)},
        "/batches/{id}": {
            "parameters": [batch_id],
            "get": operation(
                "GetBatchByToken",
                "Get the status of a batch by its token",
                "Returns the status of a batch by its statusUri. An unknown id and a wrong token get the same answer.",
                token,
                {**_status(), 404: wrong},
            ),
            "delete": operation(
                "CancelBatchByToken",
                "Cancel a batch by its token",
                "Cancels a batch by its cancelUri: requests in progress are cancelled, and no other model is started.",
                token,
                {
                    **_cancelled(),
                    403: answer(
                        "OnlyReads",
                        "This token only permits reading; the token in cancelUri permits cancelling.",
                    ),
                    404: wrong,
                },
            ),
        },
        "/batches/{id}/status": {
            "parameters": [batch_id],
            "get": operation(
                "GetBatch",
                "Get the status of a batch",
                "Returns the status of a batch without its token.",
                caller,
                {**_status(), 404: unknown},
            ),
        },
        "/batches/{id}/cancel": {
            "parameters": [batch_id],
            "post": operation(
                "CancelBatch",
                "Cancel a batch",
                "Cancels a batch without its token: requests in progress are cancelled, and no other model is started.",
                caller,
                {**_cancelled(), 404: unknown},
            ),
        },
    }


def _start(caller: str) -> Json:
    return operation(
        "StartBatch",
        "Refresh many semantic models",
        "Refreshes many models in the order of their dependencies. The batch ends as Completed only if all were "
        "refreshed.",
        caller,
        {
            200: answer(
                ("BatchStatus", "BatchStarted"),
                completed("batch"),
                example="BatchCompleted",
            ),
            202: answer(
                "BatchStarted",
                "Accepted. If `repeated` is true, an earlier call with the same idempotency key started the batch.",
                polls=True,
            ),
            400: answer("Refusal", "The batch is invalid; nothing has been started.", example="BatchRefused"),
            409: answer("KeyInUse", "The idempotency key was used for a different batch; nothing has been started."),
            424: answer(
                "BatchStatus",
                ended_otherwise("batch"),
                example=_ENDED,
            ),
            503: answer(
                "NotStarted", "The batch was not stored; nothing has been started. Send it again.", retries=True
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
        requestBody={
            "required": True,
            "description": f"The batch; at most {MAX_BATCH_BODY_BYTES} bytes.",
            "content": {"application/json": {"schema": ref("BatchRequest"), "example": BATCH_REQUEST}},
        },
    )


def _status() -> dict[int, Json]:
    return {
        200: answer("BatchStatus", "All models were refreshed.", example="BatchCompleted"),
        202: answer("BatchStatus", "The batch is in progress.", example=("BatchRunning", "BatchListing"), polls=True),
        424: answer("BatchStatus", "The batch ended in any other way; `error` says why.", example=_ENDED),
        503: answer("Unavailable", "The durable engine does not answer. Send the call again later.", retries=True),
    }


def _cancelled() -> dict[int, Json]:
    status = _status()
    return {
        200: answer("BatchStatus", "The batch had already ended.", example="BatchCompleted"),
        202: answer("BatchStatus", "The cancellation is in progress.", example="BatchCancelling", polls=True),
        503: status[503],
    }
