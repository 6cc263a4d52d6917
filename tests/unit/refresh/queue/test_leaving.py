"""Requests leave a queue, are cancelled and expire, without affecting others and without coming back."""

import pytest

from refresh.queue.answers import Done, Ended, Left, OtherToken, Superseded, Turn, Unknown, WakeUp
from refresh.queue.memory import MAX_PENDING_CANCELLATIONS, MAX_REMEMBERED
from refresh.queue.state import Departed
from refresh.queue.stored import dump
from tests.unit.refresh.queue.queues import COMPLETED, SALES, CheckedQueue


@pytest.fixture
def queue() -> CheckedQueue:
    """An empty queue at noon."""
    return CheckedQueue()


def test_a_member_that_leaves_a_shared_run_affects_no_other(queue: CheckedQueue) -> None:
    """If a member leaves, the refresh of the others continues."""
    run = queue.enroll_and_post("a", "b")
    answer = queue.leave_ok("a", cancel=True)
    assert (answer.run, answer.shared_with, answer.cancel_refresh_id) == (run, 1, None)
    assert queue.enroll_ok("b").shared_with == 0
    assert queue.finish(run).wake_ups == (WakeUp(instance="b", event="wake-1", served_by="own"),)


@pytest.mark.parametrize(
    ("cancels", "cancelled"),
    [((True, True), "r"), ((False, True), None), ((True, False), None), ((False, False), None)],
)
def test_a_refresh_is_cancelled_only_if_every_member_cancels(
    queue: CheckedQueue, cancels: tuple[bool, bool], cancelled: str | None
) -> None:
    """A member that left without cancelling still needs the refresh."""
    queue.enroll_and_post("a", "b")
    queue.leave("a", cancel=cancels[0])
    assert queue.leave_ok("b", cancel=cancels[1]).cancel_refresh_id == cancelled


def test_a_member_that_left_before_the_post_does_not_prevent_a_cancellation(queue: CheckedQueue) -> None:
    """The refresh is not for a member that left before the POST. So the only remaining member may cancel it."""
    queue.enroll("early")
    run = queue.enroll_ok("b").run
    queue.leave("early", cancel=False)
    queue.post(run)
    assert queue.leave_ok("b", cancel=True).cancel_refresh_id == "r"


def test_a_member_that_left_a_dropped_refresh_does_not_prevent_a_later_cancellation(queue: CheckedQueue) -> None:
    """A member needs only the refresh that was running when it left. If that was dropped, the next one may be
    cancelled."""
    run = queue.enroll_and_post("a", "b")
    queue.leave("a", cancel=False)
    queue.reopen(run)
    queue.close(run, permit=2)
    queue.record(run, permit=2)
    assert queue.leave_ok("b", cancel=True).cancel_refresh_id == "r"


def test_an_adopted_refresh_is_never_cancelled(queue: CheckedQueue) -> None:
    """An adopted refresh belongs to another caller, so it is never cancelled."""
    run = queue.enroll_ok("a").run
    queue.claim(run)
    queue.close(run)
    queue.record(run, adopted=True)
    assert queue.leave_ok("a", cancel=True).cancel_refresh_id is None
    assert queue.runs[0].cancel is False


def test_a_refresh_whose_members_left_during_the_post_is_cancelled_by_the_run(queue: CheckedQueue) -> None:
    """When the members leave, the id of the refresh is not known yet. The answer to the operation that records it tells
    the run to cancel it."""
    run = queue.enroll_ok("a").run
    queue.claim(run)
    queue.close(run)
    assert queue.leave_ok("a", cancel=True).cancel_refresh_id is None
    answer = queue.record(run)
    assert (answer.cancel, answer.wake_ups) == (True, ())


