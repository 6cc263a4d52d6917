"""A run waits for an idle model, posts with a permit, and finds its refresh whatever becomes of the answer."""

from datetime import timedelta
from typing import Any

import pytest

from refresh.failure.catalogue import failure
from refresh.history.look import ExternalRefresh, LostWindow
from refresh.history.outcome import judge
from refresh.history.rows import RefreshRow
from refresh.queue.answers import Closed, Done, Finished, PermitTaken, Turn
from refresh.queue.operations import Claim, Close, Drop, Finish, Operation, Record, Reopen, WaitBehind
from refresh.run.orders import (
    Accepted,
    AnswerLost,
    Appeared,
    Blocked,
    Broke,
    Busy,
    HistoryRead,
    ModelRef,
    Notified,
    NotifyRequests,
    Order,
    PostAnswer,
    PostRefresh,
    ReadHistory,
    ReadRefresh,
    RefreshRead,
    Refused,
    Stale,
    StartRun,
    Throttled,
    Unavailable,
    Unwanted,
)
from refresh.run.phases.claiming import MAX_INCARNATIONS
from refresh.run.state import (
    Closing,
    Finishing,
    Looking,
    Polling,
    Posting,
    Reconciling,
    Recording,
    Reopening,
)
from refresh.run.step import Wait
from refresh.run.transitions import MAX_TRIES
from refresh.scope.scope import RefreshOptions, Scope, TableRef
from refresh.times import instant
from tests.unit.refresh.run.incarnations import (
    BLOCKER,
    ENHANCED,
    EXECUTION,
    LOOK,
    MODEL,
    NEVER,
    NEXT,
    NOON,
    REFUSED,
    STANDARD,
    WAKE,
    Incarnation,
)

BUSY = Throttled(seconds=3_000, error="HTTP 429")


def test_an_idle_model_is_refreshed_after_a_moment() -> None:
    """The refresh has to start in a later second than the look, by the service's clock."""
    run = Incarnation().claimed()
    order = run.asks
    assert order == ReadHistory(
        model=ModelRef(workspace_id="w", dataset_id=MODEL), turn=Turn(run="a-r1", incarnation=1), scope=STANDARD
    )
    run.history().wait(2.0)
    look = run.run.look
    run.permitted(permit=1, look=look)
    run.posted(Accepted(refresh_id="r"), permit=1, holder=run.run.holder, scope=STANDARD, look=look)
    run.recorded(permit=1, refresh_id="r", adopted=False, posted_at=instant(run.now)).wait(5).reads("Unknown").wait()
    run.reads("Completed")
    assert run.ended("Completed").adopted is False
    run.answer(Finish, Finished(next=NEXT, wake=WAKE), late_after=None)
    run.answer(StartRun, Notified(), dataset_id=MODEL, turn=NEXT)
    run.answer(NotifyRequests, Notified(count=1), wake=WAKE)
    assert run.over


def test_no_request_is_notified_before_the_end() -> None:
    """That a refresh was recorded, members read from the queue; a notification would cost each of them a turn."""
    run = Incarnation().closed().posted(Accepted(refresh_id="r")).recorded()
    asked: list[type] = []
    for _ in range(20):
        if isinstance(run.step, Wait):
            run.wait()
        asked.append(type(run.asks))
        run.reads("Unknown")
    assert set(asked) == {ReadRefresh}
    run.wait().reads("Completed").answer(Finish, Finished(wake=WAKE)).answer(NotifyRequests, Notified(count=1))
    assert run.over


def test_a_run_without_members_left_notifies_none() -> None:
    """All have left it meanwhile."""
    assert Incarnation().polling().reads("Completed").answer(Finish, Finished()).over


def test_a_failed_start_of_the_next_run_and_failed_notifications_do_not_keep_a_run() -> None:
    """Members recheck."""
    run = Incarnation().polling().reads("Completed").answer(Finish, Finished(next=NEXT, wake=WAKE))
    assert run.broke(StartRun).broke(NotifyRequests).over


def test_a_run_that_the_queue_refuses_ends_at_once() -> None:
    """It is a duplicate, superseded or over."""
    assert Incarnation().superseded(Claim).over


