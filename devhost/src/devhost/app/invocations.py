"""Finds out to which invocation of a function the running code belongs, as the platform's worker does.

The worker knows it in two ways, and this module copies both. An asyncio task carries the id of the invocation that
created it, and so do the tasks that it creates. For code outside a task, the id is in a thread-local variable, which
the worker sets on its own threads while they run a synchronous function. On other threads (`asyncio.to_thread`, a
`ThreadPoolExecutor` of the app, `threading.Thread`) there is no id, unless the app sets the variable there itself:

    context.thread_local_storage.invocation_id = context.invocation_id

Context variables have no effect: `asyncio.to_thread` copies them, but the worker does not read them.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import uuid
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class _Task(asyncio.Task[T]):
    """A task with the invocation id of the task that created it."""

    invocation_id: str | None = None


def _make_task(loop: asyncio.AbstractEventLoop, coro: Any, **more: Any) -> _Task[Any]:
    task = _Task(coro, loop=loop, **more)
    task.invocation_id = getattr(asyncio.current_task(loop), "invocation_id", None)
    return task


class Invocations:
    """The running invocations."""

    def __init__(self) -> None:
        self.local = threading.local()
        """The value of `context.thread_local_storage`."""
        self._running: set[str] = set()

    def watch(self, loop: asyncio.AbstractEventLoop) -> None:
        """Gives the tasks of a loop their invocation ids."""
        loop.set_task_factory(_make_task)

    def synchronous(self, invocation_id: str) -> _Synchronous:
        """A block of code on this thread that belongs to an invocation."""
        return _Synchronous(self, invocation_id)

    async def asynchronous(self, invocation_id: str, running: Coroutine[Any, Any, T]) -> T:
        """Awaits the coroutine of a function as an invocation. The current task must belong to a watched loop and must
        run nothing else."""
        task: Any = asyncio.current_task()
        task.invocation_id = invocation_id
        self.local.invocation_id = invocation_id  # on the loop's thread; the id stays there until the next invocation
        self.begin(invocation_id)
        try:
            return await running
        finally:
            self.end(invocation_id)

    def begin(self, invocation_id: str) -> None:
        self._running.add(invocation_id)

    def end(self, invocation_id: str) -> None:
        self._running.discard(invocation_id)

    def current(self) -> str | None:
        """The invocation of the calling code; it may have ended."""
        with contextlib.suppress(RuntimeError):  # no loop runs on this thread
            invocation_id: str | None = getattr(asyncio.current_task(), "invocation_id", None)
            if invocation_id is not None:
                return invocation_id
        return getattr(self.local, "invocation_id", None)

    def runs(self, invocation_id: str) -> bool:
        return invocation_id in self._running


class _Synchronous:
    """See Invocations.synchronous. Not written as a generator, which would be slower: every call of a synchronous
    function creates such a block."""

    __slots__ = ("_id", "_invocations")

    def __init__(self, invocations: Invocations, invocation_id: str) -> None:
        self._invocations, self._id = invocations, invocation_id

    def __enter__(self) -> None:
        self._invocations.local.invocation_id = self._id
        self._invocations.begin(self._id)

    def __exit__(self, *problem: object) -> None:
        self._invocations.end(self._id)
        self._invocations.local.invocation_id = None


def new_id() -> str:
    return str(uuid.uuid4())
