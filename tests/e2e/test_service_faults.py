"""Faults of Power BI during look, start and read: in the end the caller always gets the true outcome."""

from collections.abc import Callable
from typing import Any

import pytest
import requests

from tests.e2e.service_case import Case, Meanwhile, all_as_expected, refreshing
from tests.e2e.world import END_SECONDS, LONG, World, when

FULL = {"refresh": {"type": "full"}}
SALES = {"refresh": {"objects": [{"table": "Sales", "partition": "Sales-2026"}]}}
EFFECT = {"afterEffect": True}
ALWAYS = {"probability": 1}
HUNG = {"seconds": 40}
"""How long a call hangs: longer than the app waits for an answer."""
IDS = ("RequestId", "x-ms-request-id", "Location")
FRAMING = "DirectLakeFraming"
FRAMED = {"refreshType": FRAMING, "startsIn": -600, "seconds": 1}
"""An automatic framing ten minutes ago, from which the app recognises a Direct Lake model."""

Json = dict[str, Any]


def once(name: str, route: str, **more: Any) -> tuple[str, str, Json]:
    """A fault that hits one call, unless `more` has a different count."""
    return name, route, more


def then_fault(*faults: tuple[str, str, Json]) -> Meanwhile:
    """Faults that begin when the refresh is running."""

    def meanwhile(world: World, model: str, uri: str) -> None:
        refreshing(world, uri)
        for name, route, more in faults:
            world.fault(model, name, route, **more)

    return meanwhile


def then_external(count: int = 1, *, end: str | None = None, **external: Any) -> Meanwhile:
    """External refreshes that begin during ours. `end`: the outcome with which ours ends after they have begun."""

    def meanwhile(world: World, model: str, uri: str) -> None:
        refreshing(world, uri)
        when(lambda: any(refresh["state"] == "InProgress" for refresh in world.own(model)))
        for _ in range(count):
            world.control(
                model, "/external", {"refreshType": FRAMING, "seconds": 0, "visibilitySeconds": 0, **external}
            )
        if end:
            world.control(model, "/end", {"outcome": end})

    return meanwhile


def then_end_external(world: World, model: str, uri: str) -> None:
    """Ends the external refresh after the app has sent a POST."""
    when(lambda: world.truth(model)["calls"]["start"])
    world.control(model, "/end")


def then_end(world: World, model: str, uri: str) -> None:
    """Ends a refresh that would otherwise never end, as if its capacity had been resumed."""
    refreshing(world, uri)
    reads = world.truth(model)["calls"]["history"]
    when(lambda: world.truth(model)["calls"]["history"] > reads + 2)
    world.control(model, "/end")


def then_cancel(world: World, model: str, uri: str) -> None:
    """Cancels the refresh, as a user does in the portal."""
    refreshing(world, uri)
    world.control(model, "/cancel")


STARTS: dict[str, Json] = {"a standard start": {}, "an enhanced start": FULL, "a partial start": SALES}
FAILING = ("serverError", "badGateway", "unavailable", "gatewayTimeout", "signInPage", "drop")
TROUBLE = [
    # the cases that take longest come first
    Case("read that hangs", faults=[once("hang", "history", **HUNG)]),
    Case("start that hangs, and was accepted", faults=[once("hang", "start", **HUNG, **EFFECT)], served="adopted"),
    Case("start that hangs, and was not accepted", faults=[once("hang", "start", **HUNG)], starts=2),
    Case(
        "start that is never answered",
        faults=[("gatewayTimeout", "start", ALWAYS)],
        status="Failed",
        code="AnswerLost",
        retryable=True,
        message_has=["no new refresh appeared"],
        refreshes=0,
        starts=3,
        most_starts=3 + 30 // 4,  # a budget of 30 s, and at least 4 s between two POSTs
    ),
    *(
        Case(f"{fault}, twice, while the model is looked at", faults=[(fault, "history", {"count": 2})])
        for fault in FAILING
    ),
    *(Case(f"{fault} instead of the start", faults=[once(fault, "start")], starts=2) for fault in FAILING),
    *(
        Case(
            f"{fault} instead of the answer of {kind}",
            faults=[once(fault, "start", **EFFECT)],
            options=options,
            # until a refresh of the whole model has ended, it cannot be distinguished from a partial refresh
            **({"refreshes": 2} if options == FULL else {"served": "adopted"}),
        )
        for fault in FAILING
        for kind, options in STARTS.items()
        if fault in ("drop", "gatewayTimeout") or not options
    ),
    Case("answer that is slow", faults=[once("slow", "start", seconds=3), once("slow", "history", seconds=2)]),
    Case(
        "errors while it runs",
        {"seconds": 3},
        meanwhile=then_fault(*((fault, "any", {"count": 2}) for fault in FAILING)),
    ),
    Case(
        "enhanced, errors while it runs",
        {"seconds": 3},
        options=FULL,
        meanwhile=then_fault(*((fault, "any", {"count": 2}) for fault in FAILING)),
    ),
    Case(
        "role taken away while it runs",
        {"seconds": 3},
        meanwhile=then_fault(("notAuthorized", "any", {"count": 2}), ("notFound", "any", {"count": 2})),
    ),
    Case("throttled while it runs", {"seconds": 3}, meanwhile=then_fault(once("throttled", "history", seconds=2))),
    Case("throttled for a second", faults=[once("throttled", "history", seconds=1)]),
    Case("throttled, only in the text", faults=[once("throttledWithoutHeader", "history", seconds=2)]),
    Case("throttled start", faults=[once("throttled", "start", seconds=2)], starts=2),
    Case(
        "throttled for an hour",
        faults=[("throttled", "history", {**ALWAYS, "seconds": 3392})],
        options={"timeoutMinutes": 0.15},
        status="TimedOut",
        code="TimedOut",
        retryable=True,
        refreshes=0,
        looks=1,
    ),
    Case(
        "outage that outlasts the budget",
        faults=[("unavailable", "history", ALWAYS)],
        status="Failed",
        code="ServiceUnavailable",
        retryable=True,
        message_has=["service health"],
        refreshes=0,
    ),
]


