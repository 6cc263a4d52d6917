"""How long to wait for the engine to show the effect of a message: all such waits, with their reasons.

Within one process the effect of a signal becomes visible after milliseconds. On another host (always, if HTTP and
durable functions scale separately) it takes up to `maxQueuePollingInterval` (host.json), and longer while that host
starts. The start of a request never waits for a signal.
"""

import asyncio
import time
from collections.abc import AsyncIterator

ACTIVITY_SECONDS = 60.0
"""How long an activity waits for the permit of its run. This wait only delays the refresh; no caller is refused."""
STATUS_SECONDS = 5.0
"""How long a read is retried while the engine rewrites a large state."""
FIRST_PAUSE, LONGEST_PAUSE, GROWTH = 0.05, 2.0, 1.6
"""The first and the longest pause in seconds between two looks, and its growth. Each look reads the storage."""


async def pauses(seconds: float, longest: float = LONGEST_PAUSE, first: float = FIRST_PAUSE) -> AsyncIterator[None]:
    """Growing pauses until `seconds` have passed. The caller's loop runs once after each pause."""
    end, pause = time.monotonic() + seconds, first
    while (remaining := end - time.monotonic()) > 0:
        await sleep(min(pause, remaining))
        pause = min(pause * GROWTH, longest)
        yield


async def sleep(seconds: float) -> None:
    """Waits. The only wait in real time, so that a simulation can replace it."""
    await asyncio.sleep(seconds)
