"""Waiting, timers, events, generations and sub-orchestrations."""

from __future__ import annotations

import concurrent.futures
import json
import time
from functools import partial
from typing import Any

import requests

from devhost_tests.recording import HOOK, World, scenario


@scenario
def event_or_timeout(w: World) -> None:
    i = w.start("EventOrTimeout", 20)
    w.until(i, lambda b: b["runtimeStatus"] == "Running")
    t = time.time()
    w.call("POST", f"{HOOK}/instances/{i}/raiseEvent/Go", json_body=1)
    w.end(i, timeout=40, history=True, label="event first, timer cancelled")
    w.note("ended within 10 s of the event", time.time() - t < 10)
    j = w.start("EventOrTimeout", 2, id="timeout")
    w.end(j, timeout=30, label="timeout")


@scenario
def uncancelled_timer(w: World) -> None:
    i = w.start("EventLeavesTimer", 12)
    w.until(i, lambda b: b["runtimeStatus"] == "Running")
    t = time.time()
    w.call("POST", f"{HOOK}/instances/{i}/raiseEvent/Go", json_body=1)
    w.end(i, timeout=40, label="timer left open")
    w.note("ended only with the timer (more than 6 s after the event)", time.time() - t > 6)


@scenario
def poll_loop(w: World) -> None:
    """A polling orchestrator: it waits for an event or a timer, cancels the other one, and begins a new generation
    every third turn."""
    i = w.start("PollLoop", {"turn": 0, "last": 9})
    w.until(i, lambda b: (b["customStatus"] or {}).get("turn") == 4, timeout=30)
    w.call("POST", f"{HOOK}/instances/{i}/raiseEvent/wake-4", json_body="now")
    w.call("POST", f"{HOOK}/instances/{i}/raiseEvent/wake-2", label="a wake for a turn long gone", json_body="late")
    w.end(i, timeout=60, history=True)


def _naps(n: int, body: Any) -> bool:
    return bool(body["customStatus"] == f"napping {n}")


@scenario
def wake_between_generations(w: World) -> None:
    """Events for the next generation, sent while the current one is ending."""
    i = w.start("NextWake", 0)
    for n in range(4):
        w.until(i, partial(_naps, n), timeout=20)
        w.call(
            "POST",
            f"{HOOK}/instances/{i}/raiseEvent/go-{n}",
            label=f"go-{n} during the nap before the wait for it",
            json_body=n,
        )
    w.end(i, timeout=20)


@scenario
def window(w: World) -> None:
    """A sliding window over task_any: the host waits only for the newest job, so job 3 starts after 8 s."""
    i = w.start("Window", [3, 1, 8, 1])
    t = time.time()
    w.end(i, timeout=40, label="order of ends of jobs of 3, 1, 8, 1 s", history=True)
    w.note("took more than 8.5 s", time.time() - t > 8.5)


@scenario
def eternal(w: World) -> None:
    i = w.start("Eternal", 5)
    w.end(i, label="after 6 generations", history=True)


def _collected(n: int, body: Any) -> bool:
    return body["runtimeStatus"] == "Completed" or len(json.loads(body["input"] or "[]")) >= n


@scenario
def eternal_events(w: World) -> None:
    i = w.start("EternalEvents")
    w.until(i, lambda b: b["runtimeStatus"] == "Running")
    for n in (1, 2, 3):
        w.call("POST", f"{HOOK}/instances/{i}/raiseEvent/Go", json_body=n)
        w.until(i, partial(_collected, n))
    w.end(i, timeout=10, label="three events, far apart")
    j = w.start("EternalEvents", id="burst")
    w.until(j, lambda b: b["runtimeStatus"] == "Running")
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        list(
            pool.map(
                lambda n: requests.post(
                    f"{w.base}{HOOK}/instances/{j}/raiseEvent/Go?code={w.code}", json=n, timeout=30
                ),
                (1, 2, 3),
            )
        )
    b = w.until(j, timeout=10)
    w.note("three events at once: ended (else events were lost)", "still" not in b)


@scenario
def new_generation_with_open_timer(w: World) -> None:
    i = w.start("NewGenerationWithOpenWork", 1)
    w.until(i, lambda b: b["runtimeStatus"] == "Running")
    t = time.time()
    w.call("POST", f"{HOOK}/instances/{i}/raiseEvent/Go", json_body=1)
    w.end(i, timeout=20, label="continue_as_new with an open timer")
    w.note("waited for the timer", time.time() - t > 2)


@scenario
def sub_orchestrations(w: World) -> None:
    jobs: tuple[dict[str, Any], ...] = (
        {"name": "Chain"},
        {"name": "Chain", "id": w.id("child")},
        {"name": "Fails"},
        {"name": "EchoInput", "input": {"t": "2026-11-24T10:00:00.1230000Z"}},
    )
    for n, a in enumerate(jobs):
        i = w.start("Sub", a, id=f"p{n}")
        w.end(i, timeout=20, label=f"parent of {a['name']} {n}", history=True)
    w.end(w.id("child"), label="the child with a chosen id")


@scenario
def terminated_parent_and_child(w: World) -> None:
    i = w.start("SubForever", id="parent")
    c = i + "-child"
    w.until(c, lambda b: b["customStatus"] == "waiting")
    w.client("terminate", i, reason="stop the parent")
    w.end(i)
    w.until(w.start("Chain", id="meanwhile"))  # by now, all consequences of the termination would have arrived
    w.note("child of a terminated parent", w.status(c)[1])
    j = w.start("SubForever", id="parent2")
    w.until(j + "-child", lambda b: b["customStatus"] == "waiting")
    w.client("terminate", j + "-child", reason="stop the child")
    w.end(j, label="parent of a terminated child", timeout=15)


@scenario
def purged_while_running(w: World) -> None:
    i = w.start("Naps", 5)
    w.until(i, lambda b: b["runtimeStatus"] == "Running")
    w.client("purge", i)
    w.call("DELETE", f"{HOOK}/instances/{i}")
    w.until(i)
    w.note("later", w.status(i))


@scenario
def terminated_during_activity(w: World) -> None:
    i = w.start("Naps", 4)
    later = w.start("Naps", 4, id="later")
    w.until(later, lambda b: b["runtimeStatus"] == "Running")
    w.client("terminate", i, reason="stop")
    w.end(i, timeout=3, label="at once")
    w.until(later)  # by then, the nap that began before this call has also ended
    w.end(i, timeout=3, label="after the activity ended")


@scenario
def raises_own_event(w: World) -> None:
    i = w.start("RaisesAnEvent")
    w.end(i, timeout=20)


@scenario
def timers(w: World) -> None:
    """A due time in the past or now fires at once; others may fire up to a second before the due time."""
    i = w.start("Timers", [0, -5, 0.5, 1.5, 2, 2.5, 3.2])
    out = w.until(i, timeout=60).get("output")
    w.note("never more than 1 s early", all(x > -1.0 for x in out))
    w.note("now and the past fire at once", out[0] < 4 and out[1] < 9)
    w.note("all within 20 s of the due time", all(x < 20 for k, x in enumerate(out) if k != 1))
