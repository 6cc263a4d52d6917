"""A queue for tests, with a short method for each operation, a clock of its own, and invariants after every
operation."""

import hashlib
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import msgspec

from refresh.failure.catalogue import Failure
from refresh.history.look import ExternalRefresh, Look
from refresh.history.outcome import Outcome
from refresh.messages import tag_of, typed
from refresh.queue.answers import (
    AnyAnswer,
    Claimed,
    Closed,
    Ended,
    EnrollAnswer,
    Enrolled,
    Finished,
    HoldAnswer,
    Holder,
    LeaveAnswer,
    LeaveReason,
    Left,
    Recorded,
    ReopenAnswer,
    Turn,
)
from refresh.queue.machine import apply
from refresh.queue.operations import (
    AskToLeave,
    Claim,
    Close,
    Collect,
    Drop,
    Enroll,
    Finish,
    Leave,
    Operation,
    Record,
    Reopen,
    Restart,
    ReturnPermit,
    Sweep,
    TakePermit,
    Tidy,
    WaitBehind,
)
from refresh.queue.state import Queue, Run
from refresh.queue.stored import dump, handle, load
from refresh.scope.scope import RefreshOptions, Scope, TableRef
from refresh.times import instant

A = TypeVar("A")

NOON = datetime(2026, 3, 31, 12, tzinfo=UTC)
WORKSPACE = "22222222-2222-4222-8222-222222222222"
LOOK = Look(service_time=instant(NOON), read_at=instant(NOON))
COMPLETED = Outcome(status="Completed", refresh_id="r")


def enhanced(*objects: str | TableRef, workspace: str = WORKSPACE, **options: Any) -> Scope:
    """The scope of an enhanced refresh of the whole model, or of tables and partitions."""
    refs = tuple(TableRef(entry) if isinstance(entry, str) else entry for entry in objects)
    return Scope(workspace_id=workspace, refresh=RefreshOptions(objects=refs, **options))


WHOLE = Scope(workspace_id=WORKSPACE)
"""A standard refresh."""
MODEL = enhanced()
SALES, DATES = enhanced("Sales"), enhanced("DimDate")
BOTH = enhanced("DimDate", "Sales")


def failed(*objects: TableRef, refresh_id: str | None = "r", code: str = "RefreshFailed", **error: Any) -> Outcome:
    """A refresh in which these objects failed."""
    failure = Failure(code=code, message="", **error)
    return Outcome(status="Failed", refresh_id=refresh_id, error=failure, failed_objects=objects)


