"""Runs the engine in real time: one thread owns it; other threads send jobs and get the results after the commit.

All waiting jobs share one transaction (a group commit). Results and new work are released only after the commit, so a
crash cannot revoke what another thread has seen.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future
from datetime import UTC, datetime
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from devhost.engine import Call, Engine, Hub, Item, Outcome
from devhost.logs import host_thread

log = logging.getLogger("devhost")

T = TypeVar("T")
Job = Callable[[datetime], Callable[[], None] | None]
"""Runs on the thread of the engine with the current time. Returns what to do after the commit, if anything."""


class Runner:
    """Drives an engine. `run` is called for every work item and must return at once."""

    def __init__(self, engine: Engine, run: Callable[[Call, Callable[[Outcome], None]], None]) -> None:
        self._engine = engine
        self._hub = Hub(engine)
        self._run = run
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._stopping = False
        self._thread = threading.Thread(target=self._loop, name="engine", daemon=True)
        self.failed: Callable[[BaseException], None] = lambda problem: None

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Stops after the current transaction. Work in flight is handed out again at the next start."""
        self._jobs.put(None)
        if self._thread.is_alive():
            self._thread.join(10)

    def submit(self, operation: Callable[[Hub, datetime], T]) -> Future[T]:
        """Runs a management operation on the thread of the engine; the result is set after the commit."""
        future: Future[T] = Future()

        def job(now: datetime) -> Callable[[], None]:
            try:
                result = operation(self._hub, now)
            except Exception as problem:
                refusal = problem
                return lambda: _settle(future, lambda: future.set_exception(refusal))
            return lambda: _settle(future, lambda: future.set_result(result))

        self._jobs.put(job)
        return future

    def _loop(self) -> None:
        host_thread()
        try:
            self._hand_out()
            while not self._stopping:
                self._turn(self._wait())
        except BaseException as problem:
            log.exception("the engine stopped")
            self.failed(problem)

    def _wait(self) -> list[Job]:
        """All queued jobs. Blocks until there is a job or a message is due."""
        due = self._engine.next_due()
        timeout = None if due is None else max(0.0, (due - datetime.now(UTC)).total_seconds())
        jobs: list[Job] = []
        with contextlib.suppress(Empty):
            first = self._jobs.get(timeout=None if timeout is None else min(timeout, threading.TIMEOUT_MAX))
            while True:
                if first is None:
                    self._stopping = True
                    break
                jobs.append(first)
                first = self._jobs.get_nowait()
        return jobs

    def _turn(self, jobs: list[Job]) -> None:
        now = datetime.now(UTC)
        answers = [job(now) for job in jobs]
        self._engine.commit()
        for answer in answers:
            if answer is not None:
                answer()
        if not self._stopping:
            self._hand_out()

    def _hand_out(self) -> None:
        while True:
            now = datetime.now(UTC)
            items = self._engine.ready(now)
            for item in items:
                call = self._engine.begin(item, now)
                if call is not None:
                    self._run(call, self._completion(item))
            # Some items end without a call of the app, such as a termination. The work that follows is ready after a
            # commit.
            self._engine.commit()
            if not self._engine.ready(now):
                return

    def _completion(self, item: Item) -> Callable[[Outcome], None]:
        def done(outcome: Outcome) -> None:
            def job(now: datetime) -> None:
                self._engine.complete(item, outcome, now)

            self._jobs.put(job)

        return done


def _settle(future: Future[Any], answer: Callable[[], None]) -> None:
    if not future.cancelled():
        answer()
