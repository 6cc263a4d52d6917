"""Each caller learns how its refresh truly ended, by HTTP status and in words."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from tests.e2e.world import Told, World

SALES = [{"table": "Sales", "partition": "Sales-2026"}]


def together(world: World, dataset_id: str, callers: int) -> list[Told]:
    """Several callers who ask at the same moment."""
    with ThreadPoolExecutor(callers) as pool:
        return list(pool.map(lambda _: world.refreshed(dataset_id), range(callers)))


def test_an_idle_model_is_refreshed(world: World) -> None:
    """200, the id of the one refresh that was made, and when it started and ended."""
    model = world.model()
    told = world.refreshed(model)
    (refresh,) = world.own(model)
    assert told.code == 200
    assert told.body["status"] == "Completed"
    assert told.body["refreshId"] == refresh["requestId"]
    assert told.body["requestedAt"] < told.body["startedAt"] < told.body["endedAt"]
    assert "error" not in told.body
    assert "Retry-After" not in told.final.headers  # type: ignore[union-attr]


def test_a_model_without_history_is_refreshed(world: World) -> None:
    """A model that was never refreshed has an empty history; that is no error."""
    model = world.model()
    assert world.truth(model)["refreshes"] == []
    assert world.refreshed(model).code == 200


def test_a_busy_model_is_waited_for(world: World) -> None:
    """A schedule's refresh of four seconds is over before ours starts; meanwhile the status says what is waited for."""
    model = world.model()
    world.control(model, "/external", {"refreshType": "Scheduled", "seconds": 4, "visibilitySeconds": 0})
    told = world.refreshed(model)
    waited = [body for body in told.seen if body["status"] == "WaitingForIdle" and body["waitsFor"]]
    other, ours = world.truth(model)["refreshes"]
    assert told.code == 200
    assert told.body["refreshId"] == ours["requestId"]
    assert ours["startTime"] >= other["endTime"]
    assert {body["waitsFor"]["refreshId"] for body in waited} == {other["requestId"]}
    assert waited[0]["waitsFor"]["refreshType"] == "Scheduled"


@pytest.mark.parametrize("callers", [2, 10])
def test_callers_who_come_together_share(world: World, callers: int) -> None:
    """All get the right verdict, with at most two refreshes among them."""
    model = world.model()
    verdicts = together(world, model, callers)
    made = {refresh["requestId"] for refresh in world.own(model)}
    assert [told.code for told in verdicts] == [200] * callers
    assert {told.body["refreshId"] for told in verdicts} == made
    assert len(made) <= 2
    shared = [told.body["sharedWith"] + 1 for told in verdicts]
    assert sum(1 / group for group in shared) == pytest.approx(len(made))


def test_who_comes_after_the_post_gets_the_next_refresh(world: World) -> None:
    """The running refresh may have read the data before the second caller had loaded its own."""
    model = world.model(seconds=2)
    first = world.ask(model)["statusUri"]
    world.until(first, lambda status: status["status"] == "Refreshing")
    second = world.refreshed(model)
    assert world.follow(first).code == second.code == 200
    one, two = world.own(model)
    assert second.body["refreshId"] == two["requestId"]
    assert two["startTime"] >= one["endTime"]
    assert second.seen[0]["status"] == "Queued"
    assert second.seen[0]["position"] == 1


def test_who_does_not_share_stands_alone(world: World) -> None:
    """`share: false` is a refresh of one's own."""
    model = world.model(seconds=0.5)
    asked = [world.ask(model, share=False)["statusUri"] for _ in range(2)]
    told = [world.follow(uri) for uri in asked]
    assert [t.code for t in told] == [200, 200]
    assert [t.body["sharedWith"] for t in told] == [0, 0]
    assert len(world.own(model)) == 2


def test_a_failed_refresh_says_why(world: World) -> None:
    """424, and in the first key Power BI's own code, the model, the refresh, and what to do."""
    model = world.model(outcome="Failed")
    told = world.refreshed(model)
    assert told.code == 424
    assert next(iter(told.body)) == "error"
    assert told.body["status"] == "Failed"
    error = told.body["error"]
    assert (error["code"], error["serviceCode"]) == (
        "CredentialsRejected",
        "ModelRefreshFailed_CredentialsNotSpecified",
    )
    assert error["retryable"] is False
    for fact in (model, told.body["refreshId"], "credentials"):
        assert fact in error["message"]
    assert len(error["message"]) <= 500


def test_a_refresh_that_somebody_cancels_is_not_a_success(world: World) -> None:
    """424 with the status Cancelled."""
    model = world.model(seconds=30)
    uri = world.ask(model, refresh={"type": "full"})["statusUri"]
    world.until(uri, lambda status: status["status"] == "Refreshing")
    world.control(model, "/cancel")
    told = world.follow(uri)
    assert (told.code, told.body["status"], told.body["error"]["code"]) == (424, "Cancelled", "RefreshCancelled")


