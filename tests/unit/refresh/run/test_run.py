"""A run waits for an idle model, posts with a permit, and notifies its members of the end."""

from datetime import timedelta

import pytest

from refresh.history.look import ExternalRefresh
from refresh.history.outcome import judge
from refresh.history.rows import RefreshRow
from refresh.queue.answers import Closed, Done, Finished, Turn
from refresh.queue.operations import Claim, Close, Drop, Finish
from refresh.run.orders import (
    Accepted,
    Appeared,
    Blocked,
    Busy,
    ModelRef,
    Notified,
    NotifyRequests,
    ReadHistory,
    ReadRefresh,
    RefreshRead,
    StartRun,
    Unwanted,
)
from refresh.run.phases.claiming import MAX_INCARNATIONS
from refresh.run.state import (
    Closing,
    Looking,
    Reconciling,
    Reopening,
)
from refresh.run.step import Wait
from refresh.scope.scope import RefreshOptions, Scope, TableRef
from refresh.times import instant
from tests.unit.refresh.run.incarnations import (
    BLOCKER,
    ENHANCED,
    EXECUTION,
    LOOK,
    MODEL,
    NEXT,
    NOON,
    STANDARD,
    WAKE,
    Incarnation,
)


def test_an_idle_model_is_refreshed_after_a_pause() -> None:
    """The pause is needed because the refresh must start in a later second than the look, by the service's clock."""
    run = Incarnation().answer_claim()
    order = run.order
    assert order == ReadHistory(
        model=ModelRef(workspace_id="w", dataset_id=MODEL), turn=Turn(run="a-r1", incarnation=1), scope=STANDARD
    )
    run.answer_history().wait(2.0)
    look = run.run.look
    run.answer_close(permit=1, look=look)
    run.answer_post(Accepted(refresh_id="r"), permit=1, holder=run.run.holder, scope=STANDARD, look=look)
    run.answer_record(permit=1, refresh_id="r", adopted=False, posted_at=instant(run.now)).wait(5).answer_read(
        "Unknown"
    ).wait()
    run.answer_read("Completed")
    assert run.check_outcome("Completed").adopted is False
    run.answer(Finish, Finished(next=NEXT, wake_ups=WAKE), late_after=None)
    run.answer(StartRun, Notified(), dataset_id=MODEL, turn=NEXT)
    run.answer(NotifyRequests, Notified(count=1), wake_ups=WAKE)
    assert run.over


def test_no_request_is_notified_before_the_end() -> None:
    """Members read the refresh from the queue. A notification would cost each of them a turn."""
    run = Incarnation().until_permitted().answer_post(Accepted(refresh_id="r")).answer_record()
    kinds: list[type] = []
    for _ in range(20):
        if isinstance(run.step, Wait):
            run.wait()
        kinds.append(type(run.order))
        run.answer_read("Unknown")
    assert set(kinds) == {ReadRefresh}
    run.wait().answer_read("Completed").answer(Finish, Finished(wake_ups=WAKE)).answer(
        NotifyRequests, Notified(count=1)
    )
    assert run.over


def test_a_run_without_members_notifies_none() -> None:
    """If all members have left a run, it notifies no request."""
    assert Incarnation().until_polling().answer_read("Completed").answer(Finish, Finished()).over


def test_a_failed_start_of_the_next_run_and_failed_notifications_do_not_stop_a_run() -> None:
    """The run ends nevertheless, because the members recheck by themselves."""
    run = Incarnation().until_polling().answer_read("Completed").answer(Finish, Finished(next=NEXT, wake_ups=WAKE))
    assert run.answer_broke(StartRun).answer_broke(NotifyRequests).over


def test_a_run_that_the_queue_refuses_ends_at_once() -> None:
    """The queue refuses a duplicate, a superseded run, and a run that has ended."""
    assert Incarnation().answer_superseded(Claim).over


def test_a_run_waits_for_a_busy_model() -> None:
    """The waits grow with the elapsed time, and the status shows the external refresh."""
    run = Incarnation().answer_claim().answer_history(BLOCKER).wait(5).answer_history(BLOCKER)
    assert (run.status.waits_for, run.status.waits_since) == (BLOCKER, instant(NOON))
    assert run.status.next_look_at == instant(run.now + timedelta(seconds=run.seconds))
    waits: list[float] = []
    while len(waits) < 40:
        waits.append(run.seconds)
        run.wait().answer_history(BLOCKER)
    assert waits == sorted(waits)
    assert waits[-1] == 60
    run.wait().answer_history().wait(2.0)
    assert run.phase is Closing
    assert run.status.waits_for is None


