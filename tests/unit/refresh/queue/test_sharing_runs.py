"""Members with different scopes that share a run, and attempts."""

from datetime import timedelta

import pytest

from refresh.history.look import ExternalRefresh
from refresh.history.outcome import Outcome
from refresh.messages import replace
from refresh.queue.answers import Claimed, Closed, Left, OtherToken, Turn, WakeUp
from refresh.queue.operations import Close, Finish
from refresh.queue.state import MAX_KNOWN_OBJECTS
from refresh.scope.scope import TableRef
from refresh.times import instant
from tests.unit.refresh.queue.queues import (
    BOTH,
    COMPLETED,
    DATES,
    LOOK,
    MODEL,
    NOON,
    SALES,
    WHOLE,
    Desk,
    enhanced,
    failed,
)

SALES_FAILED = failed(TableRef("Sales", "Sales"))


@pytest.fixture
def desk() -> Desk:
    """A new queue."""
    return Desk()


def test_partial_scopes_are_merged_until_the_close(desk: Desk) -> None:
    """A scope is merged even into a run that already waits for an idle model. The run gets the merged scope at its
    close."""
    assert desk.enrolled("a", scope=SALES).run == "a-r1"
    assert desk.claimed("a-r1").scope == SALES
    assert desk.enrolled("b", scope=DATES).run == "a-r1"
    closed = desk.do(Close(at=desk.at, holder=desk.holder("a-r1"), permit=1, look=LOOK))
    assert isinstance(closed, Closed)
    assert closed.scope == BOTH
    assert desk.enrolled("c", scope=DATES).run == "c-r1"
    assert desk.scopes == [BOTH, DATES]


def test_each_scope_is_kept_once(desk: Desk) -> None:
    """A scope is stored once for any number of members, as long as one of them has it."""
    for number in range(6):
        desk.enroll(f"q{number}", scope=(SALES, DATES, BOTH)[number % 3])
    assert (len(desk.queue.scopes.extents), len(desk.queue.scopes.objects)) == (3, 2)
    for number in (1, 2, 4, 5):
        desk.leave(f"q{number}")
    assert desk.scopes == [SALES]
    assert [extent is None for extent in desk.queue.scopes.extents] == [False]


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        (Outcome(status="Completed", refresh_id="r"), ("own", "wider")),
        (Outcome(status="Completed", refresh_id="r", adopted=True), ("adopted", "adopted")),
        (failed(refresh_id=None, code="NotAuthorized"), (None, None)),
    ],
)
def test_each_member_gets_what_served_it(desk: Desk, outcome: Outcome, expected: tuple[str | None, str | None]) -> None:
    """A member is served by its own scope, a wider refresh, or an adopted one. Without a refresh, there is no such
    value."""
    desk.enroll("a", scope=MODEL)
    desk.enroll("b", scope=SALES)
    desk.finish(desk.post("a-r1"), outcome)
    for _ in range(2):
        assert (desk.ended("a").served_by, desk.ended("b").served_by) == expected


def test_members_of_a_merged_run_learn_that_it_was_merged(desk: Desk) -> None:
    """The outcome says that the run was merged: no member requested all of its objects."""
    desk.enroll("a", scope=SALES)
    desk.enroll("b", scope=DATES)
    desk.finish(desk.post("a-r1"))
    assert (desk.ended("a").served_by, desk.ended("b").served_by) == ("merged", "merged")


def test_a_partial_run_is_not_widened_to_the_whole_model(desk: Desk) -> None:
    """A request for the whole model gets another run. Otherwise the member that came first would wait hours instead of
    minutes."""
    desk.enroll("a", scope=SALES)
    assert desk.enrolled("b", scope=MODEL).run == "b-r1"
    assert desk.enrolled("c", scope=DATES).run == "b-r1"
    assert desk.scopes == [SALES, MODEL]


@pytest.mark.parametrize("share", [False, True])
def test_a_request_that_does_not_share_gets_its_own_run(desk: Desk, share: bool) -> None:
    """Two requests get a run each if either of them does not share."""
    desk.enroll("a", scope=MODEL, share=share)
    assert desk.enrolled("b", scope=SALES, share=not share).run == "b-r1"


def test_a_run_has_no_more_objects_than_its_remaining_members(desk: Desk) -> None:
    """If a member of a merged or a wider run leaves, the run keeps only the objects of the other members."""
    for name, scope in (("a", SALES), ("b", DATES)):
        desk.enroll(name, scope=scope)
    desk.leave("a")
    assert desk.scopes == [DATES]
    assert desk.runs[0].members["b"].scope is None
    other = Desk()
    for name, scope in (("a", MODEL), ("b", SALES), ("c", DATES)):
        other.enroll(name, scope=scope)
    other.leave("a")
    assert other.scopes == [BOTH]


def test_a_run_keeps_the_scope_of_its_remaining_member(desk: Desk) -> None:
    """A run keeps the scope of its widest member after a member with a narrower scope has left."""
    for name, scope in (("a", MODEL), ("b", SALES), ("c", DATES)):
        desk.enroll(name, scope=scope)
    desk.leave("c")
    assert desk.scopes == [MODEL]
    desk.finish(desk.post("a-r1"))
    assert (desk.ended("a").served_by, desk.ended("b").served_by) == ("own", "wider")


