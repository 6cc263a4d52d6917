"""How long to wait for the engine to show the effect of a message: all waits at one place, with their reasons.

A signal shows after milliseconds where the same process reads it. Where another instance does, which is always so where
HTTP and durable functions scale apart, it shows after up to `maxQueuePollingInterval` (host.json), and later while that
instance starts. No start of a request waits for that.
"""

import asyncio
import time
from collections.abc import AsyncIterator

ACTIVITY_SECONDS = 60.0
"""An activity waits for the permit of its run: its refresh is late by that, and nobody is turned away."""
STATUS_SECONDS = 5.0
"""A read that the engine refuses because a large state is just being rewritten is tried again for so long."""
FIRST_PAUSE, LONGEST_PAUSE, GROWTH = 0.05, 2.0, 1.6
"""Seconds between two looks: each is a read of the storage."""


async def pauses(seconds: float, longest: float = LONGEST_PAUSE, first: float = FIRST_PAUSE) -> AsyncIterator[None]:
    """Growing pauses, each followed by a turn of the loop, until `seconds` are over."""
    end, pause = time.monotonic() + seconds, first
    while (left := end - time.monotonic()) > 0:
        await sleep(min(pause, left))
        pause = min(pause * GROWTH, longest)
        yield


async def sleep(seconds: float) -> None:
    """Lets time pass: the one place that a simulation replaces."""
    await asyncio.sleep(seconds)