def test_a_cancel_from_before_the_record_does_not_cancel_an_adopted_refresh(queue: CheckedQueue) -> None:
    """A cancellation may come before it is known whose refresh it is. An adopted refresh is then not cancelled."""
    run = queue.enroll_ok("a").run
    queue.claim(run)
    queue.close(run)
    queue.leave("a", cancel=True)
    assert queue.record(run, adopted=True).cancel is False


def test_a_restarted_run_is_told_to_cancel_its_refresh(queue: CheckedQueue) -> None:
    """The incarnation that should have cancelled the refresh may have died before, so the next one is told to
    cancel it."""
    run = queue.enroll_and_post("a")
    queue.leave("a", cancel=True)
    queue.restart(run)
    assert queue.claim_ok(run, incarnation=2).cancel is True


def test_a_run_without_members_is_removed_unless_it_may_have_posted(queue: CheckedQueue) -> None:
    """A run without members stays if its refresh may be running: it follows the refresh to its end. Otherwise the run
    is removed, and starts no refresh."""
    run = queue.enroll_and_post("a")
    queue.enroll("b")
    queue.enroll("c", scope=SALES)
    assert queue.leave_ok("b").next is None
    queue.leave("a")
    assert [each.id for each in queue.runs] == [run, "c-r1"]
    assert queue.finish(run).next == Turn(run="c-r1", incarnation=1)


def test_the_last_member_to_leave_the_active_run_starts_the_next(queue: CheckedQueue) -> None:
    """The orchestration of the removed run would not start the next run, and may never have existed. So the member is
    told to start it."""
    queue.enroll("a")
    queue.enroll("b", scope=SALES)
    turn = Turn(run="b-r1", incarnation=1)
    assert queue.leave_ok("a").next == turn
    assert queue.leave_ok("a").next == turn
    assert not queue.claim("a-r1")


def test_a_run_without_members_is_stopped_by_its_next_operation(queue: CheckedQueue) -> None:
    """The answer to the operation stops the run, and says which run to start."""
    queue.enroll("a")
    queue.enroll("b", scope=SALES)
    queue.claim("a-r1")
    queue.leave("a")
    assert queue.reopen("a-r1") == Superseded(next=Turn(run="b-r1", incarnation=1), over=True)


@pytest.mark.parametrize("token", ["t", "second token"])
def test_a_repeated_leave_gets_the_same_answer(queue: CheckedQueue, token: str) -> None:
    """The outcome depends neither on which copy of the answer arrives, nor on which incarnation asks."""
    run = queue.enroll_and_post("a", "b")
    first = queue.leave_ok("a", reason="Cancelled")
    queue.finish(run)
    queue.later(minutes=20)
    assert queue.leave("a", token=token, reason="Cancelled") == first
    assert queue.leave("a", token=token, reason="TimedOut") == first
    assert queue.enroll("a", token=token) == first
    assert (first.reason, first.position, first.shared_with, first.refresh_id) == ("Cancelled", 0, 1, "r")


def test_each_request_that_left_gets_its_own_answer_again(queue: CheckedQueue) -> None:
    """Each request gets its own answer, although the common parts of the answers are stored only once."""
    queue.enroll_and_post("a", "b", "c")
    answers = {request: queue.leave_ok(request, cancel=True) for request in "abc"}
    assert [answer.shared_with for answer in answers.values()] == [2, 1, 0]
    assert [answer.cancel_refresh_id for answer in answers.values()] == [None, None, "r"]
    assert {request: queue.enroll(request) for request in "abc"} == answers
    assert len(queue.state.leave_answers) == 2
    queue.later(minutes=31).tidy()
    assert queue.state.leave_answers == []


def test_leave_repeated_after_expiry_has_no_effect(queue: CheckedQueue) -> None:
    """A late duplicate of a leave enrols no request and takes no outcome."""
    queue.enroll_and_post("a", "b")
    queue.leave("a")
    queue.later(minutes=31).enroll("b")
    assert queue.leave("a") == Left(reason="TimedOut")
    assert queue.members == [["b"]]


