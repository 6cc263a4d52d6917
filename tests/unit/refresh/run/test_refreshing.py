"""A run follows its refresh to the end, through histories and incarnations, and gives up only for good reasons."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from durable.codec import decode, encode
from orchestrators.refresh_run import NEW_HISTORY_SECONDS, STEPS
from refresh.history.look import LostWindow
from refresh.history.progress import Progress
from refresh.queue.answers import Finished, Turn
from refresh.queue.operations import Claim, Finish
from refresh.run.machine import continued
from refresh.run.orders import (
    Accepted,
    ActivityFailure,
    AlreadyEnded,
    AnswerLost,
    Appeared,
    Blocked,
    CancelAccepted,
    CancelRefresh,
    HistoryRead,
    ReadHistory,
    ReadRefresh,
    ReadRefreshAnswer,
    Throttled,
    Unavailable,
    Unwanted,
)
from refresh.run.state import Cancelling, Claiming, Finishing, Polling, Reconciling, Reopening, RunState
from refresh.run.step import Wait
from refresh.run.transitions import MAX_ACTIVITY_FAILURES, MAX_TRIES
from refresh.times import instant
from tests.unit.refresh.run.incarnations import (
    BLOCKER,
    ENHANCED,
    LIMITS,
    LOOK,
    NEVER,
    NEXT,
    NOON,
    REFUSED,
    WAKE,
    Incarnation,
)

RECORDED: dict[str, Any] = {"permit": 1, "closed": True, "look": LOOK, "refresh_id": "r", "posted_at": instant(NOON)}
"""The queue's state of a run whose refresh was recorded."""


@pytest.mark.parametrize(
    ("status", "ends", "code"),
    [
        ("Completed", "Completed", None),
        ("Failed", "Failed", "RefreshFailed"),
        ("Cancelled", "Cancelled", "RefreshCancelled"),
        ("Disabled", "Failed", "RefreshDisabled"),
        ("TimedOut", "Failed", "RefreshTimedOut"),
    ],
)
def test_a_refresh_of_ours_ends_the_run(status: str, ends: str, code: str | None) -> None:
    """The run has the outcome of the refresh."""
    assert Incarnation().until_polling().answer_read(status).check_outcome(ends, code).refresh_id == "r"


@pytest.mark.parametrize("status", ["Unknown", "NotStarted", "Reticulating"])
def test_a_run_waits_for_a_refresh_without_an_end(status: str) -> None:
    """While the refresh has no end, the run polls and invents no outcome."""
    run = Incarnation().until_polling()
    for _ in range(50):
        run.answer_read(status).wait()
    assert run.now - NOON > timedelta(minutes=20)


def test_a_refresh_that_never_appears_is_posted_again_and_then_reported_as_dropped() -> None:
    """Within the grace, a refresh may only be hidden. After it, the refresh counts as dropped."""
    run = Incarnation().until_permitted()
    for permit in range(1, MAX_TRIES + 1):
        run.answer_post(Accepted(refresh_id="r")).answer_record()
        posted = run.now
        while run.wait().answer_absent().phase is Polling:
            assert run.now - posted < timedelta(seconds=120)
        assert run.now - posted >= timedelta(seconds=120)
        if permit < MAX_TRIES:
            run.answer_reopen(permit=permit).wait(5).answer_history().wait(2.0).answer_close(permit=permit + 1)
    assert run.check_outcome("Failed", "RefreshDropped").refresh_id == "r"


def test_a_refresh_that_appeared_never_counts_as_dropped() -> None:
    """If a refresh has appeared once, its row may be missing later, because the history is short."""
    run = Incarnation().until_polling().answer_read("Unknown")
    for _ in range(50):
        run.wait().answer_absent()
    assert run.phase is Polling


@pytest.mark.parametrize("seen", [True, False])
def test_a_refresh_that_was_pushed_out_is_not_run_again(seen: bool) -> None:
    """If all rows are newer, the refresh may not have been dropped. Its outcome is unknown."""
    run = Incarnation().until_polling()
    if seen:
        run.answer_read("Unknown").wait()
    run.now += timedelta(hours=5)
    run.answer_absent(rolled_over=True, posted_at=run.run.followed.posted_at)
    assert run.check_outcome("OutcomeUnknown", "HistoryRolledOver").refresh_id == "r"


