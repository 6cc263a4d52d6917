"""An event loop on a thread of its own, for servers that run during a block of code."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

STEP_SECONDS = 30.0

Call = Callable[[Coroutine[Any, Any, Any]], Any]


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
