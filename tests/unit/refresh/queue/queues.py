"""A queue as the tests speak to it: short calls, its own clock, and what must hold after every operation."""

import copy
import json
from datetime import UTC, datetime, timedelta
from typing import Any

from refresh.history.rows import instant
from refresh.queue.machine import apply
from refresh.queue.state import Queue

Json = dict[str, Any]

NOON = datetime(2026, 3, 31, 12, tzinfo=UTC)
WHOLE = {"workspace_id": "w", "refresh": None, "notify_option": "NoNotification"}
SALES = {"workspace_id": "w", "refresh": {"type": "Full", "objects": [{"table": "Sales"}]}, "notify_option": "N"}
BEFORE = {"known": [], "service_time": instant(NOON), "read_at": instant(NOON)}
COMPLETED = {"status": "Completed", "refreshId": "r", "error": None, "startedAt": None, "endedAt": None}


class Desk:
    """One queue. Each call applies an operation, checks that the state is plain JSON, and returns the answer."""

    def __init__(self, now: datetime = NOON) -> None:
        self.now = now
        self.state: Json | None = None

    @property
    def queue(self) -> Queue:
        """The queue as it is now."""
        return Queue.from_json(self.state)

    def later(self, **span: float) -> "Desk":
        """The same queue, some time later."""
        self.now += timedelta(**span)
        return self

    def do(self, operation: str, **arguments: Any) -> Json:
        """The answer of any operation."""
        arguments = {"at": instant(self.now), **arguments}
        given = copy.deepcopy((self.state, arguments))
        state, answer = apply(self.state, operation, arguments)
        assert (self.state, arguments) == given, "an operation changed what it was given"
        assert json.loads(json.dumps([state, answer])) == [state, answer], "not plain JSON"
        assert state is None or Queue.from_json(state).to_json() == state
        self.state = state
        return answer

    def enroll(self, request: str, *, scope: Json = WHOLE, share: bool = True, **more: Any) -> Json:
        """A request enrolls, or asks how it stands."""
        return self.do("enroll", request=request, scope=scope, share=share, **{"token": "t", "wake": "wake-1", **more})

    def leave(self, request: str, *, cancel: bool = False, **more: Any) -> Json:
        """A request leaves."""
        return self.do("leave", request=request, cancel=cancel, **{"token": "t", "reason": "TimedOut", **more})

    def run(self, operation: str, run: str, *, generation: int = 1, **more: Any) -> Json:
        """A life of a run speaks."""
        return self.do(operation, run=run, generation=generation, **{"token": "life", **more})

    def close(self, run: str, permit: int = 1, **more: Any) -> Json:
        """A run asks for a permission to POST."""
        return self.run("close", run, permit=permit, before=BEFORE, **more)

    def record(self, run: str, permit: int = 1, *, adopted: bool = False, **more: Any) -> Json:
        """A run tells which refresh it follows."""
        posted_at = instant(self.now)
        return self.run("record", run, permit=permit, refresh_id="r", adopted=adopted, posted_at=posted_at, **more)

    def finish(self, run: str, *, late_after: str | None = None, **more: Any) -> Json:
        """A run tells its verdict."""
        return self.run("finish", run, outcome=COMPLETED, late_after=late_after, **more)

    def posted(self, *requests: str) -> str:
        """The id of a run of these requests that has posted."""
        runs = {self.enroll(request)["run"] for request in requests}
        (run,) = runs
        assert self.run("claim", run)["go"]
        assert self.close(run)["go"]
        assert self.record(run)["go"]
        return str(run)
