"""GET /api/models and GET /api/models/{datasetId}: models that run, wait, failed and are overdue."""

import functools
import json
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

from dev.power_bi.server import serve
from dev.power_bi.service import PowerBiService
from devhost_tests.process import KEY, ROOT, Devhost, until
from tests.e2e.described import Described
from tests.e2e.test_housekeeping import run_now
from tests.e2e.world import FAST, LONG, WORKSPACE, World, when

pytestmark = pytest.mark.usefixtures("local")

NEVER_ASKED = "22222222-aaaa-bbbb-cccc-000000000002"
"""A model that only the setting EXPECTED_EVERY_HOURS names."""

Json = dict[str, Any]


@pytest.fixture(scope="module")
def power_bi() -> Iterator[str]:
    """A Power BI service for the apps of this module."""
    with serve(PowerBiService()) as service:
        yield service.base_url


@pytest.fixture(scope="module")
def app(power_bi: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Devhost]:
    """An app with a setting that expects a success every four seconds, for a model that no request names."""
    expected = json.dumps({NEVER_ASKED: 0.001})
    env = {**FAST, "POWER_BI_API_URL": power_bi, "EXPECTED_EVERY_HOURS": expected}
    arguments = ("--key", KEY, "--exact-timers", "--no-schedules")
    with Devhost(ROOT, tmp_path_factory.mktemp("state"), *arguments, env=env) as host:
        yield host


@pytest.fixture(scope="module")
def world(app: Devhost, power_bi: str) -> World:
    """The app as its callers see it."""
    return World(app.base, power_bi)


@functools.cache
def described(world: World) -> Described:
    """The description of the app."""
    return Described(world.app)


def models(world: World, status: int = 200, /, **query: str) -> Json:
    """The list of models, after a comparison with the description."""
    answer = requests.get(f"{world.app}/api/models", params=query, timeout=30)
    assert answer.status_code == status, answer.text
    described(world).check(answer)
    return dict(answer.json())


def model(world: World, dataset_id: str, expected: int = 200) -> Json:
    """One model, after a comparison with the description."""
    answer = requests.get(f"{world.app}/api/models/{dataset_id}", timeout=30)
    assert answer.status_code == expected, answer.text
    described(world).check(answer)
    return dict(answer.json())


def model_when(world: World, dataset_id: str, condition: Callable[[Json], Any]) -> Json:
    """Waits until a model meets a condition. An answer may be two seconds old."""
    url = f"{world.app}/api/models/{dataset_id}"
    when(lambda: requests.get(url, timeout=30).json(), lambda row: "error" not in row and condition(row))
    return model(world, dataset_id)


def listed(world: World, dataset_id: str, condition: Callable[[Json], Any] = bool) -> Json:
    """Waits until a model in the list meets a condition."""
    found = when(lambda: models(world, search=dataset_id)["models"], lambda found: found and condition(found[0]))
    return dict(found[0])


def test_models_that_no_caller_has_requested(world: World) -> None:
    """The list has the model of the setting; another model is unknown, and an invalid id is refused."""
    (found,) = [one for one in models(world)["models"] if one["datasetId"] == NEVER_ASKED]
    assert "workspaceId" not in found
    assert found["health"] in ("unknown", "overdue")
    assert model(world, str(uuid.uuid4()), 404)["error"]["code"] == "ModelUnknown"
    assert model(world, "no-guid", 400)["error"]["target"] == "datasetId"


@pytest.mark.parametrize(
    ("query", "target"),
    [
        ({"state": "good"}, "state"),
        ({"sort": "age"}, "sort"),
        ({"limit": "0"}, "limit"),
        ({"limit": "501"}, "limit"),
        ({"limit": "1e2"}, "limit"),
        ({"workspaceId": "mine"}, "workspaceId"),
        ({"continuation": "bm90aGluZw"}, "continuation"),
        ({"search": "x" * 201}, "search"),
        ({"page": "2"}, "page"),
    ],
)
def test_bad_queries(world: World, query: dict[str, str], target: str) -> None:
    """Each query is refused with the name of the parameter."""
    assert models(world, 400, **query)["error"]["target"] == target


