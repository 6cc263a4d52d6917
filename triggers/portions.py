"""Work of timers over very many things: a few at once, and no longer than a part of `functionTimeout`."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

AT_ONCE = 8
"""Calls of the engine at the same time: others need it, too."""
SECONDS = 150.0
"""Half of `functionTimeout` (host.json), whose end would end the whole process."""

T = TypeVar("T")


async def work_through(
    things: AsyncIterator[T], work: Callable[[T], Awaitable[str]], seconds: float = SECONDS
) -> tuple[Counter[str], bool]:
    """How often `work` returned what, and whether it came through all things in time.

    What is under way when the time is over is cancelled: it has to be safe to do it again. Raises what `things` and
    `work` raise.
    """
    counts: Counter[str] = Counter()
    turn = asyncio.Lock()

    async def worker() -> None:
        while True:
            async with turn:
                try:
                    thing = await anext(things)
                except StopAsyncIteration:
                    return
            counts[await work(thing)] += 1

    workers: list[asyncio.Task[None]] = []
    try:
        async with asyncio.timeout(seconds) as limit:
            workers = [asyncio.ensure_future(worker()) for _ in range(AT_ONCE)]
            await asyncio.gather(*workers)
    except TimeoutError:
        if not limit.expired():
            raise
        return counts, False
    finally:
        for task in workers:
            task.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
    return counts, True
