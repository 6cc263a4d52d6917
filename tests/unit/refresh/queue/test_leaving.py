"""Requests leave a queue, are cancelled and expire, without affecting others and without coming back."""

import pytest

from refresh.queue.answers import Done, Ended, Left, OtherToken, Superseded, Turn, Unknown, WakeUp
from refresh.queue.memory import MAX_PENDING_CANCELLATIONS, MAX_REMEMBERED
from refresh.queue.state import Departed
from refresh.queue.stored import dump
from tests.unit.refresh.queue.queues import COMPLETED, SALES, Desk


@pytest.fixture
def desk() -> Desk:
    """An empty queue at noon."""
    return Desk()


def test_a_member_that_leaves_a_shared_run_affects_no_other(desk: Desk) -> None:
    """If a member leaves, the refresh of the others continues."""
    run = desk.posted("a", "b")
    answer = desk.left("a", cancel=True)
    assert (answer.run, answer.shared_with, answer.cancel_refresh_id) == (run, 1, None)
    assert desk.enrolled("b").shared_with == 0
    assert desk.finish(run).wake_ups == (WakeUp(instance="b", event="wake-1", served_by="own"),)


@pytest.mark.parametrize(
    ("cancels", "cancelled"),
    [((True, True), "r"), ((False, True), None), ((True, False), None), ((False, False), None)],
)
def test_a_refresh_is_cancelled_only_if_every_member_cancels(
    desk: Desk, cancels: tuple[bool, bool], cancelled: str | None
) -> None:
    """A member that left without cancelling still needs the refresh."""
    desk.posted("a", "b")
    desk.leave("a", cancel=cancels[0])
    assert desk.left("b", cancel=cancels[1]).cancel_refresh_id == cancelled


def test_a_member_that_left_before_the_post_does_not_prevent_a_cancellation(desk: Desk) -> None:
    """The refresh is not for a member that left before the POST. So the only remaining member may cancel it."""
    desk.enroll("early")
    run = desk.enrolled("b").run
    desk.leave("early", cancel=False)
    desk.post(run)
    assert desk.left("b", cancel=True).cancel_refresh_id == "r"


def test_a_member_that_left_a_dropped_refresh_does_not_prevent_a_later_cancellation(desk: Desk) -> None:
    """A member needs only the refresh that was running when it left. If that was dropped, the next one may be
    cancelled."""
    run = desk.posted("a", "b")
    desk.leave("a", cancel=False)
    desk.reopen(run)
    desk.close(run, permit=2)
    desk.record(run, permit=2)
    assert desk.left("b", cancel=True).cancel_refresh_id == "r"


def test_an_adopted_refresh_is_never_cancelled(desk: Desk) -> None:
    """An adopted refresh belongs to another caller, so it is never cancelled."""
    run = desk.enrolled("a").run
    desk.claim(run)
    desk.close(run)
    desk.record(run, adopted=True)
    assert desk.left("a", cancel=True).cancel_refresh_id is None
    assert desk.runs[0].cancel is False


def test_a_refresh_whose_members_left_during_the_post_is_cancelled_by_the_run(desk: Desk) -> None:
    """When the members leave, the id of the refresh is not known yet. The answer to the record of the refresh tells the
    run to cancel it."""
    run = desk.enrolled("a").run
    desk.claim(run)
    desk.close(run)
    assert desk.left("a", cancel=True).cancel_refresh_id is None
    answer = desk.record(run)
    assert (answer.cancel, answer.wake_ups) == (True, ())


def test_a_cancel_from_before_the_record_does_not_cancel_an_adopted_refresh(desk: Desk) -> None:
    """A cancellation may come before it is known whose refresh it is. An adopted refresh is then not cancelled."""
    run = desk.enrolled("a").run
    desk.claim(run)
    desk.close(run)
    desk.leave("a", cancel=True)
    assert desk.record(run, adopted=True).cancel is False


def test_a_restarted_run_is_told_to_cancel_its_refresh(desk: Desk) -> None:
    """The incarnation that should have cancelled the refresh may have died before, so the next one is told to."""
    run = desk.posted("a")
    desk.leave("a", cancel=True)
    desk.restart(run)
    assert desk.claimed(run, incarnation=2).cancel is True


def test_a_run_without_members_is_removed_unless_it_may_have_posted(desk: Desk) -> None:
    """A run without members stays if its refresh may be running: it follows the refresh to its end. Otherwise the run
    is removed, and starts no refresh."""
    run = desk.posted("a")
    desk.enroll("b")
    desk.enroll("c", scope=SALES)
    assert desk.left("b").next is None
    desk.leave("a")
    assert [each.id for each in desk.runs] == [run, "c-r1"]
    assert desk.finish(run).next == Turn(run="c-r1", incarnation=1)


