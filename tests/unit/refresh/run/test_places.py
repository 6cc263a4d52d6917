"""A run in a capacity group: it asks for a place, waits for it, and always gives it back."""

from datetime import timedelta
from typing import Any

from refresh.capacity.answers import Outdated, Placed, PlacesFree, Waits
from refresh.capacity.limits import CapacityLimit
from refresh.capacity.operations import GroupOperation, LeavePlace, TakePlace
from refresh.failure.catalogue import failure
from refresh.history.look import Look
from refresh.history.outcome import Outcome
from refresh.queue.answers import Closed, Done, Finished, Superseded, WakeUp
from refresh.queue.operations import Claim, Close, Finish, WaitBehind
from refresh.run.orders import (
    Accepted,
    ActivityFailure,
    AnswerLost,
    HistoryRead,
    Notified,
    NotifyRequests,
    ReadHistory,
    ReadRefresh,
    RefreshRead,
    Throttled,
)
from refresh.run.state import Closing, Looking, Over, Phase, Polling, TakingPlace
from refresh.run.step import AskGroup, WaitForEvent
from refresh.times import instant
from tests.unit.refresh.run.incarnations import BLOCKER, LOOK, MODEL, NOON, REFUSED, STANDARD, WAKE, Incarnation

LIMIT = CapacityLimit(group="P1", refreshes=2)
NEXT_IN_LINE = (WakeUp(instance="b-r1-g1", event="place-4"),)
REACHED = Outcome(status="Failed", refresh_id="r", error=failure("CapacityLimitReached", MODEL))


class Limited(Incarnation):
    """An incarnation in a workspace that has a limit."""

    def looks(self, limit: CapacityLimit | None = LIMIT, **facts: Any) -> "Limited":
        """The history is read. By default, the model is idle."""
        read_at = instant(self.now)
        read = HistoryRead(look=Look(service_time=read_at, read_at=read_at), capacity=limit, **facts)
        self.answer(ReadHistory, read)
        return self

    def group(self, kind: type[GroupOperation[Any]], answer: object, **expected: Any) -> "Limited":
        """Answers an operation of the group."""
        step = self.step
        assert isinstance(step, AskGroup)
        assert type(step.operation) is kind
        assert step.group == "P1"
        assert {key: getattr(step.operation, key) for key in expected} == expected
        moved = step.then(answer, self.now)
        self.run = moved.run
        if moved.event:
            self.events.append(moved.event)
        return self

    def placed(self, **more: Any) -> "Limited":
        """The group gives a place."""
        return self.group(TakePlace, Placed(since=instant(self.now), new=True, **more))

    def comes(self) -> WaitForEvent:
        """The event of the group arrives."""
        step = self.step
        assert isinstance(step, WaitForEvent)
        self.run = step.then
        return step

    def refreshing(self) -> "Limited":
        """Continues up to the first read of the refresh."""
        self.answer_claim()
        self.looks().placed().wait(2.0)
        self.answer(Close, Closed(scope=STANDARD), capacity_group="P1").answer_post(Accepted(refresh_id="r"))
        self.answer_record().wait(5)
        assert self.is_in(Polling)
        return self

    def is_in(self, phase: type[Phase]) -> bool:
        """Whether the run is in the given phase."""
        return self.phase is phase

    @property
    def names(self) -> list[str]:
        """The names of the logged events."""
        return [event.name for event in self.events]


def finished(run: Limited, answer: Finished | None = None) -> Limited:
    """The queue has the outcome."""
    run.answer(Finish, answer or Finished(wake_ups=WAKE))
    return run


def test_without_a_limit_the_run_asks_no_group() -> None:
    """Without a limit, the run goes directly from the look to the close."""
    run = Limited()
    run.answer_claim()
    run.looks(None)
    assert run.is_in(Closing)
    assert run.run.capacity is None


def test_a_place_is_taken_before_the_close_and_returned_after_the_outcome() -> None:
    """The place is returned before the members are notified. The run that gets the place is also notified."""
    run = Limited().refreshing()
    run.answer_read("Completed")
    finished(run)
    run.group(LeavePlace, PlacesFree(wake_ups=NEXT_IN_LINE), completed=True, limit_reached=False, busy_until=None)
    run.answer(NotifyRequests, Notified(count=1), wake_ups=NEXT_IN_LINE)
    run.answer(NotifyRequests, Notified(count=1), wake_ups=WAKE)
    assert run.over
    assert run.names == [
        *("run.claimed", "capacity.place_taken", "run.closed", "refresh.started", "run.ended"),
        "capacity.place_left",
    ]