def test_a_busy_model_is_waited_for() -> None:
    """The waits grow with the time spent; the status shows what the run waits for."""
    run = Incarnation().claimed().history(BLOCKER).wait(5).history(BLOCKER)
    assert (run.status.waits_for, run.status.waits_since) == (BLOCKER, instant(NOON))
    assert run.status.next_look_at == instant(run.now + timedelta(seconds=run.seconds))
    waits: list[float] = []
    while len(waits) < 40:
        waits.append(run.seconds)
        run.wait().history(BLOCKER)
    assert waits == sorted(waits)
    assert waits[-1] == 60
    run.wait().history().wait(2.0)
    assert run.phase is Closing
    assert run.status.waits_for is None


def test_behind_one_refresh_for_an_hour_the_run_posts_anyway() -> None:
    """The row may never end; the refusal is the truth, and the next hour begins."""
    run = Incarnation().claimed()
    while run.history(BLOCKER).phase is Looking:
        run.wait()
    assert timedelta(minutes=60) <= run.now - NOON <= timedelta(minutes=61)
    run.wait(2.0).permitted().posted(Busy()).history(BLOCKER, lost=None)
    run.reopened().wait(5)
    probed = run.now
    while run.history(BLOCKER).phase is Looking:
        run.wait()
    assert timedelta(minutes=59) <= run.now - probed <= timedelta(minutes=61)


def test_the_hour_is_counted_anew_for_each_refresh_in_the_way() -> None:
    """A busy model is no stuck one."""
    run = Incarnation().claimed()
    for number in range(600):
        run.history(ExternalRefresh(refresh_id=f"theirs-{number // 40}", started_at=BLOCKER.started_at))
        assert run.phase is Looking
        run.wait()
    assert run.now - NOON > timedelta(minutes=61)


def test_after_a_probe_that_was_accepted_no_refresh_is_waited_for() -> None:
    """The stuck row does not matter any more."""
    run = Incarnation().claimed()
    while run.history(BLOCKER).phase is Looking:
        run.wait()
    run.wait(2.0).permitted().posted(Accepted(refresh_id="r")).recorded()
    assert (run.status.waits_for, run.status.waits_since) == (None, None)
    assert (run.status.phase, run.status.refresh_id) == ("polling", "r")


@pytest.mark.parametrize("next_run", [NEXT, None])
def test_a_run_that_may_not_close_leaves_and_starts_the_next(next_run: Turn | None) -> None:
    """All members have left it, or another incarnation has taken over."""
    run = Incarnation().claimed().history().wait().superseded(Close, next_run)
    if next_run:
        run.answer(StartRun, Notified(), turn=next_run)
    assert run.over


def test_a_run_does_what_was_added_to_it_until_it_closed() -> None:
    """Requests that joined may have widened the scope; the estimate was of the scope without them."""
    wider = Scope(workspace_id="w", refresh=RefreshOptions(objects=(TableRef("A"), TableRef("B"))))
    alone = Scope(workspace_id="w", refresh=RefreshOptions(objects=(TableRef("A"),)))
    run = Incarnation().claimed(alone).history(estimate=(60.0, 61.0, 62.0)).wait().answer(Close, Closed(scope=wider))
    run.posted(Accepted(refresh_id="r"), scope=wider)
    assert run.run.followed.durations == ()
    same = Incarnation().claimed(alone).history(estimate=(60.0, 61.0, 62.0)).wait().answer(Close, Closed(scope=alone))
    assert same.posted(Accepted(refresh_id="r"), scope=alone).run.followed.durations == (60.0, 61.0, 62.0)


def test_a_refresh_that_appeared_meanwhile_is_adopted() -> None:
    """It serves the requests that came before the look; the others are late."""
    run = Incarnation().polling(adopted=True).reads("Completed")
    assert run.ended("Completed").adopted is True
    assert run.asks.late_after == instant(NOON)


@pytest.mark.parametrize("status", ["Failed", "Cancelled", "Disabled"])
def test_an_adopted_refresh_that_ends_badly_fails_no_request(status: str) -> None:
    """It is not known to be ours: back to waiting, and a refresh of our own."""
    run = Incarnation().polling(adopted=True).reads(status).reopened(permit=1)
    run.history().wait(2.0).permitted(permit=2).posted(Accepted(refresh_id="r")).recorded().wait().reads(status)
    assert run.asks.outcome.status == ("Cancelled" if status == "Cancelled" else "Failed")
    assert run.asks.late_after is None


def test_another_kind_of_refresh_in_between_is_waited_for() -> None:
    """Nothing was posted."""
    run = Incarnation().closed().posted(Blocked()).reopened(permit=1).wait(5)
    assert run.history(BLOCKER).phase is Looking


