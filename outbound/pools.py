"""Thread pools for blocking calls, one for each purpose, so that a stall in one pool does not affect the others.

The platform's worker has one thread pool for all sync functions (as few as five threads), and one event loop whose
default executor is as small. A call that blocks there for half a minute delays orchestrators and other models. So
activities and routes are `async`, and run each blocking call in one of these pools.

Each key of a pool (a model, the host of a callback) has a limit of its own: further calls with the same key wait
without a thread. So a key that stalls holds few threads, and only very many stalled keys can fill the pool.
"""

import asyncio
import contextlib
import itertools
import logging
import queue
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextvars import ContextVar, copy_context
from dataclasses import dataclass, field
from typing import Any, TypeVar

from outbound import deadline

T = TypeVar("T")


class PoolBusyError(Exception):
    """The call was not started: too many are waiting already, or no thread became free in time.

    `pool` is the name of the pool. Nothing was sent, and the call may be repeated later.
    """

    def __init__(self, pool: str) -> None:
        super().__init__(f"no thread of the pool {pool} is free")
        self.pool = pool


@dataclass(eq=False)
class _Call:
    key: str
    work: Callable[[], Any]
    future: "Future[Any]" = field(default_factory=Future)


class Pool:
    """A bounded pool of threads, which are created on demand. Safe to use from several event loops.

    `threads`: how many calls run at once; `for_each_key`: how many of them with one key; `waiting`: how many may wait.
    """

    def __init__(self, name: str, *, threads: int, for_each_key: int, waiting: int) -> None:
        self.name, self.threads, self.for_each_key, self.waiting = name, threads, for_each_key, waiting
        self._ready: queue.SimpleQueue[_Call] = queue.SimpleQueue()
        """The calls for the next free threads."""
        self._idle = threading.Semaphore(0)
        self._numbers = itertools.count()
        self._lock = threading.Lock()
        self._calls = 0
        """Calls that wait or run."""
        self._running: dict[str, int] = {}
        """By key, the number of calls that are ready for a thread or have one. A key is removed with its last call."""
        self._waiting: dict[str, deque[_Call]] = {}
        """By key, the calls that wait because the key has reached its limit."""

    async def run(self, function: Callable[..., T], *arguments: Any, key: str, seconds: float) -> T:
        """Runs `function` on a thread of the pool for at most `seconds`. Returns its result or raises its exception.

        Its HTTP exchanges are limited to the remaining time (see `outbound.deadline`). It sees the context variables of
        the caller, and its log lines are logged in the caller's task. Raises PoolBusyError if the function was not
        started. If the caller is cancelled, the function still runs to its end, and its thread becomes free only then.
        """
        lines = _Lines()
        _install_filters()
        with deadline.within(seconds):
            context = copy_context()
        call = _Call(key, lambda: context.run(_collected, lines, function, arguments))
        self._enqueue(call)
        result = asyncio.wrap_future(call.future)
        try:
            await asyncio.wait([result], timeout=seconds)
            if not result.done() and self._withdraw(call):
                raise PoolBusyError(self.name)
            # a call that has started is ended by its own limits
            value: T = await result
            return value
        finally:
            self._withdraw(call)
            result.cancel()
            lines.hand_over()

    def _enqueue(self, call: _Call) -> None:
        with self._lock:
            if self._calls >= self.threads + self.waiting:
                raise PoolBusyError(self.name)
            self._calls += 1
            running = self._running.get(call.key, 0)
            if running >= self.for_each_key:
                self._waiting.setdefault(call.key, deque()).append(call)
                return
            self._running[call.key] = running + 1
        self._hand_out(call)

    def _hand_out(self, call: _Call) -> None:
        self._ready.put(call)
        if self._idle.acquire(blocking=False) or (number := next(self._numbers)) >= self.threads:
            return
        # daemon threads, unlike those of concurrent.futures: a call that hangs must not keep the process alive
        threading.Thread(target=self._serve, name=f"{self.name}_{number}", daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                call = self._ready.get_nowait()
            except queue.Empty:
                self._idle.release()
                call = self._ready.get()
            self._work(call)
            del call

    def _work(self, call: _Call) -> None:
        started = call.future.set_running_or_notify_cancel()
        try:
            result = call.work() if started else None
        except BaseException as error:
            self._leave(call.key)
            call.future.set_exception(error)
        else:
            self._leave(call.key)
            if started:
                call.future.set_result(result)

    def _leave(self, key: str) -> None:
        """Counts a call as finished. The next waiting call of its key becomes ready, behind the ready calls of other
        keys."""
        with self._lock:
            self._calls -= 1
            following = self._waiting[key].popleft() if key in self._waiting else None
            if following is None:
                self._running[key] -= 1
                if not self._running[key]:
                    del self._running[key]
            elif not self._waiting[key]:
                del self._waiting[key]
        if following:
            self._hand_out(following)

    def _withdraw(self, call: _Call) -> bool:
        """Takes back a call that has not started; False if it has started."""
        if not call.future.cancel():
            return False
        with self._lock, contextlib.suppress(KeyError, ValueError):
            # a call that is not in this list is already ready for a thread, which will find it cancelled
            self._waiting[call.key].remove(call)
            self._calls -= 1
            if not self._waiting[call.key]:
                del self._waiting[call.key]
        return True


class _Lines:
    """Log lines of one call, kept until the task that waits for it can log them.

    The platform's worker assigns a line to an invocation by its own task or thread, and the host drops the lines of all
    other threads.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._records: list[logging.LogRecord] | None = []

    def keep(self, record: logging.LogRecord) -> bool:
        """True if the line is kept (once for all handlers); False if the caller no longer waits."""
        with self._lock:
            if self._records is None:
                return False
            if not self._records or self._records[-1] is not record:
                self._records.append(record)
            return True

    def hand_over(self) -> None:
        """Logs the kept lines, on the thread and in the task of the caller; afterwards no lines are kept."""
        with self._lock:
            records, self._records = self._records or [], None
        for record in records:
            for handler in logging.getLogger().handlers:
                if record.levelno >= handler.level:
                    handler.handle(record)


_LINES: ContextVar[_Lines | None] = ContextVar("lines", default=None)


def _collected(lines: _Lines, function: Callable[..., T], arguments: tuple[Any, ...]) -> T:
    _LINES.set(lines)
    return function(*arguments)


def _is_logged_now(record: logging.LogRecord) -> bool:
    """A filter for handlers: False for a line that is kept, because the caller's task logs it later."""
    lines = _LINES.get()
    return lines is None or not lines.keep(record)


def _install_filters() -> None:
    """Adds the filter to the root logger's handlers. It does so for each call, because a host adds its handler after
    this module was imported."""
    for handler in logging.getLogger().handlers:
        if _is_logged_now not in handler.filters:
            handler.addFilter(_is_logged_now)


POWER_BI = Pool("power-bi", threads=64, for_each_key=2, waiting=1000)
"""Calls of Power BI; the key is the model. Two threads for each model: one for a read of its run, and at the same time
one for a check or a cancel. So 31 stalled models leave room for all others. A thread that waits for an answer costs
about 60 KB."""
CALLBACKS = Pool("callback", threads=32, for_each_key=16, waiting=1000)
"""Callbacks; the key is the host of the receiver. Data Factory's receivers share a host and answer within a second, so
16 at once amount to thousands per minute. A stalled host leaves half of the pool to the others."""
ENGINE = Pool("engine", threads=8, for_each_key=8, waiting=200)
"""Blocking calls of the engine's own API, which runs on this machine and answers within milliseconds."""
