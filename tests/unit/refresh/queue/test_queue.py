"""A queue lets requests share a run until it may post, stores the outcomes for them, and continues in order."""

from typing import Any

import pytest

from refresh.history.look import ExternalRefresh, Look
from refresh.messages import replace
from refresh.queue.answers import Done, Ended, Enrolled, Finished, Superseded, Turn, WakeUp
from refresh.queue.operations import Close, Drop, Operation, Record, Reopen, WaitBehind
from refresh.queue.state import Queue
from refresh.scope.scope import Scope
from refresh.times import instant
from tests.unit.refresh.queue.queues import COMPLETED, LOOK, NOON, SALES, WHOLE, CheckedQueue


@pytest.fixture
def queue() -> CheckedQueue:
    """An empty queue at noon."""
    return CheckedQueue()


def test_the_first_request_gets_a_run_and_is_told_to_start_it(queue: CheckedQueue) -> None:
    """The first request is told to start its run, because no other request would start it."""
    turn = Turn(run="a-r1", incarnation=1)
    assert queue.enroll("a") == Enrolled(run="a-r1", incarnation=1, position=0, shared_with=0, active=turn, start=True)


def test_equal_requests_share_a_run_until_it_is_closed(queue: CheckedQueue) -> None:
    """Once a run is closed, its refresh may have started before a new request came. So the new request gets another
    run."""
    run = queue.enroll_ok("a").run
    assert queue.enroll_ok("b").run == run
    queue.claim(run)
    assert queue.enroll_ok("c").run == run
    queue.close(run)
    late = queue.enroll_ok("d")
    assert (late.run, late.position, late.shared_with, late.start) == ("d-r1", 1, 0, False)
    assert queue.enroll_ok("b").shared_with == 2


@pytest.mark.parametrize(("scope", "share"), [(SALES, True), (WHOLE, False)])
def test_another_scope_or_share_false_makes_another_run(queue: CheckedQueue, scope: Scope, share: bool) -> None:
    """A request gets its own run if it would get less than its scope in another, or does not share."""
    queue.enroll("a")
    assert queue.enroll_ok("b", scope=scope, share=share).run == "b-r1"
    assert queue.enroll_ok("c").run == "a-r1"


def test_a_newcomer_may_join_a_run_that_waits_behind_others(queue: CheckedQueue) -> None:
    """A new request joins an equal run that waits. It does not have to wait behind runs that came after this run."""
    queue.enroll_and_post("a")
    queue.enroll("b", scope=SALES)
    queue.enroll("c")
    assert queue.enroll_ok("d", scope=SALES).run == "b-r1"


def test_one_request_at_a_time_is_told_to_start_a_run(queue: CheckedQueue) -> None:
    """Another request is told to start the run only after the first one has had enough time. The first one is told
    again if it asks."""
    queue.enroll("a")
    assert not queue.later(seconds=29).enroll_ok("b").start
    assert queue.enroll_ok("a").start
    assert not queue.later(seconds=29).enroll_ok("b").start
    assert queue.later(seconds=1).enroll_ok("b").start
    queue.claim("a-r1")
    assert not queue.later(hours=1).enroll_ok("b").start


def test_a_request_in_the_queue_is_told_to_start_the_run_before_it(queue: CheckedQueue) -> None:
    """If the request that should have started a run has ended, a later request is told to start it. Otherwise the
    queue would stop."""
    queue.enroll("vanished")
    answer = queue.later(minutes=5).enroll_ok("b", scope=SALES)
    assert (answer.start, answer.active.run, answer.run) == (True, "vanished-r1", "b-r1")


