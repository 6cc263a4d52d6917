"""POST /api/refreshes: starts a request, and says where its status is.

A start waits for no answer of the queue. The id of a request with an idempotency key follows from the key, and its
tokens from its id, so starts that race under one key give out the same URIs whichever of them the engine takes.
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
from refresh import clock
from refresh.events import Event
from refresh.ids import key_prefix, keyed_request, request_prefix, submission_of
from refresh.request.decision import Conflict, Ended, Full, New, Same, admit, decide
from refresh.request.reply import Reply, parse_reply
from refresh.request.spec import RequestSpec, parse_spec
from refresh.request.state import RequestState
from refresh.request.stored import StoredRequest
from refresh.request.values import BadRequestError
from refresh.scope.scope import fingerprint
from refresh.settings import current_settings
from refresh.times import instant
from triggers.accepted import accepted, uris_of
from triggers.answers import answer, error
from triggers.auth import principal_of, starter_of
from triggers.callbacks import add_callback
from triggers.looks import queue_of
from triggers.reports import report_of, status_answer
from triggers.routing import RETRY_SECONDS, http_function
from triggers.tokens import token

LOOK_SECONDS = 1.0
"""For a look at the queue, which a start does not depend on."""

log = logging.getLogger(__name__)
bp = df.Blueprint()


@http_function(bp, route="refreshes", methods=["POST"])
async def http_start(req: func.HttpRequest, engine: Engine) -> func.HttpResponse:
    """202 with `id`, `status`, `statusUri`, `cancelUri`, `statusQueryGetUri`; 400 if the request cannot be served.

    With waitSeconds the whole status at once, 200 or 424, if the request ends in time. With callBackUri 200 and no
    Location. Under an idempotency key that was used before: the same for the request that goes on, 200 or 424 for one
    that has ended, each with `repeated`; 409 if that was another request.
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
            message = (
                f"Too many requests wait for this model; nothing has been started. Try again in {seconds} seconds."
            )
            return error(429, "QueueFull", message, headers={"Retry-After": str(seconds)})
        case Same(request):
            await _add_callback(engine, request, reply)
            status = (await report_of(engine, request)).body["status"]
            return await accepted(req, engine, request, reply, repeated=True, status=status)
        case Ended(request):
            await _add_callback(engine, request, reply)
            return await _ended(req, engine, request)
        case Conflict(keys):
            message = (
                f"Another request of this model has this idempotency key, with another {', '.join(keys)}. "
                "Use a key of its own for each."
            )
            return error(409, "IdempotencyKeyInUse", message, "idempotencyKey")
        case other:
            assert_never(other)


async def _admitted(engine: Engine, spec: RequestSpec, new: New) -> New | Full:
    """Whether the queue has room. A start does not depend on that: a queue that cannot be read at once counts as one
    with room, and a request that finds none when it enrols waits for it."""
    try:
        queue = await asyncio.wait_for(queue_of(engine, spec.dataset_id), LOOK_SECONDS)
        return admit(new, spec, queue, clock.now())
    except Exception as problem:
        log.debug("the queue of %s was not looked at: %r", spec.dataset_id, problem)
        return new


async def last_submission(engine: Engine, dataset_id: str, key: str) -> tuple[StoredRequest | None, int]:
    """The newest request under an idempotency key, and which submission it is; None and 0 without one.

    They are listed, not counted up from the first: the purge may have taken any of them. Raises EngineUnavailable.
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
            # first: a callback without a request is dropped after a while, a request without its callback would leave
            # its caller waiting
            await add_callback(engine, request_id, reply.call_back_uri)
        begun = await engine.start(names.REFRESH_REQUEST, request_id, state)
    except EngineUnavailable as problem:
        event = Event("request.not_started", logging.ERROR, **ids, caller=spec.caller, error=str(problem))
        log.log(event.level, event.line())
        message = "The request could not be stored; nothing has been started. Send it again."
        return error(503, "NotStarted", message, headers={"Retry-After": str(RETRY_SECONDS)})
    request = StoredRequest(id=request_id, engine_status="Pending", state=state)
    match begun:
        case Started():
            facts = {"enhanced": spec.scope.enhanced, "share": spec.share, "timeoutMinutes": spec.timeout_minutes}
            event = Event("request.accepted", **ids, caller=spec.caller, **facts, principal=principal_of(req))
            log.info(event.line())
            return await accepted(req, engine, request, reply)
        case Exists():
            # another start of this key was quicker, and its tokens count
            request = await find_request(engine, request_id) or request
            return await accepted(req, engine, request, reply, repeated=True)
        case _:
            assert_never(begun)


def _new_request(
    req: func.HttpRequest, engine: Engine, spec: RequestSpec, reply: Reply, submission: int
) -> tuple[str, RequestState]:
    settings = current_settings()
    if spec.idempotency_key:
        # starts that race under one key are one request if they mean the same, else two, each with its own true outcome
        name = fingerprint(spec.scope)
        request_id = keyed_request(spec.dataset_id, spec.idempotency_key, submission, name)
    else:
        request_id = f"{request_prefix(spec.dataset_id)}{secrets.token_hex(8)}"
    keyed = bool(spec.idempotency_key)
    state = RequestState(
        spec=spec,
        # racing starts share it, too: the engine may run one of them after the messages of another one have gone out
        token=token(engine.secret, "enroll", request_id, keyed=keyed),
        read_token=token(engine.secret, "read", request_id, keyed=keyed),
        cancel_token=token(engine.secret, "cancel", request_id, keyed=keyed),
        requested_at=instant(clock.now()),
        starter=starter_of(req, engine.secret),
        recheck_seconds=settings.recheck_seconds,
        limits=settings.limits,
        callbacks=reply.call_back_uri is not None,
    )
    return request_id, state


async def _add_callback(engine: Engine, request: StoredRequest, reply: Reply) -> None:
    if reply.call_back_uri:
        await add_callback(engine, request.id, reply.call_back_uri, to_running=request.outcome is None)


async def _ended(req: func.HttpRequest, engine: Engine, request: StoredRequest) -> func.HttpResponse:
    status = await report_of(engine, request)
    uris = uris_of(req, engine, request)
    # for the next step of a caller that looks at the status whatever the start said; not in an error, which people see
    shown = {name: uris[name] for name in ("statusUri", "statusQueryGetUri")} if status.http_status == 200 else {}
    return status_answer(req, request, status, {"repeated": True, **shown})
