"""Declares the HTTP functions: route, access control, the engine, and the answer if the engine fails."""

import functools
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import azure.functions as func

from durable.engine import EngineUnavailable
from durable.functions import BINDING, PARAMETER, with_engine
from refresh.events import Event
from triggers.answers import error
from triggers.auth import LEVEL, refusal
from triggers.cross_site import cross_site_refusal

RETRY_SECONDS = 5

log = logging.getLogger(__name__)

Handler = Callable[..., Awaitable[func.HttpResponse]]


def http_function(
    blueprint: Any,
    *,
    route: str,
    methods: list[str],
    signed_in: bool = True,
    reads: bool = False,
    engine: bool = True,
) -> Callable[[Handler], Handler]:
    """A decorator for an async function `(req, engine)`.

    `signed_in`: only callers that may start requests have access, and calls that pages of other sites make are checked
    (`triggers.cross_site`). If it is false, the function checks a token of its own, or needs no sign-in. `reads`:
    callers that may only read have access, too. `engine`: whether the function gets the engine.
    """

    def decorate(function: Handler) -> Handler:
        guarded = _guarded(function, signed_in=signed_in, reads=reads)
        builder = with_engine(guarded) if engine else guarded
        if engine:
            builder = blueprint.generic_input_binding(arg_name=PARAMETER, type=BINDING)(builder)
        level = LEVEL if signed_in else func.AuthLevel.ANONYMOUS
        return blueprint.route(route=route, methods=methods, auth_level=level)(builder)  # type: ignore[no-any-return]

    return decorate


def _guarded(function: Handler, *, signed_in: bool, reads: bool) -> Handler:
    @functools.wraps(function)
    async def called(req: func.HttpRequest, **arguments: Any) -> func.HttpResponse:
        refused = (refusal(req, reads=reads) or cross_site_refusal(req)) if signed_in else None
        if refused:
            return refused
        try:
            return await function(req=req, **arguments)
        except EngineUnavailable as problem:
            event = Event("engine.unavailable", logging.ERROR, function=function.__name__, error=str(problem))
            log.log(event.level, event.line())
            message = "The durable engine of the app does not answer at the moment. Send the call again."
            return error(503, "EngineUnavailable", message, headers={"Retry-After": str(RETRY_SECONDS)})

    return called
