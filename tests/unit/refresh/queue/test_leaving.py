"""Requests leave a queue, are cancelled and forgotten, without hurting others and without coming back."""

import pytest

from refresh.queue.state import MAX_REMEMBERED
from tests.unit.refresh.queue.queues import COMPLETED, SALES, Desk


@pytest.fixture
def desk() -> Desk:
    """An empty queue at noon."""
    return Desk()


def test_who_leaves_a_shared_run_hurts_nobody(desk: Desk) -> None:
    """The others' refresh goes on."""
    run = desk.posted("a", "b")
    answer = desk.leave("a", cancel=True)
    assert (answer["state"], answer["alone"], answer["cancel_refresh_id"]) == ("left", False, None)
    assert desk.enroll("b")["shared_with"] == 0
    assert desk.finish(run)["wake"] == [["b", "wake-1"]]


@pytest.mark.parametrize(
    ("wishes", "cancelled"), [((True, True), "r"), ((False, True), None), ((True, False), None), ((False, False), None)]
)
def test_a_refresh_is_cancelled_only_if_every_member_wished_it(
    desk: Desk, wishes: tuple[bool, bool], cancelled: str | None
) -> None:
    """Somebody who left it running counts on it."""
    desk.posted("a", "b")
    desk.leave("a", cancel=wishes[0])
    answer = desk.leave("b", cancel=wishes[1])
    assert (answer["alone"], answer["cancel_refresh_id"]) == (True, cancelled)


def test_who_left_before_the_post_has_no_say_in_its_refresh(desk: Desk) -> None:
    """It was never theirs: the only member left may have it cancelled."""
    desk.enroll("early")
    run = desk.enroll("b")["run"]
    desk.leave("early", cancel=False)
    desk.run("claim", run)
    desk.close(run)
    desk.record(run)
    assert desk.leave("b", cancel=True)["cancel_refresh_id"] == "r"


def test_who_left_a_refresh_that_came_to_nothing_has_no_say_in_the_next(desk: Desk) -> None:
    """The refresh that was to be kept is not there any more."""
    run = desk.posted("a", "b")
    desk.leave("a", cancel=False)
    desk.run("reopen", run, permit=1)
    desk.close(run, permit=2)
    desk.record(run, permit=2)
    assert desk.leave("b", cancel=True)["cancel_refresh_id"] == "r"


def test_an_adopted_refresh_is_never_cancelled(desk: Desk) -> None:
    """It is somebody else's."""
    run = desk.enroll("a")["run"]
    desk.run("claim", run)
    desk.close(run)
    desk.record(run, adopted=True)
    assert desk.leave("a", cancel=True)["cancel_refresh_id"] is None
    assert desk.queue.runs[0].cancel is False


def test_who_leaves_during_the_post_has_it_cancelled_by_the_run(desk: Desk) -> None:
    """The refresh id is not known yet; the run hears of the wish with its record."""
    run = desk.enroll("a")["run"]
    desk.run("claim", run)
    desk.close(run)
    assert desk.leave("a", cancel=True)["cancel_refresh_id"] is None
    answer = desk.record(run)
    assert (answer["go"], answer["cancel"], answer["wake"]) == (True, True, [])


def test_an_adopted_refresh_is_not_cancelled_by_an_earlier_wish(desk: Desk) -> None:
    """The wish came while nobody knew whose the refresh would be."""
    run = desk.enroll("a")["run"]
    desk.run("claim", run)
    desk.close(run)
    desk.leave("a", cancel=True)
    assert desk.record(run, adopted=True)["cancel"] is False


def test_a_restarted_run_is_told_that_nobody_wants_its_refresh(desk: Desk) -> None:
    """The life that should have cancelled it may have died over it."""
    run = desk.posted("a")
    desk.leave("a", cancel=True)
    desk.do("restart", run=run, generation=1)
    assert desk.run("claim", run, generation=2)["cancel"] is True


def test_a_run_without_members_is_removed_unless_it_may_have_posted(desk: Desk) -> None:
    """What may be running has to be followed to its end; what is not, is not made."""
    run = desk.posted("a")
    desk.enroll("b")
    desk.enroll("c", scope=SALES)
    assert desk.leave("b")["next"] is None
    desk.leave("a")
    assert [entry.id for entry in desk.queue.runs] == [run, "c-r1"]
    assert desk.finish(run)["next"] == {"run": "c-r1", "generation": 1}


def test_who_leaves_the_head_of_the_queue_starts_the_next(desk: Desk) -> None:
    """The run that is left has nobody to go on for, and its orchestration may not even exist."""
    desk.enroll("a")
    desk.enroll("b", scope=SALES)
    turn = {"run": "b-r1", "generation": 1}
    assert desk.leave("a")["next"] == turn
    assert desk.leave("a")["next"] == turn
    assert not desk.run("claim", "a-r1")["go"]


def test_a_run_hears_at_its_next_word_that_it_was_left(desk: Desk) -> None:
    """And is told whom to start instead."""
    desk.enroll("a")
    desk.enroll("b", scope=SALES)
    desk.run("claim", "a-r1")
    desk.leave("a")
    assert desk.close("a-r1") == {"go": False, "next": {"run": "b-r1", "generation": 1}}


def test_a_repeated_leave_tells_how_it_stood_then(desk: Desk) -> None:
    """The request's ending must not depend on which copy of the answer arrives."""
    run = desk.posted("a", "b")
    first = desk.leave("a")
    desk.finish(run)
    assert desk.later(minutes=20).leave("a") == first
    assert first["position"] == 0
    assert first["refresh_id"] == "r"


def test_a_request_that_left_is_told_so_when_it_enrolls(desk: Desk) -> None:
    """A crash can let a request forget that it left: it can still end as one that did."""
    desk.posted("a", "b")
    left = desk.leave("a", reason="Cancelled")
    assert desk.enroll("a") == left
    assert (left["state"], left["reason"]) == ("left", "Cancelled")


