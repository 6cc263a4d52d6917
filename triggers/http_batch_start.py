"""POST /api/batches: starts requests for many models, and returns the URI of their common status."""

import logging
import secrets
from typing import Any, assert_never

import azure.durable_functions as df
import azure.functions as func

from durable import names
from durable.batches import batch_of, find_batch
from durable.engine import Engine, EngineUnavailable, Exists, Started
from durable.tokens import token
from refresh import clock
from refresh.batch.decision import EndedBatch, NewBatch, SameBatch, decide
from refresh.batch.machine import carried_over
from refresh.batch.spec import MAX_BATCH_BODY_BYTES, BatchSpec, parse_batch
from refresh.batch.state import LONGEST_RECHECK_SECONDS, BatchState
from refresh.batch.stored import StoredBatch, pack
from refresh.events import Event
from refresh.ids import BATCH_PREFIX, batch_key_prefix, submission_of
from refresh.messages import replace
from refresh.reporting.batch import final_batch_report
from refresh.reporting.status import StatusReport
from refresh.request.decision import Conflict
from refresh.request.reply import Reply, reply_of
from refresh.request.spec import json_object
from refresh.request.values import BadRequestError, shown_keys
from refresh.settings import current_settings
from refresh.times import instant
from triggers.accepted import accepted_answer, end_within, uris_of
from triggers.answers import answer, error
from triggers.auth import principal_of, starter_of
from triggers.batches import report_of_batch
from triggers.callbacks import add_callback, add_callback_of_repeat
from triggers.reports import status_answer
from triggers.routing import RETRY_SECONDS, http_function
from triggers.uris import batch_status_uri

Json = dict[str, Any]

log = logging.getLogger(__name__)
bp = df.Blueprint()


@http_function(bp, route="batches", methods=["POST"])
async def http_batch_start(req: func.HttpRequest, engine: Engine) -> func.HttpResponse:
    """202 with `id`, `status`, `statusUri`, `cancelUri`, `statusQueryGetUri`; 400 for an invalid batch.

    waitSeconds, callBackUri and an idempotency key work as in the start of a request.
    """
    settings = current_settings()
    try:
        value = json_object(req.get_body(), MAX_BATCH_BODY_BYTES)
        spec = parse_batch(value, settings, req.headers.get("Idempotency-Key"))
        reply = reply_of(value, settings)
    except BadRequestError as problem:
        return answer(problem.to_json(), 400)
    known, submission = await _last_submission(engine, spec.idempotency_key)
    match decide(spec, known, submission):
        case NewBatch(number, after):
            try:
                # only a new batch needs the earlier one: if a start is sent again, its batch has already taken over the
                # completed models
                earlier = after or await _earlier(engine, spec)
            except BadRequestError as problem:
                return answer(problem.to_json(), 400)
            return await _start(req, engine, spec, reply, number, earlier)
        case SameBatch(batch):
            await add_callback_of_repeat(engine, batch, reply)
            return await _accepted(req, engine, batch, reply, repeated=True)
        case EndedBatch(batch):
            await add_callback_of_repeat(engine, batch, reply)
            return _ended(req, engine, batch)
        case Conflict(keys):
            message = (
                f"This idempotency key was used for another batch, with different values for: {shown_keys(keys)}. "
                "Use a separate key for each batch."
            )
            return error(409, "IdempotencyKeyInUse", message, "idempotencyKey")
        case other:
            assert_never(other)


async def _earlier(engine: Engine, spec: BatchSpec) -> StoredBatch | None:
    """The batch of `retryOf`. Raises BadRequestError if it is unknown or has not ended."""
    if not spec.retry_of:
        return None
    earlier = await find_batch(engine, spec.retry_of)
    if earlier is None:
        raise BadRequestError("retryOf: the batch does not exist, or was purged.", "retryOf")
    if earlier.outcome is None:
        raise BadRequestError("retryOf: the batch is in progress. Wait for its end, or cancel it.", "retryOf")
    return earlier


async def _last_submission(engine: Engine, key: str) -> tuple[StoredBatch | None, int]:
    """The newest batch with an idempotency key, and the highest submission of the key; None and 0 if there is none.

    The notes of a batch count as well: the purge may have deleted the batch before them, and its id must not be reused.
    """
    newest: StoredBatch | None = None
    found_number, highest, prefix = 0, 0, batch_key_prefix(key)
    if not key:
        return None, 0
    async for instance in engine.list_all(prefix):
        number, found = submission_of(instance.id, prefix), batch_of(instance)
        highest = max(highest, number)
        if found is None or number < found_number:
            continue
        if newest is None or number > found_number or found.state.requested_at < newest.state.requested_at:
            newest, found_number = found, number
    return newest if found_number == highest else None, highest