def test_an_outcome_waits_for_each_member(queue: CheckedQueue) -> None:
    """A request that asks gets the same outcome that its notification has, also if it asks again."""
    run = queue.enroll_and_post("a", "b")
    ended = Ended(run=run, outcome=COMPLETED, shared_with=1, served_by="own")
    wake = tuple(WakeUp(instance=request, event="wake-1", served_by="own") for request in ("a", "b"))
    assert queue.finish(run) == Finished(wake_ups=wake, ended=replace(ended, served_by=None), ended_at=queue.at)
    assert queue.later(hours=23).enroll("a", wake_event="wake-9") == ended
    assert queue.enroll("a", wake_event="wake-9") == ended
    assert queue.leave("b") == ended


def test_a_request_that_got_the_outcome_by_notification_has_collected_it(queue: CheckedQueue) -> None:
    """A notified request reports that it has its outcome, and is not notified again. A second incarnation gets the same
    outcome."""
    run = queue.enroll_and_post("a", "b")
    queue.finish(run)
    queue.collect("a")
    queue.collect("a")
    assert [wake.instance for wake in queue.finish(run).wake_ups] == ["b"]
    assert [[*ended.uncollected] for ended in queue.state.ended] == [["b"]]
    assert queue.outcome_of("a").run == run
    queue.later(minutes=31).tidy()
    assert [*queue.state.departed] == []


@pytest.mark.parametrize("other_sender", [{"token": "another"}, {"attempt": 2}])
def test_another_incarnation_collects_nothing(queue: CheckedQueue, other_sender: dict[str, Any]) -> None:
    """Another incarnation, or a late duplicate of an earlier attempt, does not collect the outcome of this attempt."""
    queue.finish(queue.enroll_and_post("a"))
    queue.collect("a", **other_sender)
    assert [[*ended.uncollected] for ended in queue.state.ended] == [["a"]]


def test_an_outcome_that_is_not_collected_is_kept_for_a_day(queue: CheckedQueue) -> None:
    """An outcome expires after a day. Otherwise requests that were terminated by hand would fill the queue."""
    queue.finish(queue.enroll_and_post("a"))
    queue.later(hours=24, seconds=1).enroll("z")
    assert queue.state.ended == []


def test_the_next_run_is_handed_over_when_one_ends(queue: CheckedQueue) -> None:
    """The answer to the end of a run has id and incarnation of the next run, so that the receiver can start it."""
    run = queue.enroll_and_post("a")
    queue.enroll("b")
    turn = Turn(run="b-r1", incarnation=1)
    assert queue.finish(run).next == turn
    assert queue.finish(run).next == turn
    queue.claim("b-r1", token="another")
    assert queue.finish(run).next is None


def test_members_too_late_for_an_external_refresh_go_before_those_that_came_later(queue: CheckedQueue) -> None:
    """An adopted refresh may have started before a member came. This member gets a run of its own, before the runs of
    later requests."""
    queue.enroll("early")
    queue.later(seconds=2).enroll("late")
    queue.enroll("other", scope=SALES)
    queue.claim("early-r1")
    queue.close("early-r1")
    queue.record("early-r1", adopted=True)
    answer = queue.finish("early-r1", late_after=instant(NOON))
    assert answer.next == Turn(run="late-r1", incarnation=1)
    assert answer.wake_ups == (WakeUp(instance="early", event="wake-1", served_by="own"),)
    assert queue.outcome_of("early").shared_with == 0
    late = queue.enroll_ok("late")
    assert (late.position, late.refresh_id) == (0, None)
    assert queue.enroll_ok("other", scope=SALES).position == 1


def test_a_new_run_never_gets_the_id_of_an_ended_run(queue: CheckedQueue) -> None:
    """A new run never has the id of an ended one, because the orchestration of that run may still exist."""
    queue.enroll("a")
    queue.claim("a-r1")
    queue.close("a-r1")
    queue.record("a-r1", adopted=True)
    next_turn = queue.finish("a-r1", late_after=instant(NOON.replace(hour=11))).next
    assert next_turn == Turn(run="a-r1-2", incarnation=1)


