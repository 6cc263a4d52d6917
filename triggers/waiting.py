"""Waiting for the end of a request inside its start, for callers that would rather wait a little than poll."""

import asyncio
import time

import azure.durable_functions as df

from refresh.reporting.status import Report
from refresh.reporting.stored import verdict
from triggers.instances import find_request

FIRST_PAUSE, LONGEST_PAUSE, GROWTH = 0.2, 5.0, 1.5
"""Seconds between two looks: each is a read of the engine's store, and 200 s take about forty."""


async def verdict_within(client: df.DurableOrchestrationClient, request_id: str, seconds: float) -> Report | None:
    """What is told of a request that ends within `seconds`; None if it goes on, or if nobody can say."""
    end, pause = time.monotonic() + seconds, FIRST_PAUSE
    while (left := end - time.monotonic()) > 0:
        await asyncio.sleep(min(pause, left))
        pause = min(pause * GROWTH, LONGEST_PAUSE)
        try:
            found = await find_request(client, request_id)
        except Exception:
            # the request was accepted and goes on: the caller gets its URIs and asks later. The SDK raises nothing
            # more precise
            return None
        told = verdict(found) if found else None
        if told:
            return told
    return None
