"""The timer that finds places that were not given back, and the route that shows the holders."""

import asyncio
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import azure.functions as func
import pytest

from durable.engine import EngineUnavailable
from power_bi import busy
from power_bi.client import History
from power_bi.errors import Facts, PowerBiError, Refused, ServiceUnavailable
from refresh import clock
from refresh.capacity.answers import Asker
from refresh.capacity.operations import FreePlaces
from refresh.capacity.state import External, Group, Place, Waiter
from refresh.history.rows import RefreshRow
from refresh.messages import replace
from refresh.queue.state import Member, Queue, Run
from refresh.settings import Settings
from refresh.times import instant
from tests.simulation.platform import BINDING
from tests.unit.triggers.timers import run_timer
from triggers import http_capacity, timer_capacity

NOW = datetime(2026, 3, 31, 12, tzinfo=UTC)
DATASET, WORKSPACE = "00000000-0000-0000-0000-00000000000d", "00000000-0000-0000-0000-00000000000e"
SETTINGS = Settings.from_environment({"CAPACITY_LIMITS": '[{"name": "P1", "refreshes": 2}]'})


@dataclass
class Engine:
    """One group, one queue, and the active orchestrations."""

    group: Group
    queue: Queue = field(default_factory=Queue)
    alive: set[str] = field(default_factory=set)
    fails: bool = False
    beats: list[str] = field(default_factory=list)
    operations: list[tuple[str, object]] = field(default_factory=list)

    async def beat(self, timer: str, at: str) -> None:
        """Stores that the timer runs."""
        self.beats.append(timer)

    async def read_group(self, name: str) -> Group:
        """The group."""
        if self.fails:
            raise EngineUnavailable("HTTP 500")
        return self.group

    async def read_queue(self, dataset_id: str) -> Queue:
        """The queue."""
        assert dataset_id == DATASET
        return self.queue

    async def first_alive(self, instances: Iterable[str]) -> str | None:
        """The first of these orchestrations that is active."""
        return next((instance for instance in instances if instance in self.alive), None)

    async def tell_group(self, name: str, operation: object) -> None:
        """Records the operations for the group."""
        self.operations.append((name, operation))


def held(minutes: float = 60) -> Group:
    """A group in which a run has had a place for this long."""
    at = instant(NOW - timedelta(minutes=minutes))
    place = Place(dataset_id=DATASET, workspace_id=WORKSPACE, incarnation=2, number=5, at=at, model_name="Sales")
    return Group(at=at, refreshes=2, places={"a-r1": place})


def in_line(due_minutes_ago: float) -> Group:
    """A group with a waiting run that should have asked again this many minutes ago."""
    due, since = instant(NOW - timedelta(minutes=due_minutes_ago)), instant(NOW - timedelta(hours=1))
    waiter = Waiter(
        dataset_id=DATASET, workspace_id=WORKSPACE, incarnation=1, number=3, since=since, wake_event="place-3", due=due
    )
    return Group(at=since, waiting={"a-r1": waiter})


def enrolled() -> Queue:
    """A queue that has the run."""
    member = Member("t", instant(NOW), "wake-1")
    return Queue(at=instant(NOW), runs=[Run(id="a-r1", scope=0, incarnation=3, members={"a": member})])


def check(
    monkeypatch: pytest.MonkeyPatch, engine: Engine, is_busy: bool | None = False, settings: Settings = SETTINGS
) -> list[tuple[str, object]]:
    """The operations for the group from one run of the timer."""

    async def busy_or_not(workspace_id: str, dataset_id: str) -> bool | None:
        assert (workspace_id, dataset_id) == (WORKSPACE, DATASET)
        return is_busy

    monkeypatch.setattr(clock, "now", lambda: NOW)
    monkeypatch.setattr(timer_capacity, "current_settings", lambda: settings)
    monkeypatch.setattr(timer_capacity, "is_busy", busy_or_not)
    run_timer(timer_capacity.check_places, engine)
    assert engine.beats == ["check_places"]
    return engine.operations


def freed(number: int, incarnation: int) -> list[tuple[str, object]]:
    """The operation that removes the run, unless the run has sent a later message."""
    asker = Asker(run="a-r1", incarnation=incarnation, number=number)
    return [("P1", FreePlaces(at=instant(NOW), askers=(asker,)))]


