"""POST /api/refreshes: starts a request and returns the URI of its status.

A start does not wait for the queue. The id of a request with an idempotency key is derived from the key, and its tokens
from its id. So racing starts with one key return the same URIs, no matter which of them the engine accepts.
"""

import asyncio
import logging
import secrets
from typing import assert_never

import azure.durable_functions as df
import azure.functions as func

from durable import names
from durable.engine import Engine, EngineUnavailable, Exists, Started
from durable.requests import find_request, request_of
from durable.tokens import token
from refresh import clock
from refresh.events import Event
from refresh.ids import key_prefix, keyed_request, request_prefix, submission_of
from refresh.request.decision import Conflict, Ended, Full, New, Same, admit, decide
from refresh.request.reply import Reply, parse_reply
from refresh.request.spec import RequestSpec, parse_spec
from refresh.request.state import RequestState
from refresh.request.stored import StoredRequest
from refresh.request.values import BadRequestError, shown_keys
from refresh.scope.scope import fingerprint
from refresh.settings import current_settings
from refresh.times import instant
from triggers.accepted import accepted, uris_of
from triggers.answers import answer, error
from triggers.auth import principal_of, starter_of
from triggers.callbacks import add_callback, add_callback_of_repeat
from triggers.looks import queue_of
from triggers.reports import report_of, status_answer
from triggers.routing import RETRY_SECONDS, http_function

LOOK_SECONDS = 1.0
"""How long a start waits for a read of the queue. If the read takes longer, the start goes on without it."""

log = logging.getLogger(__name__)
bp = df.Blueprint()


@http_function(bp, route="refreshes", methods=["POST"])
async def http_start(req: func.HttpRequest, engine: Engine) -> func.HttpResponse:
    """202 with `id`, `status`, `statusUri`, `cancelUri`, `statusQueryGetUri`; 400 for an invalid request, 429 if the
    queue of the model is full, 503 if the request cannot be stored.

    With waitSeconds, the final status (200 or 424) if the request ends in time. With callBackUri, 200 without Location.
    If the idempotency key was used before with the same options: the same answers while that request is in progress,
    200 or 424 if it has ended, each with `repeated`; 409 if the key was used with different options.
    """
    settings = current_settings()
    try:
        spec = parse_spec(req.get_body(), settings, req.headers.get("Idempotency-Key"))
        reply = parse_reply(req.get_body(), settings)
    except BadRequestError as problem:
        return answer(problem.to_json(), 400)
    known, submission = await last_submission(engine, spec.dataset_id, spec.idempotency_key)
    decision = decide(spec, known, submission)
    match await _admitted(engine, spec, decision) if isinstance(decision, New) else decision:
        case New(number):
            return await _start(req, engine, spec, reply, number)
        case Full(seconds):
            message = f"The queue of this model is full; nothing has been started. Try again in {seconds} seconds."
            return error(429, "QueueFull", message, headers={"Retry-After": str(seconds)})
        case Same(request):
            await add_callback_of_repeat(engine, request, reply)
            status = (await report_of(engine, request)).body["status"]
            return await accepted(req, engine, request, reply, repeated=True, status=status)
        case Ended(request):
            await add_callback_of_repeat(engine, request, reply)
            return await _ended(req, engine, request)
        case Conflict(keys):
            message = (
                "This idempotency key was used for another request of this model, with different values for: "
                f"{shown_keys(keys)}. Use a separate key for each request."
            )
            return error(409, "IdempotencyKeyInUse", message, "idempotencyKey")
        case other:
            assert_never(other)


async def _admitted(engine: Engine, spec: RequestSpec, new: New) -> New | Full:
    """`new` if the queue has room, otherwise `Full`. If the queue cannot be read in time, the request is accepted, and
    waits if there is no room when it enrols."""
    try:
        queue = await asyncio.wait_for(queue_of(engine, spec.dataset_id), LOOK_SECONDS)
        return admit(new, spec, queue, clock.now())
    except Exception as problem:
        log.debug("the queue of %s was not read: %r", spec.dataset_id, problem)
        return new


