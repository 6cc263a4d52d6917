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
from tests.unit.refresh.queue.queues import COMPLETED, LOOK, NOON, SALES, WHOLE, Desk


@pytest.fixture
def desk() -> Desk:
    """An empty queue at noon."""
    return Desk()


def test_the_first_request_gets_a_run_and_is_told_to_start_it(desk: Desk) -> None:
    """The first request is told to start its run, because no other request would start it."""
    turn = Turn(run="a-r1", incarnation=1)
    assert desk.enroll("a") == Enrolled(run="a-r1", incarnation=1, position=0, shared_with=0, active=turn, start=True)


def test_equal_requests_share_a_run_until_it_is_closed(desk: Desk) -> None:
    """Once a run is closed, its refresh may have started before a new request came. So this gets another run."""
    run = desk.enrolled("a").run
    assert desk.enrolled("b").run == run
    desk.claim(run)
    assert desk.enrolled("c").run == run
    desk.close(run)
    late = desk.enrolled("d")
    assert (late.run, late.position, late.shared_with, late.start) == ("d-r1", 1, 0, False)
    assert desk.enrolled("b").shared_with == 2


@pytest.mark.parametrize(("scope", "share"), [(SALES, True), (WHOLE, False)])
def test_another_scope_or_share_false_makes_another_run(desk: Desk, scope: Scope, share: bool) -> None:
    """A request gets its own run if it would get less than its scope in another, or does not share."""
    desk.enroll("a")
    assert desk.enrolled("b", scope=scope, share=share).run == "b-r1"
    assert desk.enrolled("c").run == "a-r1"


def test_a_newcomer_may_join_a_run_that_waits_behind_others(desk: Desk) -> None:
    """A new request joins an equal run that waits. It does not have to wait behind runs that came after this run."""
    desk.posted("a")
    desk.enroll("b", scope=SALES)
    desk.enroll("c")
    assert desk.enrolled("d", scope=SALES).run == "b-r1"


def test_one_request_at_a_time_is_told_to_start_a_run(desk: Desk) -> None:
    """Another request is told to start the run only after the first one has had enough time. The first one is told
    again if it asks."""
    desk.enroll("a")
    assert not desk.later(seconds=29).enrolled("b").start
    assert desk.enrolled("a").start
    assert not desk.later(seconds=29).enrolled("b").start
    assert desk.later(seconds=1).enrolled("b").start
    desk.claim("a-r1")
    assert not desk.later(hours=1).enrolled("b").start


def test_a_request_in_the_queue_is_told_to_start_the_run_before_it(desk: Desk) -> None:
    """If the request that should have started a run has ended, a later request is told to. Otherwise the queue would
    stop."""
    desk.enroll("vanished")
    answer = desk.later(minutes=5).enrolled("b", scope=SALES)
    assert (answer.start, answer.active.run, answer.run) == (True, "vanished-r1", "b-r1")


def test_an_outcome_waits_for_each_member(desk: Desk) -> None:
    """A request that asks gets the same outcome that its notification has, also if it asks again."""
    run = desk.posted("a", "b")
    ended = Ended(run=run, outcome=COMPLETED, shared_with=1, served_by="own")
    wake = tuple(WakeUp(instance=request, event="wake-1", served_by="own") for request in ("a", "b"))
    assert desk.finish(run) == Finished(wake_ups=wake, ended=replace(ended, served_by=None), ended_at=desk.at)
    assert desk.later(hours=23).enroll("a", wake_event="wake-9") == ended
    assert desk.enroll("a", wake_event="wake-9") == ended
    assert desk.leave("b") == ended


def test_a_request_that_got_the_outcome_by_notification_has_collected_it(desk: Desk) -> None:
    """A notified request reports that it has its outcome, and is not notified again. A second incarnation gets the same
    outcome."""
    run = desk.posted("a", "b")
    desk.finish(run)
    desk.collected("a")
    desk.collected("a")
    assert [wake.instance for wake in desk.finish(run).wake_ups] == ["b"]
    assert [[*ended.uncollected] for ended in desk.queue.ended] == [["b"]]
    assert desk.ended("a").run == run
    desk.later(minutes=31).tidy()
    assert [*desk.queue.departed] == []


@pytest.mark.parametrize("strange", [{"token": "another"}, {"attempt": 2}])
def test_another_incarnation_collects_nothing(desk: Desk, strange: dict[str, Any]) -> None:
    """Another incarnation, or a late duplicate of an earlier attempt, does not collect the outcome of this attempt."""
    desk.finish(desk.posted("a"))
    desk.collected("a", **strange)
    assert [[*ended.uncollected] for ended in desk.queue.ended] == [["a"]]


def test_an_outcome_that_is_not_collected_is_kept_for_a_day(desk: Desk) -> None:
    """An outcome expires after a day. Otherwise requests that were terminated by hand would fill the queue."""
    desk.finish(desk.posted("a"))
    desk.later(hours=24, seconds=1).enroll("z")
    assert desk.queue.ended == []