def test_a_run_in_line_asks_the_queue_then_the_group_and_looks_again() -> None:
    """Since its last message, the run may have been cancelled, it may have a higher priority, or the model may be
    busy."""
    run = Limited()
    run.answer_claim()
    run.looks()
    since = instant(run.now)
    run.group(
        TakePlace, Waits(since=since, position=3, seconds=60), priority="normal", wake_event="place-1", refreshes=2
    )
    waits = run.status.waits_for_place
    assert waits is not None
    assert (waits.position, waits.group) == (3, "P1")
    assert waits.text == f"a place in capacity group P1 (waiting since {since}, behind 3 other runs)"
    assert run.comes().seconds == 60
    run.now += timedelta(seconds=60)
    run.answer_claim(priority="high")
    assert run.is_in(TakingPlace)
    run.group(
        TakePlace,
        Placed(since=instant(run.now), new=True, wake_ups=NEXT_IN_LINE),
        priority="high",
        wake_event="place-2",
        since=since,
    )
    run.answer(NotifyRequests, ActivityFailure(error="x"), wake_ups=NEXT_IN_LINE)
    assert run.is_in(Looking)
    assert run.status.waits_for_place is None
    run.looks().group(TakePlace, Placed(since=instant(run.now)))
    assert run.is_in(Closing)
    assert run.names.count("capacity.place_taken") == 1
    assert next(event for event in run.events if event.name == "capacity.place_taken").facts["waitedSeconds"] == 60


def test_a_further_incarnation_continues_the_wait_of_the_one_before() -> None:
    """The group knows when the run began to wait, and the run keeps that time when it gives its place back."""
    run = Limited()
    run.answer_claim()
    before = instant(run.now - timedelta(minutes=7))
    run.looks().group(TakePlace, Waits(since=before, position=1, seconds=60), since=instant(run.now))
    run.comes()
    run.answer_claim()
    run.group(TakePlace, Placed(since=instant(run.now), new=True), since=before)
    assert next(event for event in run.events if event.name == "capacity.place_taken").facts["waitedSeconds"] == 420
    run.looks(running=BLOCKER).group(LeavePlace, PlacesFree())
    run.answer(WaitBehind, Done())
    run.wait()
    run.looks().group(TakePlace, Placed(since=instant(run.now), new=True), since=before)


def test_a_waiting_run_without_requests_stops_waiting() -> None:
    """The queue does not have such a run any more. If another incarnation continues, that one keeps the place."""
    for over in (True, False):
        run = Limited()
        run.answer_claim()
        run.looks().group(TakePlace, Waits(since=instant(run.now), position=0, seconds=60))
        run.comes()
        run.answer(Claim, Superseded(over=over))
        if over:
            run.group(LeavePlace, PlacesFree())
        assert run.is_in(Over)


def test_a_run_waits_for_a_place_over_many_histories() -> None:
    """The run claims itself in each history, and continues to wait."""
    run = Limited()
    run.answer_claim()
    run.looks().group(TakePlace, Waits(since=instant(run.now), position=0, seconds=60))
    run.continued()
    run.comes()


def test_behind_an_external_refresh_the_place_is_returned() -> None:
    """Each look reports the external refresh to the group. The run keeps the time since which it has waited."""
    run = Limited()
    run.answer_claim()
    since = instant(run.now)
    run.looks().group(TakePlace, Waits(since=since, position=0, seconds=60))
    run.comes()
    run.answer_claim()
    run.placed()
    until = instant(run.now + timedelta(minutes=10))
    run.looks(running=BLOCKER).group(LeavePlace, PlacesFree(), busy_until=until)
    run.answer(WaitBehind, Done())
    waited = run.seconds
    run.wait()
    run.looks(running=BLOCKER)
    step = run.step
    assert isinstance(step, AskGroup)
    assert isinstance(step.operation, LeavePlace)
    assert step.operation.busy_until is not None
    assert step.operation.busy_until > instant(run.now + timedelta(minutes=10))
    run.group(LeavePlace, PlacesFree())
    assert run.seconds >= waited
    run.wait()
    run.looks()
    current = run.step
    assert isinstance(current, AskGroup)
    assert isinstance(current.operation, TakePlace)
    assert current.operation.since == since