@pytest.mark.parametrize("rolled_over", [True, False])
def test_an_external_refresh_of_unknown_outcome_fails_no_request(rolled_over: bool) -> None:
    """An adopted refresh is out of the history, or has no end for thirty hours. The run waits again and starts its own
    refresh."""
    run = Incarnation().until_polling(adopted=True)
    run.now += timedelta(hours=30)
    if rolled_over:
        run.answer_absent(rolled_over=True)
    else:
        run.answer_read("Unknown")
    run.answer_reopen(permit=1).answer_history().wait().answer_close(permit=2)


def test_refreshes_that_are_probably_ours_and_fail_end_the_run() -> None:
    """Each refresh appears after a POST without a clear answer. Probably all were ours, and one more would also
    fail."""
    run = Incarnation().until_permitted()
    for permit in range(1, MAX_TRIES + 1):
        run.answer_post(AnswerLost(error="no id in the answer")).answer_history(
            adoptable="r"
        ).answer_record().wait().answer_read("Failed")
        if permit < MAX_TRIES:
            run.answer_reopen(permit=permit).answer_history().wait().answer_close()
    assert run.check_outcome("Failed", "RefreshUnproven").refresh_id == "r"


def test_external_refreshes_that_fail_never_end_the_run() -> None:
    """A refresh that began before our POST is not ours. If it fails, the run waits again and posts, any number of
    times."""
    run = Incarnation().until_permitted()
    for permit in range(1, 4 * MAX_TRIES):
        run.answer_post(Appeared(refresh_id="r")).answer_record().wait().answer_read("Failed")
        run.answer_reopen(permit=permit).answer_history().wait().answer_close()


def test_the_progress_of_a_refresh_is_shown_while_it_runs() -> None:
    """The status shows the progress of the last successful read."""
    half = Progress(objects=2, by_status={"Completed": 1, "InProgress": 1}, tables=(), more_tables=0)
    run = Incarnation().until_polling(ENHANCED).answer_read("Unknown", half)
    assert run.status.progress == half
    run.wait().answer_unavailable(ReadRefresh)
    assert run.status.progress == half


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (Unavailable(error="the reason"), "the reason"),
        (Throttled(seconds=30, error="the reason"), "the reason"),
        (REFUSED, REFUSED.failure.message),
    ],
)
def test_no_answer_about_a_running_refresh_ends_the_run(answer: ReadRefreshAnswer, error: str) -> None:
    """The refresh continues without the app, so its outcome is still needed. The status shows the error of the read."""
    run = Incarnation().until_polling()
    for _ in range(60):
        run.answer(ReadRefresh, answer).wait()
    assert run.now - NOON > timedelta(minutes=20)
    assert run.status.last_call_error == error
    run.answer_read("Completed").check_outcome("Completed")


def test_exceptions_of_ours_while_polling_end_the_run_as_unknown() -> None:
    """The refresh may have any outcome, and a run that cannot read it would block the queue for thirty hours."""
    run = Incarnation().until_polling().answer_read("Unknown").wait()
    reads = 0
    while run.answer_broke(ReadRefresh).phase is Polling:
        reads += 1
        assert reads <= MAX_ACTIVITY_FAILURES
        run.wait()
    assert reads >= MAX_ACTIVITY_FAILURES - 1
    outcome = run.check_outcome("OutcomeUnknown", "InternalError")
    assert outcome.refresh_id == "r"
    assert outcome.error is not None
    assert "KeyError" in outcome.error.message


def test_a_successful_read_resets_the_count_of_exceptions() -> None:
    """Only consecutive exceptions of the app are counted."""
    run = Incarnation().until_polling()
    for _ in range(3 * MAX_ACTIVITY_FAILURES):
        run.answer_broke(ReadRefresh).wait().answer_broke(ReadRefresh).wait().answer_read("Unknown").wait()
    run.answer_read("Completed").check_outcome("Completed")


