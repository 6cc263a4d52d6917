"""Members of a queue who wish for different things and share a run all the same; rounds; reservations."""

import pytest

from refresh.queue.state import REMEMBERED
from tests.unit.refresh.queue.queues import COMPLETED, NOON, SALES, WHOLE, Desk, Json

DATES = {**SALES, "refresh": {"type": "Full", "objects": [{"table": "DimDate"}]}}
BOTH = {**SALES, "refresh": {"type": "Full", "objects": [{"table": "Sales"}, {"table": "DimDate"}]}}
MODEL = {**SALES, "refresh": {"type": "Full"}}


def failed(*objects: list[str]) -> Json:
    """A refresh in which these objects failed."""
    error = {"code": "RefreshFailed", "retryable": False}
    return {**COMPLETED, "status": "Failed", "error": error, "failedObjects": list(objects)}


@pytest.fixture
def desk() -> Desk:
    """A queue nobody has spoken to."""
    return Desk()


def scopes(desk: Desk) -> list[Json]:
    """What the runs of a queue do, in their order."""
    return [run.scope for run in desk.queue.runs]


def test_partial_wishes_are_merged_until_the_seal(desk: Desk) -> None:
    """Also into a run that looks whether the model is idle: the close tells it what it does."""
    assert desk.enroll("a", scope=SALES)["run"] == "a-r1"
    assert desk.run("claim", "a-r1")["scope"] == SALES
    assert desk.enroll("b", scope=DATES)["run"] == "a-r1"
    assert desk.close("a-r1")["scope"] == BOTH
    assert desk.enroll("c", scope=DATES)["run"] == "c-r1"
    assert scopes(desk) == [BOTH, DATES]


def test_each_is_told_what_served_it(desk: Desk) -> None:
    """Nothing, if it was just what was wished."""
    desk.enroll("a", scope=MODEL)
    desk.enroll("b", scope=SALES)
    assert [desk.run("claim", "a-r1")["go"], desk.close("a-r1")["go"], desk.record("a-r1")["go"]] == [True] * 3
    desk.finish("a-r1")
    assert [desk.enroll("a", scope=MODEL)["served_by"], desk.enroll("b", scope=SALES)["served_by"]] == [None, "wider"]
    assert desk.enroll("b", scope=SALES)["served_by"] == "wider"


def test_a_partial_run_is_not_widened_to_the_whole_model(desk: Desk) -> None:
    """It would make hours of minutes for who came first."""
    desk.enroll("a", scope=SALES)
    assert desk.enroll("b", scope=MODEL)["run"] == "b-r1"
    assert desk.enroll("c", scope=DATES)["run"] == "b-r1"
    assert scopes(desk) == [SALES, MODEL]


@pytest.mark.parametrize("share", [False, True])
def test_who_does_not_share_stands_alone(desk: Desk, share: bool) -> None:
    """On either side."""
    desk.enroll("a", scope=MODEL, share=share)
    assert desk.enroll("b", scope=SALES, share=not share)["run"] == "b-r1"


def test_a_run_does_no_more_than_who_is_left_wishes(desk: Desk) -> None:
    """Whether it was merged or wider."""
    for name, scope in (("a", SALES), ("b", DATES)):
        desk.enroll(name, scope=scope)
    desk.leave("a")
    assert scopes(desk) == [DATES]
    assert desk.queue.runs[0].members[0].scope is None
    other = Desk()
    for name, scope in (("a", MODEL), ("b", SALES), ("c", DATES)):
        other.enroll(name, scope=scope)
    other.leave("a")
    assert scopes(other) == [BOTH]