def test_a_place_of_a_run_that_left_its_queue_is_freed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The place is freed only when the model is idle, because the refresh may continue without the run."""
    assert check(monkeypatch, Engine(held())) == freed(5, 2)
    assert check(monkeypatch, Engine(held()), is_busy=True) == []
    assert check(monkeypatch, Engine(held()), is_busy=None) == [], "the history cannot be read"
    assert check(monkeypatch, Engine(held(minutes=31 * 60)), is_busy=None) == freed(5, 2), "no refresh runs that long"


@pytest.mark.parametrize("alive", ["a", "a-r1-g3"])
def test_a_run_in_its_queue_keeps_its_place(monkeypatch: pytest.MonkeyPatch, alive: str) -> None:
    """A run in its queue keeps its place even if its orchestration is dead: a request will repair the run, and its
    refresh may be running."""
    assert check(monkeypatch, Engine(held(), enrolled(), {alive})) == []


def test_a_dead_run_with_dead_requests_loses_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run loses its place if its orchestration and those of all its requests are dead."""
    assert check(monkeypatch, Engine(held(), enrolled())) == freed(5, 2)
    assert check(monkeypatch, Engine(held(), enrolled()), is_busy=True) == []


def test_new_places_are_not_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A new place is not checked, because the queue may have been read before the run got its place."""
    assert check(monkeypatch, Engine(held(minutes=0.5))) == []
    assert check(monkeypatch, Engine(in_line(-1))) == []


def test_a_dead_waiting_run_is_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A dead run that waits is removed. Its model need not be checked, because the run has posted nothing."""
    assert check(monkeypatch, Engine(in_line(5)), is_busy=True) == freed(3, 1)


def test_without_limits_and_without_the_engine_nothing_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without limits or without the engine, the timer only stores that it ran."""
    assert check(monkeypatch, Engine(held()), settings=Settings()) == []
    assert check(monkeypatch, Engine(held(), fails=True)) == []


@dataclass
class Client:
    """A history with a refresh in this status, or an error."""

    status: str = ""
    error: PowerBiError | None = None

    def history(self, *_: object) -> History:
        """The history."""
        if self.error:
            raise self.error
        return History((RefreshRow("r", "ViaApi", self.status, start=NOW),), NOW, None)


@pytest.mark.parametrize(
    ("client", "expected"),
    [
        (Client("Unknown"), True),
        (Client("Completed"), False),
        (Client(error=Refused(Facts(), "ModelNotFound")), False),
        (Client(error=Refused(Facts(), "NotAuthorized")), False),
        (Client(error=ServiceUnavailable(Facts())), None),
        (Client(error=Refused(Facts(), "TokenUnavailable")), None),
        (Client(error=Refused(Facts(), "TokenRejected")), None),
        (Client(error=Refused(Facts(), "UnexpectedAnswer")), None),
    ],
)
def test_whether_a_model_is_busy(monkeypatch: pytest.MonkeyPatch, client: Client, expected: bool | None) -> None:
    """The history shows whether a model is busy. If it cannot be read at the moment, the result is unknown."""
    monkeypatch.setattr(busy, "configured_client", lambda: client)
    assert asyncio.run(busy.is_busy(WORKSPACE, DATASET)) is expected


def test_the_route_shows_the_holders_of_places(monkeypatch: pytest.MonkeyPatch) -> None:
    """The route also shows the external refreshes that count, the waiting runs, and when a closed group opens again."""
    group = held()
    group.at = instant(NOW)
    group.waiting = {**in_line(1).waiting, "b-r1": replace(in_line(-1).waiting["a-r1"], since=instant(NOW))}
    group.external = {"other": External(until=instant(NOW + timedelta(minutes=1)), model_name="Stock")}
    group.closed_until = instant(NOW + timedelta(minutes=2))
    monkeypatch.setattr(clock, "now", lambda: NOW)
    monkeypatch.setattr(http_capacity, "current_settings", lambda: SETTINGS)

    async def group_of(*_: object) -> Group:
        return group

    monkeypatch.setattr(http_capacity, "group_of", group_of)
    request = func.HttpRequest("GET", "http://localhost/api/capacity", params={}, headers={}, body=b"")
    route: Any = http_capacity.http_capacity
    answer = asyncio.run(route._function._func(req=request, engine=BINDING))
    (entry,) = json.loads(answer.get_body())["groups"]
    assert (entry["name"], entry["refreshes"], entry["workspaces"]) == ("P1", 2, None)
    assert entry["closedUntil"] == instant(NOW + timedelta(minutes=2))
    assert [holder["modelName"] for holder in entry["holders"]] == ["Sales"]
    assert [external["modelName"] for external in entry["external"]] == ["Stock"]
    assert [(run["position"], run["runId"], run["priority"]) for run in entry["waiting"]] == [
        (0, "b-r1", "normal"),
        (1, "a-r1", "normal"),
    ], "others overtake a run that did not ask in time"
