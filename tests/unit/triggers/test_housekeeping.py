"""The clean-up timers process limited portions, and over time all items."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from durable.engine import EngineUnavailable
from durable.instance import Instance
from durable.models import ModelNews
from refresh import clock
from refresh.history.outcome import Outcome
from refresh.models.operations import Forget
from refresh.models.state import Shard
from refresh.queue.operations import Operation, Sweep, Tidy
from refresh.queue.state import EndedRun, Member, Queue, Run
from refresh.times import instant
from tests.unit.triggers.timers import last_event, run_timer
from triggers import portions, timer_housekeeping
from triggers.portions import work_through
from triggers.queues import LATELY, QUEUES, portion
from triggers.timer_housekeeping import MAX_LOOKS, MAX_VISITS, SELDOM_HOURS, is_due

NOW = datetime(2026, 3, 31, 12, tzinfo=UTC)
EXISTS = {"entityExists": True}


def entity(key: str, age: timedelta = timedelta(), status: object = EXISTS) -> Instance:
    """The row of a queue that changed this long ago."""
    return Instance(id=f"{QUEUES}{key}", name="", status="Running", custom_status=status, updated=instant(NOW - age))


def waiting(*requests: str) -> Queue:
    """A queue with one run."""
    members = {request: Member("t", instant(NOW), "w") for request in requests}
    return Queue(at=instant(NOW), runs=[Run(id="run", scope=0, members=members)])


def remembering(age: timedelta) -> Queue:
    """A queue in which a run ended this long ago."""
    at = instant(NOW - age)
    return Queue(at=at, ended=[EndedRun(number=1, id="run", at=at, outcome=Outcome(status="Completed"))])


@dataclass
class Engine:
    """An engine with rows, states of queues by dataset id, and active orchestrations."""

    rows: list[Instance] = field(default_factory=list)
    queues: dict[str, Queue] = field(default_factory=dict)
    alive: set[str] = field(default_factory=set)
    bad: set[str] = field(default_factory=set)
    hangs: bool = False
    read: list[str] = field(default_factory=list)
    looked_at: list[str] = field(default_factory=list)
    operations: list[tuple[str, Operation[Any]]] = field(default_factory=list)
    purged: list[str] = field(default_factory=list)
    shards: dict[str, Shard] = field(default_factory=dict)
    news: list[ModelNews] = field(default_factory=list)
    forgotten: list[tuple[str, list[str], Forget]] = field(default_factory=list)
    queries: list[dict[str, Any]] = field(default_factory=list)

    async def beat(self, timer: str, at: str) -> None:
        """Does nothing."""

    async def list_all(self, prefix: str, **query: Any) -> AsyncIterator[Instance]:
        """The rows."""
        self.queries.append(query)
        for row in self.rows:
            if row.id.startswith(prefix):
                yield row

    async def read_queue(self, dataset_id: str) -> Queue:
        """The state of a queue."""
        self.read.append(dataset_id)
        if dataset_id in self.bad:
            raise EngineUnavailable("the stored queue has another schema")
        return self.queues.get(dataset_id, Queue())

    async def first_alive(self, instances: Iterable[str]) -> str | None:
        """The first of these orchestrations that is active."""
        for instance in instances:
            self.looked_at.append(instance)
            if instance in self.alive:
                return instance
        return None

    async def tell_queue(self, dataset_id: str, operation: Operation[Any]) -> None:
        """Records a signal."""
        self.operations.append((dataset_id, operation))

    async def read_shard(self, key: str) -> Shard:
        """A shard of the index of models."""
        if key in self.bad:
            raise EngineUnavailable("busy")
        return self.shards.get(key, Shard())

    async def tell_model(self, news: ModelNews) -> None:
        """Records a signal about a model."""
        self.news.append(news)

    async def forget_models(self, shard: str, datasets: Iterable[str], forget: Forget) -> None:
        """Records the signals to forget models."""
        self.forgotten.append((shard, [*datasets], forget))

    async def purge(self, instance: str) -> bool:
        """Purges an ended instance."""
        if instance in self.bad:
            raise EngineUnavailable("busy")
        if self.hangs:
            await asyncio.Event().wait()
        self.purged.append(instance)
        return True


def run(timer: Any, engine: Engine, caplog: pytest.LogCaptureFixture) -> dict[str, Any]:
    """Runs a timer function; returns its last event."""
    caplog.set_level(logging.INFO)
    run_timer(timer, engine)
    return last_event(caplog)


@pytest.fixture(autouse=True)
def _at_noon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: NOW)


def tidy(engine: Engine, caplog: pytest.LogCaptureFixture) -> dict[str, Any]:
    """The hourly timer."""
    return run(timer_housekeeping.tidy_queues, engine, caplog)


def purge(engine: Engine, caplog: pytest.LogCaptureFixture) -> dict[str, Any]:
    """The nightly timer."""
    return run(timer_housekeeping.purge_ended, engine, caplog)


def test_a_queue_that_was_deleted_is_not_visited(caplog: pytest.LogCaptureFixture) -> None:
    """The row of a deleted queue stays permanently, with a status that reports the deletion. A row without a status is
    visited."""
    rows = [entity("gone", status={}), entity("gone too", status={"entityExists": False}), entity("old", status=None)]
    engine = Engine([*rows, entity("here")])
    event = tidy(engine, caplog)
    assert sorted(engine.read) == ["here", "old"]
    assert engine.queries == [{"inputs": False}]
    assert (event["visited"], event["complete"]) == (2, True)


def test_a_queue_with_expired_entries_is_signalled() -> None:
    """A queue is signalled half an hour after an end, not before, and not if it has already removed the entry."""
    engine = Engine(
        [entity(key) for key in ("young", "old", "quiet")],
        {"young": remembering(timedelta(minutes=10)), "old": remembering(timedelta(minutes=31)), "quiet": Queue()},
    )
    for row in engine.rows:
        asyncio.run(timer_housekeeping._visit(engine, row.id.removeprefix(QUEUES)))  # type: ignore[arg-type]
    assert engine.operations == [("old", Tidy(at=instant(NOW)))]


def test_an_active_queue_costs_one_look(caplog: pytest.LogCaptureFixture) -> None:
    """A visit of an active queue takes one look, for any number of waiting requests."""
    engine = Engine([entity("a")], {"a": waiting(*map(str, range(5000)))}, alive={"run-g1"})
    tidy(engine, caplog)
    assert (engine.looked_at, engine.operations) == (["run-g1"], [])


def test_dead_requests_are_swept_in_portions(caplog: pytest.LogCaptureFixture) -> None:
    """A visit checks a fixed number of requests, and the next visit continues."""
    names = [str(number) for number in range(MAX_LOOKS + 50)]
    engine = Engine([entity("a")], {"a": waiting(*names)})
    event = tidy(engine, caplog)
    ((_, operation),) = engine.operations
    assert isinstance(operation, Sweep)
    assert list(operation.requests) == names[:MAX_LOOKS]
    assert len(engine.looked_at) == MAX_LOOKS + 1
    assert event["swept"] == 1


def test_an_unreadable_queue_does_not_stop_the_others(caplog: pytest.LogCaptureFixture) -> None:
    """A queue may be unreadable because newer code wrote its state. The other queues are visited."""
    engine = Engine([entity(key) for key in "abc"], bad={"a"})
    event = tidy(engine, caplog)
    assert sorted(engine.read) == ["a", "b", "c"]
    assert (event["failed"], event["visited"]) == (1, 3)


def test_an_idle_queue_is_visited_once_a_week() -> None:
    """An idle queue is visited at an hour of its own, and a recently changed queue each hour."""
    quiet, lively = entity("a", timedelta(days=30)), entity("b", LATELY - timedelta(hours=1))
    hours = [NOW + timedelta(hours=number) for number in range(2 * SELDOM_HOURS)]
    assert sum(is_due(quiet, hour) for hour in hours) == 2
    assert is_due(lively, NOW)
    many = [entity(str(number), timedelta(days=30)) for number in range(SELDOM_HOURS * 10)]
    assert max(sum(is_due(row, hour) for row in many) for hour in hours[:20]) < 40


@pytest.mark.parametrize("count", [0, 1, MAX_VISITS, MAX_VISITS + 1, 7 * MAX_VISITS - 3])
def test_a_run_visits_a_portion_and_some_visit_all(count: int) -> None:
    """A run visits a portion of the queues. Each queue is visited within the smallest number of runs that is enough for
    all."""
    due, runs = [str(number) for number in range(count)], -(-count // MAX_VISITS)
    for first in (0, 1, 493_211):
        portions_of = [portion(due, hour, MAX_VISITS) for hour in range(first, first + runs)]
        assert all(len(each) <= MAX_VISITS for each in portions_of)
        assert {each for visited in portions_of for each in visited} == set(due)


def test_a_failure_does_not_stop_the_purge(caplog: pytest.LogCaptureFixture) -> None:
    """The purge deletes only ended instances, without reading inputs. A failure does not stop the purge of the others,
    and the next run tries again."""
    engine = Engine([Instance(id=f"request {number}", name="", status="Completed") for number in range(100)])
    engine.bad = {"request 7"}
    event = purge(engine, caplog)
    assert len(engine.purged) == 99
    (query,) = engine.queries
    assert query == {
        "until": NOW - timedelta(days=30),
        "statuses": ("Completed", "Failed", "Terminated", "Canceled"),
        "inputs": False,
    }
    assert (event["instances"], event["failed"], event["complete"]) == (99, 1, True)
    engine.rows = [row for row in engine.rows if row.id not in engine.purged]
    engine.bad.clear()
    event = purge(engine, caplog)
    assert (event["instances"], event["failed"], event["complete"]) == (1, 0, True)
    assert engine.purged[-1] == "request 7"


def test_a_purge_ends_in_time(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """The purge ends in time whatever the engine does. The event shows whether instances are left."""
    monkeypatch.setattr(portions.work_through, "__defaults__", (0.01,))
    engine = Engine([Instance(id="a", name="", status="Completed")], hangs=True)
    assert purge(engine, caplog)["complete"] is False


def test_few_items_are_processed_at_once() -> None:
    """A limited number of items is processed at the same time, and each item once."""
    running, most, seen = 0, 0, list[int]()

    async def things() -> AsyncIterator[int]:
        for number in range(100):
            yield number

    async def work(number: int) -> str:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1
        seen.append(number)
        return "odd" if number % 2 else "even"

    counts, complete = asyncio.run(work_through(things(), work))
    assert (dict(counts), complete, sorted(seen)) == ({"odd": 50, "even": 50}, True, list(range(100)))
    assert 1 < most <= portions.AT_ONCE


def test_an_exception_is_raised() -> None:
    """An exception of an item is raised, even if it is a timeout."""

    async def things() -> AsyncIterator[int]:
        yield 1

    async def work(number: int) -> str:
        raise TimeoutError(str(number))

    with pytest.raises(TimeoutError):
        asyncio.run(work_through(things(), work))
