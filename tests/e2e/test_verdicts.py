"""Each caller learns the true outcome of its refresh from HTTP status and message."""

import pytest
import requests

from tests.e2e.world import DEADLINE, LONG, World

SALES = [{"table": "Sales", "partition": "Sales-2026"}]


def test_an_idle_model_is_refreshed(world: World) -> None:
    """The answer is 200 with the id of the only refresh, and its times."""
    model = world.model()
    result = world.refresh(model)
    (refresh,) = world.own(model)
    assert result.code == 200
    assert result.body["status"] == "Completed"
    assert result.body["refreshId"] == refresh["requestId"]
    assert result.body["requestedAt"] < result.body["startedAt"] < result.body["endedAt"]
    assert "error" not in result.body
    assert "Retry-After" not in result.final.headers  # type: ignore[union-attr]


def test_a_model_without_history_is_refreshed(world: World) -> None:
    """A model that was never refreshed has an empty history; that is not an error.

    No other refresh is running, so the request never waits for an idle model: its status is Starting until its own
    refresh begins.
    """
    model = world.model()
    assert world.truth(model)["refreshes"] == []
    result = world.refresh(model)
    assert result.code == 200
    statuses = {status["status"] for status in result.seen}
    assert "Starting" in statuses
    assert statuses <= {"Queued", "Starting", "Refreshing", "Completed"}


def test_a_busy_model(world: World) -> None:
    """A scheduled refresh ends before ours starts; meanwhile the status shows it."""
    model = world.model()
    world.external(model)
    uri = world.ask(model)["statusUri"]
    waiting = world.until(uri, lambda status: status.get("waitsFor"))
    world.end(model)
    result = world.follow(uri)
    other, ours = world.truth(model)["refreshes"]
    assert result.code == 200
    assert result.body["refreshId"] == ours["requestId"]
    assert ours["startTime"] >= other["endTime"]
    assert (waiting["status"], waiting["position"]) == ("WaitingForIdle", 0)
    assert waiting["waitsFor"]["refreshId"] == other["requestId"]
    assert waiting["waitsFor"]["refreshType"] == "Scheduled"
    assert "waitsFor" not in result.body


@pytest.mark.parametrize("callers", [2, 10])
def test_simultaneous_callers_share(world: World, callers: int) -> None:
    """All callers get the right outcome, although there are at most two refreshes."""
    model = world.model(seconds=LONG)
    verdicts = world.refresh_together(model, callers)
    made = {refresh["requestId"] for refresh in world.own(model)}
    assert [result.code for result in verdicts] == [200] * callers
    assert {result.body["refreshId"] for result in verdicts} == made
    assert len(made) <= 2
    shared = [result.body["sharedWith"] + 1 for result in verdicts]
    assert sum(1 / group for group in shared) == pytest.approx(len(made))


def test_a_request_after_the_post_gets_the_next_refresh(world: World) -> None:
    """A request that comes after the POST waits for the next refresh: the running one may have read the tables before
    the caller loaded its data."""
    model = world.model(seconds=LONG)
    first = world.ask(model)["statusUri"]
    world.until(first, lambda status: status["status"] == "Refreshing")
    second = world.ask(model)["statusUri"]
    queued = world.until(second, lambda status: "position" in status)
    assert (queued["status"], queued["position"]) == ("Queued", 1)
    world.end(model)
    assert world.follow(first).code == 200
    world.until(second, lambda status: status["status"] == "Refreshing")
    world.end(model)
    result = world.follow(second)
    one, two = world.own(model)
    assert (result.code, result.body["refreshId"]) == (200, two["requestId"])
    assert two["startTime"] >= one["endTime"]


def test_a_request_that_does_not_share(world: World) -> None:
    """A request with `share: false` gets a refresh of its own."""
    model = world.model(seconds=0.5)
    uris = [world.ask(model, share=False)["statusUri"] for _ in range(2)]
    results = [world.follow(uri) for uri in uris]
    assert [t.code for t in results] == [200, 200]
    assert [t.body["sharedWith"] for t in results] == [0, 0]
    assert len(world.own(model)) == 2


def test_a_failed_refresh_has_an_error(world: World) -> None:
    """The answer is 424; its first key is the error with code, Power BI's own code, model, refresh, and remedy."""
    model = world.model(outcome="Failed")
    result = world.refresh(model)
    assert result.code == 424
    assert next(iter(result.body)) == "error"
    assert result.body["status"] == "Failed"
    error = result.body["error"]
    assert (error["code"], error["serviceCode"]) == (
        "CredentialsRejected",
        "ModelRefreshFailed_CredentialsNotSpecified",
    )
    assert error["retryable"] is False
    for fact in (model, result.body["refreshId"], "credentials"):
        assert fact in error["message"]
    assert len(error["message"]) <= 500


def test_a_refresh_cancelled_in_the_portal_is_not_a_success(world: World) -> None:
    """A request whose refresh is cancelled in the portal gets 424 with the status Cancelled."""
    model = world.model(seconds=LONG)
    uri = world.ask(model, refresh={"type": "full"})["statusUri"]
    world.until(uri, lambda status: status["status"] == "Refreshing")
    world.control(model, "/cancel")
    result = world.follow(uri)
    assert (result.code, result.body["status"], result.body["error"]["code"]) == (424, "Cancelled", "RefreshCancelled")


