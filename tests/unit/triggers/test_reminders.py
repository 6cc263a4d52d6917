"""The timer that reminds requests: of lost messages, and of a run without an orchestration."""

import json
import logging
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from durable import names
from durable.engine import EngineUnavailable
from durable.instance import ALIVE, Instance
from refresh import clock
from refresh.history.outcome import Outcome
from refresh.queue.state import Departed, EndedRun, Member, Queue, Run, Uncollected
from refresh.times import instant
from tests.unit.triggers.timers import last_event, run_timer
from triggers.queues import LATELY, QUEUES
from triggers.timer_reminders import remind_requests

NOW = datetime(2026, 3, 31, 12, tzinfo=UTC)
A_WHILE = timedelta(minutes=5)
ACTIVE = "r1-g1"
"""The orchestration of the active run."""


def row(key: str, age: timedelta = timedelta(), **status: object) -> Instance:
    """The row of a queue that changed this long ago."""
    entity = {"entityExists": True, **status}
    return Instance(id=f"{QUEUES}{key}", name="", status="Running", custom_status=entity, updated=instant(NOW - age))


def waiting(*requests: str, claimed: bool = True, age: timedelta | None = None) -> Queue:
    """A queue with one run; `age`: how long ago a request was told to start it."""
    members = {request: Member("t", instant(NOW), "wake-1") for request in requests}
    start_asked = None if age is None else (requests[0], instant(NOW - age))
    run = Run(id="r1", scope=0, members=members, token="t" if claimed else None, start_asked=start_asked)
    return Queue(at=instant(NOW), runs=[run])


def uncollected(*requests: str) -> Queue:
    """A queue in which a run ended five minutes ago."""
    at = instant(NOW - timedelta(minutes=5))
    left = {request: Uncollected("t", "wake-1") for request in requests}
    return Queue(
        at=at, ended=[EndedRun(number=1, id="r0", at=at, outcome=Outcome(status="Completed"), uncollected=left)]
    )


@dataclass
class Engine:
    """An engine with states of queues by dataset id, and active orchestrations."""

    queues: dict[str, Queue | None]
    alive: set[str] = field(default_factory=lambda: {ACTIVE})
    rows: list[Instance] = field(default_factory=list)
    changed: dict[str, str] = field(default_factory=dict)
    raised: list[tuple[str, str]] = field(default_factory=list)
    read: list[str] = field(default_factory=list)
    beats: list[str] = field(default_factory=list)

    async def beat(self, timer: str, at: str) -> None:
        """Stores that the timer ran."""
        self.beats.append(timer)

    async def list_all(self, prefix: str, **query: Any) -> AsyncIterator[Instance]:
        """The rows of the queues or, with another prefix, the active orchestrations of a dataset."""
        if prefix == QUEUES:
            assert query == {"inputs": False}
            listed = self.rows or [row(key) for key in self.queues]
        else:
            assert query == {"statuses": ALIVE, "inputs": False}
            ids = sorted(instance for instance in self.alive if instance.startswith(prefix))
            listed = [Instance(id=each, name="", status="Running", updated=self.changed.get(each)) for each in ids]
        for instance in listed:
            yield instance

    async def read_queue(self, dataset_id: str) -> Queue:
        """The state of a queue."""
        self.read.append(dataset_id)
        queue = self.queues[dataset_id]
        if queue is None:
            raise EngineUnavailable("busy")
        return queue

    async def first_alive(self, instances: Iterable[str]) -> str | None:
        """The first of these orchestrations that is active."""
        return next((instance for instance in instances if instance in self.alive), None)

    async def raise_event(self, instance: str, event: str) -> bool:
        """Accepts an event for an active orchestration."""
        self.raised.append((instance, event))
        return instance in self.alive


def remind(engine: Engine, caplog: pytest.LogCaptureFixture) -> dict[str, Any]:
    """Runs the timer. Returns its last event, empty if it logged none."""
    caplog.set_level(logging.INFO)
    run_timer(remind_requests, engine)
    assert engine.beats == ["remind_requests"]
    return last_event(caplog)


