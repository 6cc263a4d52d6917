"""An event loop in virtual time. The world chooses the next step, so coroutines can interleave at every await.

The app's own asyncio code runs on it unchanged: tasks, futures, sleeps.
"""

import asyncio
import contextvars
from asyncio import events
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

T = TypeVar("T")
Schedule = Callable[[float, Callable[[], object]], None]
"""Schedules a call this many seconds from now."""


class Loop:
    """The parts of a loop that tasks, futures and sleeps need. `ready` are handles that can run now."""

    def __init__(self, clock: Callable[[], float], schedule: Schedule) -> None:
        self._clock, self._schedule = clock, schedule
        self.ready: list[asyncio.Handle] = []
        self.problems: list[str] = []
        """The exceptions that no code retrieved."""
        self._itself: Any = self
        """The loop itself, typed as asyncio's classes require it."""

    def run(self, handle: asyncio.Handle) -> None:
        """Runs a ready handle."""
        if not handle.cancelled():
            handle._run()

    def time(self) -> float:
        """The virtual time in seconds."""
        return self._clock()

    def call_soon(
        self, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.Handle:
        """Makes a callback ready."""
        handle = asyncio.Handle(callback, args, self._itself, context)
        self.ready.append(handle)
        return handle

    def call_later(
        self, delay: float, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.TimerHandle:
        """Makes a callback ready after some seconds."""
        handle = asyncio.TimerHandle(self.time() + delay, callback, args, self._itself, context)
        self._schedule(delay, lambda: self.run(handle))
        return handle

    def call_at(
        self, when: float, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.TimerHandle:
        """Makes a callback ready at a time of this loop."""
        return self.call_later(max(0.0, when - self.time()), callback, *args, context=context)

    def create_future(self) -> "asyncio.Future[Any]":
        """A future of this loop."""
        return asyncio.Future(loop=self._itself)

    def create_task(
        self, coro: Coroutine[Any, Any, T], *, name: object = None, context: contextvars.Context | None = None
    ) -> "asyncio.Task[T]":
        """A task whose first step is ready."""
        return asyncio.Task(coro, loop=self._itself, context=context)

    def get_debug(self) -> bool:
        """False: the loop has no debug mode."""
        return False

    def is_running(self) -> bool:
        """True: the loop is only used during the simulation."""
        return True

    def is_closed(self) -> bool:
        """False: the loop is never closed."""
        return False

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Stores the exception for the invariants."""
        self.problems.append(f"{context['message']}: {context.get('exception')!r}")

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """Does nothing, because a cancelled timer has no effect when it is due."""


@contextmanager
def running(loop: Loop) -> Iterator[None]:
    """Makes the loop the running one for the app."""
    before = events._get_running_loop()
    events._set_running_loop(loop._itself)
    try:
        yield
    finally:
        events._set_running_loop(before)
