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
    CheckedQueue,
    enhanced,
    failed,
)

SALES_FAILED = failed(TableRef("Sales", "Sales"))


@pytest.fixture
def queue() -> CheckedQueue:
    """A new queue."""
    return CheckedQueue()


def test_partial_scopes_are_merged_until_the_close(queue: CheckedQueue) -> None:
    """A scope is merged even into a run that already waits for an idle model. The run gets the merged scope at its
    close."""
    assert queue.enroll_ok("a", scope=SALES).run == "a-r1"
    assert queue.claim_ok("a-r1").scope == SALES
    assert queue.enroll_ok("b", scope=DATES).run == "a-r1"
    closed = queue.do(Close(at=queue.at, holder=queue.holder("a-r1"), permit=1, look=LOOK))
    assert isinstance(closed, Closed)
    assert closed.scope == BOTH
    assert queue.enroll_ok("c", scope=DATES).run == "c-r1"
    assert queue.scopes == [BOTH, DATES]


def test_each_scope_is_kept_once(queue: CheckedQueue) -> None:
    """A scope is stored once for any number of members, as long as one of them has it."""
    for number in range(6):
        queue.enroll(f"q{number}", scope=(SALES, DATES, BOTH)[number % 3])
    assert (len(queue.state.scopes.extents), len(queue.state.scopes.objects)) == (3, 2)
    for number in (1, 2, 4, 5):
        queue.leave(f"q{number}")
    assert queue.scopes == [SALES]
    assert [extent is None for extent in queue.state.scopes.extents] == [False]


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        (Outcome(status="Completed", refresh_id="r"), ("own", "wider")),
        (Outcome(status="Completed", refresh_id="r", adopted=True), ("adopted", "adopted")),
        (failed(refresh_id=None, code="NotAuthorized"), (None, None)),
    ],
)
def test_each_member_gets_what_served_it(
    queue: CheckedQueue, outcome: Outcome, expected: tuple[str | None, str | None]
) -> None:
    """A member is served by its own scope, a wider refresh, or an adopted one. Without a refresh, there is no such
    value."""
    queue.enroll("a", scope=MODEL)
    queue.enroll("b", scope=SALES)
    queue.finish(queue.post("a-r1"), outcome)
    for _ in range(2):
        assert (queue.outcome_of("a").served_by, queue.outcome_of("b").served_by) == expected


def test_members_of_a_merged_run_learn_that_it_was_merged(queue: CheckedQueue) -> None:
    """The outcome says that the run was merged: no member requested all of its objects."""
    queue.enroll("a", scope=SALES)
    queue.enroll("b", scope=DATES)
    queue.finish(queue.post("a-r1"))
    assert (queue.outcome_of("a").served_by, queue.outcome_of("b").served_by) == ("merged", "merged")


def test_a_partial_run_is_not_widened_to_the_whole_model(queue: CheckedQueue) -> None:
    """A request for the whole model gets another run. Otherwise the member that came first would wait hours instead of
    minutes."""
    queue.enroll("a", scope=SALES)
    assert queue.enroll_ok("b", scope=MODEL).run == "b-r1"
    assert queue.enroll_ok("c", scope=DATES).run == "b-r1"
    assert queue.scopes == [SALES, MODEL]


@pytest.mark.parametrize("share", [False, True])
def test_a_request_that_does_not_share_gets_its_own_run(queue: CheckedQueue, share: bool) -> None:
    """Two requests get a run each if either of them does not share."""
    queue.enroll("a", scope=MODEL, share=share)
    assert queue.enroll_ok("b", scope=SALES, share=not share).run == "b-r1"


def test_a_run_has_no_more_objects_than_its_remaining_members(queue: CheckedQueue) -> None:
    """If a member of a merged or a wider run leaves, the run keeps only the objects of the other members."""
    for name, scope in (("a", SALES), ("b", DATES)):
        queue.enroll(name, scope=scope)
    queue.leave("a")
    assert queue.scopes == [DATES]
    assert queue.runs[0].members["b"].scope is None
    other = CheckedQueue()
    for name, scope in (("a", MODEL), ("b", SALES), ("c", DATES)):
        other.enroll(name, scope=scope)
    other.leave("a")
    assert other.scopes == [BOTH]


def test_a_run_keeps_the_scope_of_its_remaining_member(queue: CheckedQueue) -> None:
    """A run keeps the scope of its widest member after a member with a narrower scope has left."""
    for name, scope in (("a", MODEL), ("b", SALES), ("c", DATES)):
        queue.enroll(name, scope=scope)
    queue.leave("c")
    assert queue.scopes == [MODEL]
    queue.finish(queue.post("a-r1"))
    assert (queue.outcome_of("a").served_by, queue.outcome_of("b").served_by) == ("own", "wider")


