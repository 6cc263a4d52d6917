"""How functions fail, and the messages about it."""

from __future__ import annotations

from devhost_tests.recording import World, scenario


@scenario
def failures(w: World) -> None:
    for n in ("Fails", "FailsAtOnce", "NotAGenerator", "LetsActivityFail", "WrongYield", "Unserialisable"):
        i = w.start(n)
        w.end(i, label=n, history=n == "LetsActivityFail", timeout=15)
        w.status(i, "?returnInternalServerErrorOnFailure=true", keep=True)
    for a in ("boom", "custom_error", "bad_output"):
        i = w.start("CatchesActivity", a, id=f"c-{a}")
        w.end(i, label=f"catches {a}", timeout=15)


@scenario
def unknown_names(w: World) -> None:
    for n in ("UnknownActivity", "UnknownSub", "UnknownEntity"):
        i = w.start(n)
        w.note_hanging(i, label=n, history=True)


@scenario
def start_unknown(w: World) -> None:
    w.call("POST", f"/api/start/nobody/{w.id('x')}", label="client.start_new of an unknown name")
    w.until(w.id("x"))
    w.status(w.id("x"), keep=True)


@scenario
def changed_code(w: World) -> None:
    i = w.start("Changeable")
    w.end(i, timeout=15, label="took another way on replay")


@scenario
def retries(w: World) -> None:
    for n, a in enumerate(({"attempts": 3, "good": 3}, {"attempts": 3, "good": 9}, {"attempts": 1, "good": 9})):
        i = w.start("Retries", a, id=f"n{n}")
        w.end(i, label=f"retries {a}", history=True, timeout=30)


@scenario
def fan_out_one_fails(w: World) -> None:
    i = w.start("FanOutOneFails")
    w.end(i, timeout=20, history=True)


@scenario
def fan_out(w: World) -> None:
    i = w.start("FanOut", 200)
    w.end(i, timeout=120)