def test_a_refusal_as_busy_is_an_external_refresh_or_our_own() -> None:
    """A twin of the activity may have posted: what is new is adopted, else the model is waited for."""
    adopted = Incarnation().closed().posted(Busy()).history(adoptable="r", lost=None).recorded().run.followed
    assert (adopted.adopted, adopted.after_loss) == (True, False)
    run = Incarnation().closed().posted(Busy()).history(BLOCKER, lost=None)
    run.reopened().wait(5).history(BLOCKER)
    assert run.phase is Looking
    hidden = Incarnation().closed().posted(Busy())
    while hidden.history().phase is Reconciling:
        hidden.wait()
    assert hidden.now - NOON >= timedelta(seconds=120)
    hidden.reopened().wait(60)
    assert hidden.phase is Looking


def test_a_blocker_that_has_ended_is_not_waited_for() -> None:
    """What refused the POST is in the history and has ended: the grace is for what cannot be seen yet."""
    run = Incarnation().closed().posted(Busy()).history(changed=True)
    assert run.phase is Reopening
    assert run.now - NOON < timedelta(seconds=5)
    run.reopened().wait(5).history().wait(2.0).permitted(permit=2)


def test_a_probe_that_is_refused_waits_for_no_grace() -> None:
    """The row that the run posted behind may be gone by now: it was what refused the POST."""
    run = Incarnation().claimed()
    while run.history(BLOCKER).phase is Looking:
        run.wait()
    run.wait(2.0).permitted()
    assert run.asks.look.running == "theirs"
    assert run.posted(Busy()).history().phase is Reopening
    run.reopened().wait(5)


def test_after_a_lost_answer_a_change_alone_ends_no_grace() -> None:
    """The new row is an external one; ours may be visible later."""
    run = Incarnation().closed().posted(AnswerLost()).history(changed=True)
    assert run.phase is Reconciling
    assert run.wait().history(adoptable="r").recorded().run.followed.after_loss


@pytest.mark.parametrize("answer", [AnswerLost(error="no answer"), Broke(error="no answer")])
def test_a_lost_answer_is_searched_for_before_another_post(answer: PostAnswer | Broke) -> None:
    """The refresh may be visible late."""
    run = Incarnation().closed()
    look = run.run.look
    run.posted(answer).history(lost=LostWindow(), look=look)
    run.wait(5).history().wait()
    run.history(adoptable="r").recorded()
    assert (run.run.refresh_id, run.run.followed.adopted, run.run.posts.lost) == ("r", True, 0)


def test_a_lost_answer_is_posted_again_after_the_grace() -> None:
    """No refresh appeared, so none was accepted."""
    run = Incarnation().closed().posted(AnswerLost(error="no answer"))
    while run.history().phase is Reconciling:
        run.wait()
    assert timedelta(seconds=120) <= run.now - NOON <= timedelta(seconds=140)
    run.reopened(permit=1).wait(5).history().wait(2.0).permitted(permit=2)
    assert run.phase is Posting


def post_until_the_end(answer: PostAnswer | Broke) -> tuple[Incarnation, int]:
    """A run whose POSTs are all answered so, and nothing ever appears: its end, and how often it posted."""
    run, posts = Incarnation().closed(), 0
    while run.phase is not Finishing:
        assert posts < NEVER
        posts += 1
        run.posted(answer)
        while run.history().phase is Reconciling:
            run.wait()
        if run.phase is Reopening:
            run.reopened().wait().history().wait().permitted()
    return run, posts


def test_answers_lost_again_and_again_end_the_run() -> None:
    """After several tries and the outage budget, with the last error."""
    run, posts = post_until_the_end(AnswerLost(error="connection reset"))
    assert posts >= MAX_TRIES
    assert run.now - NOON >= timedelta(seconds=900)
    error = run.ended("Failed", "AnswerLost").error
    assert error is not None
    assert "connection reset" in error.message


def test_an_exception_of_ours_in_every_post_is_not_blamed_on_power_bi() -> None:
    """Power BI may never have been called."""
    run, posts = post_until_the_end(Broke(error="KeyError: 'x'"))
    assert posts >= MAX_TRIES
    error = run.ended("Failed", "InternalError").error
    assert error is not None
    assert "KeyError: 'x'" in error.message


def test_an_exception_of_ours_before_the_post_is_not_blamed_on_power_bi() -> None:
    """It has the same budget as an outage, for it may be one of a host that is going down."""
    run = Incarnation().claimed()
    while run.broke(ReadHistory).phase is Looking:
        run.wait()
    assert timedelta(seconds=900) <= run.now - NOON <= timedelta(seconds=960)
    error = run.ended("Failed", "InternalError").error
    assert error is not None
    assert "KeyError" in error.message
    assert run.run.posts.lost == 0