@pytest.fixture(autouse=True)
def _at_noon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: NOW)


def test_a_queue_in_order_costs_two_reads_and_no_message(caplog: pytest.LogCaptureFixture) -> None:
    """The run of the queue is active and its members wait, so nothing is sent and nothing is logged."""
    engine = Engine({"a": waiting("x", "y"), "b": Queue()})
    assert remind(engine, caplog) == {}
    assert engine.raised == []


def test_only_queues_that_changed_lately_are_read(caplog: pytest.LogCaptureFixture) -> None:
    """Queues that have not changed recently are not read: the engine keeps the rows of all queues, even of old ones."""
    rows = [row("a"), row("deleted", entityExists=False), row("old", LATELY)]
    engine = Engine({"a": Queue()}, rows=rows)
    remind(engine, caplog)
    assert engine.read == ["a"]


def test_an_outcome_that_was_not_collected(caplog: pytest.LogCaptureFixture) -> None:
    """Each request that has not collected its outcome is reminded."""
    engine = Engine({"a": uncollected("x", "y")}, alive={"x"})
    event = remind(engine, caplog)
    assert engine.raised == [("x", names.RECHECK_EVENT), ("y", names.RECHECK_EVENT)]
    assert (event["event"], event["queues"], event["failed"]) == ("request.reminded", 1, 0)


def test_an_outcome_that_was_collected_by_a_lost_episode(caplog: pytest.LogCaptureFixture) -> None:
    """A request that collected its outcome in a lost episode has not changed since, and is reminded. Requests that have
    ended, end now, or wait for their next attempt get no message."""
    dataset_id, young, old = "22222222-aaaa-bbbb-cccc-000000000001", NOW - timedelta(minutes=1), NOW - A_WHILE
    suffixes = ("missed", "ended", "ending", "backing-off")
    missed, ended, ending, backing_off = (f"22222222aaaabbbbcccc000000000001-{suffix}" for suffix in suffixes)
    times = ((missed, old), (ended, old), (ending, young), (backing_off, old))
    departed = {name: Departed(instant(at), "t", run=1) for name, at in times}
    changed = {missed: instant(old - timedelta(seconds=1)), ending: instant(young), backing_off: instant(old)}
    engine = Engine({dataset_id: Queue(at=instant(NOW), departed=departed)}, alive=set(changed), changed=changed)
    assert remind(engine, caplog)["queues"] == 1
    assert engine.raised == [(missed, names.RECHECK_EVENT)]


@pytest.mark.parametrize(
    ("claimed", "age", "repaired"),
    [
        (True, None, True),  # it was claimed, and its orchestration has ended
        (False, timedelta(seconds=31), True),  # the request that was told to start it did not, or its start failed
        (False, timedelta(seconds=29), False),
        (False, None, True),
    ],
)
def test_a_dead_run_is_repaired_by_one_request(
    claimed: bool, age: timedelta | None, repaired: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """Only the first active request is reminded, which repairs the run for all."""
    engine = Engine({"a": waiting("dead", "x", "y", claimed=claimed, age=age)}, alive={"x", "y"})
    remind(engine, caplog)
    assert engine.raised == ([("x", names.RECHECK_EVENT)] if repaired else [])


def test_a_dead_run_without_an_active_request_is_ignored(caplog: pytest.LogCaptureFixture) -> None:
    """Such a run is left to the hourly timer, which removes it."""
    engine = Engine({"a": waiting("dead")}, alive=set())
    assert remind(engine, caplog) == {}
    assert engine.raised == []


def test_a_queue_that_cannot_be_read_stops_no_other(caplog: pytest.LogCaptureFixture) -> None:
    """The log names the unreadable queue. It is read again five minutes later."""
    engine = Engine({"a": None, "b": uncollected("x")}, alive={"x"})
    event = remind(engine, caplog)
    assert engine.raised == [("x", names.RECHECK_EVENT)]
    assert (event["queues"], event["failed"]) == (1, 1)
    assert json.loads(caplog.records[0].getMessage())["datasetId"] == "a"