def test_a_failure_of_others_objects_is_tried_again_alone(desk: Desk) -> None:
    """In the place of its coming, with nobody joining; his own failure ends who made it."""
    for name, scope in (("a", SALES), ("b", DATES), ("c", DATES), ("z", WHOLE)):
        desk.later(seconds=1).enroll(name, scope=scope)
    assert [desk.run("claim", "a-r1")["go"], desk.close("a-r1")["go"], desk.record("a-r1")["go"]] == [True] * 3
    answer = desk.run("finish", "a-r1", outcome=failed(["Sales", "Sales"]), late_after=None)
    assert answer == {"next": {"run": "b-r1", "generation": 1}, "wake": [["a", "wake-1"]]}
    assert [(run.id, len(run.members), run.share) for run in desk.queue.runs] == [("b-r1", 2, False), ("z-r1", 1, True)]
    assert desk.enroll("a", scope=SALES)["outcome"]["status"] == "Failed"
    assert desk.enroll("b", scope=DATES)["state"] == "enrolled"
    assert desk.enroll("d", scope=DATES)["run"] == "d-r1"
    # alone it is all of the run, so its failure counts
    assert [desk.run("claim", "b-r1")["go"], desk.close("b-r1")["go"], desk.record("b-r1")["go"]] == [True] * 3
    desk.run("finish", "b-r1", outcome=failed(), late_after=None)
    assert [desk.enroll(name, scope=DATES)["state"] for name in "bc"] == ["ended", "ended"]


def test_who_had_only_shared_goes_behind_who_came_before_him(desk: Desk) -> None:
    """A run that was further ahead took him along; on his own he has come after the others."""
    for name, scope in (("a", SALES), ("y", WHOLE), ("b", DATES), ("z", MODEL)):
        desk.later(seconds=1).enroll(name, scope=scope)
    assert [desk.run("claim", "a-r1")["go"], desk.close("a-r1")["go"], desk.record("a-r1")["go"]] == [True] * 3
    desk.run("finish", "a-r1", outcome=failed(["Sales", "Sales"]), late_after=None)
    assert [run.id for run in desk.queue.runs] == ["y-r1", "b-r1", "z-r1"]


def test_a_run_id_is_never_used_twice(desk: Desk) -> None:
    """A run that is made for a member who had one before has another id, whatever the queue has forgotten."""
    for name, scope in (("a", SALES), ("b", DATES)):
        desk.enroll(name, scope=scope)
    assert [desk.run("claim", "a-r1")["go"], desk.close("a-r1")["go"], desk.record("a-r1")["go"]] == [True] * 3
    desk.run("finish", "a-r1", outcome=failed(["DimDate", "DimDate"]), late_after=None)
    assert desk.queue.runs[0].id == "a-r1-2"


def test_a_request_comes_again_in_its_next_round(desk: Desk) -> None:
    """And only then: a late duplicate of the round before gets the verdict of that one."""
    run = desk.posted("a")
    desk.finish(run)
    assert desk.enroll("a")["state"] == "ended"
    assert desk.enroll("a", round=2, wake="wake-7")["run"] == "a-r2"
    assert desk.enroll("a", round=1, wake="wake-1")["run"] == "a-r2"
    assert desk.queue.runs[0].members[0].wake == "wake-7"
    assert desk.enroll("a", round=2, token="twin")["state"] == "taken"
    desk.leave("a")
    assert desk.enroll("a", round=2)["state"] == "left"
    assert desk.enroll("a", round=1)["state"] == "left"


def test_a_request_that_rests_can_be_cancelled(desk: Desk) -> None:
    """It is told when it enrols again."""
    run = desk.posted("a")
    desk.finish(run)
    desk.enroll("a")
    desk.do("ask_to_leave", request="a")
    assert desk.enroll("a", round=2)["leaving"]


def test_the_first_to_reserve_is_the_one(desk: Desk) -> None:
    """Until the request enrols, which shows that it was started; or until nobody can be on the way any more."""
    desk.do("reserve", request="a", state={"token": "first"})
    desk.do("reserve", request="a", state={"token": "second"})
    assert desk.queue.reserved["a"].state == {"token": "first"}
    desk.enroll("a")
    assert desk.queue.reserved == {}
    desk.do("reserve", request="b", state={"token": "first"})
    desk.later(seconds=REMEMBERED.total_seconds() + 1).do("tidy")
    assert desk.queue.reserved == {}


def test_the_sweep_takes_out_who_is_gone(desk: Desk) -> None:
    """And the run that is dead and wanted by nobody, posted or not; a living posted run is followed to its end."""
    run = desk.posted("a")
    desk.enroll("b")
    desk.do("sweep", gone=["a", "b"], dead=None)
    assert [(each.id, len(each.members)) for each in desk.queue.runs] == [(run, 1)]
    desk.do("sweep", gone=["a"], dead={"run": run, "generation": 1})
    assert desk.queue.runs == []
    assert desk.now == NOON
