"""An incarnation of a run in tests: each call checks the run's order or operation, and answers it."""

from datetime import UTC, datetime, timedelta
from typing import Any

from durable.codec import decode, encode
from refresh.events import Event
from refresh.failure.catalogue import ModelNames, failure
from refresh.history.look import ExternalRefresh, Look
from refresh.history.outcome import Outcome, judge
from refresh.history.progress import Progress
from refresh.history.rows import RefreshRow
from refresh.polling.limits import Limits
from refresh.queue.answers import Claimed, Closed, Done, Recorded, Superseded, Turn, WakeUp
from refresh.queue.operations import Claim, Close, Finish, Operation, Record, Reopen, WaitBehind
from refresh.run.machine import continued, next_step
from refresh.run.orders import (
    Accepted,
    ActivityFailure,
    Appeared,
    HistoryRead,
    Order,
    PostAnswer,
    PostRefresh,
    PostResult,
    ReadHistory,
    ReadRefresh,
    RefreshAbsent,
    RefreshRead,
    Refused,
    Unavailable,
)
from refresh.run.state import Claiming, Phase, ReportingBlocker, RunState
from refresh.run.status import RunStatus, status_of
from refresh.run.step import Ask, Do, End, Moved, Step, Wait
from refresh.scope.scope import RefreshOptions, Scope
from refresh.times import instant

NOON = datetime(2026, 3, 31, 12, tzinfo=UTC)
MODEL = "00000000-1111-2222-3333-444444444444"
STANDARD = Scope(workspace_id="w")
ENHANCED = Scope(workspace_id="w", refresh=RefreshOptions())
LIMITS = Limits(poll_min=5, poll_max=60, grace=120, outage=900)
LOOK = Look(service_time=instant(NOON), read_at=instant(NOON), known=("old",))
BLOCKER = ExternalRefresh(refresh_id="theirs", refresh_type="Scheduled", started_at=instant(NOON))
NEXT = Turn(run="other-r1", incarnation=1)
WAKE = (WakeUp(instance="a", event="wake-1"),)
EXECUTION = "mine"
"""The execution of the posting activity whose answer the run gets."""
REFUSED = Refused(failure=failure("NotAuthorized", MODEL))
UNNAMED = ModelNames()
NEVER = 1_000
"""A number of steps that no run of these tests reaches."""


