"""The activity that posts ends in time, however slow everything is."""

import asyncio
import json
import types
from pathlib import Path
from typing import Any

import pytest

from activities import post
from activities.model import CALL_SECONDS
from durable import waits
from power_bi.wire import LIMITS
from refresh import clock
from refresh.history.look import Look
from refresh.queue.answers import Holder
from refresh.queue.operations import TakePermit
from refresh.queue.state import Member, Queue, Run
from refresh.run import orders
from refresh.scope.scope import Scope
from refresh.times import instant

ROOT = Path(__file__).parents[3]
NOW = instant(clock.now())
HOLDER = Holder(run="run", incarnation=1, token="t")


class SlowPlatform:
    """Everything takes as long as it may: the last read of the history, the permit, the POST."""

    def __init__(self, seconds_of_a_read: float = 0.0) -> None:
        self.now, self.seconds = 1000.0, list[float]()
        self._seconds_of_a_read = seconds_of_a_read
        self._run = Run(id="run", scope=0, token="t", permit=1, look=Look(service_time=NOW, read_at=NOW))
        self._run.members["request"] = Member(token="t", since=NOW, wake_event="wake")
        self._visible_at = float("inf")

    async def sleep(self, seconds: float) -> None:
        self.now += seconds

    async def read_queue(self, _dataset_id: str) -> Queue:
        self.now += self._seconds_of_a_read
        if self.now >= self._visible_at:
            self._run.execution = "execution"
        return Queue(runs=[self._run])

    async def tell_queue(self, _dataset_id: str, operation: Any) -> None:
        assert isinstance(operation, TakePermit)
        self._visible_at = self.now + waits.ACTIVITY_SECONDS - 0.1

    async def first_alive(self, _requests: Any) -> str:
        return "request"

    async def on_power_bi(self, _model: Any, _work: Any, _about: Any, seconds: float = CALL_SECONDS) -> Any:
        self.seconds.append(seconds)
        self.now += seconds
        return orders.Busy() if len(self.seconds) > 1 else post.Clock(clock.now())


def run_activity(platform: Any, monkeypatch: pytest.MonkeyPatch) -> orders.PostAnswer:
    """The result of the activity on this platform."""
    watch = types.SimpleNamespace(monotonic=lambda: platform.now)
    monkeypatch.setattr(post, "time", watch)
    monkeypatch.setattr(waits, "time", watch)
    monkeypatch.setattr(waits, "sleep", platform.sleep)
    monkeypatch.setattr(post, "on_power_bi", platform.on_power_bi)
    model = orders.ModelRef(workspace_id="w", dataset_id="d")
    job = orders.PostRefresh(
        model=model, holder=HOLDER, permit=1, scope=Scope(workspace_id="w"), look=Look(service_time=NOW, read_at=NOW)
    )
    return asyncio.run(post._result(platform, job, "execution"))


def test_the_activity_ends_long_before_the_timeout_of_functions(monkeypatch: pytest.MonkeyPatch) -> None:
    """At `functionTimeout`, the host would end the process with all other work in it. The POST still gets the time that
    an exchange may take: a POST that is cut short could lose its answer."""
    platform = SlowPlatform()
    began = platform.now
    assert run_activity(platform, monkeypatch) == orders.Busy()
    assert platform.seconds[0] == CALL_SECONDS
    assert platform.seconds[1] >= LIMITS.whole_seconds
    hours, minutes, seconds = json.loads((ROOT / "host.json").read_text("utf-8"))["functionTimeout"].split(":")
    assert platform.now - began <= (int(hours) * 60 + int(minutes)) * 60 + int(seconds) - 60


def test_nothing_is_posted_if_too_little_time_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """The run tries again, because nothing was sent. A POST that is cut short would need a search for its refresh."""
    platform = SlowPlatform(seconds_of_a_read=25.0)
    assert isinstance(run_activity(platform, monkeypatch), orders.Unavailable)
    assert platform.seconds == [CALL_SECONDS], "only the read of the history"
