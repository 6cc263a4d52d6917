"""Timer functions run on their schedules, once for all missed runs, and store the time of their last run."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import azure.functions as func
import pytest

from devhost.app import timers
from devhost.app.index import Function, index
from devhost.app.invoke import Invoker
from devhost.app.timers import Timers
from devhost.engine.times import iso, parse

NEVER = "0 0 3 1 1 *"


def function(schedule: str, seen: list[func.TimerRequest], **options: Any) -> Function:
    app = func.FunctionApp()

    @app.timer_trigger(schedule=schedule, arg_name="timer", **options)
    def tick(timer: func.TimerRequest) -> None:
        seen.append(timer)
        if len(seen) == 1 and options.get("run_on_startup"):
            raise ValueError("the first run fails")

    return index(app)[0]


def run_until(tick: Function, kept: dict[str, str], enough: Any) -> None:
    """Runs the timer until `enough()`; fails after a minute."""

    async def live() -> None:
        tasks = Timers([tick], Invoker([tick], lambda binding: "{}"), kept.get, kept.__setitem__).start()
        async with asyncio.timeout(60):
            while not enough():  # noqa: ASYNC110  (a function on a pool thread is watched)
                await asyncio.sleep(0.01)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(live())


def test_a_missed_run_happens_once_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """If runs were due while the host was down, one happens at the start, is marked as past due, and is stored. The
    function then waits for its next time."""
    waits: list[float] = []

    async def wait(seconds: float) -> None:
        waits.append(seconds)
        await asyncio.Event().wait()

    monkeypatch.setattr(timers, "asyncio", SimpleNamespace(create_task=asyncio.create_task, sleep=wait))
    seen: list[func.TimerRequest] = []
    tick = function(NEVER, seen)
    kept = {"timer.tick": iso(datetime.now(UTC) - timedelta(days=5 * 366))}
    run_until(tick, kept, lambda: waits)
    assert [t.past_due for t in seen] == [True]
    assert parse(kept["timer.tick"]) > datetime.now(UTC) - timedelta(minutes=1)


@pytest.mark.parametrize(
    ("schedule", "options", "kept"),
    [
        ("0 0 * * * *", {}, {}),
        (NEVER, {}, {"timer.tick": iso(datetime.now(UTC) - timedelta(minutes=1))}),
        ("0 0 * * * *", {"use_monitor": False}, {"timer.tick": iso(datetime.now(UTC) - timedelta(days=2))}),
    ],
)
def test_no_run_at_the_start(schedule: str, options: dict[str, Any], kept: dict[str, str]) -> None:
    """A function does not run at the start if it is new, if no run was due, or if it does not use the monitor."""
    seen: list[func.TimerRequest] = []
    tick = function(schedule, seen, **options)
    own = Timers([tick], Invoker([tick], lambda binding: "{}"), kept.get, kept.__setitem__)
    assert not own._missed(tick, own._schedules["tick"])


def test_it_runs_by_the_clock_and_after_a_failure() -> None:
    """If a function requires it, its timer runs at the start. It then runs on its schedule, although the first run
    raised."""
    seen: list[func.TimerRequest] = []
    tick = function("* * * * * *", seen, run_on_startup=True)
    run_until(tick, {}, lambda: len(seen) >= 2)
    assert [t.past_due for t in seen] == [False] * len(seen)
