"""Callbacks of requests, as triggers add them."""

import logging

import azure.durable_functions as df

from refresh import clock
from refresh.history.rows import instant
from refresh.reporting.callback import GIVEN_UP, CallbackState, host_of, instance_of
from refresh.reporting.events import entry
from refresh.settings import current_settings

log = logging.getLogger("refresh")


async def add_callback(client: df.DurableOrchestrationClient, request_id: str, uri: str) -> None:
    """Has `uri` called once when the request ends; at once if it has ended. `uri` was checked by `check_uri`.

    Safe to repeat: the same URI of the same request is kept once, also after it was called; one that was given up is
    tried again. Works before the request
    is stored, as long as that follows within five minutes. Raises what the SDK raises where nothing can be stored.
    """
    instance = instance_of(request_id, uri)
    known = await client.get_status(instance)
    if known and known.output != GIVEN_UP:
        return
    state = CallbackState(request_id, uri, instant(clock.now()), current_settings().poll_min_seconds)
    try:
        await client.start_new("deliver_callback", instance, state.to_json())
    except Exception:
        # the SDK raises nothing more precise where somebody else was quicker
        if not await client.get_status(instance):
            raise
        return
    log.info(entry("callback.added", request=request_id, host=host_of(uri)))
