"""After kill -9 at any instant and a restart, nothing is lost, and activities run at least once."""

from __future__ import annotations

import random
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

from devhost.engine.times import iso
from devhost_tests.conftest import Start
from devhost_tests.process import Client, Devhost, until

ORCHESTRATIONS, STEPS, KILLS = 60, 4, 15


def lines(path: Path) -> list[str]:
    return path.read_text().split() if path.exists() else []


def total(host: Client, key: str = "sum") -> int:
    answer = host.manage("GET", f"/entities/total/{key}")
    return int(answer.json()) if answer.status_code == 200 else 0


def reached(host: Devhost, goal: int) -> None:
    until(lambda: total(host) >= goal, 30)


def test_interrupted_activity_is_run_again_at_once(start: Start, scratch: Path) -> None:
    """An activity that was running when the host was killed runs again after the next start."""
    first = start()
    first.post("/api/v1/start/noting/n1", json={"file": "n1", "until": "n1-may-end"})
    until(lambda: lines(scratch / "n1") == ["begun"], 20)
    first.kill()
    (scratch / "n1-may-end").touch()
    second = start()
    assert second.ended("n1")["output"] == "done"
    assert lines(scratch / "n1") == ["begun", "begun", "ended"]


def make_due(state: Path, instance: str) -> None:
    """Changes the stored timer of an instance, as if it had become due since the host was killed."""
    with closing(sqlite3.connect(state / "state.db", timeout=10)) as database, database:
        past = iso(datetime.now(UTC) - timedelta(minutes=1))
        changed = database.execute("UPDATE messages SET due = ? WHERE target = ? AND due IS NOT NULL", (past, instance))
        assert changed.rowcount == 1


def test_timers_and_waits_survive(start: Start, tmp_path: Path) -> None:
    """A timer that became due while the host was down fires at the start. An instance still waits for its event."""
    first = start("--exact-timers")
    first.post("/api/v1/start/approval/short", data="600")
    first.post("/api/v1/start/approval/long", data="600")
    first.becomes("short", "Running")
    first.becomes("long", "Running")
    first.kill()
    make_due(tmp_path / "state", "short")
    second = start("--exact-timers")
    assert second.ended("short")["output"] == "nobody answered"
    second.manage("POST", "/instances/long/raiseEvent/answer", json="yes")
    assert second.ended("long")["output"] == "yes"


def test_random_kills_lose_nothing(start: Start) -> None:
    """After fifteen kills during work, every orchestration ends correctly, and the sums of the entities are exact."""
    chance = random.Random(7)  # noqa: S311
    host = start("--exact-timers")
    for n in range(ORCHESTRATIONS):
        host.post(f"/api/v1/start/steps/s{n}", json={"n": STEPS, "key": "sum"})
    for kills in range(KILLS):
        # The remaining work is spread over the remaining kills, so that each kill interrupts some work.
        done = total(host)
        most = 2 * max(1, (ORCHESTRATIONS * STEPS - done) // (KILLS - kills))
        reached(host, min(ORCHESTRATIONS * STEPS, done + chance.randrange(most)))
        host.kill()
        host = start("--exact-timers")
        assert host.base, host.log
    for n in range(ORCHESTRATIONS):
        assert host.ended(f"s{n}")["output"] == STEPS
    assert total(host) == ORCHESTRATIONS * STEPS
    until(lambda: total(host, "sum-signals") == ORCHESTRATIONS * STEPS, 10)
