"""A capacity that allows two refreshes at a time, over HTTP: all callers get outcomes, and no third refresh runs."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import pytest
import requests

from dev.power_bi.server import serve
from dev.power_bi.service import PowerBiService
from devhost_tests.process import KEY, ROOT
from tests.e2e.test_batches import start_batch
from tests.e2e.test_crashes import Mortal
from tests.e2e.world import CALL_SECONDS, LONG, WORKSPACE, Result, World, when

Json = dict[str, Any]

pytestmark = pytest.mark.usefixtures("local")

OTHER, THIRD = (f"11111111-aaaa-bbbb-cccc-00000000000{number}" for number in (2, 3))
LIMITS = (
    f'[{{"name": "P1", "workspaces": ["{WORKSPACE}"], "refreshes": 2}},'
    f' {{"name": "one", "workspaces": ["{OTHER}"], "refreshes": 1}}, {{"name": "others", "refreshes": 1}}]'
)
CALLERS = 3


@pytest.fixture(scope="module")
def limited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[World, Mortal]]:
    """An app with limits, which may be killed, and a Power BI service."""
    with serve(PowerBiService()) as service:
        victim = Mortal(ROOT, tmp_path_factory.mktemp("state"), service.base_url, CAPACITY_LIMITS=LIMITS)
        try:
            yield World(victim.base, service.base_url), victim
        finally:
            victim.host.stop()


def groups(world: World) -> dict[str, Json]:
    """GET /api/capacity: the groups by name."""
    answer = requests.get(f"{world.app}/api/capacity", headers=world.headers, timeout=CALL_SECONDS)
    assert answer.status_code == 200, answer.text
    return {group["name"]: group for group in answer.json()["groups"]}


def groups_when(world: World, name: str, condition: Any) -> Json:
    """Waits until a group meets a condition. An answer may be a second old."""
    return when(lambda: groups(world)[name], condition)


def most_at_once(world: World, models: list[str]) -> int:
    """The maximum number of our simultaneous refreshes, according to the service."""
    refreshes = [refresh for model in models for refresh in world.own(model)]
    spans = [(str(refresh["startTime"]), str(refresh["endTime"] or "9")) for refresh in refreshes]
    return max(sum(begin <= moment < end for begin, end in spans) for moment, _ in spans)


def both_running(world: World, models: list[str]) -> bool:
    """Whether a refresh of each of these models is running, according to the service."""
    return all(any(refresh["state"] == "InProgress" for refresh in world.own(model)) for model in models)


def play(world: World, models: list[str]) -> list[int]:
    """Three callers request all models at the same time. Returns the HTTP statuses of all their outcomes."""

    def caller(_: int) -> list[str]:
        return [world.ask(model)["statusUri"] for model in models]

    with ThreadPoolExecutor(CALLERS) as pool:
        uris = [uri for started in pool.map(caller, range(CALLERS)) for uri in started]
    return [world.follow(uri, 300).code for uri in uris]


def test_no_third_refresh_runs(limited: tuple[World, Mortal]) -> None:
    """Three callers request each of eight models; the capacity never has more than two refreshes."""
    world, _ = limited
    long = [world.model(seconds=LONG) for _ in range(2)]
    models = [*long, *(world.model() for _ in range(6))]
    with ThreadPoolExecutor(1) as pool:
        outcomes = pool.submit(play, world, models)
        group = groups_when(world, "P1", lambda group: len(group["holders"]) == 2 and group["waiting"])
        when(lambda: both_running(world, long))
        for model in long:
            world.end_and_shorten(model)
    assert [run["position"] for run in group["waiting"]] == [*range(len(group["waiting"]))]
    assert set(outcomes.result()) == {200}
    assert most_at_once(world, models) == 2
    idle = groups_when(world, "P1", lambda group: not group["holders"])
    assert idle["waiting"] == []


def test_three_callers_and_two_batches_want_fifty_models(limited: tuple[World, Mortal]) -> None:
    """All get the true outcome of each model. At most one refresh per model runs at a time, and at most two in
    total."""
    world, _ = limited
    long = [world.model(seconds=LONG) for _ in range(2)]
    for model in long:
        world.ask(model)
    when(lambda: both_running(world, long))
    bad = world.model(outcome="Failed", seconds=0.1)
    models = [*(world.model(seconds=0.1) for _ in range(49)), bad]

    def caller(number: int) -> list[int]:
        chosen = models[number::3]
        return [world.follow(world.ask(model)["statusUri"], 300).code for model in chosen[:4]]

    def two_batches(number: int) -> Result:
        chain = [
            {"datasetId": model, "dependsOn": models[place - 1 : place] if place % 5 else []}
            for place, model in enumerate(models)
        ]
        return world.follow(start_batch(world, *chain, maxConcurrent=10 + number)["statusUri"], 300)

    with ThreadPoolExecutor(5) as pool:
        alone = pool.map(caller, range(3))
        together = pool.map(two_batches, range(2))
        groups_when(world, "P1", lambda group: len(group["waiting"]) > 3)
        assert [world.own(model) for model in models] == [[]] * 50
        for model in long:
            world.end_and_shorten(model)
    assert list(alone) == [[200] * 4] * 3
    for result in together:
        ends = {model["datasetId"]: model["status"] for model in result.body["models"]}
        assert (result.code, ends.pop(bad)) == (424, "Failed")
        before = {model["name"]: model for model in result.body["models"]}
        for model in result.body["models"]:
            if model["status"] == "Skipped":
                assert before[model["dependsOn"][0]]["status"] in ("Failed", "Skipped")
            elif model["datasetId"] != bad:
                assert model["status"] == "Completed"
    for model in models:
        refreshes = sorted(world.own(model), key=lambda refresh: str(refresh["startTime"]))
        for one, following in pairwise(refreshes):
            assert one["endTime"] <= following["startTime"]
    assert most_at_once(world, [*models, *long]) == 2
    groups_when(world, "P1", lambda group: not group["holders"] and not group["waiting"])


def test_the_app_is_killed_in_the_middle(limited: tuple[World, Mortal]) -> None:
    """The restarted app repeats no refresh, loses no place, and runs no third refresh."""
    world, victim = limited
    models = [world.model(seconds=3) for _ in range(6)]
    started = [world.ask(model)["statusUri"] for model in models]
    groups_when(world, "P1", lambda group: len(group["holders"]) == 2 and len(group["waiting"]) == 4)
    victim.kill()
    victim.start_again()
    assert {world.follow(uri, 300).code for uri in started} == {200}
    assert most_at_once(world, models) <= 2
    assert [len(world.own(model)) for model in models] == [1] * len(models)
    groups_when(world, "P1", lambda group: not group["holders"])


def test_a_request_shows_why_it_waits(limited: tuple[World, Mortal]) -> None:
    """A request with a higher priority goes first. A terminated run keeps its place until it is repaired."""
    world, victim = limited
    first, low, high = world.model(seconds=LONG), world.model(seconds=LONG), world.model(seconds=LONG)
    holder = world.ask(first, workspaceId=OTHER)
    running = world.until(holder["statusUri"], lambda status: status["status"] == "Refreshing")
    late = world.ask(low, workspaceId=OTHER, priority="low")
    world.until(late["statusUri"], lambda status: status["status"] == "WaitingForCapacity")
    soon = world.ask(high, workspaceId=OTHER, priority="high")
    waits = world.until(soon["statusUri"], lambda status: status["status"] == "WaitingForCapacity")["waitsForPlace"]
    assert (waits["group"], waits["position"]) == ("one", 0)
    assert [other["runId"] for other in waits["behind"]] == [running["runId"]]
    queue = world.queue_when(low, lambda queue: (queue["active"] or {}).get("waitsForPlace"))
    assert queue["active"]["status"] == "WaitingForCapacity"
    route = f"/runtime/webhooks/durabletask/instances/{running['runId']}-g1/terminate?reason=by-hand&code={KEY}"
    assert victim.host.post(route).status_code == 202
    assert victim.host.post("/admin/functions/check_places", json={}).status_code == 202
    world.end(first)
    assert world.follow(holder["statusUri"]).code == 200
    world.until(soon["statusUri"], lambda status: status["status"] == "Refreshing")
    assert world.own(low) == []
    world.end(high)
    world.until(late["statusUri"], lambda status: status["status"] == "Refreshing")
    world.end(low)
    assert {world.follow(started["statusUri"]).code for started in (late, soon)} == {200}
    assert most_at_once(world, [first, low, high]) == 1


def test_a_refusing_capacity_gets_no_calls(limited: tuple[World, Mortal]) -> None:
    """While the capacity refuses refreshes, a request waits, and its status shows until when. A caller that does not
    want to wait cancels it."""
    world, _ = limited
    model = world.model(outcome=[{"outcome": "Failed", "errorCode": "CapacityLimitExceeded"}, "Completed"])
    started = world.ask(model, workspaceId=THIRD)
    waits = world.until(started["statusUri"], lambda status: status["status"] == "WaitingForCapacity")
    assert waits["waitsForPlace"]["closedUntil"] > waits["requestedAt"]
    assert groups(world)["others"]["closedUntil"] == waits["waitsForPlace"]["closedUntil"]
    requests.delete(started["cancelUri"], timeout=CALL_SECONDS)
    assert world.follow(started["statusUri"]).body["status"] == "Cancelled"
    assert len(world.own(model)) == 1
