"""For servers: an event loop on a thread of its own during a block of code, and the wait for Ctrl-C or SIGTERM."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

STEP_SECONDS = 30.0

Call = Callable[[Coroutine[Any, Any, Any]], Any]


def until_signalled() -> Callable[[], None]:
    """From now on, Ctrl-C and SIGTERM end a wait instead of the process. Returns the function that waits for them."""
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())

    def wait() -> None:
        # each wait is short: if a signal arrives just before a blocking call, Python handles it only after the call
        while not ended.wait(1):
            pass

    return wait


@contextmanager
def running(name: str) -> Iterator[Call]:
    """Provides a function that runs a coroutine on the loop and returns its result, within 30 s."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name=name, daemon=True)
    thread.start()
    try:
        yield lambda work: asyncio.run_coroutine_threadsafe(work, loop).result(STEP_SECONDS)
    finally:
        asyncio.run_coroutine_threadsafe(_cancel_all(), loop).result(STEP_SECONDS)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(STEP_SECONDS)
        loop.close()


async def _cancel_all() -> None:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
