"""How a request is doing, put together from the engine, the queue and the active run; and its cancellation."""

import logging
from collections.abc import Callable

import azure.durable_functions as df
import azure.functions as func

from entities.dataset_queue import read_queue
from entities.instances import run_status
from refresh import clock
from refresh.history.rows import instant
from refresh.reporting.events import entry
from refresh.reporting.status import Instance, Report, report
from refresh.reporting.stored import Found
from refresh.request.state import RequestState
from refresh.run.state import run_instance
from refresh.settings import current_settings
from triggers.answers import Json, answer
from triggers.uris import base_url, status_uri

log = logging.getLogger("refresh")


async def report_of(client: df.DurableOrchestrationClient, instance: Instance, state: RequestState) -> Report:
    """The status of a request as a caller is told it."""
    queue = await read_queue(client, state.wish.dataset_id)
    mine = queue.run_of(instance.id)
    run = await run_status(client, run_instance(mine.id, mine.generation)) if mine and mine is queue.runs[0] else {}
    return report(instance, state, queue, run, clock.now())


def shown(
    req: func.HttpRequest,
    state: RequestState,
    told: Report,
    more: Json | None = None,
    uri_of: Callable[[str, str, str], str] = status_uri,
) -> func.HttpResponse:
    """The status as an answer: with `Location` and `Retry-After` while it goes on. `more` is added to the body.

    `uri_of` makes the Location, from the base, the request's id and its read token.
    """
    body = {**told.body, **(more or {})}
    if told.retry_after is None:
        return answer(body, told.http_status)
    uri = uri_of(base_url(current_settings(), req.url), told.body["id"], state.read_token)
    return answer(body, told.http_status, {"Location": uri, "Retry-After": str(told.retry_after)})


async def cancel(
    req: func.HttpRequest,
    client: df.DurableOrchestrationClient,
    found: Found,
    uri_of: Callable[[str, str, str], str] = status_uri,
) -> func.HttpResponse:
    """202 while the cancellation takes effect, 200 if the request had already ended; always with its status."""
    instance, state = found
    told = await report_of(client, instance, state)
    if told.http_status != 202:
        return answer(told.body, 200)
    log.info(entry("request.cancel_requested", request=instance.id, dataset=state.wish.dataset_id))
    at = instant(clock.now())
    # the queue keeps the wish, the event only makes it heard at once
    queue = df.EntityId("dataset_queue", state.wish.dataset_id)
    await client.signal_entity(queue, "ask_to_leave", {"request": instance.id, "at": at})
    try:
        await client.raise_event(instance.id, "Cancel")
    except Exception as problem:  # it ended a moment ago; the SDK raises nothing more precise
        log.info(entry("request.cancel_event_failed", request=instance.id, error=str(problem)[:200]))
    return shown(req, state, told, uri_of=uri_of)