def test_a_request_that_left_without_having_enrolled_has_left(queue: CheckedQueue) -> None:
    """A request may leave before it enrols. A late enrolment of it, or of a second incarnation, gets the same
    outcome."""
    left = Left(reason="Cancelled")
    assert queue.leave("a", reason="Cancelled") == left
    assert queue.enroll("a") == left
    assert queue.enroll("a", token="second token", attempt=2) == left
    assert queue.runs == []


def test_another_incarnation_of_an_enrolled_request_is_refused(queue: CheckedQueue) -> None:
    """A second incarnation is refused, because two orchestrations with one id would end the request twice."""
    queue.enroll_and_post("a")
    assert queue.enroll("a", token="other") == OtherToken()
    assert queue.leave("a", token="other") == OtherToken()
    assert queue.members == [["a"]]


def test_an_outcome_is_the_same_whichever_incarnation_asks(queue: CheckedQueue) -> None:
    """A request has only one outcome, whichever incarnation asks. The first one may still try again after a second one
    has asked."""
    run = queue.enroll_and_post("a")
    queue.finish(run)
    ended = Ended(run=run, outcome=COMPLETED, shared_with=0, served_by="own")
    assert queue.enroll("a", token="other") == ended
    assert queue.enroll("a") == ended
    assert queue.leave("a", token="other") == ended
    assert queue.enroll("a", token="other", attempt=2) == ended
    assert queue.enroll_ok("a", attempt=2).run == "a-r2"


def test_an_outcome_is_stored_as_long_as_a_request_that_has_it(queue: CheckedQueue) -> None:
    """An outcome is stored for half an hour after it was collected, not after the run ended."""
    queue.finish(queue.enroll_and_post("a"))
    queue.later(minutes=29).outcome_of("a")
    queue.later(minutes=15).tidy()
    assert queue.later(minutes=5).outcome_of("a").outcome == COMPLETED


def test_a_request_with_an_expired_outcome_is_unknown(queue: CheckedQueue) -> None:
    """The request already has its outcome, so it is not enrolled again. The answer says which run to start."""
    run = queue.enroll_and_post("a")
    queue.enroll("b")
    queue.finish(run)
    queue.later(hours=23, minutes=59).outcome_of("a")
    queue.later(minutes=2).tidy()
    assert queue.state.ended == []
    assert queue.enroll("a") == Unknown(next=Turn(run="b-r1", incarnation=1))


def test_a_cancelled_request_gets_the_cancellation_when_it_next_asks(queue: CheckedQueue) -> None:
    """The answer to a request has its cancellation, because the event that would notify it sooner may be lost."""
    queue.enroll("a")
    queue.ask_to_leave("a")
    assert queue.enroll_ok("a").leaving


def test_a_request_can_be_cancelled_before_it_is_enrolled(queue: CheckedQueue) -> None:
    """A cancellation is stored even if the orchestration of its request has not had its first turn yet."""
    queue.ask_to_leave("a")
    assert queue.later(minutes=5).enroll_ok("a").leaving
    assert queue.enroll_ok("a").leaving
    assert queue.state.pending_cancellations == {}


def test_cancelling_a_request_that_has_ended_changes_nothing(queue: CheckedQueue) -> None:
    """If the cancellation and the outcome overtake each other, the outcome stays."""
    run = queue.enroll_and_post("a")
    queue.finish(run)
    ended = Ended(run=run, outcome=COMPLETED, shared_with=0, served_by="own")
    for _ in range(2):
        queue.ask_to_leave("a")
        assert queue.enroll("a") == ended


def test_cancelling_a_request_that_has_left_is_not_stored(queue: CheckedQueue) -> None:
    """The cancellation of a request that has left is not stored, because such a request never enrols again."""
    queue.enroll("a")
    queue.leave("a")
    queue.ask_to_leave("a")
    assert queue.state.pending_cancellations == {}