def test_the_last_member_to_leave_the_active_run_starts_the_next(desk: Desk) -> None:
    """The orchestration of the removed run would not start the next run, and may never have existed. So the member is
    told to."""
    desk.enroll("a")
    desk.enroll("b", scope=SALES)
    turn = Turn(run="b-r1", incarnation=1)
    assert desk.left("a").next == turn
    assert desk.left("a").next == turn
    assert not desk.claim("a-r1")


def test_a_run_without_members_is_stopped_by_its_next_operation(desk: Desk) -> None:
    """The answer to the operation stops the run, and says which run to start."""
    desk.enroll("a")
    desk.enroll("b", scope=SALES)
    desk.claim("a-r1")
    desk.leave("a")
    assert desk.reopen("a-r1") == Superseded(next=Turn(run="b-r1", incarnation=1), over=True)


@pytest.mark.parametrize("token", ["t", "second life"])
def test_a_repeated_leave_gets_the_same_answer(desk: Desk, token: str) -> None:
    """The outcome depends neither on which copy of the answer arrives, nor on which incarnation asks."""
    run = desk.posted("a", "b")
    first = desk.left("a", reason="Cancelled")
    desk.finish(run)
    desk.later(minutes=20)
    assert desk.leave("a", token=token, reason="Cancelled") == first
    assert desk.leave("a", token=token, reason="TimedOut") == first
    assert desk.enroll("a", token=token) == first
    assert (first.reason, first.position, first.shared_with, first.refresh_id) == ("Cancelled", 0, 1, "r")


def test_each_request_that_left_gets_its_own_answer_again(desk: Desk) -> None:
    """Each request gets its own answer, although the common parts of the answers are stored only once."""
    desk.posted("a", "b", "c")
    answers = {request: desk.left(request, cancel=True) for request in "abc"}
    assert [answer.shared_with for answer in answers.values()] == [2, 1, 0]
    assert [answer.cancel_refresh_id for answer in answers.values()] == [None, None, "r"]
    assert {request: desk.enroll(request) for request in "abc"} == answers
    assert len(desk.queue.leave_answers) == 2
    desk.later(minutes=31).tidy()
    assert desk.queue.leave_answers == []


def test_leave_repeated_after_expiry_has_no_effect(desk: Desk) -> None:
    """A late duplicate of a leave enrolls no request and takes no outcome."""
    desk.posted("a", "b")
    desk.leave("a")
    desk.later(minutes=31).enroll("b")
    assert desk.leave("a") == Left(reason="TimedOut")
    assert desk.members == [["b"]]


def test_a_request_that_left_without_having_enrolled_has_left(desk: Desk) -> None:
    """A request may leave before it enrolls. A late enrolment of it, or of a second incarnation, gets the same
    outcome."""
    left = Left(reason="Cancelled")
    assert desk.leave("a", reason="Cancelled") == left
    assert desk.enroll("a") == left
    assert desk.enroll("a", token="second life", attempt=2) == left
    assert desk.runs == []


def test_another_incarnation_of_an_enrolled_request_is_refused(desk: Desk) -> None:
    """A second incarnation is refused, because two orchestrations with one id would end the request twice."""
    desk.posted("a")
    assert desk.enroll("a", token="other") == OtherToken()
    assert desk.leave("a", token="other") == OtherToken()
    assert desk.members == [["a"]]


def test_an_outcome_is_the_same_whichever_incarnation_asks(desk: Desk) -> None:
    """A request has only one outcome, whichever incarnation asks. The first one may still try again after a second one
    has asked."""
    run = desk.posted("a")
    desk.finish(run)
    ended = Ended(run=run, outcome=COMPLETED, shared_with=0, served_by="own")
    assert desk.enroll("a", token="other") == ended
    assert desk.enroll("a") == ended
    assert desk.leave("a", token="other") == ended
    assert desk.enroll("a", token="other", attempt=2) == ended
    assert desk.enrolled("a", attempt=2).run == "a-r2"


def test_an_outcome_is_stored_as_long_as_a_request_that_has_it(desk: Desk) -> None:
    """An outcome is stored for half an hour after it was collected, not after the run ended."""
    desk.finish(desk.posted("a"))
    desk.later(minutes=29).ended("a")
    desk.later(minutes=15).tidy()
    assert desk.later(minutes=5).ended("a").outcome == COMPLETED


def test_a_request_with_an_expired_outcome_is_unknown(desk: Desk) -> None:
    """The request already has its outcome, so it is not enrolled again. The answer says which run to start."""
    run = desk.posted("a")
    desk.enroll("b")
    desk.finish(run)
    desk.later(hours=23, minutes=59).ended("a")
    desk.later(minutes=2).tidy()
    assert desk.queue.ended == []
    assert desk.enroll("a") == Unknown(next=Turn(run="b-r1", incarnation=1))


def test_a_cancelled_request_gets_the_cancellation_when_it_next_asks(desk: Desk) -> None:
    """The answer to a request has its cancellation, because the event that would notify it sooner may be lost."""
    desk.enroll("a")
    desk.ask_to_leave("a")
    assert desk.enrolled("a").leaving