async def last_submission(engine: Engine, dataset_id: str, key: str) -> tuple[StoredRequest | None, int]:
    """The newest request with an idempotency key, and its submission number; None and 0 if there is none.

    The requests are listed, not counted up from the first, because any of them may have been purged. Raises
    EngineUnavailable.
    """
    newest: StoredRequest | None = None
    highest, prefix = 0, key_prefix(dataset_id, key)
    if not key:
        return None, 0
    async for instance in engine.list_all(prefix):
        number, found = submission_of(instance.id, prefix), request_of(instance)
        if found is None or number < highest:
            continue
        if newest is None or number > highest or found.state.requested_at < newest.state.requested_at:
            newest, highest = found, number
    return newest, highest


async def _start(
    req: func.HttpRequest, engine: Engine, spec: RequestSpec, reply: Reply, submission: int
) -> func.HttpResponse:
    request_id, state = _new_request(req, engine, spec, reply, submission)
    ids = {"requestId": request_id, "datasetId": spec.dataset_id, "workspaceId": spec.scope.workspace_id}
    try:
        if reply.call_back_uri:
            # before the start: a callback without a request expires, but a request without its callback would leave the
            # caller waiting
            await add_callback(engine, request_id, reply.call_back_uri, spec.caller)
        result = await engine.start(names.REFRESH_REQUEST, request_id, state)
    except EngineUnavailable as problem:
        event = Event("request.not_started", logging.ERROR, **ids, caller=spec.caller, error=str(problem))
        log.log(event.level, event.line())
        message = "The request could not be stored; nothing has been started. Send it again."
        return error(503, "NotStarted", message, headers={"Retry-After": str(RETRY_SECONDS)})
    request = StoredRequest(id=request_id, engine_status="Pending", state=state)
    match result:
        case Started():
            facts = {"enhanced": spec.scope.enhanced, "share": spec.share, "timeoutMinutes": spec.timeout_minutes}
            event = Event("request.accepted", **ids, caller=spec.caller, **facts, principal=principal_of(req))
            log.info(event.line())
            return await accepted(req, engine, request, reply)
        case Exists():
            # another start with this key was faster, so the tokens of that start are valid
            request = await find_request(engine, request_id) or request
            return await accepted(req, engine, request, reply, repeated=True)
        case _:
            assert_never(result)


def _new_request(
    req: func.HttpRequest, engine: Engine, spec: RequestSpec, reply: Reply, submission: int
) -> tuple[str, RequestState]:
    settings = current_settings()
    if spec.idempotency_key:
        # racing starts with one key create one request if their scopes are the same, else two, each with its own
        # outcome
        name = fingerprint(spec.scope)
        request_id = keyed_request(spec.dataset_id, spec.idempotency_key, submission, name)
    else:
        request_id = f"{request_prefix(spec.dataset_id)}{secrets.token_hex(8)}"
    keyed = bool(spec.idempotency_key)
    state = RequestState(
        spec=spec,
        # racing starts use the same token: the engine may run one of them after another has already sent messages
        token=token(engine.secret, "enroll", request_id, keyed=keyed),
        read_token=token(engine.secret, "read", request_id, keyed=keyed),
        cancel_token=token(engine.secret, "cancel", request_id, keyed=keyed),
        requested_at=instant(clock.now()),
        starter=starter_of(req, engine.secret),
        recheck_seconds=settings.recheck_seconds,
        limits=settings.limits,
        has_callback=reply.call_back_uri is not None,
    )
    return request_id, state


async def _ended(req: func.HttpRequest, engine: Engine, request: StoredRequest) -> func.HttpResponse:
    status = await report_of(engine, request)
    uris = uris_of(req, engine, request)
    # a later step of the caller may read the status; an error has no URIs, because people see it, and URIs have tokens
    links = {name: uris[name] for name in ("statusUri", "statusQueryGetUri")} if status.http_status == 200 else {}
    return status_answer(req, request, status, {"repeated": True, **links})
