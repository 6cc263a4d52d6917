"""The app notifies a limited number of members at the same time."""

import asyncio
from typing import Any

from activities.orchestrations import EVENTS_AT_ONCE, notify_all
from refresh.history.outcome import Outcome
from refresh.messages import replace
from refresh.queue.answers import Ended, WakeUp


class SlowEngine:
    """An engine that accepts events in groups: it waits until as many events are being raised as may be raised at the
    same time, then accepts them all."""

    def __init__(self, count: int) -> None:
        self.raised: list[tuple[str, str, Ended | None]] = []
        self.most, self._left, self._under_way, self._waiting = 0, count, 0, 0
        self._turn = asyncio.Event()

    async def raise_event(self, instance_id: str, event: str, data: Ended | None) -> bool:
        self._under_way += 1
        self.most = max(self.most, self._under_way)
        self._waiting += 1
        turn = self._turn
        if self._waiting == min(EVENTS_AT_ONCE, self._left):
            self._left -= self._waiting
            self._waiting, self._turn = 0, asyncio.Event()
            turn.set()
        await turn.wait()
        self._under_way -= 1
        self.raised.append((instance_id, event, data))
        return instance_id != "request-7"  # this request has ended


def test_members_are_notified_some_at_a_time() -> None:
    count = 5 * EVENTS_AT_ONCE + 3
    engine: Any = SlowEngine(count)
    wake = [WakeUp(instance=f"request-{number}", event=f"wake-{number}", served_by="own") for number in range(count)]
    ended = Ended(run="run", outcome=Outcome(status="Completed"), shared_with=count - 1)
    taken = asyncio.run(asyncio.wait_for(notify_all(engine, wake, ended), 10))
    assert taken == count - 1
    assert {(request, event) for request, event, _ in engine.raised} == {(one.instance, one.event) for one in wake}
    assert {data for _, _, data in engine.raised} == {replace(ended, served_by="own")}
    assert engine.most == EVENTS_AT_ONCE
