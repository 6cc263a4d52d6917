"""Calls and signals to entities."""

from __future__ import annotations

import time
from typing import Any

from devhost_tests.recording import HOOK, World, scenario


@scenario
def entity_calls(w: World) -> None:
    i = w.start("UseCounter", w.id("c"))
    w.end(i, history=True)
    w.call("GET", f"{HOOK}/entities/counter/{w.id('c')}")


@scenario
def entity_order(w: World) -> None:
    i = w.start("UseJournal", {"key": w.id("j"), "n": 30})
    w.end(i, timeout=30)


@scenario
def entity_sum(w: World) -> None:
    ids = [w.start("Adder", {"key": w.id("s"), "n": 5}, id=f"a{n}") for n in range(20)]
    for i in ids:
        w.until(i, timeout=120)
    w.call("GET", f"{HOOK}/entities/counter/{w.id('s')}", label="sum of 20 x 5")


@scenario
def terminated_while_calling_entity(w: World) -> None:
    i = w.start("EntityThenGone", w.id("slow"))
    w.until(i, lambda b: b["runtimeStatus"] == "Running")
    w.client("terminate", i, reason="gone")
    w.end(i, timeout=5)
    j = w.start("Adder", {"key": w.id("slow"), "n": 1}, id="next")
    w.until(j)  # the entity processes one operation after the other
    w.end(i, timeout=5, label="after the entity answered")
    w.end(j, timeout=20, label="the entity still serves others")


def _state(w: World, entity: str, expected: Any) -> None:
    """Waits for a state; all operations sent before have then been applied, too."""
    end = time.time() + 20
    while w.call("GET", entity, keep=False)[1] != expected and time.time() < end:
        time.sleep(0.05)


@scenario
def entities_over_http(w: World) -> None:
    k = w.id("k")
    e = f"{HOOK}/entities/Counter/{k}"
    w.call("GET", e, label="GET entity before")
    w.call(
        "POST",
        e + "?op=add",
        label="signal add 5 (JSON number)",
        data="5",
        headers={"Content-Type": "application/json"},
    )
    w.call(
        "POST",
        e + "?op=add",
        label='signal add "5" (JSON text of a number)',
        data='"5"',
        headers={"Content-Type": "application/json"},
    )
    w.call("POST", e + "?op=add", label="signal add 7 (text/plain)", data="7", headers={"Content-Type": "text/plain"})
    _state(w, e, 12)
    w.call("GET", e, label="GET entity after")
    w.client("entity", k, entity="counter")
    w.client("signal", k, entity="counter", op="add", input=3)
    w.client("signal", k, entity="counter", op="add", input=0)
    w.client("signal", k, entity="counter", op="get")
    _state(w, e, 15)
    w.client("entity", k, entity="Counter")
    w.call("GET", f"{HOOK}/entities/counter?fetchState=true&top=1000", label="list entities", keep=False)
    w.status(f"@counter@{k}", keep=True)
    w.call(
        "POST",
        f"{HOOK}/entities/nobody/k?op=x",
        label="signal an unknown entity",
        data="1",
        headers={"Content-Type": "application/json"},
    )
    w.client("signal", k, entity="nobody", op="x")
    w.call("DELETE", e, label="DELETE entity")
    _state(w, e, None)
    w.call("GET", e, label="GET entity after delete")
    w.client("entity", k, entity="counter")
    w.status(f"@counter@{k}", keep=True)