def test_a_late_reopen_does_not_remove_a_run_that_has_posted_again(queue: CheckedQueue) -> None:
    """A late reopen of an earlier permit does not remove a run whose members have left while its new refresh is
    running."""
    run = queue.enroll_and_post("a")
    queue.reopen(run)
    queue.close(run, permit=2)
    queue.record(run, permit=2)
    queue.leave("a", cancel=False)
    assert queue.reopen(run, permit=1) == Done()
    assert [each.id for each in queue.runs] == [run]


def test_a_late_drop_removes_no_member_of_the_next_permit(queue: CheckedQueue) -> None:
    """A request that was dropped and has enrolled again stays, because it is active."""
    run = queue.enroll_ok("a").run
    queue.enroll("b")
    queue.claim(run)
    queue.close(run)
    assert queue.drop(run, "a") == Done()
    assert queue.later(seconds=1).enroll_ok("a").run == run
    queue.close(run, permit=2)
    queue.drop(run, "a")
    assert queue.members == [["b", "a"]]


def test_a_cancelled_request_that_was_dropped_by_mistake_leaves_when_it_enrolls_again(queue: CheckedQueue) -> None:
    """The queue stores the cancellation, because the event that would notify the request sooner may be lost."""
    run = queue.enroll_ok("a").run
    queue.enroll("b")
    queue.claim(run)
    queue.close(run)
    queue.drop(run, "a")
    queue.later(seconds=1).ask_to_leave("a")
    assert queue.enroll_ok("a").leaving


@pytest.mark.parametrize("end", ["collected", "left", "dropped"])
def test_a_late_duplicate_enrolls_no_request_again(queue: CheckedQueue, end: str) -> None:
    """A late duplicate of an enrolment has no effect, because no caller needs a refresh for it."""
    began = queue.now
    run = queue.enroll_ok("a").run
    queue.claim(run)
    queue.close(run)
    queue.later(seconds=1)
    if end == "collected":
        queue.record(run)
        queue.finish(run)
        queue.enroll("a")
    elif end == "left":
        queue.leave("a")
        queue.reopen(run)
    else:
        queue.drop(run, "a")
    queue.now = began
    assert isinstance(queue.enroll("a"), Ended | Left | Unknown)
    queue.later(minutes=29)
    queue.enroll("other")
    queue.now = began
    assert isinstance(queue.enroll("a"), Ended | Left | Unknown)
    assert queue.members == [["other"]]


def test_an_idle_queue_becomes_none_after_its_entries_have_expired(queue: CheckedQueue) -> None:
    """After its last entry has expired, the state of a queue is None, so the entity deletes itself."""
    queue.finish(queue.enroll_and_post("a"))
    queue.enroll("a")
    queue.ask_to_leave("unknown")
    assert queue.later(minutes=30).restart("x") is None
    assert queue.stored is not None
    queue.later(seconds=1).restart("x")
    assert queue.stored is None


def test_the_number_of_entries_is_limited(queue: CheckedQueue) -> None:
    """With any number of requests and cancellations in half an hour, a limited number is stored. The oldest entries
    expire first."""
    for number in range(3):
        queue.leave(f"first-{number}")
        queue.ask_to_leave(f"asked-{number}")
    state = queue.state
    state.departed |= {f"r{number}": Departed(queue.at, "t") for number in range(MAX_REMEMBERED)}
    state.pending_cancellations |= {f"r{number}": queue.at for number in range(MAX_PENDING_CANCELLATIONS)}
    queue.stored = dump(state)
    queue.leave("last")
    queue.ask_to_leave("last-asked")
    assert (len(queue.state.departed), len(queue.state.pending_cancellations)) == (
        MAX_REMEMBERED,
        MAX_PENDING_CANCELLATIONS,
    )
    assert "last" in queue.state.departed
    assert "first-0" not in queue.state.departed
    assert "last-asked" in queue.state.pending_cancellations
    assert "asked-0" not in queue.state.pending_cancellations