def test_an_outage_of_power_bi_is_not_counted_as_exceptions_of_ours() -> None:
    """After a long outage of Power BI, a single exception of the app does not end the run."""
    run = Incarnation().until_polling()
    for _ in range(2 * MAX_ACTIVITY_FAILURES):
        run.answer_unavailable(ReadRefresh).wait()
    assert run.answer_broke(ReadRefresh).phase is Polling
    run.wait().answer_read("Completed").check_outcome("Completed")


@pytest.mark.parametrize("answer", [Appeared(refresh_id="r"), AnswerLost()])
def test_exceptions_of_ours_cause_no_second_refresh(answer: Appeared | AnswerLost) -> None:
    """If only reading the refresh fails, the run starts no other one, even if the refresh is not known to be ours."""
    run = Incarnation().until_permitted().answer_post(answer)
    if isinstance(answer, AnswerLost):
        run.answer_history(adoptable="r")
    run.answer_record().wait()
    while run.answer_broke(ReadRefresh).phase is Polling:
        run.wait()
    outcome = run.check_outcome("OutcomeUnknown", "InternalError")
    assert (outcome.refresh_id, outcome.adopted) == ("r", True)


@pytest.mark.parametrize("answer", ["running", "unavailable", "absent"])
def test_a_refresh_without_end_is_given_up_after_thirty_hours(answer: str) -> None:
    """After thirty hours, the run ends, and the queue is free again."""
    run = Incarnation().until_polling().answer_read("Unknown")
    for _ in range(10 * NEVER):
        run.wait()
        if answer == "running":
            run.answer_read("Unknown")
        elif answer == "absent":
            run.answer_absent()
        else:
            run.answer_unavailable(ReadRefresh)
        if run.phase is Finishing:
            break
    assert run.check_outcome("OutcomeUnknown", "RefreshNeverEnded").refresh_id == "r"
    assert timedelta(hours=30) <= run.now - NOON <= timedelta(hours=30, minutes=2)


def test_a_refresh_without_requests_is_cancelled() -> None:
    """The cancelled refresh is followed to its end, and the next run does not begin before."""
    run = Incarnation().until_cancelling(ENHANCED)
    run.wait(5).answer(CancelRefresh, CancelAccepted(), refresh_id="r").wait(5).answer_read("Cancelled")
    run.check_outcome("Cancelled", "RefreshCancelled")


@pytest.mark.parametrize("answer", [AlreadyEnded(), REFUSED])
def test_a_refused_cancellation_is_not_sent_again(answer: AlreadyEnded) -> None:
    """After a refused cancellation, the refresh is followed to its end."""
    run = Incarnation().until_cancelling(ENHANCED).wait(5)
    assert run.answer(CancelRefresh, answer).phase is Polling


@pytest.mark.parametrize("answer", [Unavailable(error="HTTP 503"), ActivityFailure(error="KeyError: 'x'")])
def test_a_cancellation_that_did_not_reach_power_bi_is_sent_again(answer: Unavailable | ActivityFailure) -> None:
    """A cancellation is sent a few times, because cancellations often coincide with outages."""
    run = Incarnation().until_cancelling(ENHANCED)
    tries = 0
    while run.wait().phase is Cancelling:
        tries += 1
        run.answer(CancelRefresh, answer)
    assert tries == MAX_TRIES + 1
    assert run.phase is Polling


@pytest.mark.parametrize("seconds", [1.0, 60.0, 61.0, 3_600.0])
@pytest.mark.parametrize("tries_per_history", [1, 6])
def test_a_throttled_cancellation_is_not_repeated_without_limit(seconds: float, tries_per_history: int) -> None:
    """A cancellation that Power BI throttles is sent a few times, and not for much longer than the outage budget. Then
    the run follows the refresh to its end."""
    run = Incarnation().until_cancelling(ENHANCED).wait(5)
    tries = 0
    while run.phase is Cancelling:
        tries += 1
        assert tries <= MAX_TRIES + tries_per_history
        run.answer(CancelRefresh, Throttled(seconds=seconds, error="HTTP 429")).wait(max(seconds, 5))
        if tries % tries_per_history == 0 or seconds > NEW_HISTORY_SECONDS:
            run.run = decode(encode(continued(run.run)), RunState)
            run.answer_claim(ENHANCED)
    assert tries > MAX_TRIES or tries * seconds >= LIMITS.outage
    assert (tries - tries_per_history) * seconds < LIMITS.outage
    assert run.phase is Polling
    run.answer_read("Completed").check_outcome("Completed")