def test_behind_one_refresh_for_an_hour_the_run_posts_anyway() -> None:
    """The row of a refresh may never end, so after an hour the run posts. If Power BI refuses the POST, the next hour
    begins."""
    run = Incarnation().answer_claim()
    while run.answer_history(BLOCKER).phase is Looking:
        run.wait()
    assert timedelta(minutes=60) <= run.now - NOON <= timedelta(minutes=61)
    run.wait(2.0).answer_close().answer_post(Busy()).answer_history(BLOCKER, lost=None)
    run.answer_reopen().wait(5)
    probed = run.now
    while run.answer_history(BLOCKER).phase is Looking:
        run.wait()
    assert timedelta(minutes=59) <= run.now - probed <= timedelta(minutes=61)


def test_the_hour_starts_again_for_each_external_refresh() -> None:
    """The hour begins again with each external refresh: a model that is refreshed again and again is not stuck."""
    run = Incarnation().answer_claim()
    for number in range(600):
        run.answer_history(ExternalRefresh(refresh_id=f"theirs-{number // 40}", started_at=BLOCKER.started_at))
        assert run.phase is Looking
        run.wait()
    assert run.now - NOON > timedelta(minutes=61)


def test_after_an_accepted_probe_the_run_ignores_the_stuck_row() -> None:
    """If a POST behind a stuck row is accepted, only the run's own refresh matters."""
    run = Incarnation().answer_claim()
    while run.answer_history(BLOCKER).phase is Looking:
        run.wait()
    run.wait(2.0).answer_close().answer_post(Accepted(refresh_id="r")).answer_record()
    assert (run.status.waits_for, run.status.waits_since) == (None, None)
    assert (run.status.phase, run.status.refresh_id) == ("polling", "r")


@pytest.mark.parametrize("next_run", [NEXT, None])
def test_a_run_that_may_not_close_ends_and_starts_the_next(next_run: Turn | None) -> None:
    """A run may not close if all members have left it, or if another incarnation has taken over."""
    run = Incarnation().answer_claim().answer_history().wait().answer_superseded(Close, next_run)
    if next_run:
        run.answer(StartRun, Notified(), turn=next_run)
    assert run.over


def test_a_run_includes_all_requests_until_its_close() -> None:
    """Requests that joined may have widened the scope. The estimate is then not used, because it was for the earlier
    scope."""
    wider = Scope(workspace_id="w", refresh=RefreshOptions(objects=(TableRef("A"), TableRef("B"))))
    alone = Scope(workspace_id="w", refresh=RefreshOptions(objects=(TableRef("A"),)))
    for scope, durations in ((wider, ()), (alone, (60.0, 61.0, 62.0))):
        run = Incarnation().answer_claim(alone).answer_history(estimate=(60.0, 61.0, 62.0)).wait()
        run.answer(Close, Closed(scope=scope)).answer_post(Accepted(refresh_id="r"), scope=scope)
        assert run.run.followed.durations == durations


def test_a_refresh_that_appeared_meanwhile_is_adopted() -> None:
    """An adopted refresh serves the requests from before the look. Later requests are late for it."""
    run = Incarnation().until_polling(adopted=True).answer_read("Completed")
    assert run.check_outcome("Completed").adopted is True
    assert run.order.late_after == instant(NOON)


@pytest.mark.parametrize("status", ["Failed", "Cancelled", "Disabled"])
def test_an_adopted_refresh_that_ends_badly_fails_no_request(status: str) -> None:
    """An adopted refresh is not known to be ours. If it fails, the run waits again and starts its own refresh."""
    run = Incarnation().until_polling(adopted=True).answer_read(status).answer_reopen(permit=1)
    run.answer_history().wait(2.0).answer_close(permit=2).answer_post(
        Accepted(refresh_id="r")
    ).answer_record().wait().answer_read(status)
    assert run.order.outcome.status == ("Cancelled" if status == "Cancelled" else "Failed")
    assert run.order.late_after is None


def test_a_run_waits_for_another_kind_of_refresh_in_between() -> None:
    """If a refresh of another kind began before the POST, the run posts nothing, and waits."""
    run = Incarnation().until_permitted().answer_post(Blocked()).answer_reopen(permit=1).wait(5)
    assert run.answer_history(BLOCKER).phase is Looking