def test_a_failure_of_other_members_objects_is_retried_alone(desk: Desk) -> None:
    """Members whose own objects did not fail get runs that no request joins, in the order of enrolment. The member
    whose objects failed ends."""
    for name, scope in (("a", SALES), ("b", DATES), ("c", DATES), ("z", WHOLE)):
        desk.later(seconds=1).enroll(name, scope=scope)
    answer = desk.finish(desk.post("a-r1"), SALES_FAILED)
    assert answer.next == Turn(run="b-r1", incarnation=1)
    assert answer.wake_ups == (WakeUp(instance="a", event="wake-1", served_by="merged"),)
    assert [(run.id, len(run.members), run.share) for run in desk.runs] == [("b-r1", 2, False), ("z-r1", 1, True)]
    assert desk.ended("a", scope=SALES).outcome.status == "Failed"
    assert desk.enrolled("b", scope=DATES).run == "b-r1"
    assert desk.enrolled("d", scope=DATES).run == "d-r1"
    # alone, the member has the scope of the whole run, so the failure is its own
    desk.finish(desk.post("b-r1"), failed())
    assert [desk.ended(name, scope=DATES).run for name in "bc"] == ["b-r1", "b-r1"]


def test_each_spared_scope_gets_a_run(desk: Desk) -> None:
    """The new runs are in the order of enrolment, between the waiting runs."""
    scopes = {"a": SALES, "b": DATES, "y": WHOLE, "c": enhanced("Stores"), "d": DATES, "z": MODEL}
    for name, scope in scopes.items():
        desk.later(seconds=1).enroll(name, scope=scope)
    assert desk.members == [["a", "b", "c", "d"], ["y"], ["z"]]
    desk.finish(desk.post("a-r1"), SALES_FAILED)
    assert desk.members == [["b", "d"], ["y"], ["c"], ["z"]]
    assert desk.scopes == [DATES, WHOLE, enhanced("Stores"), MODEL]


def test_a_member_that_had_only_shared_goes_behind_those_that_came_before_it(desk: Desk) -> None:
    """A member that shared an earlier run does not keep the position of this run. It goes behind the requests that came
    before it."""
    for name, scope in (("a", SALES), ("y", WHOLE), ("b", DATES), ("z", MODEL)):
        desk.later(seconds=1).enroll(name, scope=scope)
    desk.finish(desk.post("a-r1"), SALES_FAILED)
    assert [run.id for run in desk.runs] == ["y-r1", "b-r1", "z-r1"]


def test_a_member_that_is_late_and_spared_gets_one_run(desk: Desk) -> None:
    """A member that is both late and spared is in the queue only once."""
    desk.enroll("a", scope=SALES)
    desk.later(seconds=1).enroll("b", scope=DATES)
    desk.finish(desk.post("a-r1"), SALES_FAILED, late_after=instant(NOON))
    assert desk.members == [["b"]]
    assert desk.scopes == [DATES]


def test_new_runs_are_in_the_order_of_enrolment(desk: Desk) -> None:
    """The order is that of the times of the enrolments, not that in which they arrived."""
    for name, scope, seconds in (("a", SALES, 0), ("b", DATES, 10), ("c", enhanced("Stores"), 5)):
        desk.now = NOON + timedelta(seconds=seconds)
        desk.enroll(name, scope=scope)
    desk.finish(desk.post("a-r1"), SALES_FAILED)
    assert desk.members == [["c"], ["b"]]


def test_a_run_that_opens_again_has_no_more_objects_than_its_remaining_members(desk: Desk) -> None:
    """When a run opens again, it loses the objects of members that left. While it was closed, its scope could not
    change."""
    desk.enroll("a", scope=SALES)
    desk.enroll("b", scope=DATES)
    desk.post("a-r1")
    desk.leave("b")
    assert desk.scopes == [BOTH]
    desk.reopen("a-r1")
    assert desk.scopes == [SALES]


def test_a_run_id_is_never_used_twice(desk: Desk) -> None:
    """A new run for a member that had one before has a different id."""
    for name, scope in (("a", SALES), ("b", DATES)):
        desk.enroll(name, scope=scope)
    desk.finish(desk.post("a-r1"), failed(TableRef("DimDate", "DimDate")))
    assert desk.runs[0].id == "a-r1-2"


def test_a_request_comes_again_in_its_next_attempt(desk: Desk) -> None:
    """A request enrolls again only in its next attempt. A late duplicate of the previous attempt changes nothing."""
    desk.finish(desk.posted("a"))
    assert desk.ended("a")
    assert desk.enrolled("a", attempt=2, wake_event="wake-7").run == "a-r2"
    assert desk.enrolled("a", attempt=1, wake_event="wake-1").run == "a-r2"
    assert desk.runs[0].members["a"].wake_event == "wake-7"
    assert desk.enroll("a", attempt=2, token="twin") == OtherToken()
    desk.leave("a")
    assert isinstance(desk.enroll("a", attempt=2), Left)
    assert isinstance(desk.enroll("a", attempt=1), Left)