def test_the_first_orchestration_to_claim_a_run_keeps_it(queue: CheckedQueue) -> None:
    """All operations of another orchestration of the run are refused."""
    run = queue.enroll_ok("a").run
    assert queue.claim(run, token="one")
    assert not queue.claim(run, token="two")
    assert queue.claim(run, token="one")
    fields: Any = {"at": queue.at, "holder": queue.holder(run, token="two")}
    refresh = ExternalRefresh(refresh_id="x")
    operations: list[Operation[Any]] = [
        Close(**fields, permit=1, look=LOOK),
        WaitBehind(**fields, refresh=refresh),
        Reopen(**fields, permit=1),
        Record(**fields, permit=1, refresh_id="x", posted_at="x"),
        Drop(**fields, permit=1, requests=("a",)),
    ]
    for operation in operations:
        assert isinstance(queue.do(operation), Superseded)
    assert queue.finish(run, token="two") == Finished(superseded=True)
    assert queue.take(run, "execution", token="two") is None
    assert queue.enroll_ok("a").refresh_id is None


def test_a_repeated_end_has_all_requests(queue: CheckedQueue) -> None:
    """The answer to a repeated end also has the requests that have collected the outcome since, and the time of the
    first end."""
    run = queue.enroll_and_post("a", "b")
    first, ended_at = queue.finish(run), queue.at
    queue.later(minutes=1).enroll("a")
    again = queue.later(minutes=1).finish(run)
    assert (again.collected, again.wake_ups, again.ended_at) == (("a",), first.wake_ups[1:], ended_at)
    queue.enroll("b")
    again = queue.finish(run)
    assert (again.collected, again.wake_ups, again.ended, again.ended_at) == (("a", "b"), (), None, ended_at)
    queue.later(hours=1).enroll("c")
    forgotten = queue.finish(run)
    assert (forgotten.collected, forgotten.ended_at, forgotten.superseded) == ((), "", False)


def test_only_the_active_run_may_be_claimed(queue: CheckedQueue) -> None:
    """A run that is started too early, or again after its end, cannot be claimed."""
    run = queue.enroll_and_post("a")
    queue.enroll("b")
    assert not queue.claim("b-r1")
    queue.finish(run)
    assert not queue.claim(run)
    assert queue.claim("b-r1")


def test_a_dead_run_continues_in_its_next_incarnation(queue: CheckedQueue) -> None:
    """The next incarnation gets the queue's state of the run. Operations of the previous one have no effect."""
    run = queue.enroll_and_post("a")
    assert queue.restart(run) == Turn(run=run, incarnation=2)
    assert queue.restart(run) == Turn(run=run, incarnation=2)
    assert not queue.claim(run)
    answer = queue.claim_ok(run, incarnation=2, token="new")
    assert (answer.refresh_id, answer.permit, answer.closed, answer.look) == ("r", 1, True, LOOK)
    assert queue.restart(run) is None
    assert queue.finish(run) == Finished(superseded=True)
    assert queue.finish(run, incarnation=2, token="new").wake_ups == (
        WakeUp(instance="a", event="wake-1", served_by="own"),
    )


def test_a_superseded_run_learns_which_run_to_start(queue: CheckedQueue) -> None:
    """The answer to a superseded run names the run to start: the orchestration that should have started it may have
    died."""
    run = queue.enroll_and_post("a")
    turn = queue.restart(run)
    answer = queue.reopen(run)
    assert isinstance(answer, Superseded)
    assert answer.next == turn


def test_an_unused_permit_opens_the_run_again(queue: CheckedQueue) -> None:
    """If the permit is not used, new requests may join the run until its next close."""
    run = queue.enroll_and_post("a")
    assert queue.reopen(run) == Done()
    assert queue.enroll_ok("b").run == run
    assert queue.close(run, permit=2)
    assert queue.enroll_ok("c").run == "c-r1"
    holder = queue.holder(run)
    assert queue.state.permitted(holder, 2)
    assert not queue.state.permitted(holder, 1)


