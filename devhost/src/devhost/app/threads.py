"""The threads for the app's functions: as many as the platform's worker has."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue
from typing import Any, TypeVar

log = logging.getLogger("devhost.app")

T = TypeVar("T")
_SETTING = "PYTHON_THREADPOOL_THREAD_COUNT"


def thread_count() -> int:
    """The number of threads for synchronous functions: the app setting, else min(32, cores + 4)."""
    usual = min(32, (os.cpu_count() or 1) + 4)
    text = os.environ.get(_SETTING, "")
    if text and not (text.isdigit() and int(text) > 0):
        log.warning("%s must be a whole number above zero, not %r; using %d threads", _SETTING, text, usual)
        return usual
    return int(text or usual)


class Pool:
    """At most `limit` threads, created on demand. They are daemons, so that a function that never ends does not keep
    the host from ending."""

    def __init__(self, name: str, limit: int) -> None:
        self._name = name
        self._limit = limit
        self._threads = 0
        self._idle = 0
        self._jobs: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._lock = threading.Lock()

    def put(self, job: Callable[[], None]) -> None:
        """Runs a job when a thread is free. The job must not raise."""
        with self._lock:
            if self._idle:
                self._idle -= 1
            elif self._threads < self._limit:
                self._threads += 1
                threading.Thread(target=self._work, name=f"{self._name}-{self._threads}", daemon=True).start()
        self._jobs.put(job)

    def _work(self) -> None:
        while True:
            self._jobs.get()()
            with self._lock:
                self._idle += 1


class Executor(ThreadPoolExecutor):
    """A pool for `asyncio.to_thread` and `run_in_executor` of a loop, which accepts only a ThreadPoolExecutor."""

    def __init__(self, name: str, limit: int) -> None:
        super().__init__(limit, thread_name_prefix=name)  # creates no thread
        self._pool = Pool(name, limit)

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        future: Future[T] = Future()

        def job() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                result = fn(*args, **kwargs)
            except BaseException as problem:
                future.set_exception(problem)
            else:
                future.set_result(result)

        self._pool.put(job)
        return future