def test_the_next_run_is_handed_over_when_one_ends(desk: Desk) -> None:
    """The answer to the end of a run has id and incarnation of the next run, so that the receiver can start it."""
    run = desk.posted("a")
    desk.enroll("b")
    turn = Turn(run="b-r1", incarnation=1)
    assert desk.finish(run).next == turn
    assert desk.finish(run).next == turn
    desk.claim("b-r1", token="another")
    assert desk.finish(run).next is None


def test_members_too_late_for_an_external_refresh_go_before_those_that_came_later(desk: Desk) -> None:
    """An adopted refresh may have started before a member came. This member gets a run of its own, before the runs of
    later requests."""
    desk.enroll("early")
    desk.later(seconds=2).enroll("late")
    desk.enroll("other", scope=SALES)
    desk.claim("early-r1")
    desk.close("early-r1")
    desk.record("early-r1", adopted=True)
    answer = desk.finish("early-r1", late_after=instant(NOON))
    assert answer.next == Turn(run="late-r1", incarnation=1)
    assert answer.wake_ups == (WakeUp(instance="early", event="wake-1", served_by="own"),)
    assert desk.ended("early").shared_with == 0
    late = desk.enrolled("late")
    assert (late.position, late.refresh_id) == (0, None)
    assert desk.enrolled("other", scope=SALES).position == 1


def test_a_late_member_whose_run_had_its_name_gets_a_run_of_another_name(desk: Desk) -> None:
    """A new run never has the id of an ended one, because the orchestration of that run may still exist."""
    desk.enroll("a")
    desk.claim("a-r1")
    desk.close("a-r1")
    desk.record("a-r1", adopted=True)
    next_turn = desk.finish("a-r1", late_after=instant(NOON.replace(hour=11))).next
    assert next_turn == Turn(run="a-r1-2", incarnation=1)


def test_the_first_orchestration_to_claim_a_run_keeps_it(desk: Desk) -> None:
    """All operations of another orchestration of the run are refused."""
    run = desk.enrolled("a").run
    assert desk.claim(run, token="one")
    assert not desk.claim(run, token="two")
    assert desk.claim(run, token="one")
    fields: Any = {"at": desk.at, "holder": desk.holder(run, token="two")}
    refresh = ExternalRefresh(refresh_id="x")
    operations: list[Operation[Any]] = [
        Close(**fields, permit=1, look=LOOK),
        WaitBehind(**fields, refresh=refresh),
        Reopen(**fields, permit=1),
        Record(**fields, permit=1, refresh_id="x", posted_at="x"),
        Drop(**fields, permit=1, requests=("a",)),
    ]
    for operation in operations:
        assert isinstance(desk.do(operation), Superseded)
    assert desk.finish(run, token="two") == Finished(superseded=True)
    assert desk.take(run, "execution", token="two") is None
    assert desk.enrolled("a").refresh_id is None


def test_a_repeated_end_has_all_requests(desk: Desk) -> None:
    """The answer to a repeated end also has the requests that have collected the outcome since, and the time of the
    first end."""
    run = desk.posted("a", "b")
    first, ended_at = desk.finish(run), desk.at
    desk.later(minutes=1).enroll("a")
    again = desk.later(minutes=1).finish(run)
    assert (again.collected, again.wake_ups, again.ended_at) == (("a",), first.wake_ups[1:], ended_at)
    desk.enroll("b")
    again = desk.finish(run)
    assert (again.collected, again.wake_ups, again.ended, again.ended_at) == (("a", "b"), (), None, ended_at)
    desk.later(hours=1).enroll("c")
    forgotten = desk.finish(run)
    assert (forgotten.collected, forgotten.ended_at, forgotten.superseded) == ((), "", False)


def test_only_the_active_run_may_be_claimed(desk: Desk) -> None:
    """A run that is started too early, or again after its end, cannot be claimed."""
    run = desk.posted("a")
    desk.enroll("b")
    assert not desk.claim("b-r1")
    desk.finish(run)
    assert not desk.claim(run)
    assert desk.claim("b-r1")


def test_a_dead_run_continues_in_its_next_incarnation(desk: Desk) -> None:
    """The next incarnation gets the queue's state of the run. Operations of the previous one have no effect."""
    run = desk.posted("a")
    assert desk.restart(run) == Turn(run=run, incarnation=2)
    assert desk.restart(run) == Turn(run=run, incarnation=2)
    assert not desk.claim(run)
    answer = desk.claimed(run, incarnation=2, token="new")
    assert (answer.refresh_id, answer.permit, answer.closed, answer.look) == ("r", 1, True, LOOK)
    assert desk.restart(run) is None
    assert desk.finish(run) == Finished(superseded=True)
    assert desk.finish(run, incarnation=2, token="new").wake_ups == (
        WakeUp(instance="a", event="wake-1", served_by="own"),
    )