def test_the_limit_of_throttled_cancellations_changes_no_history() -> None:
    """In one history, throttled cancellations are repeated as before, so that a history of earlier code replays."""
    run = Incarnation().until_cancelling(ENHANCED).wait(5)
    for _ in range(STEPS):
        run.answer(CancelRefresh, Throttled(seconds=10, error="HTTP 429")).wait(10)
    assert run.phase is Cancelling


def test_a_new_history_first_checks_whether_the_run_has_requests() -> None:
    """Each history begins with a claim, so a run without requests does not poll."""
    run = Incarnation().until_polling().answer_read("Unknown")
    run.run = continued(run.run)
    run.wait()
    assert isinstance(run.order, Claim)
    assert run.answer_superseded(Claim).over


def test_a_run_that_has_ended_claims_nothing_in_a_new_history() -> None:
    """The queue no longer has such a run, but the next run and the members still have to be notified."""
    starting = Incarnation().until_polling().answer_read("Completed").answer(Finish, Finished(next=NEXT, wake_ups=WAKE))
    notifying = Incarnation().until_polling().answer_read("Completed").answer(Finish, Finished(wake_ups=WAKE))
    for run in (starting, notifying, Incarnation(), Incarnation().answer_superseded(Claim)):
        assert continued(run.run) == run.run
    finishing = Incarnation().until_polling().answer_read("Completed").run
    assert continued(finishing).phase == Claiming(then=finishing.phase)


PHASES: dict[str, Callable[[], Incarnation]] = {
    "looking": lambda: Incarnation().answer_claim(),
    "reporting_blocker": lambda: (
        Incarnation().answer_claim().answer(ReadHistory, HistoryRead(look=LOOK, running=BLOCKER))
    ),
    "looking behind a refresh": lambda: Incarnation().answer_claim().answer_history(BLOCKER),
    "closing": lambda: Incarnation().answer_claim().answer_history(),
    "posting": lambda: Incarnation().until_permitted(),
    "reconciling": lambda: (
        Incarnation().until_permitted().answer_post(AnswerLost(error="x", window=LostWindow(since=LOOK.read_at)))
    ),
    "reopening": lambda: Incarnation().until_permitted().answer_post(Blocked()),
    "dropping": lambda: Incarnation().until_permitted().answer_post(Unwanted(requests=("a",))),
    "recording": lambda: Incarnation().until_permitted().answer_post(Accepted(refresh_id="r")),
    "cancelling": lambda: Incarnation().until_cancelling(),
    "polling": lambda: Incarnation().until_polling().answer_read("Unknown"),
    "finishing": lambda: Incarnation().until_polling().answer_read("Completed"),
    "starting_next": lambda: (
        Incarnation().until_polling().answer_read("Completed").answer(Finish, Finished(next=NEXT, wake_ups=WAKE))
    ),
    "notifying": lambda: Incarnation().until_polling().answer_read("Completed").answer(Finish, Finished(wake_ups=WAKE)),
    "over": lambda: Incarnation().answer_superseded(Claim),
}
"""A run in each phase."""


@pytest.mark.parametrize("name", PHASES)
def test_a_history_may_end_anywhere(name: str) -> None:
    """The first step in the next history is the same step that the run would have made in this history."""
    plain, cut = PHASES[name](), PHASES[name]().continued()
    while isinstance(plain.step, Wait):
        plain.wait()
    while isinstance(cut.step, Wait):
        cut.wait()
    assert (cut.run, cut.now) == (plain.run, plain.now)
    assert plain.over is cut.over
    if not plain.over:
        assert plain.order == cut.order


