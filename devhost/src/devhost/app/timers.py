"""Timer-triggered functions: each runs on its schedule, and its last run is stored."""

from __future__ import annotations

import asyncio
import logging
import os
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from azure.functions.timer import TimerRequest

from devhost.app.index import Function, IndexingError
from devhost.app.invoke import Invoker
from devhost.app.ncrontab import BadSchedule, Schedule
from devhost.engine.times import iso, parse

log = logging.getLogger("devhost.app")

_MONITORED_FROM = timedelta(minutes=1)
"""The shortest interval between runs for which the platform catches up on missed runs."""
_LONGEST_SLEEP = 3600.0
"""The maximum number of seconds of one sleep, because the clock can be changed and the machine can be suspended
meanwhile."""


class Timers:
    """The timer functions of an app. `recall` and `remember` load and store the last run of each."""

    def __init__(
        self,
        functions: Sequence[Function],
        invoker: Invoker,
        recall: Callable[[str], str | None],
        remember: Callable[[str, str], None],
    ) -> None:
        self._invoker = invoker
        self._remember = remember
        self._functions = {f.name.lower(): f for f in functions if f.kind == "timer"}
        self._schedules = {f.name: _schedule(f) for f in self._functions.values()}
        self._last = {f.name: recall(_key(f)) for f in self._functions.values()}

    def named(self, name: str) -> Function | None:
        return self._functions.get(name.lower())

    def start(self) -> list[asyncio.Task[None]]:
        """Starts a task for each timer function on the running loop."""
        return [asyncio.create_task(self._live(f)) for f in self._functions.values()]

    async def run(self, function: Function, *, past_due: bool = False) -> None:
        """Runs a timer function now. Its exception is logged, as on Azure."""
        schedule = self._schedules[function.name]
        now = datetime.now(UTC)
        last = self._last[function.name]
        status = {
            "Last": last or "0001-01-01T00:00:00+00:00",
            "Next": iso(schedule.after(now)),
            "LastUpdated": last or "0001-01-01T00:00:00+00:00",
        }
        request = TimerRequest(past_due=past_due, schedule_status=status, schedule={"AdjustForDST": True})
        self._last[function.name] = iso(now)
        self._remember(_key(function), iso(now))
        try:
            await self._invoker.call(function, request)
        except Exception:
            log.exception("timer function %s failed", function.name)

    async def _live(self, function: Function) -> None:
        schedule = self._schedules[function.name]
        if self._missed(function, schedule):
            await self.run(function, past_due=True)
        elif function.trigger.get("runOnStartup"):
            await self.run(function)
        while True:
            due = schedule.after(datetime.now(UTC))
            while (wait := (due - datetime.now(UTC)).total_seconds()) > 0:  # noqa: ASYNC110  (it waits for the clock)
                await asyncio.sleep(min(wait, _LONGEST_SLEEP))
            await self.run(function)

    def _missed(self, function: Function, schedule: Schedule) -> bool:
        """Whether a run was due while the host was not running."""
        last = self._last[function.name]
        if last is None or function.trigger.get("useMonitor") is False:
            return False
        due = schedule.after(parse(last))
        return schedule.after(due) - due >= _MONITORED_FROM and due < datetime.now(UTC)


def _schedule(function: Function) -> Schedule:
    text: Any = function.trigger.get("schedule", "")
    try:
        return Schedule.read(re.sub("%([^%]+)%", lambda m: os.environ[m[1]], text))
    except KeyError as problem:
        raise IndexingError(
            f"timer function {function.name}: its schedule uses the app setting {problem.args[0]}, which is not set"
        ) from None
    except BadSchedule as problem:
        raise IndexingError(f"timer function {function.name}: {problem}") from problem


def _key(function: Function) -> str:
    return f"timer.{function.name}"