def test_a_model_from_its_first_request_to_its_failures(world: World) -> None:
    """A model refreshes, waits behind a scheduled refresh, completes, fails twice: list and page agree at each step."""
    dataset_id = world.model(seconds=LONG, outcome=["Completed", "Failed", "Failed"])
    world.external(dataset_id)
    first = world.ask(dataset_id, caller={"pipeline": "Nightly load"}, expectedEveryHours=24)
    second = world.ask(dataset_id, caller={"pipeline": "Other"})
    row = model_when(world, dataset_id, lambda one: "scheduled" in one["summary"] and len(one["requests"]) == 2)
    assert (row["health"], row["activity"]) == ("unknown", "waiting")
    assert row["active"]["status"] == "WaitingForIdle"
    assert row["active"]["requests"] == 2
    assert row["summary"].startswith("Waits behind a scheduled refresh that began ")
    assert row["expectedEveryHours"] == 24
    waiting = listed(world, dataset_id, lambda one: one["activity"] == "waiting")
    assert (waiting["workspaceId"], waiting["active"]["status"]) == (WORKSPACE, "Waiting")
    assert {one["caller"]["pipeline"] for one in row["requests"]} == {"Nightly load", "Other"}
    assert all(one["status"] == "WaitingForIdle" and one["shared"] for one in row["requests"])

    world.end(dataset_id)
    refreshing = listed(world, dataset_id, lambda one: one["activity"] == "refreshing")
    assert models(world, state="active", search=dataset_id)["total"] == 1
    row = model_when(world, dataset_id, lambda one: one["activity"] == "refreshing")
    assert row["active"] == refreshing["active"] | {"requests": 2, "since": row["active"]["since"]}
    assert row["summary"].startswith("Refreshing for ")
    world.end(dataset_id)
    ends = [world.follow(one["statusUri"]).body for one in (first, second)]
    completed = listed(world, dataset_id, lambda one: one["activity"] == "idle" and one["health"] == "ok")
    assert completed["lastSuccess"]["refreshId"] == ends[0]["refreshId"]
    assert completed["lastSuccess"]["endedAt"] == ends[0]["endedAt"]
    assert completed["lastOutcome"]["status"] == "Completed"
    assert completed["durations"]["count"] == 1
    assert [(day["completed"], day["failed"]) for day in completed["days"]] == [(1, 0)]
    assert "active" not in completed

    world.control(dataset_id, "", {"seconds": 1})
    for _ in range(2):
        assert world.refreshed(dataset_id).code == 424
    failing = listed(world, dataset_id, lambda one: one["failuresInARow"] == 2)
    assert failing["health"] == "failing"
    assert {"status", "code", "message", "action", "at"} <= failing["lastOutcome"].keys()
    assert failing["lastSuccess"] == completed["lastSuccess"]
    assert [(day["completed"], day["failed"]) for day in failing["days"]] == [(1, 2)]
    row = model_when(world, dataset_id, lambda one: len(one["runs"]) == 3 and len(one["requests"]) == 4)
    assert row["summary"].startswith("2 refreshes in a row failed, the latest ")
    assert [run["status"] for run in row["runs"]] == ["Failed", "Failed", "Completed"]
    assert [run["requests"] for run in row["runs"]] == [1, 1, 2]
    assert row["runs"][-1].items() >= {"servedBy": "own", "refreshId": ends[0]["refreshId"]}.items()
    assert row["runs"][-1]["waitedSeconds"] > 0
    assert row["runs"][0]["message"] == failing["lastOutcome"]["message"]
    assert [one["status"] for one in row["requests"]] == ["Failed", "Failed", "Completed", "Completed"]
    assert [one["shared"] for one in row["requests"]] == [False, False, True, True]
    assert row["requests"][-1]["runId"] == row["runs"][-1]["runId"]