class Incarnation:
    """One incarnation of a run, its clock, and the events that it logged."""

    def __init__(self, now: datetime = NOON, number: int = 1) -> None:
        self.now = now
        self.run = RunState(run="a-r1", dataset_id=MODEL, incarnation=number, token="secret", limits=LIMITS)
        self.events: list[Event] = []

    @property
    def step(self) -> Step:
        """The current step of the run.

        The run is first stored as JSON and loaded, as between two histories. This changes nothing.
        """
        assert decode(encode(self.run), RunState) == self.run
        return next_step(self.run, instant(self.now))

    @property
    def order(self) -> Any:
        """The order or operation of the step."""
        step = self.step
        if isinstance(step, Do):
            return step.order
        assert isinstance(step, Ask)
        return step.operation

    @property
    def phase(self) -> type[Phase]:
        """The class of the run's phase, after its wait."""
        return type(self.run.phase)

    @property
    def seconds(self) -> float:
        """The length of the run's current wait."""
        step = self.step
        assert isinstance(step, Wait)
        return step.seconds

    @property
    def status(self) -> RunStatus:
        """The visible status."""
        return status_of(self.run, self.now)

    @property
    def over(self) -> bool:
        """Whether the orchestration has ended."""
        return isinstance(self.step, End)

    def answer(self, kind: type[Order[Any] | Operation[Any]], answer: object, **expected: Any) -> "Incarnation":
        """Answers an order or operation of this class whose fields have these values."""
        step = self.step
        assert isinstance(step, Do | Ask)
        message = step.order if isinstance(step, Do) else step.operation
        assert type(message) is kind
        assert {key: getattr(message, key) for key in expected} == expected
        assert decode(encode(message), kind) == message
        moved: Moved = step.then(answer, self.now)
        self.run = moved.run
        if moved.event:
            self.events.append(moved.event)
        return self

    def wait(self, seconds: float | None = None) -> "Incarnation":
        """Lets a wait pass, which must have exactly this many seconds if they are given."""
        step = self.step
        assert isinstance(step, Wait)
        assert step.seconds > 0
        assert seconds in (None, step.seconds)
        self.now += timedelta(seconds=step.seconds)
        self.run = step.then
        return self

    def continued(self) -> "Incarnation":
        """Continues in a new history; the queue answers that the run may continue."""
        phase = self.run.phase
        self.run = decode(encode(continued(self.run)), RunState)
        if isinstance(self.run.phase, Claiming):
            while isinstance(self.step, Wait):
                self.wait()
            self.answer_claim(self.run.scope or STANDARD)
        assert self.run.phase == phase
        return self

    def answer_claim(self, scope: Scope = STANDARD, **facts: Any) -> "Incarnation":
        """The queue gives the run to this orchestration."""
        return self.answer(Claim, Claimed(scope=scope, **facts), holder=self.run.holder)

    def answer_superseded(self, kind: type[Operation[Any]], next_run: Turn | None = None) -> "Incarnation":
        """The queue answers that this orchestration must not continue."""
        return self.answer(kind, Superseded(next=next_run))

    def answer_history(
        self,
        running: ExternalRefresh | None = None,
        adoptable: str | None = None,
        *,
        changed: bool = False,
        durations: tuple[float, ...] = (),
        estimate: tuple[float, ...] = (),
        sole: tuple[str, str] | None = None,
        names: ModelNames = UNNAMED,
        **expected: Any,
    ) -> "Incarnation":
        """The history is read. A new external refresh is reported to the queue.

        `durations`: of refreshes like the running one; `estimate`: of refreshes like ours. `sole`: id and digest of the
        only refresh that may be ours. `names`: of the model and its workspace.
        """
        read_at = instant(self.now)
        running_id = running.refresh_id if running else None
        look = Look(service_time=read_at, read_at=read_at, running=running_id, durations=estimate)
        sole_id, objects = sole or (None, None)
        found = HistoryRead(
            look=look,
            running=running,
            adoptable=adoptable,
            durations=durations,
            changed=changed,
            sole=sole_id,
            sole_objects=objects,
            names=names,
        )
        self.answer(ReadHistory, found, **expected)
        if self.phase is ReportingBlocker:
            self.answer(WaitBehind, Done(), refresh=running, names=self.run.names)
        return self

    def until_permitted(self, scope: Scope = STANDARD, estimate: tuple[float, ...] = ()) -> "Incarnation":
        """Continues until the run has the permit to POST."""
        return self.answer_claim(scope).answer_history(estimate=estimate).wait(2.0).answer_close(permit=1)

    def answer_close(self, **expected: Any) -> "Incarnation":
        """The queue gives the permit; no request has added to the scope."""
        return self.answer(Close, Closed(scope=self.run.known_scope), **expected)

    def answer_post(self, result: PostAnswer | ActivityFailure, **expected: Any) -> "Incarnation":
        """The result of an execution of the posting activity; an activity that raises has no result."""
        answer = result if isinstance(result, ActivityFailure) else PostResult(execution=EXECUTION, result=result)
        return self.answer(PostRefresh, answer, **expected)

    def answer_record(self, *, cancel: bool = False, **expected: Any) -> "Incarnation":
        """The queue stores the refresh."""
        return self.answer(Record, Recorded(cancel=cancel), **expected)

    def answer_reopen(self, **expected: Any) -> "Incarnation":
        """The queue withdraws the permit."""
        return self.answer(Reopen, Done(), **expected)

    def until_polling(
        self, scope: Scope = STANDARD, *, adopted: bool = False, estimate: tuple[float, ...] = ()
    ) -> "Incarnation":
        """Continues until the first read of a refresh with a known id."""
        self.until_permitted(scope, estimate).answer_post(
            Appeared(refresh_id="r") if adopted else Accepted(refresh_id="r")
        )
        return self.answer_record().wait(5)

    def until_cancelling(self, scope: Scope = STANDARD, estimate: tuple[float, ...] = ()) -> "Incarnation":
        """Continues until the cancellation of a refresh without requests."""
        return self.until_permitted(scope, estimate).answer_post(Accepted(refresh_id="r")).answer_record(cancel=True)

    def answer_read(
        self, status: str, progress: Progress | None = None, start: datetime | None = NOON
    ) -> "Incarnation":
        """The refresh is read, with this status of Power BI."""
        row = RefreshRow("r", "ViaApi", status, start=start, end=None if status == "Unknown" else self.now)
        answer = RefreshRead(began_at=instant(start) if start else None, outcome=judge(row, MODEL), progress=progress)
        return self.answer(ReadRefresh, answer, refresh_id="r")

    def answer_absent(
        self, read_at: datetime | None = None, *, rolled_over: bool = False, **expected: Any
    ) -> "Incarnation":
        """The refresh is read and does not exist."""
        answer = RefreshAbsent(read_at=instant(read_at or self.now), rolled_over=rolled_over)
        return self.answer(ReadRefresh, answer, **expected)

    def answer_unavailable(self, kind: type[Order[Any]], error: str = "HTTP 503") -> "Incarnation":
        """Power BI could not be reached."""
        answer = Unavailable(error=error)
        return self.answer_post(answer) if kind is PostRefresh else self.answer(kind, answer)

    def answer_broke(self, kind: type[Order[Any]], error: str = "KeyError: 'x'") -> "Incarnation":
        """The activity raised an exception of ours."""
        return self.answer(kind, ActivityFailure(error=error))

    def check_outcome(self, status: str, code: str | None = None) -> Outcome:
        """Checks status and error code of the outcome for the queue, and returns the outcome."""
        operation = self.order
        assert isinstance(operation, Finish)
        outcome = operation.outcome
        assert (outcome.status, outcome.error.code if outcome.error else None) == (status, code)
        return outcome
