"""Failures with the wording of public reports, over HTTP: the caller gets the cause."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests

from tests.e2e.test_check import check
from tests.e2e.world import Result, World, when
from tests.reports import OF_REFRESHES, REPORTS, differences, text_of

AT_ONCE = 8

Json = dict[str, Any]


def outcomes_of(report: Json) -> list[Any]:
    """The knob `outcome`: the results of the model's refreshes, in order."""
    failed = {key: value for key, value in report["failed"].items() if key != "enhanced"}
    if "serviceExceptionJson" in failed:
        failed["serviceExceptionJson"] = text_of(failed["serviceExceptionJson"])
    else:
        failed["errorCode"] = None
    return [{"outcome": "Failed", **failed}, *(["Completed"] if report.get("then") else [])]


def play(world: World, report: Json) -> list[str]:
    """The differences between the answers to the report's callers and the expected ones."""
    enhanced = {"refresh": {"type": "full"}} if report["failed"].get("enhanced") else {}
    callers = report.get("callers") or [report.get("request", {})]
    expected = report["expect"] if isinstance(report["expect"], list) else [report["expect"]]
    model = world.model(outcome=outcomes_of(report))
    uris = [world.ask(model, **{**enhanced, **options})["statusUri"] for options in callers]
    results = [world.follow(uri, 90) for uri in uris]
    return [
        found
        for one, expectation in zip(results, expected, strict=True)
        for found in _differences(world, model, one, expectation)
    ]


def _differences(world: World, model: str, result: Result, expectation: Json) -> list[str]:
    found = differences(result.body.get("error") or {}, expectation)
    if result.code != expectation.get("http", result.code):
        found.append(f"HTTP {result.code}")
    if result.body["status"] != expectation.get("status", result.body["status"]):
        found.append(f"status {result.body['status']}")
    if "refreshes" in expectation and len(world.own(model)) != expectation["refreshes"]:
        found.append(f"{len(world.own(model))} refreshes")
    return found


def test_every_report_gets_its_cause(world: World) -> None:
    """The requests run at the same time, because each mostly waits."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = pool.map(lambda name: play(world, REPORTS[name]), OF_REFRESHES)
    wrong = {name: differs for name, differs in zip(OF_REFRESHES, found, strict=True) if differs}
    assert not wrong


THROTTLES = ["fabricThrottled", "fabricThrottled429", "capacityLimitExceeded", "tooManyRequestsForCapacity"]


@pytest.mark.parametrize("route", ["history", "start", "details"])
def test_an_overloaded_capacity(world: World, route: str) -> None:
    """For each kind of call and each form of the report, the app waits twice. Then there is one refresh."""

    def one(fault: str) -> tuple[int, str, int]:
        model = world.model()
        world.fault(model, fault, route, count=2, seconds=1)
        result = world.refresh(model, refresh={"type": "full"})
        return result.code, result.body["status"], len(world.own(model))

    with ThreadPoolExecutor(len(THROTTLES)) as pool:
        assert list(pool.map(one, THROTTLES)) == [(200, "Completed", 1)] * len(THROTTLES)


def test_a_cancellation_is_retried_if_the_capacity_is_overloaded(world: World) -> None:
    """A cancellation that is refused because of an overload is not refused permanently, so the app sends it again
    later."""
    model = world.model(seconds=60)
    world.fault(model, "fabricThrottled", "cancel", count=2)
    started = world.ask(model, refresh={"type": "full"})
    world.until(started["statusUri"], lambda status: status["status"] == "Refreshing")
    assert requests.delete(started["cancelUri"], timeout=30).ok
    result = world.follow(started["statusUri"])
    assert result.body["status"] == "Cancelled"
    when(lambda: [refresh["state"] for refresh in world.own(model)] == ["Cancelled"])
    assert world.truth(model)["calls"]["cancel"] >= 3


def test_a_check_finds_an_overloaded_capacity(world: World) -> None:
    """The check reports the overload, not a missing permission."""
    model = world.model()
    world.fault(model, "capacityLimitExceeded", "history")
    found = check(world, model).json()
    assert (found["ok"], found["error"]["code"], found["error"]["retryable"]) == (False, "Throttled", True)
