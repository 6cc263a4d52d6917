"""The answers of the management API."""

from __future__ import annotations

import concurrent.futures
import json

import requests

from devhost_tests.recording import HOOK, World, scenario


@scenario
def start_and_status_shapes(w: World) -> None:
    i = w.start("Chain", {"a": 1}, keep=True)
    w.end(i, history=True)
    w.status(i, "?showInput=false", keep=True)
    w.status(i, "?returnInternalServerErrorOnFailure=true", keep=True)
    w.status(w.id("nobody"), keep=True)
    w.client("status", w.id("nobody"))
    w.client("status", i)
    w.client("status", i, show_history=True, show_history_output=True, show_input=True)


@scenario
def running_status(w: World) -> None:
    i = w.start("Forever")
    w.until(i, lambda b: b["customStatus"] == "waiting")
    w.status(i, keep=True)
    w.status(i, "?showHistory=true", keep=True)
    w.client("purge", i)
    w.call("DELETE", f"{HOOK}/instances/{i}")
    w.status(i, keep=True)


@scenario
def start_over_http(w: World) -> None:
    for label, data in (
        ("object", '{"a": 1}'),
        ("none", None),
        ("text", '"abc"'),
        ("number", "5"),
        ("array", "[1]"),
        ("bad", "{a"),
        ("empty object", "{}"),
    ):
        i = w.id("h-" + label.replace(" ", ""))
        w.call(
            "POST",
            f"{HOOK}/orchestrators/EchoInput/{i}",
            label=f"POST orchestrators/EchoInput body {label}",
            data=data,
            headers={"Content-Type": "application/json"},
        )
        if label != "bad":
            w.end(i, label=f"status, body {label}", timeout=15)
    w.call(
        "POST",
        f"{HOOK}/orchestrators/EchoInput",
        label="POST orchestrators/EchoInput, no id",
        data="{}",
        headers={"Content-Type": "application/json"},
    )
    w.call(
        "POST",
        f"{HOOK}/orchestrators/nobody/{w.id('unknown')}",
        data="{}",
        headers={"Content-Type": "application/json"},
    )
    w.call("POST", f"{HOOK}/orchestrators/Chain/@bad", data="{}", headers={"Content-Type": "application/json"})
    w.call("POST", f"{HOOK}/orchestrators/Chain/a%2Fb", data="{}", headers={"Content-Type": "application/json"})
    w.call("GET", f"{HOOK}/nothing")
    w.call("PUT", f"{HOOK}/instances/{w.id('x')}")


@scenario
def start_and_wait(w: World) -> None:
    w.call(
        "POST",
        f"{HOOK}/orchestrators/Chain/{w.id('w1')}?timeout=20&pollingInterval=1",
        data="{}",
        headers={"Content-Type": "application/json"},
    )
    w.call(
        "POST",
        f"{HOOK}/orchestrators/Fails/{w.id('w2')}?timeout=20&pollingInterval=1",
        data="{}",
        headers={"Content-Type": "application/json"},
    )
    w.call(
        "POST",
        f"{HOOK}/orchestrators/Forever/{w.id('w3')}?timeout=2&pollingInterval=1",
        data="{}",
        headers={"Content-Type": "application/json"},
    )
    w.client("wait", w.id("w1"), timeout=2000, interval=500)
    w.client("wait", w.id("w2"), timeout=2000, interval=500)
    w.client("wait", w.id("w3"), timeout=2000, interval=500)


@scenario
def same_id_again(w: World) -> None:
    i = w.start("Forever")
    w.until(i, lambda b: b["customStatus"] == "waiting")
    w.call("POST", f"/api/start/Forever/{i}", label="start again while Running (client)")
    w.call(
        "POST",
        f"{HOOK}/orchestrators/Forever/{i}",
        label="start again while Running (HTTP)",
        data="{}",
        headers={"Content-Type": "application/json"},
    )
    w.client("terminate", i, reason="enough")
    w.end(i, label="terminated")
    w.call("POST", f"/api/start/Chain/{i}", label="start again after termination")
    w.end(i, label="the second life")


@scenario
def same_id_at_once(w: World) -> None:
    """Eight starts of one id at the same instant: how many are accepted, and how many executions there are."""
    i = w.id("race")
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        codes = list(
            pool.map(
                lambda n: requests.post(f"{w.base}/api/start/NapLog/{i}", data=json.dumps(1), timeout=60).status_code,
                range(8),
            )
        )
    w.end(i)
    w.note("accepted at least one", 202 in codes)
    w.note("only 202 and 500 (the client raised)", set(codes) <= {202, 500})


@scenario
def same_id_after_the_end(w: World) -> None:
    """A finished instance does not reserve its id: a start creates a second execution."""
    i = w.start("Chain", {"life": 1})
    w.end(i)
    w.start("Chain", {"life": 2}, keep=True)
    w.until(i, lambda b: '"life": 2' in b["input"])
    w.end(i)


@scenario
def terminate_codes(w: World) -> None:
    i = w.start("Forever")
    w.until(i, lambda b: b["customStatus"] == "waiting")
    w.call("POST", f"{HOOK}/instances/{i}/terminate?reason=because")
    w.end(i, history=True)
    w.call("POST", f"{HOOK}/instances/{i}/terminate?reason=again")
    w.client("terminate", i, reason="again")
    w.call("POST", f"{HOOK}/instances/{w.id('nobody')}/terminate?reason=x")
    w.client("terminate", w.id("nobody"), reason="x")
    w.call("POST", f"{HOOK}/instances/{i}/raiseEvent/Go", json_body={})
    w.client("raise_event", i, name="Go", data=1)