def test_a_disabled_refresh_is_not_a_success(world: World) -> None:
    """A request for a model whose refresh is disabled gets 424, and the code names the reason."""
    result = world.refresh(world.model(outcome="Disabled"))
    assert (result.code, result.body["status"], result.body["error"]["code"]) == (424, "Failed", "RefreshDisabled")


def test_an_enhanced_refresh_is_sent_unchanged(world: World) -> None:
    """Power BI gets the options with an explicit type, and the refresh is read by its id."""
    model = world.model()
    result = world.refresh(model, refresh={"objects": SALES, "retryCount": 1})
    (refresh,) = world.own(model)
    assert result.code == 200
    assert refresh["enhanced"]
    assert refresh["body"] == {"type": "Full", "objects": SALES, "retryCount": 1}
    assert world.truth(model)["calls"]["details"] > 0


def test_a_model_that_does_not_exist_is_refused_at_once(world: World) -> None:
    """An error that will not disappear by waiting ends the request, with the facts to check."""
    result = world.refresh(world.model(exists=False))
    assert (result.code, result.body["status"], result.body["error"]["code"]) == (424, "Failed", "ModelNotFound")
    assert "workspaceId" in result.body["error"]["action"]


def test_the_deadline_ends_the_wait(world: World) -> None:
    """The request is TimedOut at its deadline. The message names the refresh of the app, which continues."""
    model = world.model(seconds=LONG)
    result = world.refresh(model, timeoutMinutes=DEADLINE)
    assert (result.code, result.body["status"], result.body["error"]["code"]) == (424, "TimedOut", "TimedOut")
    assert result.body["refreshId"] in result.body["error"]["message"]
    assert [refresh["state"] for refresh in world.own(model)] == ["InProgress"]


def test_a_deadline_in_the_idle_wait_names_the_external_refresh(world: World) -> None:
    """The deadline passes while the model is busy. The error names the external refresh; none of ours was started."""
    model = world.model()
    world.external(model, "OnDemand")
    result = world.refresh(model, timeoutMinutes=DEADLINE)
    (other,) = world.truth(model)["refreshes"]
    assert (result.code, result.body["status"]) == (424, "TimedOut")
    assert (
        f"waiting for the model to be idle, with OnDemand refresh {other['requestId']}"
        in result.body["error"]["message"]
    )


def test_a_deadline_while_power_bi_fails_names_its_error(world: World) -> None:
    """The deadline passes while Power BI fails. The message has its error, because no external refresh was running."""
    model = world.model()
    world.fault(model, "throttled", "history", seconds=600)
    result = world.refresh(model, timeoutMinutes=DEADLINE)
    assert (result.code, result.body["status"]) == (424, "TimedOut")
    assert "the last call failed: Could not read the refresh history" in result.body["error"]["message"]


def test_the_deadline_cancels_with_the_option(world: World) -> None:
    """If the only caller sets `onTimeout: cancel`, its enhanced refresh is cancelled."""
    model = world.model(seconds=LONG)
    result = world.refresh(model, timeoutMinutes=DEADLINE, onTimeout="cancel", refresh={"type": "full"})
    assert (result.code, result.body["status"]) == (424, "TimedOut")
    assert world.own(model)[0]["cancelRequested"]


def test_a_lost_answer_causes_no_second_refresh(world: World) -> None:
    """A POST is accepted but its answer is lost. The app finds the refresh in the history and follows it."""
    model = world.model(seconds=2)
    world.fault(model, "drop", "start", afterEffect=True)
    result = world.refresh(model)
    (refresh,) = world.own(model)
    assert (result.code, result.body["refreshId"], result.body["servedBy"]) == (200, refresh["requestId"], "adopted")
    assert world.truth(model)["calls"]["start"] == 1


def test_an_outage_before_the_post(world: World) -> None:
    """Errors of Power BI before the POST only delay the request."""
    model = world.model()
    world.fault(model, "unavailable", "history", count=4)
    world.external(model)
    uri = world.ask(model)["statusUri"]
    seen = world.until(uri, lambda status: status.get("lastReadError") or status.get("waitsFor"))
    assert "HTTP 503" in seen["lastReadError"]
    world.until(uri, lambda status: status.get("waitsFor") and "lastReadError" not in status)
    world.end(model)
    result = world.follow(uri)
    assert result.code == 200
    assert "lastReadError" not in result.body


@pytest.mark.parametrize("refresh", [None, {"type": "full"}])
def test_a_cancelled_request_ends(world: World, refresh: dict[str, str] | None) -> None:
    """DELETE with the cancel token answers 202 while the cancellation takes effect. An enhanced refresh is also
    cancelled; a standard refresh cannot be."""
    model = world.model(seconds=LONG)
    options = {"refresh": refresh} if refresh else {}
    uris = world.ask(model, **options)
    world.until(uris["statusUri"], lambda status: status["status"] == "Refreshing")
    answer = requests.delete(uris["cancelUri"], timeout=30)
    result = world.follow(uris["statusUri"])
    assert (answer.status_code, answer.json()["cancelling"], answer.json()["status"]) == (202, True, "Refreshing")
    assert answer.headers["Location"] == uris["statusUri"]
    assert (result.code, result.body["status"], result.body["error"]["code"]) == (424, "Cancelled", "RequestCancelled")
    assert world.own(model)[0]["cancelRequested"] is bool(refresh)
    again = requests.delete(uris["cancelUri"], timeout=30)
    assert (again.status_code, again.json()["status"]) == (200, "Cancelled")
    assert "cancelling" not in again.json()