def test_a_request_can_be_cancelled_before_it_is_enrolled(desk: Desk) -> None:
    """A cancellation is stored even if the orchestration of its request has not had its first turn yet."""
    desk.ask_to_leave("a")
    assert desk.later(minutes=5).enrolled("a").leaving
    assert desk.enrolled("a").leaving
    assert desk.queue.pending_cancellations == {}


def test_cancelling_a_request_that_has_ended_changes_nothing(desk: Desk) -> None:
    """If the cancellation and the outcome overtake each other, the outcome stays."""
    run = desk.posted("a")
    desk.finish(run)
    ended = Ended(run=run, outcome=COMPLETED, shared_with=0, served_by="own")
    for _ in range(2):
        desk.ask_to_leave("a")
        assert desk.enroll("a") == ended


def test_cancelling_a_request_that_has_left_is_not_stored(desk: Desk) -> None:
    """The cancellation of a request that has left is not stored, because such a request never enrolls again."""
    desk.enroll("a")
    desk.leave("a")
    desk.ask_to_leave("a")
    assert desk.queue.pending_cancellations == {}


def test_a_late_reopen_does_not_remove_a_run_that_has_posted_again(desk: Desk) -> None:
    """A late reopen of an earlier permit does not remove a run whose members have left while its new refresh is
    running."""
    run = desk.posted("a")
    desk.reopen(run)
    desk.close(run, permit=2)
    desk.record(run, permit=2)
    desk.leave("a", cancel=False)
    assert desk.reopen(run, permit=1) == Done()
    assert [each.id for each in desk.runs] == [run]


def test_a_late_drop_removes_no_member_of_the_next_permit(desk: Desk) -> None:
    """A request that was dropped and has enrolled again stays, because it is active."""
    run = desk.enrolled("a").run
    desk.enroll("b")
    desk.claim(run)
    desk.close(run)
    assert desk.drop(run, "a") == Done()
    assert desk.later(seconds=1).enrolled("a").run == run
    desk.close(run, permit=2)
    desk.drop(run, "a")
    assert desk.members == [["b", "a"]]


def test_a_cancelled_request_that_was_dropped_by_mistake_leaves_when_it_enrolls_again(desk: Desk) -> None:
    """The queue stores the cancellation, because the event that would notify the request sooner may be lost."""
    run = desk.enrolled("a").run
    desk.enroll("b")
    desk.claim(run)
    desk.close(run)
    desk.drop(run, "a")
    desk.later(seconds=1).ask_to_leave("a")
    assert desk.enrolled("a").leaving


@pytest.mark.parametrize("end", ["collected", "left", "dropped"])
def test_a_late_duplicate_enrolls_no_request_again(desk: Desk, end: str) -> None:
    """A late duplicate of an enrolment has no effect, because no caller needs a refresh for it."""
    began = desk.now
    run = desk.enrolled("a").run
    desk.claim(run)
    desk.close(run)
    desk.later(seconds=1)
    if end == "collected":
        desk.record(run)
        desk.finish(run)
        desk.enroll("a")
    elif end == "left":
        desk.leave("a")
        desk.reopen(run)
    else:
        desk.drop(run, "a")
    desk.now = began
    assert isinstance(desk.enroll("a"), Ended | Left | Unknown)
    desk.later(minutes=29)
    desk.enroll("other")
    desk.now = began
    assert isinstance(desk.enroll("a"), Ended | Left | Unknown)
    assert desk.members == [["other"]]


def test_an_idle_queue_becomes_none_after_its_entries_have_expired(desk: Desk) -> None:
    """After its last entry has expired, the state of a queue is None, so the entity deletes itself."""
    desk.finish(desk.posted("a"))
    desk.enroll("a")
    desk.ask_to_leave("unknown")
    assert desk.later(minutes=30).restart("x") is None
    assert desk.stored is not None
    desk.later(seconds=1).restart("x")
    assert desk.stored is None


def test_the_number_of_entries_is_limited(desk: Desk) -> None:
    """With any number of requests and cancellations in half an hour, a limited number is stored. The oldest entries
    expire first."""
    for number in range(3):
        desk.leave(f"first-{number}")
        desk.ask_to_leave(f"asked-{number}")
    queue = desk.queue
    queue.departed |= {f"r{number}": Departed(desk.at, "t") for number in range(MAX_REMEMBERED)}
    queue.pending_cancellations |= {f"r{number}": desk.at for number in range(MAX_PENDING_CANCELLATIONS)}
    desk.stored = dump(queue)
    desk.leave("last")
    desk.ask_to_leave("last-asked")
    assert (len(desk.queue.departed), len(desk.queue.pending_cancellations)) == (
        MAX_REMEMBERED,
        MAX_PENDING_CANCELLATIONS,
    )
    assert "last" in desk.queue.departed
    assert "first-0" not in desk.queue.departed
    assert "last-asked" in desk.queue.pending_cancellations
    assert "asked-0" not in desk.queue.pending_cancellations