@scenario
def raise_event_codes(w: World) -> None:
    i = w.start("Event")
    w.until(i, lambda b: b["runtimeStatus"] == "Running")
    w.call(
        "POST",
        f"{HOOK}/instances/{i}/raiseEvent/Go",
        label="raiseEvent text/plain",
        data="hello",
        headers={"Content-Type": "text/plain"},
    )
    w.call(
        "POST",
        f"{HOOK}/instances/{i}/raiseEvent/Go",
        label="raiseEvent bad JSON",
        data="{a",
        headers={"Content-Type": "application/json"},
    )
    w.call("POST", f"{HOOK}/instances/{w.id('nobody')}/raiseEvent/Go", json_body={})
    w.client("raise_event", w.id("nobody"), name="Go", data=1)
    w.call(
        "POST",
        f"{HOOK}/instances/{i}/raiseEvent/Go",
        label="raiseEvent {}",
        json_body={"t": "2026-11-24T10:00:00.1230000Z"},
    )
    w.end(i, history=True)


@scenario
def event_values(w: World) -> None:
    for n, v in enumerate([{"a": 1}, "abc", 5, None, [1, 2], True]):
        i = w.start("Event", id=f"http-{n}")
        w.until(i, lambda b: b["runtimeStatus"] == "Running")
        w.call(
            "POST",
            f"{HOOK}/instances/{i}/raiseEvent/Go",
            label=f"HTTP event {json.dumps(v)}",
            data=json.dumps(v),
            headers={"Content-Type": "application/json"},
        )
        w.end(i, timeout=15)
        j = w.start("Event", id=f"client-{n}")
        w.until(j, lambda b: b["runtimeStatus"] == "Running")
        w.client("raise_event", j, name="Go", data=v)
        w.end(j, timeout=15)
    k = w.start("Event", id="empty")
    w.until(k, lambda b: b["runtimeStatus"] == "Running")
    w.call(
        "POST",
        f"{HOOK}/instances/{k}/raiseEvent/Go",
        label="HTTP event without body",
        headers={"Content-Type": "application/json"},
    )
    w.note_hanging(k)


@scenario
def wrong_case_event(w: World) -> None:
    i = w.start("Event")
    w.until(i, lambda b: b["runtimeStatus"] == "Running")
    w.call("POST", f"{HOOK}/instances/{i}/raiseEvent/gO", json_body=1)
    w.note_hanging(i, label="after gO")
    w.call("POST", f"{HOOK}/instances/{i}/raiseEvent/Go", json_body=2)
    w.end(i, timeout=8, label="after Go")


@scenario
def early_and_double_events(w: World) -> None:
    i = w.start("NapThenTwoEvents")
    w.until(i, lambda b: b["runtimeStatus"] == "Running")
    w.call("POST", f"{HOOK}/instances/{i}/raiseEvent/Go", json_body=1)
    w.wait_for_events(i, 1)
    w.call("POST", f"{HOOK}/instances/{i}/raiseEvent/Go", json_body=2)
    w.end(i, timeout=15, label="two early events, a second apart")
    j = w.start("TwoEvents")
    w.until(j, lambda b: b["runtimeStatus"] == "Running")
    for n in (1, 2):
        w.call("POST", f"{HOOK}/instances/{j}/raiseEvent/Go", json_body=n)
        w.wait_for_events(j, n)
    w.end(j, timeout=15, label="two events, each awaited")


@scenario
def suspend_resume(w: World) -> None:
    i = w.start("Event")
    w.until(i, lambda b: b["runtimeStatus"] == "Running")
    w.call("POST", f"{HOOK}/instances/{i}/suspend?reason=pause")
    w.note("suspended", w.until(i, lambda b: b["runtimeStatus"] == "Suspended", timeout=10))
    w.status(i, keep=True)
    w.call("POST", f"{HOOK}/instances/{i}/suspend?reason=again")
    w.call("POST", f"{HOOK}/instances/{i}/raiseEvent/Go", json_body="while suspended")
    w.wait_for_events(i, 1)
    w.note("still suspended", w.status(i)[1])
    w.call("POST", f"{HOOK}/instances/{i}/resume?reason=go")
    w.until(i, lambda b: b["runtimeStatus"] == "Completed", timeout=15)
    w.end(i, history=True)
    w.call("POST", f"{HOOK}/instances/{i}/resume?reason=late")
    w.client("suspend", i, reason="late")
    w.client("resume", w.id("nobody"), reason="x")
    j = w.start("Event", id="running")
    w.until(j, lambda b: b["runtimeStatus"] == "Running")
    w.call("POST", f"{HOOK}/instances/{j}/resume?reason=not-suspended")
    w.call("POST", f"{HOOK}/instances/{j}/suspend?reason=x")
    w.until(j, lambda b: b["runtimeStatus"] == "Suspended", timeout=10)
    w.call("POST", f"{HOOK}/instances/{j}/terminate?reason=while-suspended")
    w.until(j, lambda b: b["runtimeStatus"] == "Terminated", timeout=10)
    w.end(j)
