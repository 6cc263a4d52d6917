"""kill -9 at any instant, start again: nothing is lost, activities run at least once."""

from __future__ import annotations

import random
from pathlib import Path

from tests.devhost.conftest import Start
from tests.devhost.process import Devhost, until

CALLERS, CALLS = 20, 4


def lines(path: Path) -> list[str]:
    return path.read_text().split() if path.exists() else []


def total(host: Devhost) -> int:
    answer = host.get("/runtime/webhooks/durabletask/entities/total/sum")
    return int(answer.json()) if answer.status_code == 200 else 0


def reached(host: Devhost, goal: int) -> None:
    until(lambda: total(host) >= goal, 30)


def test_interrupted_activity_is_run_again_at_once(start: Start, tmp_path: Path) -> None:
    """An activity that was running when the host died is handed out again at the next start."""
    first = start()
    first.post("/api/v1/start/noting/n1", json={"file": "n1", "seconds": 2})
    until(lambda: lines(tmp_path / "n1") == ["begun"], 20)
    first.kill()
    second = start()
    assert second.ended("n1")["output"] == "done"
    assert lines(tmp_path / "n1") == ["begun", "begun", "ended"]


def test_timers_and_waits_survive(start: Start) -> None:
    """A timer that came due while the host was away fires at the start; an event wait is still there."""
    first = start()
    first.post("/api/v1/start/approval/short", data="1")
    first.post("/api/v1/start/approval/long", data="600")
    until(lambda: (first.status("long") or {}).get("runtimeStatus") == "Running", 20)
    first.kill()
    second = start()
    assert second.ended("short")["output"] == "nobody answered"
    second.post("/runtime/webhooks/durabletask/instances/long/raiseEvent/answer", json="yes")
    assert second.ended("long")["output"] == "yes"


def test_random_kills_lose_nothing(start: Start) -> None:
    """Killed again and again in the middle of work: every orchestration ends right and the entity's sum is exact."""
    chance = random.Random(7)  # noqa: S311
    host = start("--exact-timers")
    for n in range(CALLERS):
        host.post(f"/api/v1/start/steps/s{n}", json={"n": CALLS, "key": "sum"})
    for _ in range(5):
        goal = min(CALLERS * CALLS, total(host) + chance.randrange(1, 8))
        reached(host, goal)
        host.kill()
        host = start("--exact-timers")
    for n in range(CALLERS):
        assert host.ended(f"s{n}")["output"] == CALLS
    assert total(host) == CALLERS * CALLS