def test_the_run_knows_when_its_lost_refresh_can_have_begun() -> None:
    """So that another one is not taken for it; after a POST that broke no such times are known."""
    known = LostWindow(since="2026-03-31T12:00:05.000Z", until="2026-03-31T12:00:09.000Z")
    Incarnation().closed().posted(AnswerLost(error="no answer", window=known)).history(lost=known)
    Incarnation().closed().posted(Broke(error="x")).history(lost=LostWindow())


def test_a_stale_permit_is_asked_about_and_tried_again() -> None:
    """The queue may have been read before it showed the permit."""
    run = Incarnation().closed().posted(Stale()).wait(5).claimed().posted(Accepted(refresh_id="r"))
    assert run.phase is Recording
    assert Incarnation().closed().posted(Stale()).wait(5).superseded(Claim).over


@pytest.mark.parametrize("wanted", [True, False])
def test_a_run_whose_members_have_all_ended_is_dropped(wanted: bool) -> None:
    """Unless the queue has others: then it looks again."""
    run = Incarnation().closed().posted(Unwanted(requests=("a",)))
    if wanted:
        run.answer(Drop, Done(), permit=1, requests=("a",), execution=EXECUTION).history().wait().permitted(permit=2)
    else:
        run.superseded(Drop, NEXT).answer(StartRun, Notified(), turn=NEXT)
        assert run.over


def test_throttling_is_waited_for_as_long_as_it_says() -> None:
    """In a durable timer, and it is no outage, however long it lasts."""
    run = Incarnation().claimed().answer(ReadHistory, BUSY).wait(3_000)
    assert run.status.last_read_error == "HTTP 429"
    run.history().wait().permitted().posted(BUSY)
    run.reopened().wait(3_000).history()
    assert run.phase is Closing
    assert Incarnation().claimed().answer(ReadHistory, Throttled(seconds=0)).seconds == 5


@pytest.mark.parametrize("asked", [ReadHistory, PostRefresh])
def test_a_refusal_for_good_fails_the_run_at_once(asked: type[Order[object]]) -> None:
    """With the sentence that a person needs."""
    run = Incarnation().closed() if asked is PostRefresh else Incarnation().claimed()
    run = run.posted(REFUSED) if asked is PostRefresh else run.answer(asked, REFUSED)
    outcome = run.ended("Failed", "NotAuthorized")
    assert outcome.refresh_id is None
    assert outcome.error == REFUSED.failure
    execution = EXECUTION if asked is PostRefresh else None
    assert run.asks == Finish(
        at=instant(run.now), holder=run.run.holder, outcome=outcome, permit=run.run.permit, execution=execution
    )


def test_a_refusal_while_searching_for_a_lost_answer_fails_the_run() -> None:
    """The history cannot be read any more."""
    run = Incarnation().closed().posted(AnswerLost(error="x"))
    run.answer(ReadHistory, Refused(failure=failure("ModelNotFound", MODEL)))
    run.ended("Failed", "ModelNotFound")


def test_an_outage_before_the_post_ends_the_run_when_its_budget_is_spent() -> None:
    """The waits double; the outcome has the last error."""
    run = Incarnation().claimed()
    waits = []
    while run.unavailable(ReadHistory, "no such host").phase is Looking:
        waits.append(run.seconds)
        run.wait()
    assert waits[:5] == [5, 10, 20, 40, 60]
    assert timedelta(seconds=900) <= run.now - NOON <= timedelta(seconds=960)
    error = run.ended("Failed", "ServiceUnavailable").error
    assert error is not None
    assert "no such host" in error.message


def test_an_outage_that_ends_is_forgotten() -> None:
    """Each has the whole budget."""
    run = Incarnation().claimed()
    for _ in range(40):
        run.unavailable(ReadHistory).wait().unavailable(ReadHistory).wait().history(BLOCKER).wait()
    assert run.phase is Looking
    assert run.status.last_read_error is None


def test_an_answer_that_asks_for_patience_is_no_outage() -> None:
    """Power BI was reached: the outage budget begins anew."""
    run = Incarnation().claimed()
    for _ in range(3):
        begun = run.now
        while run.now - begun < timedelta(seconds=700):
            assert run.unavailable(ReadHistory).phase is Looking
            run.wait()
        run.answer(ReadHistory, Throttled(seconds=20, error="HTTP 429")).wait(20)
    assert run.now - NOON > timedelta(seconds=2_000)
    run.history()