def test_a_failure_of_other_members_objects_is_retried_alone(queue: CheckedQueue) -> None:
    """Members whose own objects did not fail get runs that no request joins, in the order of enrolment. The member
    whose objects failed ends."""
    for name, scope in (("a", SALES), ("b", DATES), ("c", DATES), ("z", WHOLE)):
        queue.later(seconds=1).enroll(name, scope=scope)
    answer = queue.finish(queue.post("a-r1"), SALES_FAILED)
    assert answer.next == Turn(run="b-r1", incarnation=1)
    assert answer.wake_ups == (WakeUp(instance="a", event="wake-1", served_by="merged"),)
    assert [(run.id, len(run.members), run.share) for run in queue.runs] == [("b-r1", 2, False), ("z-r1", 1, True)]
    assert queue.outcome_of("a", scope=SALES).outcome.status == "Failed"
    assert queue.enroll_ok("b", scope=DATES).run == "b-r1"
    assert queue.enroll_ok("d", scope=DATES).run == "d-r1"
    # alone, the member has the scope of the whole run, so the failure is its own
    queue.finish(queue.post("b-r1"), failed())
    assert [queue.outcome_of(name, scope=DATES).run for name in "bc"] == ["b-r1", "b-r1"]


def test_each_spared_scope_gets_a_run(queue: CheckedQueue) -> None:
    """The new runs are in the order of enrolment, between the waiting runs."""
    scopes = {"a": SALES, "b": DATES, "y": WHOLE, "c": enhanced("Stores"), "d": DATES, "z": MODEL}
    for name, scope in scopes.items():
        queue.later(seconds=1).enroll(name, scope=scope)
    assert queue.members == [["a", "b", "c", "d"], ["y"], ["z"]]
    queue.finish(queue.post("a-r1"), SALES_FAILED)
    assert queue.members == [["b", "d"], ["y"], ["c"], ["z"]]
    assert queue.scopes == [DATES, WHOLE, enhanced("Stores"), MODEL]


def test_a_member_that_had_only_shared_goes_behind_those_that_came_before_it(queue: CheckedQueue) -> None:
    """A member that shared an earlier run does not keep the position of this run. It goes behind the requests that came
    before it."""
    for name, scope in (("a", SALES), ("y", WHOLE), ("b", DATES), ("z", MODEL)):
        queue.later(seconds=1).enroll(name, scope=scope)
    queue.finish(queue.post("a-r1"), SALES_FAILED)
    assert [run.id for run in queue.runs] == ["y-r1", "b-r1", "z-r1"]


def test_a_member_that_is_late_and_spared_gets_one_run(queue: CheckedQueue) -> None:
    """A member that is both late and spared is in the queue only once."""
    queue.enroll("a", scope=SALES)
    queue.later(seconds=1).enroll("b", scope=DATES)
    queue.finish(queue.post("a-r1"), SALES_FAILED, late_after=instant(NOON))
    assert queue.members == [["b"]]
    assert queue.scopes == [DATES]


def test_new_runs_are_in_the_order_of_enrolment(queue: CheckedQueue) -> None:
    """The order is that of the times of the enrolments, not that in which they arrived."""
    for name, scope, seconds in (("a", SALES, 0), ("b", DATES, 10), ("c", enhanced("Stores"), 5)):
        queue.now = NOON + timedelta(seconds=seconds)
        queue.enroll(name, scope=scope)
    queue.finish(queue.post("a-r1"), SALES_FAILED)
    assert queue.members == [["c"], ["b"]]


def test_a_run_that_opens_again_has_no_more_objects_than_its_remaining_members(queue: CheckedQueue) -> None:
    """When a run opens again, it loses the objects of members that left. While it was closed, its scope could not
    change."""
    queue.enroll("a", scope=SALES)
    queue.enroll("b", scope=DATES)
    queue.post("a-r1")
    queue.leave("b")
    assert queue.scopes == [BOTH]
    queue.reopen("a-r1")
    assert queue.scopes == [SALES]


def test_a_run_id_is_never_used_twice(queue: CheckedQueue) -> None:
    """A new run for a member that had one before has a different id."""
    for name, scope in (("a", SALES), ("b", DATES)):
        queue.enroll(name, scope=scope)
    queue.finish(queue.post("a-r1"), failed(TableRef("DimDate", "DimDate")))
    assert queue.runs[0].id == "a-r1-2"


def test_a_request_comes_again_in_its_next_attempt(queue: CheckedQueue) -> None:
    """A request enrols again only in its next attempt. A late duplicate of the previous attempt changes nothing."""
    queue.finish(queue.enroll_and_post("a"))
    assert queue.outcome_of("a")
    assert queue.enroll_ok("a", attempt=2, wake_event="wake-7").run == "a-r2"
    assert queue.enroll_ok("a", attempt=1, wake_event="wake-1").run == "a-r2"
    assert queue.runs[0].members["a"].wake_event == "wake-7"
    assert queue.enroll("a", attempt=2, token="twin") == OtherToken()
    queue.leave("a")
    assert isinstance(queue.enroll("a", attempt=2), Left)
    assert isinstance(queue.enroll("a", attempt=1), Left)