def test_leave_repeated_after_the_memory_is_over_invents_nothing(desk: Desk) -> None:
    """It enrolls nobody and takes nobody's verdict."""
    desk.posted("a", "b")
    desk.leave("a")
    desk.later(minutes=31).enroll("b")
    assert desk.leave("a") == {"state": "gone", "next": None}
    assert [member.id for member in desk.queue.runs[0].members] == ["b"]


def test_another_life_of_a_request_is_refused(desk: Desk) -> None:
    """Two orchestrations under one id would end twice."""
    desk.posted("a")
    assert desk.enroll("a", token="other") == {"state": "taken"}
    assert desk.leave("a", token="other") == {"state": "taken"}
    desk.leave("a")
    assert desk.enroll("a", token="other") == {"state": "taken"}
    assert desk.leave("a", token="other") == {"state": "taken"}


def test_whichever_life_asks_for_a_verdict_is_told_the_same(desk: Desk) -> None:
    """The verdict of a request is one."""
    desk.finish(desk.posted("a"))
    assert desk.enroll("a", token="other")["outcome"] == COMPLETED
    assert desk.enroll("a")["outcome"] == COMPLETED


def test_a_cancelled_request_hears_of_it_when_it_next_asks(desk: Desk) -> None:
    """The event that tells it sooner may be lost."""
    desk.enroll("a")
    assert desk.do("ask_to_leave", request="a") == {}
    assert desk.enroll("a")["leaving"]


def test_a_request_can_be_cancelled_before_it_is_enrolled(desk: Desk) -> None:
    """Its orchestration may not have had its first turn."""
    desk.do("ask_to_leave", request="a")
    assert desk.later(minutes=5).enroll("a")["leaving"]
    assert desk.enroll("a")["leaving"]
    assert desk.queue.asked == {}


def test_cancelling_who_has_ended_changes_nothing(desk: Desk) -> None:
    """It may cross the verdict on its way."""
    desk.finish(desk.posted("a"))
    desk.do("ask_to_leave", request="a")
    assert desk.enroll("a")["outcome"] == COMPLETED
    desk.do("ask_to_leave", request="a")
    assert desk.enroll("a")["outcome"] == COMPLETED


def test_a_late_reopen_does_not_remove_a_run_that_has_posted_again(desk: Desk) -> None:
    """Its members may have left their refresh running; the next run must not start beside it."""
    run = desk.posted("a")
    desk.run("reopen", run, permit=1)
    desk.close(run, permit=2)
    desk.record(run, permit=2)
    desk.leave("a", cancel=False)
    assert desk.run("reopen", run, permit=1) == {"go": True}
    assert [entry.id for entry in desk.queue.runs] == [run]


def test_a_late_drop_takes_nobody_out_of_the_next_permit(desk: Desk) -> None:
    """Whoever was dropped and has enrolled again since is alive."""
    run = desk.enroll("a")["run"]
    desk.enroll("b")
    desk.run("claim", run)
    desk.close(run)
    assert desk.run("drop", run, permit=1, gone=["a"]) == {"go": True}
    assert desk.later(seconds=1).enroll("a")["run"] == run
    desk.close(run, permit=2)
    desk.run("drop", run, permit=1, gone=["a"])
    assert [member.id for member in desk.queue.runs[0].members] == ["b", "a"]


@pytest.mark.parametrize("end", ["collected", "left", "dropped"])
def test_a_late_enrolment_of_the_ended_brings_nobody_back(desk: Desk, end: str) -> None:
    """The engine may deliver an old message once more after its request is over."""
    began = desk.now
    run = desk.enroll("a")["run"]
    desk.run("claim", run)
    desk.close(run)
    desk.later(seconds=1)
    if end == "collected":
        desk.record(run)
        desk.finish(run)
        desk.enroll("a")
    elif end == "left":
        desk.leave("a")
        desk.run("reopen", run, permit=1)
    else:
        desk.run("drop", run, permit=1, gone=["a"])
    desk.now = began
    assert desk.enroll("a")["state"] != "enrolled"
    desk.later(minutes=29)
    desk.enroll("other")
    desk.now = began
    assert desk.enroll("a")["state"] != "enrolled"
    assert [member.id for entry in desk.queue.runs for member in entry.members] == ["other"]


def test_a_quiet_queue_is_nothing_when_its_memory_is_over(desk: Desk) -> None:
    """So the entity can delete itself."""
    desk.finish(desk.posted("a"))
    desk.enroll("a")
    desk.do("ask_to_leave", request="unknown")
    assert desk.later(minutes=30).do("restart", run="x", generation=1) == {"next": None}
    assert desk.state is not None
    desk.later(seconds=1).do("restart", run="x", generation=1)
    assert desk.state is None


def test_memory_is_bounded(desk: Desk) -> None:
    """However many requests come and go in half an hour."""
    desk.now = desk.now.replace(microsecond=0)
    for number in range(3):
        desk.leave(f"first-{number}")
    assert desk.state is not None
    some = desk.state["gone"]["first-0"]
    desk.state["gone"].update({f"r{number}": some for number in range(MAX_REMEMBERED)})
    desk.leave("last")
    assert len(desk.queue.gone) == MAX_REMEMBERED
    assert "last" in desk.queue.gone
    assert "first-0" not in desk.queue.gone


def test_unknown_operations_and_missing_arguments_fail(desk: Desk) -> None:
    """They are mistakes of ours, and must not change anything."""
    for arguments in [{"operation": "joke"}, {"operation": "enroll"}]:
        with pytest.raises(KeyError):
            desk.do(**arguments)
    assert desk.state is None
