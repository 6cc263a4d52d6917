"""Requests that have a name of their caller's: asking again under the same key is the same request, not another one.

The key makes the request's id, so everybody who asks again finds it. The engine would accept two starts of one id and
let either input win, so whoever starts one first reserves it in the queue: the queue keeps the first input, and all who
come at the same moment start the request with that one.
"""

import asyncio
import hashlib
from itertools import count
from uuid import UUID

import azure.durable_functions as df

from entities.dataset_queue import read_queue
from refresh.reporting.status import Report
from refresh.reporting.stored import Found
from refresh.request.state import RequestState
from triggers.instances import find_request

RESERVE_PAUSES = (0.02, 0.05, 0.1, 0.2, 0.4, 0.8)
"""Seconds to wait for the queue to have heard; a caller is answered within two."""


def request_id(dataset_id: str, key: str, attempt: int) -> str:
    """The id of an attempt (from 1) under a key. It begins as all ids of the dataset do."""
    return f"{UUID(dataset_id).hex}-k{hashlib.sha256(key.encode()).hexdigest()[:32]}-{attempt}"


async def last_attempt(client: df.DurableOrchestrationClient, dataset_id: str, key: str) -> tuple[int, Found | None]:
    """The newest attempt under a key, and its number; 0 and None if there is none (any more)."""
    last: Found | None = None
    for attempt in count(1):
        found = await find_request(client, request_id(dataset_id, key, attempt))
        if found is None:
            return attempt - 1, last
        last = found
    raise AssertionError("unreachable")


def may_start_again(told: Report) -> bool:
    """Whether a key is free for another attempt: an activity that is run again keeps its key, and means it."""
    if told.body["status"] in ("TimedOut", "Terminated"):
        return True
    return told.body["status"] != "Completed" and bool((told.body.get("error") or {}).get("retryable"))


async def reserve(client: df.DurableOrchestrationClient, name: str, state: RequestState) -> RequestState | None:
    """The input with which the request `name` is started, by whomever: the first one's. None if nobody says so."""
    queue = df.EntityId("dataset_queue", state.wish.dataset_id)
    arguments = {"request": name, "state": state.to_json(), "at": state.requested_at}
    await client.signal_entity(queue, "reserve", arguments)
    for pause in RESERVE_PAUSES:
        await asyncio.sleep(pause)
        kept = (await read_queue(client, state.wish.dataset_id)).reserved.get(name)
        if kept is not None:
            return RequestState.from_json(kept.state)
        # its first act after the start was to enrol, and the queue needs the reservation no more
        found = await find_request(client, name)
        if found is not None:
            return found[1]
    return None