def test_a_request_that_backs_off_can_be_cancelled(desk: Desk) -> None:
    """A request that waits for its next attempt learns about its cancellation when it enrolls again."""
    desk.finish(desk.posted("a"))
    desk.enroll("a")
    desk.ask_to_leave("a")
    assert desk.enrolled("a", attempt=2).leaving


def test_the_sweep_removes_ended_requests(desk: Desk) -> None:
    """A run without other members stays if it has posted, because an active run is followed to its end. If it is dead,
    it is removed, too."""
    run = desk.posted("a")
    desk.enroll("b")
    desk.sweep("a", "b")
    assert [(each.id, [*each.members]) for each in desk.runs] == [(run, ["a"])]
    desk.sweep("a", dead=Turn(run=run, incarnation=1))
    assert desk.runs == []


def test_the_sweep_narrows_the_runs_of_removed_members(desk: Desk) -> None:
    """The runs of removed members keep only the objects of their other members."""
    desk.enroll("a", scope=SALES)
    desk.enroll("b", scope=DATES)
    desk.sweep("a")
    assert desk.scopes == [DATES]


def test_a_claim_gets_the_state_of_the_run(desk: Desk) -> None:
    """The claim returns all data that the next incarnation needs."""
    desk.enroll("a", scope=SALES)
    since = desk.queue.runs[0].since
    assert desk.claimed("a-r1") == Claimed(scope=SALES, since=since, requests=1)
    desk.wait_behind("a-r1", ExternalRefresh(refresh_id="theirs"))
    desk.close("a-r1")
    desk.take("a-r1", "execution")
    claimed = Claimed(scope=SALES, permit=1, since=since, requests=1)
    closed = replace(claimed, closed=True, look=LOOK, permit_taken_at=desk.at)
    assert desk.claimed("a-r1") == closed
    desk.reopen("a-r1")
    assert desk.claimed("a-r1") == claimed


def test_the_next_run_gets_the_objects_of_our_last_refresh(desk: Desk) -> None:
    """The run gets a digest of these tables and partitions, which it compares after a lost answer."""
    desk.enroll("a", scope=MODEL)
    assert desk.claimed("a-r1").objects is None
    desk.post("a-r1")
    finish = Finish(at=desk.at, holder=desk.holder("a-r1"), outcome=COMPLETED, objects="digest")
    for _ in range(2):
        desk.do(finish)
    desk.enroll("b", scope=MODEL)
    desk.enroll("c", scope=SALES, share=False)
    assert desk.claimed("b-r1").objects == "digest"
    closed = desk.do(Close(at=desk.at, holder=desk.holder("b-r1"), permit=1, look=LOOK))
    assert closed == Closed(scope=MODEL, objects="digest")
    desk.record("b-r1")
    desk.finish("b-r1")
    assert desk.claimed("c-r1").objects is None
    assert [*desk.queue.known_objects.values()] == ["digest"]


def test_objects_of_a_few_scopes_are_stored(desk: Desk) -> None:
    """The queue stores the objects of the last few scopes."""
    for number in range(MAX_KNOWN_OBJECTS + 2):
        run = desk.enrolled(f"q{number}", scope=enhanced(f"Table {number}")).run
        desk.post(run)
        desk.do(Finish(at=desk.at, holder=desk.holder(run), outcome=COMPLETED, objects=f"digest {number}"))
    assert next(iter(desk.queue.known_objects.values())) == "digest 2"
    assert len(desk.queue.known_objects) == MAX_KNOWN_OBJECTS


def known(desk: Desk, request: str) -> str:
    """Stores the objects of a refresh, and lets all other entries of the queue expire."""
    run = desk.enrolled(request, scope=enhanced(request)).run
    desk.post(run)
    desk.do(Finish(at=desk.at, holder=desk.holder(run), outcome=COMPLETED, objects="digest"))
    desk.enroll(request, scope=enhanced(request))
    return desk.at


def test_objects_are_stored_for_sixty_days(desk: Desk) -> None:
    """The sixty days are counted from the last enhanced refresh. Then the queue is deleted."""
    known(desk, "a")
    desk.later(days=59)
    at = known(desk, "b")
    desk.later(days=59).tidy()
    assert (len(desk.queue.known_objects), desk.queue.objects_at) == (2, at)
    desk.later(days=2).tidy()
    assert desk.stored is None


@pytest.mark.parametrize("at", ["", "2099-01-01T00:00:00.000Z"])
def test_objects_that_older_code_kept_are_known_from_now_on(desk: Desk, at: str) -> None:
    """Older code stored no time with the objects, so their sixty days begin now. A time from a wrong clock does not
    count."""
    known(desk, "a")
    desk.stored = {**desk.stored, "objects_at": at}
    desk.later(days=1).tidy()
    assert desk.queue.objects_at == desk.at