def test_a_post_that_was_not_sent_opens_the_run_again() -> None:
    """Nothing was accepted, so requests may join while it waits."""
    run = Incarnation().closed().unavailable(PostRefresh).reopened(permit=1).wait(5)
    assert run.phase is Looking


def test_an_outage_of_starting_alone_has_its_budget_too() -> None:
    """The history can be read all the time, yet no refresh can be started."""
    run = Incarnation().closed()
    while run.unavailable(PostRefresh, "no such host").phase is Reopening:
        run.reopened().wait().history().wait().permitted()
    assert timedelta(seconds=900) <= run.now - NOON <= timedelta(seconds=960)
    error = run.ended("Failed", "ServiceUnavailable").error
    assert error is not None
    assert "no such host" in error.message


def test_an_outage_while_searching_for_a_lost_answer_is_waited_out() -> None:
    """A refresh may be running: giving up would let another one start beside it."""
    run = Incarnation().closed().posted(AnswerLost(error="x"))
    for _ in range(100):
        run.unavailable(ReadHistory).wait()
    run.history(adoptable="r").recorded()


@pytest.mark.parametrize("answer", [Unavailable(error="HTTP 503"), Broke(error="KeyError: 'x'")])
def test_a_history_that_is_never_read_again_does_not_keep_the_queue_for_ever(answer: Unavailable | Broke) -> None:
    """No refresh runs longer than thirty hours; what became of this one is not known."""
    run = Incarnation().closed().posted(AnswerLost(error="x"))
    while run.answer(ReadHistory, answer).phase is Reconciling and run.now - NOON < timedelta(hours=31):
        run.wait()
    outcome = run.asks.outcome
    assert outcome.status == "OutcomeUnknown"
    assert (outcome.error.code == "InternalError") is isinstance(answer, Broke)


def test_a_timer_that_fires_early_is_due_all_the_same() -> None:
    """No loop on the clock."""
    run = Incarnation().claimed().history()
    step = run.step
    assert isinstance(step, Wait)
    run.run = step.then
    assert isinstance(run.asks, Close)


def test_the_kind_of_refresh_decides_how_it_is_read() -> None:
    """Only enhanced ones can be read by their id."""
    assert Incarnation().polling(ENHANCED).asks.enhanced is True
    assert Incarnation().polling().asks.enhanced is False


@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        (Record, Accepted(refresh_id="r")),
        (Reopen, Blocked()),
        (Drop, Unwanted(requests=("a",))),
    ],
)
def test_an_incarnation_that_does_not_hold_the_run_any_more_leaves(
    asked: type[Operation[object]], answer: PostAnswer
) -> None:
    """Another one has taken over; it must not finish what is not its own any more."""
    run = Incarnation().closed().posted(answer).superseded(asked, NEXT).answer(StartRun, Notified(), turn=NEXT)
    assert run.over


def test_an_incarnation_that_may_not_report_what_is_in_the_way_leaves() -> None:
    """It learns there that it does not hold the run any more."""
    busy = HistoryRead(look=LOOK, running=BLOCKER)
    run = Incarnation().claimed().answer(ReadHistory, busy).superseded(WaitBehind, NEXT)
    assert run.answer(StartRun, Notified(), turn=NEXT).over


NOTHING_STARTED: list[tuple[PostAnswer, type[Operation[Any]]]] = [
    (Unavailable(error="HTTP 503"), Reopen),
    (BUSY, Reopen),
    (Blocked(), Reopen),
    (Unwanted(requests=("a",)), Drop),
    (REFUSED, Finish),
]
"""Results of an execution that started nothing, and what the run then asks the queue for."""


@pytest.mark.parametrize(("result", "asked"), NOTHING_STARTED, ids=lambda value: type(value).__name__)
def test_a_permit_that_another_execution_took_is_not_given_back(
    result: PostAnswer, asked: type[Operation[Any]]
) -> None:
    """The engine ran the activity twice. The other execution posts or has posted: its refresh is searched for."""
    run = Incarnation().closed()
    look = run.run.look
    run.posted(result).answer(asked, PermitTaken(at=instant(NOON + timedelta(seconds=3))), execution=EXECUTION)
    assert run.phase is Reconciling
    assert run.run.outcome is None
    # the look had the same clock as the run
    run.history(look=look, lost=LostWindow(since=instant(NOON + timedelta(seconds=3)))).wait()
    run.history(adoptable="r").recorded().wait().reads("Completed").ended("Completed")