def test_a_disabled_refresh_is_not_a_success(world: World) -> None:
    """424, and the code says what it was."""
    told = world.refreshed(world.model(outcome="Disabled"))
    assert (told.code, told.body["status"], told.body["error"]["code"]) == (424, "Failed", "RefreshDisabled")


def test_an_enhanced_refresh_is_sent_as_asked(world: World) -> None:
    """The options arrive at Power BI, with an explicit type, and the refresh is followed by its id."""
    model = world.model()
    told = world.refreshed(model, refresh={"objects": SALES, "retryCount": 1})
    (refresh,) = world.own(model)
    assert told.code == 200
    assert refresh["enhanced"]
    assert refresh["body"] == {"type": "Full", "objects": SALES, "retryCount": 1}
    assert world.truth(model)["calls"]["details"] > 0


def test_a_model_that_does_not_exist_is_refused_at_once(world: World) -> None:
    """A mistake that waiting does not mend ends the request, with what to check."""
    told = world.refreshed(world.model(exists=False))
    assert (told.code, told.body["status"], told.body["error"]["code"]) == (424, "Failed", "ModelNotFound")
    assert "workspaceId" in told.body["error"]["action"]


def test_the_deadline_ends_the_wait(world: World) -> None:
    """TimedOut says in which phase; the refresh itself goes on."""
    model = world.model(seconds=8)
    told = world.refreshed(model, timeoutMinutes=4 / 60)
    assert (told.code, told.body["status"], told.body["error"]["code"]) == (424, "TimedOut", "TimedOut")
    assert told.body["refreshId"] in told.body["error"]["message"]
    assert [refresh["state"] for refresh in world.own(model)] == ["InProgress"]


def test_a_deadline_in_the_idle_wait_says_behind_whose_refresh(world: World) -> None:
    """Nothing of ours was started."""
    model = world.model()
    world.control(model, "/external", {"refreshType": "OnDemand", "seconds": 20, "visibilitySeconds": 0})
    told = world.refreshed(model, timeoutMinutes=2 / 60)
    (other,) = world.truth(model)["refreshes"]
    assert (told.code, told.body["status"]) == (424, "TimedOut")
    assert (
        f"waiting for the model to be idle, with OnDemand refresh {other['requestId']}" in told.body["error"]["message"]
    )


def test_a_deadline_while_power_bi_refuses_to_answer_says_so(world: World) -> None:
    """Nobody else's refresh was in the way."""
    model = world.model()
    world.fault(model, "throttled", "history", seconds=60)
    told = world.refreshed(model, timeoutMinutes=0.05)
    assert (told.code, told.body["status"]) == (424, "TimedOut")
    assert "Power BI said last: Could not read the refresh history" in told.body["error"]["message"]


def test_the_deadline_cancels_where_asked(world: World) -> None:
    """`onTimeout: cancel` of the only caller cancels the enhanced refresh."""
    model = world.model(seconds=30)
    told = world.refreshed(model, timeoutMinutes=4 / 60, onTimeout="cancel", refresh={"type": "full"})
    assert (told.code, told.body["status"]) == (424, "TimedOut")
    assert world.own(model)[0]["cancelRequested"]


def test_a_lost_answer_makes_no_second_refresh(world: World) -> None:
    """The POST is accepted, its answer lost: the refresh is found in the history and followed."""
    model = world.model(seconds=2)
    world.fault(model, "drop", "start", afterEffect=True)
    told = world.refreshed(model)
    (refresh,) = world.own(model)
    assert (told.code, told.body["refreshId"], told.body["servedBy"]) == (200, refresh["requestId"], "adopted")
    assert world.truth(model)["calls"]["start"] == 1


def test_an_outage_before_the_post_is_outlasted(world: World) -> None:
    """Errors while the model is only looked at cost patience, not the request."""
    model = world.model()
    world.fault(model, "unavailable", "history", count=4)
    told = world.refreshed(model)
    assert told.code == 200
    assert any(body["lastReadError"] for body in told.seen)


@pytest.mark.parametrize("refresh", [None, {"type": "full"}])
def test_a_cancelled_request_ends(world: World, refresh: dict[str, str] | None) -> None:
    """DELETE with the cancel token: 202 while it takes effect. Only an enhanced refresh can be cancelled with it."""
    model = world.model(seconds=4)
    wish = {"refresh": refresh} if refresh else {}
    uris = world.ask(model, **wish)
    world.until(uris["statusUri"], lambda status: status["status"] == "Refreshing")
    answer = requests.delete(uris["cancelUri"], timeout=30)
    told = world.follow(uris["statusUri"])
    assert answer.status_code == 202
    assert (told.code, told.body["status"], told.body["error"]["code"]) == (424, "Cancelled", "RequestCancelled")
    assert world.own(model)[0]["cancelRequested"] is bool(refresh)
    again = requests.delete(uris["cancelUri"], timeout=30)
    assert (again.status_code, again.json()["status"]) == (200, "Cancelled")
