"""POST /api/refreshes: checks a wish, starts its orchestration, and says where its status is."""

import logging
import secrets
from typing import Any
from uuid import UUID

import azure.durable_functions as df
import azure.functions as func

from refresh import clock
from refresh.answering import parse_answering
from refresh.history import instant
from refresh.journal import entry
from refresh.request import BadRequestError, parse_wish
from refresh.request_state import RequestState
from refresh.settings import current_settings
from triggers.answers import answer, error
from triggers.uris import base_url, management_uris, status_uri
from triggers.waiting import verdict_within

log = logging.getLogger("refresh")
bp = df.Blueprint()


@bp.route(route="refreshes", methods=["POST"], auth_level=func.AuthLevel.FUNCTION)
@bp.durable_client_input(client_name="client")
async def http_start(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    """202 with `id`, `status`, `statusUri`, `cancelUri`, `statusQueryGetUri`; 400 if the wish cannot be served.

    With waitSeconds the whole status at once, 200 or 424, if the request ends in time.
    """
    settings = current_settings()
    try:
        if req.headers.get("Idempotency-Key"):
            raise BadRequestError(
                "Idempotency-Key is not supported by this version.", "Idempotency-Key", "NotSupported"
            )
        wish = parse_wish(req.get_body(), settings)
        answering = parse_answering(req.get_body())
    except BadRequestError as problem:
        return answer(problem.to_json(), 400)
    # beginning with the dataset, so that the requests of a dataset can be listed
    request_id = f"{UUID(wish.dataset_id).hex}-{secrets.token_hex(8)}"
    state = RequestState(
        wish=wish,
        token=secrets.token_hex(8),
        read_token=secrets.token_urlsafe(24),
        cancel_token=secrets.token_urlsafe(24),
        requested_at=instant(clock.now()),
        fallback_seconds=settings.fallback_seconds,
        limits=settings.limits,
    )
    about: dict[str, Any] = {"request": request_id, "dataset": wish.dataset_id, "caller": wish.caller}
    try:
        await client.start_new("refresh_request", request_id, state.to_json())
    except Exception as problem:  # the SDK raises nothing more precise
        log.error(entry("not started", **about, error=str(problem)[:300]))
        return error(503, "NotStarted", "The request could not be stored; nothing has been started. Send it again.")
    scope = {"workspace": wish.scope.workspace_id, "enhanced": wish.scope.enhanced, "share": wish.share}
    log.info(entry("accepted", **about, **scope, timeoutMinutes=wish.timeout_minutes))

    told = await verdict_within(client, request_id, answering.wait_seconds)
    if told:
        return answer(told.body, told.http_status)
    base = base_url(settings, req.url)
    uri = status_uri(base, request_id, state.read_token)
    uris = {"statusUri": uri, "cancelUri": status_uri(base, request_id, state.cancel_token), "statusQueryGetUri": uri}
    if settings.expose_management_uris:
        uris |= management_uris(client.create_http_management_payload(request_id), base)
    headers = {"Location": uri, "Retry-After": str(max(1, round(settings.poll_min_seconds)))}
    return answer({"id": request_id, "status": "Queued", **uris}, 202, headers)