async def _start(
    req: func.HttpRequest,
    engine: Engine,
    spec: BatchSpec,
    reply: Reply,
    submission: int,
    earlier: StoredBatch | None,
) -> func.HttpResponse:
    batch = _new_batch(req, engine, spec, reply, submission, earlier)
    try:
        if reply.call_back_uri:
            # before the start: a callback without a batch expires, but a batch without its callback would leave the
            # caller waiting
            await add_callback(engine, batch.id, reply.call_back_uri, spec.caller)
        begun = await engine.start(names.REFRESH_BATCH, batch.id, pack(batch.state))
    except EngineUnavailable as problem:
        event = Event("request.not_started", logging.ERROR, batchId=batch.id, caller=spec.caller, error=str(problem))
        log.log(event.level, event.line())
        message = "The batch could not be stored; nothing has been started. Send it again."
        return error(503, "NotStarted", message, headers={"Retry-After": str(RETRY_SECONDS)})
    match begun:
        case Started():
            facts = {"models": len(batch.state.models), "retryOf": spec.retry_of, "principal": principal_of(req)}
            log.info(Event("batch.accepted", batchId=batch.id, caller=spec.caller, **facts).line())
            return await _accepted(req, engine, batch, reply)
        case Exists():
            # another start with this key was faster, so the tokens of that start are valid
            batch = await find_batch(engine, batch.id) or batch
            return await _accepted(req, engine, batch, reply, repeated=True)
        case _:
            assert_never(begun)


def _new_batch(
    req: func.HttpRequest,
    engine: Engine,
    spec: BatchSpec,
    reply: Reply,
    submission: int,
    earlier: StoredBatch | None,
) -> StoredBatch:
    settings, keyed = current_settings(), bool(spec.idempotency_key)
    if keyed:
        # racing starts with one key create one batch if their options are the same
        batch_id = f"{batch_key_prefix(spec.idempotency_key)}{submission}-{spec.fingerprint}"
    else:
        batch_id = f"{BATCH_PREFIX}{secrets.token_hex(8)}"
    state = BatchState(
        spec=replace(spec, models=()),
        digests=spec.digests,
        read_token=token(engine.secret, "read", batch_id, keyed=keyed),
        cancel_token=token(engine.secret, "cancel", batch_id, keyed=keyed),
        requested_at=instant(clock.now()),
        starter=starter_of(req, engine.secret),
        recheck_seconds=min(settings.recheck_seconds, LONGEST_RECHECK_SECONDS),
        limits=settings.limits,
        has_callback=reply.call_back_uri is not None,
    )
    return StoredBatch(id=batch_id, engine_status="Pending", state=_with_models(state, spec, earlier))


def _with_models(state: BatchState, spec: BatchSpec, earlier: StoredBatch | None) -> BatchState:
    """The state with its models, and for a retry with the completed models of the earlier batch."""
    if earlier is None:
        return state.with_models(spec.models) if spec.models else state
    # a retry of all models of a workspace uses the models that were listed then
    models = spec.models or earlier.state.models
    if not models:
        every = spec.all_models or earlier.state.spec.all_models
        return state.replace(spec=replace(state.spec, all_models=every))
    return state.with_models(models, carried_over(models, earlier.state, earlier.id))


async def _accepted(
    req: func.HttpRequest, engine: Engine, batch: StoredBatch, reply: Reply, *, repeated: bool = False
) -> func.HttpResponse:
    """The answer for a batch in progress; its status, if it ends within waitSeconds."""
    again = {"repeated": True} if repeated else {}

    async def look() -> StatusReport | None:
        found = await find_batch(engine, batch.id)
        return final_batch_report(found) if found else None

    ended = await end_within(look, reply.wait_seconds)
    if ended:
        return status_answer(req, batch, ended, again, batch_status_uri)
    uris = uris_of(req, engine, batch, batch_status_uri)
    status = report_of_batch(batch)
    body: Json = {"id": batch.id, "status": status.body["status"], **again, **uris, "counts": status.body["counts"]}
    return accepted_answer(body, reply)


def _ended(req: func.HttpRequest, engine: Engine, batch: StoredBatch) -> func.HttpResponse:
    status, uris = report_of_batch(batch), uris_of(req, engine, batch, batch_status_uri)
    status_uris = {name: uris[name] for name in ("statusUri", "statusQueryGetUri")} if status.http_status == 200 else {}
    return status_answer(req, batch, status, {"repeated": True, **status_uris}, batch_status_uri)