def test_a_restarted_run_that_had_not_closed_starts_again() -> None:
    """The run keeps the number of the last permit, so that an old permit is never mistaken for a new one."""
    run = Incarnation(number=2).answer_claim(permit=3).answer_history().wait(2.0).answer_close(permit=4)
    assert run.order.holder.incarnation == 2


def test_a_restarted_run_that_may_have_posted_searches_for_its_refresh() -> None:
    """The run uses the look of the previous incarnation. If no refresh appears, it posts again."""
    closed: dict[str, Any] = {"permit": 1, "closed": True, "look": LOOK, "permit_taken_at": LOOK.read_at}
    run = Incarnation(number=2).answer_claim(**closed)
    run.answer_history(look=LOOK, lost=LostWindow(since=LOOK.service_time)).wait(5)
    run.answer_history(adoptable="r").answer_record().wait().answer_read("Completed")
    assert run.check_outcome("Completed").adopted is True
    assert run.order.late_after == LOOK.read_at
    other = Incarnation(number=2).answer_claim(**closed)
    while other.answer_history().phase is Reconciling:
        other.wait()
    other.answer_reopen(permit=1).wait().answer_history().wait().answer_close(permit=2)


def test_an_old_read_without_the_refresh_proves_no_drop() -> None:
    """An answer that took minutes says nothing about the present. An answer from after the grace proves the drop."""
    run = Incarnation().until_polling()
    read_at = run.now
    run.now += timedelta(minutes=5)
    assert run.answer_absent(read_at).phase is Polling
    assert run.wait().answer_absent().phase is Reopening


def test_an_old_look_proves_no_lost_answer() -> None:
    """After a POST without an answer, a look from before the end of the grace does not prove that no refresh was
    accepted."""
    run = Incarnation().until_permitted().answer_post(AnswerLost(error="x"))
    run.now += timedelta(minutes=5)
    run.answer(ReadHistory, HistoryRead(look=LOOK))
    assert run.phase is Reconciling
    assert run.wait().answer_history().phase is Reopening


def test_a_restarted_run_with_an_unused_permit_does_not_search() -> None:
    """Nothing was posted, and nothing can be posted any more with a permit of the previous incarnation."""
    run = Incarnation(number=2).answer_claim(permit=1, closed=True, look=LOOK)
    run.answer_reopen(permit=1).answer_history().wait().answer_close(permit=2)


@pytest.mark.parametrize("adopted", [True, False])
def test_a_restarted_run_follows_its_refresh(adopted: bool) -> None:
    """A restarted run follows the recorded refresh, even if it was adopted."""
    run = (
        Incarnation(NOON + timedelta(hours=5), number=2).answer_claim(**RECORDED, adopted=adopted).answer_read("Failed")
    )
    if adopted:
        run.answer_reopen(permit=1)
    else:
        run.check_outcome("Failed", "RefreshFailed")


def test_a_restarted_run_cancels_a_refresh_without_requests() -> None:
    """The previous incarnation may have died before it could cancel the refresh."""
    Incarnation(number=2).answer_claim(ENHANCED, **RECORDED, cancel=True).answer(CancelRefresh, AlreadyEnded()).wait()


def test_a_restarted_run_does_not_mistake_one_missing_row_for_a_drop() -> None:
    """The previous incarnation may have seen the row. If its absence counted as a drop at once, a second refresh could
    start while the first is running."""
    run = Incarnation(NOON + timedelta(hours=2), number=2).answer_claim(**RECORDED)
    assert run.answer_absent().wait().answer_read("Unknown").phase is Polling


def test_a_restarted_run_gives_up_in_time() -> None:
    """The thirty hours are counted from the POST, not from the restart."""
    run = Incarnation(NOON + timedelta(hours=30), number=2).answer_claim(**RECORDED).answer_read("Unknown")
    run.check_outcome("OutcomeUnknown", "RefreshNeverEnded")


def test_each_claim_names_the_incarnation() -> None:
    """A claim has the number and the token of its incarnation."""
    claim = Incarnation(number=7).order
    assert (claim.holder.run, claim.holder.incarnation, claim.holder.token) == ("a-r1", 7, "secret")
    assert Incarnation(number=7).run.turn == Turn(run="a-r1", incarnation=7)