def test_late_operations_on_an_old_permit_change_nothing(queue: CheckedQueue) -> None:
    """Operations with an old permit change nothing, neither while the run is open again nor with its next permit."""
    run = queue.enroll_and_post("a")
    queue.take(run, "first")
    queue.reopen(run)
    old = Look(service_time=queue.at, read_at=queue.at, known=("old",))
    for permit in (1, 2):
        if permit == 2:
            queue.close(run, permit=2)
        queue.close(run, permit=1, look=old)
        queue.record(run, permit=1)
        assert queue.take(run, "late", permit=1) is None
        queue.return_permit(run, "late", permit=1)
        current = queue.runs[0]
        assert (current.refresh_id, current.closed, current.permit, current.unused_executions) == (
            None,
            permit == 2,
            permit,
            [],
        )
        assert current.look == (LOOK if permit == 2 else None)


def test_a_permit_ends_with_the_record(queue: CheckedQueue) -> None:
    """The permit ends when the refresh is recorded. So an activity that runs twice finds the run posted."""
    run = queue.enroll_ok("a").run
    holder = queue.holder(run)
    queue.claim(run)
    assert not queue.state.permitted(holder, 1)
    queue.close(run)
    assert queue.state.permitted(holder, 1)
    assert not queue.state.permitted(queue.holder(run, token="twin"), 1)
    assert not queue.state.permitted(queue.holder(run, incarnation=2), 1)
    queue.record(run)
    assert not queue.state.permitted(holder, 1)
    assert not Queue().permitted(holder, 1)


def test_members_that_have_ended_are_dropped_before_the_post(queue: CheckedQueue) -> None:
    """Members that have ended are removed before the POST, because a refresh is started only for an active request."""
    run = queue.enroll_ok("a").run
    queue.enroll("next", scope=SALES)
    queue.claim(run)
    queue.close(run)
    turn = Turn(run="next-r1", incarnation=1)
    assert queue.drop(run, "a") == Superseded(next=turn, over=True)
    assert queue.drop(run, "a") == Superseded(next=turn, over=True)
    assert [run.id for run in queue.runs] == ["next-r1"]


def test_a_dropped_request_that_is_still_active_enrolls_again(queue: CheckedQueue) -> None:
    """The engine's list of active instances may be out of date. So a request that was dropped by mistake enrols
    again."""
    run = queue.enroll_ok("a").run
    queue.claim(run)
    queue.close(run)
    queue.drop(run, "a")
    assert queue.later(seconds=1).enroll_ok("a").run == "a-r1"


def test_an_idle_queue_is_deleted(queue: CheckedQueue) -> None:
    """A queue is deleted half an hour after its last request has collected its outcome. Until then it keeps its
    entries."""
    run = queue.enroll_and_post("a")
    queue.finish(run)
    assert queue.outcome_of("a")
    queue.later(minutes=29).tidy()
    assert queue.stored is not None
    queue.later(minutes=2).tidy()
    assert queue.stored is None


def test_a_request_that_waits_gets_the_refresh_that_runs_before_it(queue: CheckedQueue) -> None:
    """Before the close, all requests wait for the external refresh. After it, the requests of the first run wait for
    none. Those of later runs wait for our refresh, once it is recorded."""
    theirs = ExternalRefresh(refresh_id="theirs", refresh_type="Scheduled", started_at=instant(NOON))
    run = queue.enroll_ok("a").run
    queue.enroll("b", share=False)
    assert queue.wait_behind(run, theirs) == Superseded(next=Turn(run=run, incarnation=1))
    queue.claim(run)
    assert queue.wait_behind(run, theirs) == Done()
    assert queue.enroll_ok("a").waits_for == queue.enroll_ok("b", share=False).waits_for == theirs
    queue.close(run)
    assert queue.enroll_ok("a").waits_for is None
    queue.record(run)
    assert queue.enroll_ok("a").waits_for is None
    ours = ExternalRefresh(refresh_id="r", started_at=instant(NOON))
    assert queue.enroll_ok("b", share=False).waits_for == ours