def dropped(times: int) -> list[tuple[str, str, Json]]:
    """Refreshes that are accepted with 202 and never appear in the history."""
    return [("acceptedButDropped", "start", {"count": times})]


HIDDEN = [{"refreshType": "Scheduled", "outcome": "Stuck", "visibilitySeconds": "never"}]
"""An external refresh that is running but does not appear in the history."""
REFUSED_BUSY_TEXTS = (
    "A refresh is already in progress for this dataset",
    "Cannot start: another dataset refresh is running",
    "RefreshInProgressException",
)
OUT_OF_SIGHT = {"outcome": "Stuck"}
QUIRKS = [
    Case("row that comes late", {"visibilitySeconds": 2.5}),
    Case("row that comes after the end", {"seconds": 0.2, "visibilitySeconds": 3}),
    Case("row and details that come late", {"visibilitySeconds": 2.5, "detailsVisibilitySeconds": 3}, options=FULL),
    Case("row that never comes, but can be read by id", {"visibilitySeconds": "never", "detailsOfStandard": True}),
    Case("accepted and dropped, once", faults=dropped(1), starts=2),
    Case(
        "accepted and dropped, always",
        faults=dropped(3),
        status="Failed",
        code="RefreshDropped",
        retryable=True,
        message_has=["bursts"],
        refreshes=0,
        starts=3,
    ),
    *(
        Case(f"id in {name} only", {"dropHeaders": [header for header in IDS if header != name]}, options=FULL)
        for name in IDS
    ),
    Case("id in no header", {"dropHeaders": list(IDS)}, served="adopted"),
    Case("enhanced, id in no header", {"dropHeaders": list(IDS)}, options=FULL, served="adopted"),
    *(
        Case(f"{kind} refresh is running", external=[{"refreshType": kind, "seconds": 2, "blocks": True}])
        for kind in ("Scheduled", "OnDemand", "ViaApi", "ViaEnhancedApi", "ViaXmlaEndpoint", FRAMING)
    ),
    Case("running refresh with an unknown status", {"runningStatus": "Pondering"}, external=[{"seconds": 2}]),
    Case("refused as busy, 400", external=HIDDEN, meanwhile=then_end_external, starts=2),
    Case("refused as busy, 409", {"conflict": 409}, external=HIDDEN, meanwhile=then_end_external, starts=2),
    *(
        Case(
            f"refused as busy: {words}",
            {"conflictMessage": words},
            external=HIDDEN,
            meanwhile=then_end_external,
            starts=2,
        )
        for words in REFUSED_BUSY_TEXTS
    ),
    Case("queued behind a hidden refresh", {"conflict": "queue"}, external=HIDDEN, meanwhile=then_end_external),
    Case(
        "row of yesterday that never ended",
        external=[{"startsIn": -90_000, "outcome": "Stuck", "blocks": False}],
    ),
    Case(
        "newer external success",
        {"seconds": LONG},
        meanwhile=then_external(end="Failed"),
        status="Failed",
        code="CredentialsRejected",
    ),
    Case("newer external failure", {"seconds": LONG}, meanwhile=then_external(end="Completed", outcome="Failed")),
    Case("failed attempts before a successful one", {"outcome": {"attempts": 3}}),
    Case("unknown status while running", {"runningStatus": "Pondering"}),
    Case(
        "unknown statuses by id", {"detailsRunningStatus": "Pondering", "runningExtendedStatus": "Musing"}, options=FULL
    ),
    Case("InProgress by id", {"detailsRunningStatus": "InProgress"}, options=FULL),
    Case("end beside an unknown extended status", {"outcome": {"extendedStatus": "Unknown"}}, options=FULL),
    Case(
        "end in lower and upper case", {"outcome": {"status": "completed", "extendedStatus": "COMPLETED"}}, options=FULL
    ),
    Case("capacity that is paused and comes back", {"outcome": "Stuck"}, meanwhile=then_end),
    Case(
        "cancelled in the portal", {"seconds": 30}, meanwhile=then_cancel, status="Cancelled", code="RefreshCancelled"
    ),
    Case(
        "cancelled, with one l",
        {"outcome": {"outcome": "Cancelled", "status": "Canceled"}},
        status="Cancelled",
        code="RefreshCancelled",
    ),
    Case("disabled", {"outcome": "Disabled"}, status="Failed", code="RefreshDisabled"),
    Case(
        "longer than allowed",
        {"outcome": "TimedOut"},
        options=FULL,
        status="Failed",
        code="RefreshTimedOut",
        table=None,
        message_has=["refresh.timeout"],
    ),
    Case("Direct Lake", {"recordedAs": FRAMING}),
    Case("Direct Lake, enhanced", {"recordedAs": FRAMING}, options=FULL),
    Case(
        "Direct Lake, answer lost",
        {"recordedAs": FRAMING},
        [once("drop", "start", **EFFECT)],
        [FRAMED],
        served="adopted",
    ),
    Case(
        "Direct Lake, enhanced, answer lost",
        {"recordedAs": FRAMING},
        [once("drop", "start", **EFFECT)],
        [FRAMED],
        FULL,
        refreshes=2,
    ),
    *(
        Case(
            f"clock of the service {skew} s off",
            {"clockSkewSeconds": skew},
            [once("drop", "start", **EFFECT)],
            served="adopted",
        )
        for skew in (-3600, 3600)
    ),
    Case(
        "pushed out of the history",
        OUT_OF_SIGHT,
        meanwhile=then_external(61),
        status="OutcomeUnknown",
        code="HistoryRolledOver",
        message_has=['the key "refresh"'],
    ),
    Case(
        "pushed out, but read by id",
        {**OUT_OF_SIGHT, "detailsOfStandard": True},
        meanwhile=then_external(61, end="Completed"),
    ),
    Case("enhanced, pushed out", OUT_OF_SIGHT, options=FULL, meanwhile=then_external(61, end="Completed")),
    Case("only a timeout is set", options={"refresh": {"timeout": "1:00:00"}}, enhanced=True),
    Case(
        "partial batches",
        options={"refresh": {"commitMode": "partialBatch", "applyRefreshPolicy": "false", "maxParallelism": "2"}},
        enhanced=True,
    ),
]


