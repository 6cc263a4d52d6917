"""The operations of batches."""

from refresh.batch.spec import MAX_BATCH_BODY_BYTES
from triggers.openapi import asking
from triggers.openapi.batch_examples import ASKED_FOR
from triggers.openapi.operations import answer, operation
from triggers.openapi.schema import Json, ref


def paths(starter: str, token: str) -> Json:
    """The operations, by path. `starter` and `token`: their access control."""
    batch_id = {
        "name": "id",
        "in": "path",
        "required": True,
        "description": "The id of the batch.",
        "schema": {"type": "string", "minLength": 1},
    }
    wrong = answer("NotFound", "Unknown batch, or a wrong token.", example="BatchNotFound")
    unknown = answer("NotFound", "Unknown batch.", example="BatchNotFound")
    return {
        "/batches": {"post": _start(starter)},
        "/batches/{id}": {
            "parameters": [batch_id],
            "get": operation(
                "GetBatchByToken",
                "Get the status of a batch by its token",
                "How a batch is doing, as its statusUri tells it. An unknown id and a wrong token look the same.",
                token,
                {**_status(), 404: wrong},
            ),
            "delete": operation(
                "CancelBatchByToken",
                "Cancel a batch by its token",
                "What its cancelUri does: requests that go on are cancelled, no other model is started.",
                token,
                {
                    **_cancelled(),
                    403: answer("OnlyReads", "The token reads the status; that of cancelUri cancels."),
                    404: wrong,
                },
            ),
        },
        "/batches/{id}/status": {
            "parameters": [batch_id],
            "get": operation(
                "GetBatch",
                "Get the status of a batch",
                "How a batch is doing, without its token.",
                starter,
                {**_status(), 404: unknown},
            ),
        },
        "/batches/{id}/cancel": {
            "parameters": [batch_id],
            "post": operation(
                "CancelBatch",
                "Cancel a batch",
                "Cancels a batch, without its token: requests that go on are cancelled, no other model is started.",
                starter,
                {**_cancelled(), 404: unknown},
            ),
        },
    }


def _start(starter: str) -> Json:
    return operation(
        "StartBatch",
        "Refresh many semantic models",
        "Asks for the refresh of many models, in an order, with one outcome: Completed only if each was refreshed.",
        starter,
        {
            200: answer(
                ("BatchStatus", "BatchStarted"),
                "It has completed, within waitSeconds or earlier under this idempotency key; or, with callBackUri, it "
                "was accepted.",
                example="BatchCompleted",
            ),
            202: answer("BatchStarted", "Accepted, or with repeated accepted earlier.", following=True),
            400: answer("Refusal", "It cannot be served; nothing has been started.", example="BatchRefused"),
            409: answer("KeyInUse", "A batch of other models has this key; nothing has been started."),
            424: answer("BatchStatus", "It has ended otherwise.", example="BatchFailed"),
            503: answer("NotStarted", "It could not be stored; nothing has been started. Send it again.", later=True),
        },
        parameters=[
            {
                "name": "Idempotency-Key",
                "in": "header",
                "description": "The same as idempotencyKey in the body.",
                "schema": asking.idempotency_key(),
            }
        ],
        requestBody={
            "required": True,
            "description": f"What is asked for; at most {MAX_BATCH_BODY_BYTES} bytes.",
            "content": {"application/json": {"schema": ref("BatchRequest"), "example": ASKED_FOR}},
        },
    )


def _status() -> dict[int, Json]:
    return {
        200: answer("BatchStatus", "All models were refreshed.", example="BatchCompleted"),
        202: answer("BatchStatus", "It goes on.", example=("BatchRunning", "BatchListing"), following=True),
        424: answer("BatchStatus", "It ended in any other way; error says how.", example="BatchFailed"),
        503: answer("Unavailable", "The durable engine does not answer for now. Send the call again.", later=True),
    }


def _cancelled() -> dict[int, Json]:
    status = _status()
    return {
        200: answer("BatchStatus", "It had already ended.", example="BatchCompleted"),
        202: answer("BatchStatus", "The cancellation takes effect.", example="BatchCancelling", following=True),
        503: status[503],
    }