class CheckedQueue:
    """A queue. Each call applies an operation as the entity does, and checks that nothing else has changed."""

    def __init__(self, now: datetime = NOON) -> None:
        self.now = now
        self.clock: datetime | None = None
        """The clock of the queue's host; None if it is that of the senders."""
        self.stored: Any = None

    @property
    def at(self) -> str:
        """The time in the format of senders."""
        return instant(self.now)

    @property
    def state(self) -> Queue:
        """The current queue."""
        return load(self.stored)

    @property
    def runs(self) -> list[Run]:
        """The runs of the queue, the active one first."""
        return self.state.runs

    @property
    def members(self) -> list[list[str]]:
        """The requests of each run."""
        return [[*run.members] for run in self.runs]

    @property
    def scopes(self) -> list[Scope]:
        """The scope of each run."""
        queue = self.state
        return [queue.scope_of(run) for run in queue.runs]

    def later(self, **span: float) -> "CheckedQueue":
        """This queue, with a later time."""
        self.now += timedelta(**span)
        return self

    def do(self, operation: Operation[A]) -> A:
        """The answer to any operation."""
        before, stored = self.state, json.dumps(self.stored)
        kept = msgspec.json.encode(before)
        now = self.clock or self.now
        after, expected = apply(before, operation, now)  # type: ignore[arg-type]
        assert msgspec.json.encode(before) == kept, "an operation changed the queue of its argument"
        handled = handle(self.stored, tag_of(operation), msgspec.to_builtins(operation), now)
        assert json.dumps(self.stored) == stored, "an operation changed the state of its argument"
        assert handled.problem is None
        assert handled.state == (None if after is None else dump(after))
        self.stored = json.loads(json.dumps(handled.state))
        assert self.state == (after or Queue()), "the stored queue differs from the queue"
        answer = typed(json.loads(json.dumps(handled.answer)), AnyAnswer)
        assert answer == expected
        return answer  # type: ignore[no-any-return]

    # ---- requests ----

    def enroll(self, request: str, *, scope: Scope = WHOLE, share: bool = True, **more: Any) -> EnrollAnswer:
        """A request enrols, or asks for its state."""
        fields = {"at": self.at, "token": "t", "wake_event": "wake-1", **more}
        return self.do(Enroll(request=request, scope=scope, share=share, **fields))

    def enroll_ok(self, request: str, **more: Any) -> Enrolled:
        """A request enrols, or asks for its state. The answer must be that it is enrolled."""
        answer = self.enroll(request, **more)
        assert isinstance(answer, Enrolled)
        return answer

    def outcome_of(self, request: str, **more: Any) -> Ended:
        """A request asks for its state. The answer must be its outcome."""
        answer = self.enroll(request, **more)
        assert isinstance(answer, Ended)
        return answer

    def collect(self, request: str, **more: Any) -> None:
        """A request reports that it has its outcome."""
        self.do(Collect(**{"at": self.at, "request": request, "token": "t", **more}))

    def leave(
        self, request: str, *, cancel: bool = False, reason: LeaveReason = "TimedOut", **more: Any
    ) -> LeaveAnswer:
        """A request leaves."""
        fields = {"at": self.at, "token": "t", **more}
        return self.do(Leave(request=request, cancel=cancel, reason=reason, **fields))

    def leave_ok(self, request: str, **more: Any) -> Left:
        """A request leaves. The answer must be that it has left."""
        answer = self.leave(request, **more)
        assert isinstance(answer, Left)
        return answer

    def ask_to_leave(self, request: str) -> None:
        """A caller cancels a request."""
        self.do(AskToLeave(at=self.at, request=request))

    def tidy(self) -> None:
        """The hourly timer."""
        self.do(Tidy(at=self.at))

    def sweep(self, *requests: str, dead: Turn | None = None) -> None:
        """The timer removes requests that have ended."""
        self.do(Sweep(at=self.at, requests=requests, dead=dead))

    # ---- runs ----

    def holder(self, run: str, **more: Any) -> Holder:
        """An orchestration of a run."""
        return Holder(**{"run": run, "incarnation": 1, "token": "token", **more})

    def restart(self, run: str, incarnation: int = 1) -> Turn | None:
        """A request found an incarnation of a run dead. Returns the incarnation to start."""
        return self.do(Restart(at=self.at, turn=Turn(run=run, incarnation=incarnation))).next

    def claim(self, run: str, **holder: Any) -> bool:
        """An orchestration claims its run. Returns whether it gets the run."""
        return isinstance(self.do(Claim(at=self.at, holder=self.holder(run, **holder))), Claimed)

    def claim_ok(self, run: str, **holder: Any) -> Claimed:
        """An orchestration claims its run. The answer must be that it gets the run."""
        answer = self.do(Claim(at=self.at, holder=self.holder(run, **holder)))
        assert isinstance(answer, Claimed)
        return answer

    def close(self, run: str, permit: int = 1, look: Look = LOOK, **holder: Any) -> bool:
        """Whether a run gets the permit to POST."""
        answer = self.do(Close(at=self.at, holder=self.holder(run, **holder), permit=permit, look=look))
        return isinstance(answer, Closed)

    def take(self, run: str, execution: str, permit: int = 1, **holder: Any) -> str | None:
        """An execution asks for the permit. Returns the holder afterwards."""
        holding = self.holder(run, **holder)
        self.do(TakePermit(at=self.at, holder=holding, permit=permit, execution=execution))
        return self.runs[0].execution

    def return_permit(self, run: str, execution: str, permit: int = 1, **holder: Any) -> str | None:
        """An execution returns the permit. Returns the holder afterwards."""
        holding = self.holder(run, **holder)
        self.do(ReturnPermit(at=self.at, holder=holding, permit=permit, execution=execution))
        return self.runs[0].execution

    def record(self, run: str, permit: int = 1, *, adopted: bool = False, **holder: Any) -> Recorded:
        """A run reports the refresh that it follows."""
        answer = self.do(
            Record(
                at=self.at,
                holder=self.holder(run, **holder),
                permit=permit,
                refresh_id="r",
                posted_at=self.at,
                adopted=adopted,
            )
        )
        assert isinstance(answer, Recorded)
        return answer

    def reopen(self, run: str, permit: int = 1, *, execution: str | None = None, **holder: Any) -> ReopenAnswer:
        """The queue withdraws the permit of a run."""
        holding = self.holder(run, **holder)
        return self.do(Reopen(at=self.at, holder=holding, permit=permit, execution=execution))

    def drop(
        self, run: str, *requests: str, permit: int = 1, execution: str | None = None, **holder: Any
    ) -> ReopenAnswer:
        """A run found no active member."""
        holding = self.holder(run, **holder)
        return self.do(Drop(at=self.at, holder=holding, permit=permit, requests=requests, execution=execution))

    def wait_behind(self, run: str, refresh: ExternalRefresh, **holder: Any) -> HoldAnswer:
        """A run waits for an external refresh."""
        return self.do(WaitBehind(at=self.at, holder=self.holder(run, **holder), refresh=refresh))

    def finish(
        self, run: str, outcome: Outcome = COMPLETED, *, late_after: str | None = None, **holder: Any
    ) -> Finished:
        """A run ends."""
        holding = self.holder(run, **holder)
        answer = self.do(Finish(at=self.at, holder=holding, outcome=outcome, late_after=late_after))
        assert isinstance(answer, Finished)
        return answer

    def post(self, run: str) -> str:
        """Takes a run from its claim to its refresh."""
        assert self.claim(run)
        assert self.close(run)
        self.record(run)
        return run

    def enroll_and_post(self, *requests: str) -> str:
        """These requests enroll, and their run posts. Returns the id of the run."""
        (run,) = {self.enroll_ok(request).run for request in requests}
        return self.post(run)