def test_requests_that_leave_are_shown(world: World) -> None:
    """After a waiting request is cancelled, its model is idle at once."""
    dataset_id = world.model()
    world.external(dataset_id)
    started = world.ask(dataset_id)
    listed(world, dataset_id, lambda one: one["activity"] == "waiting")
    assert requests.delete(started["cancelUri"], timeout=30).status_code == 202
    assert world.follow(started["statusUri"]).body["status"] == "Cancelled"
    assert listed(world, dataset_id, lambda one: one["activity"] == "idle")["health"] == "unknown"
    row = model_when(world, dataset_id, lambda one: len(one["requests"]) == 1)
    assert row["requests"][0].items() >= {"id": started["id"], "status": "Cancelled", "shared": False}.items()
    assert row["summary"] == "No refresh has ended yet."


def test_pages_filters_and_order(world: World) -> None:
    """In each order the pages have no gaps; the counts include all states."""
    for _ in range(2):
        listed(world, world.refreshed(world.model()).body["datasetId"])
    everything = models(world, limit="500")
    ids, counts = {one["datasetId"] for one in everything["models"]}, everything["counts"]
    assert everything["total"] == len(ids) == sum(counts.values()) - counts["active"]
    for sort in ("freshness", "name", "duration", "failures"):
        page = models(world, limit="1", sort=sort)
        assert "continuation" in page
        seen = [one["datasetId"] for one in page["models"]]
        while "continuation" in page:
            page = models(world, limit="1", sort=sort, continuation=page["continuation"])
            seen += [one["datasetId"] for one in page["models"]]
        assert len(seen) == len(ids) == len(set(seen))
    failing = models(world, state="failing,overdue")
    assert {one["health"] for one in failing["models"]} <= {"failing", "overdue"}
    assert failing["counts"] == counts
    assert models(world, workspaceId=str(uuid.uuid4()))["total"] == 0
    assert models(world, workspaceId=WORKSPACE)["total"] == everything["total"] - 1


def test_an_overdue_model_is_noted_once_in_each_period(world: World, app: Devhost) -> None:
    """The setting or a request says how often a success is expected. A success starts a new period."""

    def noted(times: int) -> None:
        """Runs the timer and waits until the log has the event this many times. Then it runs the timer again, which
        adds none."""
        run_now(app, "watch_models")
        until(lambda: len(overdue_lines(app, dataset_id)) == times, 20)
        run_now(app, "watch_models")
        assert len(overdue_lines(app, dataset_id)) == times

    dataset_id = world.model()
    assert world.refreshed(dataset_id, expectedEveryHours=0.0001).code == 200
    overdue = listed(world, dataset_id, lambda one: one["health"] == "overdue")
    assert overdue["overdueSince"] > overdue["lastSuccess"]["endedAt"]
    row = model_when(world, dataset_id, lambda one: one["health"] == "overdue")
    assert row["summary"].startswith("Overdue: a success is expected every 0 s, and the last one was ")
    noted(1)
    # the app has known the model since the first run of a timer; a few seconds later the model is overdue
    listed(world, NEVER_ASKED, lambda one: one["health"] == "overdue")
    run_now(app, "watch_models")
    until(lambda: len(overdue_lines(app, NEVER_ASKED)) == 1, 20)
    assert world.refreshed(dataset_id, expectedEveryHours=0).code == 200
    assert "expectedEveryHours" not in listed(world, dataset_id, lambda one: one["health"] == "ok")
    run_now(app, "watch_models")
    assert len(overdue_lines(app, dataset_id)) == 1
    assert world.refreshed(dataset_id, expectedEveryHours=0.0001).code == 200
    listed(world, dataset_id, lambda one: one["health"] == "overdue")
    noted(2)
    assert len(overdue_lines(app, NEVER_ASKED)) == 1


def overdue_lines(app: Devhost, dataset_id: str) -> list[str]:
    """The lines of the log that say that a model is overdue."""
    return [line for line in app.lines if '"event": "model.overdue"' in line and dataset_id in line]