def test_a_request_that_backs_off_can_be_cancelled(queue: CheckedQueue) -> None:
    """A request that waits for its next attempt learns about its cancellation when it enrols again."""
    queue.finish(queue.enroll_and_post("a"))
    queue.enroll("a")
    queue.ask_to_leave("a")
    assert queue.enroll_ok("a", attempt=2).leaving


def test_the_sweep_removes_ended_requests(queue: CheckedQueue) -> None:
    """A run without other members stays if it has posted, because an active run is followed to its end. If it is dead,
    it is removed, too."""
    run = queue.enroll_and_post("a")
    queue.enroll("b")
    queue.sweep("a", "b")
    assert [(each.id, [*each.members]) for each in queue.runs] == [(run, ["a"])]
    queue.sweep("a", dead=Turn(run=run, incarnation=1))
    assert queue.runs == []


def test_the_sweep_narrows_the_runs_of_removed_members(queue: CheckedQueue) -> None:
    """The runs of removed members keep only the objects of their other members."""
    queue.enroll("a", scope=SALES)
    queue.enroll("b", scope=DATES)
    queue.sweep("a")
    assert queue.scopes == [DATES]


def test_a_claim_gets_the_state_of_the_run(queue: CheckedQueue) -> None:
    """The claim returns all data that the next incarnation needs."""
    queue.enroll("a", scope=SALES)
    since = queue.state.runs[0].since
    assert queue.claim_ok("a-r1") == Claimed(scope=SALES, since=since, requests=1)
    queue.wait_behind("a-r1", ExternalRefresh(refresh_id="theirs"))
    queue.close("a-r1")
    queue.take("a-r1", "execution")
    claimed = Claimed(scope=SALES, permit=1, since=since, requests=1)
    closed = replace(claimed, closed=True, look=LOOK, permit_taken_at=queue.at)
    assert queue.claim_ok("a-r1") == closed
    queue.reopen("a-r1")
    assert queue.claim_ok("a-r1") == claimed


def test_the_next_run_gets_the_objects_of_our_last_refresh(queue: CheckedQueue) -> None:
    """The run gets a digest of these tables and partitions, which it compares after a lost answer."""
    queue.enroll("a", scope=MODEL)
    assert queue.claim_ok("a-r1").objects is None
    queue.post("a-r1")
    finish = Finish(at=queue.at, holder=queue.holder("a-r1"), outcome=COMPLETED, objects="digest")
    for _ in range(2):
        queue.do(finish)
    queue.enroll("b", scope=MODEL)
    queue.enroll("c", scope=SALES, share=False)
    assert queue.claim_ok("b-r1").objects == "digest"
    closed = queue.do(Close(at=queue.at, holder=queue.holder("b-r1"), permit=1, look=LOOK))
    assert closed == Closed(scope=MODEL, objects="digest")
    queue.record("b-r1")
    queue.finish("b-r1")
    assert queue.claim_ok("c-r1").objects is None
    assert [*queue.state.known_objects.values()] == ["digest"]


def test_objects_of_a_few_scopes_are_stored(queue: CheckedQueue) -> None:
    """The queue stores the objects of the last few scopes."""
    for number in range(MAX_KNOWN_OBJECTS + 2):
        run = queue.enroll_ok(f"q{number}", scope=enhanced(f"Table {number}")).run
        queue.post(run)
        queue.do(Finish(at=queue.at, holder=queue.holder(run), outcome=COMPLETED, objects=f"digest {number}"))
    assert next(iter(queue.state.known_objects.values())) == "digest 2"
    assert len(queue.state.known_objects) == MAX_KNOWN_OBJECTS


def store_objects(queue: CheckedQueue, request: str) -> str:
    """Stores the objects of a refresh, and lets all other entries of the queue expire."""
    run = queue.enroll_ok(request, scope=enhanced(request)).run
    queue.post(run)
    queue.do(Finish(at=queue.at, holder=queue.holder(run), outcome=COMPLETED, objects="digest"))
    queue.enroll(request, scope=enhanced(request))
    return queue.at


def test_objects_are_stored_for_sixty_days(queue: CheckedQueue) -> None:
    """The sixty days are counted from the last enhanced refresh. Then the queue is deleted."""
    store_objects(queue, "a")
    queue.later(days=59)
    at = store_objects(queue, "b")
    queue.later(days=59).tidy()
    assert (len(queue.state.known_objects), queue.state.objects_at) == (2, at)
    queue.later(days=2).tidy()
    assert queue.stored is None


@pytest.mark.parametrize("at", ["", "2099-01-01T00:00:00.000Z"])
def test_objects_that_older_code_kept_are_known_from_now_on(queue: CheckedQueue, at: str) -> None:
    """Older code stored no time with the objects, so their sixty days begin now. A time from a wrong clock does not
    count."""
    store_objects(queue, "a")
    queue.stored = {**queue.stored, "objects_at": at}
    queue.later(days=1).tidy()
    assert queue.state.objects_at == queue.at