def test_a_superseded_run_learns_which_run_to_start(desk: Desk) -> None:
    """The answer to a superseded run names the run to start: the orchestration that should have started it may have
    died."""
    run = desk.posted("a")
    turn = desk.restart(run)
    answer = desk.reopen(run)
    assert isinstance(answer, Superseded)
    assert answer.next == turn


def test_an_unused_permit_opens_the_run_again(desk: Desk) -> None:
    """If the permit is not used, new requests may join the run until its next close."""
    run = desk.posted("a")
    assert desk.reopen(run) == Done()
    assert desk.enrolled("b").run == run
    assert desk.close(run, permit=2)
    assert desk.enrolled("c").run == "c-r1"
    holder = desk.holder(run)
    assert desk.queue.permitted(holder, 2)
    assert not desk.queue.permitted(holder, 1)


def test_late_operations_on_an_old_permit_change_nothing(desk: Desk) -> None:
    """Operations with an old permit change nothing, neither while the run is open again nor with its next permit."""
    run = desk.posted("a")
    desk.take(run, "first")
    desk.reopen(run)
    old = Look(service_time=desk.at, read_at=desk.at, known=("old",))
    for permit in (1, 2):
        if permit == 2:
            desk.close(run, permit=2)
        desk.close(run, permit=1, look=old)
        desk.record(run, permit=1)
        assert desk.take(run, "late", permit=1) is None
        desk.return_permit(run, "late", permit=1)
        stands = desk.runs[0]
        assert (stands.refresh_id, stands.closed, stands.permit, stands.unused_executions) == (
            None,
            permit == 2,
            permit,
            [],
        )
        assert stands.look == (LOOK if permit == 2 else None)


def test_a_permit_ends_with_the_record(desk: Desk) -> None:
    """The permit ends when the refresh is recorded. So an activity that runs twice finds the run posted."""
    run = desk.enrolled("a").run
    holder = desk.holder(run)
    desk.claim(run)
    assert not desk.queue.permitted(holder, 1)
    desk.close(run)
    assert desk.queue.permitted(holder, 1)
    assert not desk.queue.permitted(desk.holder(run, token="twin"), 1)
    assert not desk.queue.permitted(desk.holder(run, incarnation=2), 1)
    desk.record(run)
    assert not desk.queue.permitted(holder, 1)
    assert not Queue().permitted(holder, 1)


def test_members_that_have_ended_are_dropped_before_the_post(desk: Desk) -> None:
    """Members that have ended are removed before the POST, because a refresh is started only for an active request."""
    run = desk.enrolled("a").run
    desk.enroll("next", scope=SALES)
    desk.claim(run)
    desk.close(run)
    turn = Turn(run="next-r1", incarnation=1)
    assert desk.drop(run, "a") == Superseded(next=turn, over=True)
    assert desk.drop(run, "a") == Superseded(next=turn, over=True)
    assert [run.id for run in desk.runs] == ["next-r1"]


def test_a_dropped_request_that_is_still_active_enrolls_again(desk: Desk) -> None:
    """The engine's list of active instances may be out of date. So a request that was dropped by mistake enrolls
    again."""
    run = desk.enrolled("a").run
    desk.claim(run)
    desk.close(run)
    desk.drop(run, "a")
    assert desk.later(seconds=1).enrolled("a").run == "a-r1"


def test_an_idle_queue_is_deleted(desk: Desk) -> None:
    """A queue is deleted half an hour after its last request has collected. Until then it keeps its entries."""
    run = desk.posted("a")
    desk.finish(run)
    assert desk.ended("a")
    desk.later(minutes=29).tidy()
    assert desk.stored is not None
    desk.later(minutes=2).tidy()
    assert desk.stored is None


def test_a_request_that_waits_gets_the_refresh_that_runs_before_it(desk: Desk) -> None:
    """Before the close, all requests wait for the external refresh. After it, the requests of the first run wait for
    none. Those of later runs wait for our refresh, once it is recorded."""
    theirs = ExternalRefresh(refresh_id="theirs", refresh_type="Scheduled", started_at=instant(NOON))
    run = desk.enrolled("a").run
    desk.enroll("b", share=False)
    assert desk.wait_behind(run, theirs) == Superseded(next=Turn(run=run, incarnation=1))
    desk.claim(run)
    assert desk.wait_behind(run, theirs) == Done()
    assert desk.enrolled("a").waits_for == desk.enrolled("b", share=False).waits_for == theirs
    desk.close(run)
    assert desk.enrolled("a").waits_for is None
    desk.record(run)
    assert desk.enrolled("a").waits_for is None
    ours = ExternalRefresh(refresh_id="r", started_at=instant(NOON))
    assert desk.enrolled("b", share=False).waits_for == ours
