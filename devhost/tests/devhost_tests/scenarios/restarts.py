"""Restarted and ended instances: rewind, restart, purge, lists."""

from __future__ import annotations

from devhost_tests.recording import HOOK, World, scenario


@scenario
def rewind_codes(w: World) -> None:
    i = w.start("Chain")
    w.end(i)
    w.call("POST", f"{HOOK}/instances/{i}/rewind?reason=x", label="rewind Completed")
    w.client("rewind", i, reason="x")
    r = w.start("LetsFlakyFail", id="again")
    w.end(r, label="failed for the first time")
    w.call("POST", f"{HOOK}/instances/{r}/rewind?reason=x", label="rewind Failed")
    w.until(r, lambda b: b["runtimeStatus"] == "Completed", timeout=10)
    w.end(r, label="after rewind", history=True)
    w.call("POST", f"{HOOK}/instances/{w.id('nobody')}/rewind?reason=x", label="rewind unknown")


@scenario
def restart_codes(w: World) -> None:
    i = w.start("Chain")
    w.end(i)
    w.call("POST", f"{HOOK}/instances/{i}/restart", label="restart, new id")
    w.call("POST", f"{HOOK}/instances/{i}/restart?restartWithNewInstanceId=false", label="restart, same id")
    w.end(i, label="restarted")
    w.call("POST", f"{HOOK}/instances/{w.id('nobody')}/restart", label="restart unknown")
    w.client("restart", i)
    j = w.start("Forever")
    w.until(j, lambda b: b["customStatus"] == "waiting")
    w.call(
        "POST", f"{HOOK}/instances/{j}/restart?restartWithNewInstanceId=false", label="restart a running one, same id"
    )


@scenario
def purge_codes(w: World) -> None:
    i = w.start("Chain")
    w.end(i)
    w.call("DELETE", f"{HOOK}/instances/{i}")
    w.call("DELETE", f"{HOOK}/instances/{i}", label="purge again")
    w.status(i, keep=True)
    w.client("purge", i)
    w.call("DELETE", f"{HOOK}/instances/", label="purge all without a time")
    w.call(
        "DELETE",
        f"{HOOK}/instances/?createdTimeFrom=2020-01-01T00:00:00Z&createdTimeTo=2020-01-02T00:00:00Z",
        label="purge nothing",
    )


@scenario
def list_instances(w: World) -> None:
    ids = [w.start("Chain", id=f"p{n}") for n in range(5)]
    for i in ids:
        w.until(i)
    p = f"instanceIdPrefix={w.run}"
    w.call("GET", f"{HOOK}/instances/?{p}", label="list by prefix")
    w.call("GET", f"{HOOK}/instances?{p}&top=2&showInput=false", label="first page of 2")
    w.call("GET", f"{HOOK}/instances/?{p}&runtimeStatus=Completed,Failed&top=1", label="by status, top 1")
    w.call("GET", f"{HOOK}/instances/?{p}&runtimeStatus=completed", label="status in lower case")
    w.call("GET", f"{HOOK}/instances/?{p}&runtimeStatus=Nonsense", label="unknown status")
    w.call("GET", f"{HOOK}/instances/?{p}&createdTimeFrom=2099-01-01T00:00:00Z", label="none")
    w.call("GET", f"{HOOK}/instances/?{p}&top=abc", label="bad top")