class Crowd:
    """Many requests with idempotency keys in one queue.

    A crowd has none of the checks of a CheckedQueue, which would take too long. The ids have 79 characters, 43 of which
    are unique, and the tokens 32. Each operation comes a moment later than the last one.
    """

    def __init__(self, size: int, scope: Callable[[int], Scope] = lambda _: WHOLE) -> None:
        self.queue = Queue()
        self.now = NOON
        self.size, self.scope = size, scope
        self.names = [self.name(number) for number in range(size)]
        for number in range(size):
            self.do(self.enrolment(number))

    @staticmethod
    def name(number: int) -> str:
        """The id of a request."""
        return f"0123456789abcdef0123456789abcdef-k{_digest(f'key {number}')[:41]}-{number % 900 + 100}"

    @staticmethod
    def token(number: int) -> str:
        """The token of a request."""
        return _digest(f"token {number}")[:32]

    @property
    def at(self) -> str:
        """The time in the format of senders."""
        return instant(self.now)

    @property
    def holder(self) -> Holder:
        """The orchestration that holds, or will hold, the first run."""
        return Holder(run=f"{self.names[0]}-r1", incarnation=1, token="token")

    def do(self, operation: Operation[A]) -> A:
        """The answer to any operation."""
        after, answer = apply(self.queue, operation, self.now)  # type: ignore[arg-type]
        self.queue = after or Queue()
        self.now += timedelta(milliseconds=37)
        return answer  # type: ignore[return-value]

    def enrolment(self, number: int) -> Enroll:
        """A request enrols, or asks for its state."""
        name, token = self.name(number), self.token(number)
        return Enroll(at=self.at, request=name, token=token, scope=self.scope(number), wake_event="wake-12")

    def leaving(self, number: int) -> Leave:
        """A request leaves."""
        return Leave(at=self.at, request=self.name(number), token=self.token(number), reason="TimedOut")

    def post(self) -> None:
        """Takes the first run from its claim to its refresh."""
        self.do(Claim(at=self.at, holder=self.holder))
        self.do(Close(at=self.at, holder=self.holder, permit=1, look=LOOK))
        self.do(Record(at=self.at, holder=self.holder, permit=1, refresh_id="r", posted_at=self.at))

    def finish(self, outcome: Outcome) -> None:
        """The first run ends."""
        self.do(Finish(at=self.at, holder=self.holder, outcome=outcome))

    def ask_again(self) -> None:
        """Each request asks for its state."""
        for number in range(self.size):
            self.do(self.enrolment(number))

    def leave(self) -> None:
        """Each request leaves."""
        for number in range(self.size):
            self.do(self.leaving(number))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
