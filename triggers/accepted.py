"""The answer to a start whose request goes on, and the waiting for its end inside the call."""

import azure.functions as func

from durable import waits
from durable.engine import Engine, EngineError
from durable.requests import find_request
from refresh.reporting.status import StatusReport, final_report
from refresh.request.reply import Reply
from refresh.request.stored import StoredRequest
from refresh.settings import current_settings
from triggers.answers import answer
from triggers.auth import same, starter_of
from triggers.reports import status_answer
from triggers.uris import base_url, management_uris, status_uri

FIRST_PAUSE, LONGEST_PAUSE = 0.2, 5.0
"""Seconds between two looks: each is a read of the storage, and 200 s take about forty."""


async def accepted(
    req: func.HttpRequest,
    engine: Engine,
    request: StoredRequest,
    reply: Reply,
    *,
    repeated: bool = False,
    status: str = "Queued",
) -> func.HttpResponse:
    """The answer for a request that goes on; its status, if it ends within waitSeconds."""
    again = {"repeated": True} if repeated else {}
    ended = await _end_within(engine, request.id, reply.wait_seconds)
    if ended:
        return status_answer(req, request, ended, again)
    uris = uris_of(req, engine, request)
    body = {"id": request.id, "status": status, **again, **uris}
    if reply.call_back_uri:
        # a 202 with Location would be polled by some of those that wait to be called back
        return answer(body, 200)
    retry_after = str(max(1, round(current_settings().poll_min_seconds)))
    return answer(body, 202, {"Location": uris["statusUri"], "Retry-After": retry_after})


def uris_of(req: func.HttpRequest, engine: Engine, request: StoredRequest) -> dict[str, str]:
    """The URIs of a request. The one that cancels it goes only to the caller that started it, by principal or key."""
    settings, state = current_settings(), request.state
    base = base_url(settings, req.url)
    uri = status_uri(base, request.id, state.read_token)
    uris = {"statusUri": uri}
    if same(starter_of(req, engine.secret), state.starter):
        uris["cancelUri"] = status_uri(base, request.id, state.cancel_token)
    uris["statusQueryGetUri"] = uri
    if settings.expose_management_uris:
        uris |= management_uris(engine.management_uris(request.id), base)
    return uris


async def _end_within(engine: Engine, request_id: str, seconds: float) -> StatusReport | None:
    """The report of a request that ends within `seconds`; None if it goes on, or that cannot be read.

    In the last case the request was accepted and goes on: the caller gets its URIs and asks later.
    """
    async for _ in waits.pauses(seconds, longest=LONGEST_PAUSE, first=FIRST_PAUSE):
        try:
            request = await find_request(engine, request_id)
        except EngineError:
            return None
        ended = final_report(request) if request else None
        if ended:
            return ended
    return None