@pytest.mark.parametrize(("result", "asked"), NOTHING_STARTED, ids=lambda value: type(value).__name__)
def test_a_permit_that_another_execution_took_is_given_back_after_the_search(
    result: PostAnswer, asked: type[Operation[Any]]
) -> None:
    """No refresh appeared within the grace, so that execution started none."""
    run = Incarnation().closed().posted(result).answer(asked, PermitTaken(at=instant(NOON)))
    while run.history().phase is Reconciling:
        run.wait()
    run.reopened(permit=1, execution=None)


def test_an_outcome_after_the_post_does_not_depend_on_an_execution() -> None:
    """The refresh is known, whichever execution started it."""
    assert Incarnation().polling().reads("Completed").asks.execution is None
    assert Incarnation().polling(adopted=True).reads("Failed").asks.execution is None


def test_the_objects_of_an_enhanced_refresh_of_ours_go_to_the_queue() -> None:
    """By them the next one of the same scope is known, if its answer is lost."""
    done = judge(RefreshRow("r", "ViaEnhancedApi", "Completed"), MODEL)
    read = RefreshRead(outcome=done, objects="digest")
    assert Incarnation().polling(ENHANCED).answer(ReadRefresh, read).asks.objects == "digest"
    assert Incarnation().polling(ENHANCED, adopted=True).answer(ReadRefresh, read).asks.objects is None
    assert Incarnation().polling().answer(ReadRefresh, read).asks.objects is None
    failed_one = RefreshRead(outcome=judge(RefreshRow("r", "x", "Failed"), MODEL), objects="digest")
    assert Incarnation().polling(ENHANCED).answer(ReadRefresh, failed_one).asks.objects is None


def test_a_lost_refresh_is_searched_for_by_the_objects_of_the_last_one() -> None:
    """The queue tells them with the claim, and anew with the permit, when the scope may be another one."""
    run = Incarnation().claimed(ENHANCED, objects="old").history().wait()
    run.answer(Close, Closed(scope=ENHANCED, objects="new")).posted(AnswerLost()).history(objects="new")
    again = Incarnation(number=2).claimed(
        ENHANCED, objects="old", permit=1, closed=True, look=LOOK, permit_taken_at=instant(NOON)
    )
    again.history(objects="old", lost=LostWindow(since=LOOK.service_time))


def test_a_run_of_too_many_incarnations_ends() -> None:
    """Its orchestration fails again and again, perhaps after its POST: another one would start another refresh."""
    Incarnation(number=MAX_INCARNATIONS).claimed().history()
    run = Incarnation(number=MAX_INCARNATIONS + 1).claimed()
    outcome = run.ended("Failed", "InternalError")
    assert outcome.error is not None
    assert f"failed {MAX_INCARNATIONS} times" in outcome.error.message
    assert run.answer(Finish, Finished()).over


def test_a_run_of_too_many_incarnations_does_not_say_that_its_refresh_failed() -> None:
    """It is recorded and goes on; how it ends is not known."""
    run = Incarnation(number=MAX_INCARNATIONS + 1)
    run.claimed(
        permit=1, closed=True, look=LOOK, refresh_id="r", posted_at=instant(NOON), permit_taken_at=instant(NOON)
    )
    assert run.ended("OutcomeUnknown", "InternalError").refresh_id == "r"


def test_members_that_came_too_late_for_an_adopted_refresh_do_not_get_its_outcome() -> None:
    """Also where the run ends after too many incarnations: they get a run of their own."""
    run = Incarnation(number=MAX_INCARNATIONS + 1)
    run.claimed(permit=1, closed=True, look=LOOK, refresh_id="r", posted_at=instant(NOON), adopted=True)
    assert run.ended("OutcomeUnknown", "InternalError").adopted is True
    assert run.asks.late_after == LOOK.read_at


def test_a_continued_run_of_many_incarnations_goes_on() -> None:
    """Only a new incarnation is counted, not each new history of one."""
    run = Incarnation(number=MAX_INCARNATIONS).polling().reads("Unknown")
    for _ in range(2 * MAX_INCARNATIONS):
        run.continued().reads("Unknown")
    assert run.phase is Polling


def test_adopted_is_what_appeared() -> None:
    """The queue records whether the refresh is known to be ours."""
    Incarnation().closed().posted(Appeared(refresh_id="r")).recorded(adopted=True, refresh_id="r")