def test_after_a_refusal_as_busy_the_run_searches_for_a_new_refresh() -> None:
    """A parallel execution of the activity may have posted. If a new refresh appears, it is adopted; otherwise the run
    waits."""
    adopted = (
        Incarnation()
        .until_permitted()
        .answer_post(Busy())
        .answer_history(adoptable="r", lost=None)
        .answer_record()
        .run.followed
    )
    assert (adopted.adopted, adopted.after_loss) == (True, False)
    run = Incarnation().until_permitted().answer_post(Busy()).answer_history(BLOCKER, lost=None)
    run.answer_reopen().wait(5).answer_history(BLOCKER)
    assert run.phase is Looking
    hidden = Incarnation().until_permitted().answer_post(Busy())
    while hidden.answer_history().phase is Reconciling:
        hidden.wait()
    assert hidden.now - NOON >= timedelta(seconds=120)
    hidden.answer_reopen().wait(60)
    assert hidden.phase is Looking


def test_a_run_does_not_wait_for_an_ended_blocker() -> None:
    """If the history shows that the refresh that caused the refusal has ended, the run does not wait. The grace is only
    for hidden refreshes."""
    run = Incarnation().until_permitted().answer_post(Busy()).answer_history(changed=True)
    assert run.phase is Reopening
    assert run.now - NOON < timedelta(seconds=5)
    run.answer_reopen().wait(5).answer_history().wait(2.0).answer_close(permit=2)


def test_a_refused_probe_does_not_wait_for_the_grace() -> None:
    """If a POST behind a stuck row is refused, this row was the cause, even if it has disappeared. So there is no
    hidden refresh to wait for."""
    run = Incarnation().answer_claim()
    while run.answer_history(BLOCKER).phase is Looking:
        run.wait()
    run.wait(2.0).answer_close()
    assert run.order.look.running == "theirs"
    assert run.answer_post(Busy()).answer_history().phase is Reopening
    run.answer_reopen().wait(5)


@pytest.mark.parametrize("more", [True, False])
def test_a_run_whose_members_have_all_ended_is_dropped(more: bool) -> None:
    """The run ends. If the queue has further members for it, the run looks again instead."""
    run = Incarnation().until_permitted().answer_post(Unwanted(requests=("a",)))
    if more:
        run.answer(Drop, Done(), permit=1, requests=("a",), execution=EXECUTION).answer_history().wait().answer_close(
            permit=2
        )
    else:
        run.answer_superseded(Drop, NEXT).answer(StartRun, Notified(), turn=NEXT)
        assert run.over


def test_a_timer_that_fires_early_counts_as_due() -> None:
    """When a timer has fired, the run continues, whatever the clock shows."""
    run = Incarnation().answer_claim().answer_history()
    step = run.step
    assert isinstance(step, Wait)
    run.run = step.then
    assert isinstance(run.order, Close)


def test_the_kind_of_refresh_decides_how_it_is_read() -> None:
    """Enhanced refreshes are read by their id. For others this is not possible."""
    assert Incarnation().until_polling(ENHANCED).order.enhanced is True
    assert Incarnation().until_polling().order.enhanced is False


def test_the_objects_of_an_enhanced_refresh_of_ours_go_to_the_queue() -> None:
    """These objects identify the next refresh of the same scope if its answer is lost."""
    done = judge(RefreshRow("r", "ViaEnhancedApi", "Completed"), MODEL)
    read = RefreshRead(outcome=done, objects="digest")
    assert Incarnation().until_polling(ENHANCED).answer(ReadRefresh, read).order.objects == "digest"
    assert Incarnation().until_polling(ENHANCED, adopted=True).answer(ReadRefresh, read).order.objects is None
    assert Incarnation().until_polling().answer(ReadRefresh, read).order.objects is None
    failed_one = RefreshRead(outcome=judge(RefreshRow("r", "x", "Failed"), MODEL), objects="digest")
    assert Incarnation().until_polling(ENHANCED).answer(ReadRefresh, failed_one).order.objects is None


def test_members_that_came_too_late_for_an_adopted_refresh_do_not_get_its_outcome() -> None:
    """Members that came too late get a run of their own, even if this run ends after too many incarnations."""
    run = Incarnation(number=MAX_INCARNATIONS + 1)
    run.answer_claim(permit=1, closed=True, look=LOOK, refresh_id="r", posted_at=instant(NOON), adopted=True)
    assert run.check_outcome("OutcomeUnknown", "InternalError").adopted is True
    assert run.order.late_after == LOOK.read_at


def test_a_refresh_that_appeared_is_recorded_as_adopted() -> None:
    """The record says whether the refresh is known to be ours."""
    Incarnation().until_permitted().answer_post(Appeared(refresh_id="r")).answer_record(adopted=True, refresh_id="r")