@pytest.mark.parametrize(("name", "cases"), [("trouble on the way", TROUBLE), ("consistency", QUIRKS)])
def test_each_row_has_its_verdict(
    world: World, name: str, cases: list[Case], record_property: Callable[[str, object], None]
) -> None:
    """Status, code, remedy and number of refreshes are those of the row; otherwise the test names the row."""
    record_property("measured", f"service faults over HTTP, {name}: {all_as_expected(world, cases)}")


def test_a_throttle_applies_to_the_next_request_too(world: World) -> None:
    """A request gets a 429 and ends. The next request waits until the throttle has ended, and then completes."""
    model = world.model()
    # longer on a slow engine, because the second request has to be sent while the throttle lasts
    world.fault(model, "throttled", "history", seconds=round(END_SECONDS / 9))
    first = world.ask(model)
    world.until(first["statusUri"], lambda status: status.get("lastReadError"))
    assert requests.delete(first["cancelUri"], timeout=30).status_code == 202
    assert world.follow(first["statusUri"]).body["status"] == "Cancelled"
    second = world.ask(model)
    world.until(second["statusUri"], lambda status: status.get("lastReadError"))
    calls = world.truth(model)["calls"]
    result = world.follow(second["statusUri"])
    assert calls["history"] == 1
    assert (result.code, world.truth(model)["calls"]["start"]) == (200, 1)


def test_the_status_shows_how_far_an_enhanced_refresh_is(world: World) -> None:
    """The status has tables and partitions while the refresh is running."""
    model = world.model(outcome="Stuck")
    uri = world.ask(model, **FULL)["statusUri"]
    status = world.until(uri, lambda status: status.get("progress", {}).get("byStatus", {}).get("Completed"))
    world.control(model, "/end")
    assert status["progress"]["byStatus"] == {"InProgress": 1, "Completed": 1}
    assert [entry["table"] for entry in status["progress"]["tables"]] == ["DimDate"]
    assert "progress" not in world.follow(uri).body
