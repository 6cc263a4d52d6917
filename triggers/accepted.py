"""Answers a start whose request has not ended, and waits for its end inside the call if the caller wants that."""

from collections.abc import Awaitable, Callable

import azure.functions as func

from durable import waits
from durable.engine import Engine, EngineUnavailable
from durable.requests import find_request
from refresh.batch.stored import StoredBatch
from refresh.reporting.status import Json, StatusReport, final_report
from refresh.request.reply import Reply
from refresh.request.stored import StoredRequest
from refresh.settings import current_settings
from triggers.answers import answer
from triggers.auth import secrets_match, starter_of
from triggers.reports import UriOf, status_answer
from triggers.uris import base_url, management_uris, status_uri

FIRST_PAUSE, LONGEST_PAUSE = 0.2, 5.0
"""The first and the longest pause between two looks, in seconds. Each look reads the storage; a wait of 200 s takes
about 40 looks."""


async def accepted(
    req: func.HttpRequest,
    engine: Engine,
    request: StoredRequest,
    reply: Reply,
    *,
    repeated: bool = False,
    status: str = "Queued",
) -> func.HttpResponse:
    """The answer for a request in progress; its final status if it ends within waitSeconds."""
    again = {"repeated": True} if repeated else {}

    async def look() -> StatusReport | None:
        found = await find_request(engine, request.id)
        return final_report(found) if found else None

    ended = await end_within(look, reply.wait_seconds)
    if ended:
        return status_answer(req, request, ended, again)
    uris = uris_of(req, engine, request)
    return accepted_answer({"id": request.id, "status": status, **again, **uris}, reply)


def accepted_answer(body: Json, reply: Reply) -> func.HttpResponse:
    """The answer for a request or batch in progress. `body` has its statusUri."""
    if reply.call_back_uri:
        # some callers that wait for a callback would poll a 202 with Location
        return answer(body, 200)
    retry_after = str(max(1, round(current_settings().poll_min_seconds)))
    return answer(body, 202, {"Location": body["statusUri"], "Retry-After": retry_after})


def uris_of(
    req: func.HttpRequest, engine: Engine, item: StoredRequest | StoredBatch, uri_of: UriOf = status_uri
) -> dict[str, str]:
    """The URIs of a request or batch. The cancel URI goes only to the caller that started it, recognised by principal
    or key."""
    settings, state = current_settings(), item.state
    base = base_url(settings, req.url)
    uri = uri_of(base, item.id, state.read_token)
    uris = {"statusUri": uri}
    if secrets_match(starter_of(req, engine.secret), state.starter):
        uris["cancelUri"] = uri_of(base, item.id, state.cancel_token)
    uris["statusQueryGetUri"] = uri
    if settings.expose_management_uris:
        uris |= management_uris(engine.management_uris(item.id), base)
    return uris


async def end_within(look: Callable[[], Awaitable[StatusReport | None]], seconds: float) -> StatusReport | None:
    """The report that `look` returns within `seconds`; None if it returns none, or if the engine does not answer.

    In either case the request is accepted: the caller gets its URIs and polls.
    """
    async for _ in waits.pauses(seconds, longest=LONGEST_PAUSE, first=FIRST_PAUSE):
        try:
            ended = await look()
        except EngineUnavailable:
            return None
        if ended:
            return ended
    return None