def test_a_capacity_that_fails_the_refresh_fails_no_request() -> None:
    """The permit is withdrawn, the run gives its place back and asks for a place again. The group is closed for a
    while."""
    run = Limited().refreshing()
    run.answer(ReadRefresh, RefreshRead(outcome=REACHED))
    run.answer_reopen()
    run.group(LeavePlace, PlacesFree(closed_until=instant(run.now + timedelta(seconds=60))), limit_reached=True)
    assert run.is_in(Looking)
    run.looks()
    assert run.is_in(TakingPlace)
    assert {"capacity.limit_reached", "capacity.closed"} <= {*run.names}


def test_without_a_limit_the_capacity_fails_the_request() -> None:
    """Without a limit, the request fails. A caller that wants retries has to set them."""
    run = Incarnation().until_polling()
    run.answer(ReadRefresh, RefreshRead(outcome=REACHED))
    run.check_outcome("Failed", "CapacityLimitReached")


def test_a_post_that_the_capacity_refuses_closes_the_group() -> None:
    """The group is closed for the pause that Power BI gives."""
    run = Limited()
    run.answer_claim()
    run.looks().placed().wait(2.0)
    run.answer_close().answer_post(Throttled(seconds=20, error="x", capacity=True))
    run.answer_reopen()
    run.group(LeavePlace, PlacesFree(), limit_reached=True, retry_after=20)
    run.wait(20)
    assert run.is_in(Looking)


def test_a_run_that_has_to_wait_for_long_gives_its_place_back() -> None:
    """A run that has to wait for more than a minute gives its place back; otherwise it keeps its place."""
    for seconds, kept in ((60.0, True), (600.0, False)):
        run = Limited()
        run.answer_claim()
        run.looks().placed().wait(2.0)
        run.answer_close().answer_post(Throttled(seconds=seconds))
        run.answer_reopen()
        if not kept:
            run.group(LeavePlace, PlacesFree(), limit_reached=False)
        run.wait(seconds)
        run.looks()
        assert run.run.in_group.holds_place == kept


def test_the_next_incarnation_gives_the_place_back() -> None:
    """The queue stores the group in which the run has its place. So the next incarnation can give the place back."""
    run = Limited(number=2)
    run.answer_claim(closed=True, look=LOOK, permit=1, refresh_id="r", posted_at=instant(NOON), capacity_group="P1")
    assert run.is_in(Polling)
    run.answer_read("Completed")
    finished(run, Finished()).group(LeavePlace, PlacesFree())
    assert run.over


def test_a_place_is_kept_while_the_refresh_may_be_running() -> None:
    """If the outcome is unknown, the run keeps its place. A timer frees it when the model is idle."""
    run = Limited().refreshing()
    for _ in range(20):
        run.answer_broke(ReadRefresh)
        while run.is_in(Polling) and run.run.wait:
            run.wait()
    run.check_outcome("OutcomeUnknown", "InternalError")
    finished(run, Finished())
    assert run.over
    lost = Limited()
    lost.answer_claim()
    lost.looks().placed().wait(2.0)
    lost.answer_close().answer_post(AnswerLost(error="x")).answer(ReadHistory, REFUSED)
    finished(lost, Finished())
    assert lost.over


def test_settings_that_change_move_the_run() -> None:
    """If the limit of the workspace changes, the run first gives back its place in the old group. It then asks the new
    group, if there is one."""
    for limit in (None, CapacityLimit(group="P2", refreshes=1)):
        run = Limited()
        run.answer_claim()
        run.looks().group(TakePlace, Waits(since=instant(run.now), position=0, seconds=60))
        run.comes()
        run.answer_claim()
        run.placed()
        run.looks(limit).group(LeavePlace, PlacesFree())
        run.looks(limit)
        assert run.is_in(Closing if limit is None else TakingPlace)
        if limit is not None:
            assert run.run.in_group.group == "P2"


def test_a_message_that_came_too_late_is_sent_again_with_a_new_number() -> None:
    """The run sends the message again after the queue has confirmed that this incarnation continues."""
    run = Limited()
    run.answer_claim()
    run.looks().group(TakePlace, Outdated(number=7))
    run.answer_claim()
    step = run.step
    assert isinstance(step, AskGroup)
    assert isinstance(step.operation, TakePlace)
    assert step.operation.asker.number == 8
