"""Work of timers on a large number of items: a few at a time, and only for a part of `functionTimeout`."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

AT_ONCE = 8
"""The number of concurrent calls of the engine. It is small because requests and runs need the engine, too."""
SECONDS = 150.0
"""Half of `functionTimeout` (host.json): a function that reaches that timeout ends the whole process."""

T = TypeVar("T")


async def work_through(
    things: AsyncIterator[T], work: Callable[[T], Awaitable[str]], seconds: float = SECONDS
) -> tuple[Counter[str], bool]:
    """Calls `work` for each thing. Returns the number of calls by result of `work`, and whether all things were done in
    time.

    Calls of `work` in progress are cancelled when the time is over, so they have to be safe to repeat. Raises the
    exceptions of `things` and `work`.
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
