"""Each case is a behaviour of the Power BI service, with the answer that the caller should get. Many cases are tested
at the same time, over HTTP.

Each case sets up its own model and sends one request. Then all results are compared at once: HTTP status, status, code,
`retryable`, the numbers of refreshes and of POSTs, and whether anything was cancelled.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from tests.e2e.world import END_SECONDS, Result, World

AT_ONCE = 24
"""The number of cases that run at the same time; each of them mostly waits."""

Json = dict[str, Any]
Meanwhile = Callable[[World, str, str], None]
"""Called while the request is in progress, with the world, the model, and the status URI."""


@dataclass(frozen=True)
class Case:
    """A row. `faults` have a name, a route and further keys; `refreshes` is the expected number of our refreshes."""

    row: str
    knobs: Json = field(default_factory=dict)
    faults: Sequence[tuple[str, str, Json]] = ()
    external: Sequence[Json] = ()
    options: Json = field(default_factory=dict)
    meanwhile: Meanwhile | None = None

    status: str = "Completed"
    code: str | None = None
    service_code: str | None = None
    """Power BI's own code; not compared if None."""
    retryable: bool = False
    message_has: Sequence[str] = ()
    """Words of the message; they are compared case-insensitively."""
    table: str | None = None
    refreshes: int = 1
    starts: int | None = None
    """The expected number of POSTs that reach Power BI; None: the same as `refreshes`."""
    most_starts: int | None = None
    """The largest allowed number of POSTs, if the app repeats them until its outage budget is used up."""
    served: str = "own"
    """The expected `servedBy` of a success."""
    looks: int | None = None
    """The expected number of reads of the history; None: any number."""
    enhanced: bool | None = None


def play(world: World, case: Case) -> Json:
    """Plays a case. Returns its result in the format of `expected`, with all other contradictions under `odd`."""
    model = world.model(**case.knobs)
    for name, route, more in case.faults:
        world.fault(model, name, route, **more)
    for external in case.external:
        world.control(model, "/external", {"visibilitySeconds": 0, **external})
    uri = world.ask(model, **case.options)["statusUri"]
    if case.meanwhile:
        case.meanwhile(world, model, uri)
    result = world.follow(uri, END_SECONDS)
    truth = world.truth(model)
    own = [refresh for refresh in truth["refreshes"] if not refresh["external"]]
    error = result.body.get("error") or {}
    starts = truth["calls"]["start"]
    if case.starts and case.most_starts and case.starts <= starts <= case.most_starts:
        starts = case.starts
    return {
        "http": result.code,
        "status": result.body["status"],
        "code": error.get("code"),
        "service_code": error.get("serviceCode") if case.service_code else None,
        "retryable": error.get("retryable"),
        "table": error.get("table"),
        "refreshes": len(own),
        "starts": starts,
        "served": result.body["servedBy"] if result.code == 200 else None,
        "looks": truth["calls"]["history"] if case.looks is not None else None,
        "enhanced": all(refresh["enhanced"] for refresh in own) if case.enhanced is not None else None,
        "cancels": truth["calls"]["cancel"],
        "odd": list(_odd(case, result, model, own)),
    }


def expected(case: Case) -> Json:
    """The expected result of a case."""
    good = case.status == "Completed"
    return {
        "http": 200 if good else 424,
        "status": case.status,
        "code": case.code,
        "service_code": case.service_code,
        "retryable": None if good else case.retryable,
        "table": case.table,
        "refreshes": case.refreshes,
        "starts": case.refreshes if case.starts is None else case.starts,
        "served": case.served if good else None,
        "looks": case.looks,
        "enhanced": case.enhanced,
        "cancels": 0,
        "odd": [],
    }


def _odd(case: Case, result: Result, model: str, own: list[Json]) -> Iterable[str]:
    """Contradictions in the answer, and parts of it that would be of no use to a caller."""
    error = result.body.get("error")
    if result.body["status"] == "Completed":
        truth = {refresh["requestId"]: refresh["state"] for refresh in own}
        if truth.get(result.body["refreshId"]) != "Completed":
            yield f"refresh {result.body['refreshId']} did not complete: {truth}"
        if error:
            yield f"a success with an error: {error}"
        return
    if not error:
        yield "no error"
        return
    message = error["message"]
    if next(iter(result.body)) != "error":
        yield "the error is not the first key"
    if not message.startswith("Semantic model ") or not error["action"] or len(message) > 500:
        yield f"the message is not complete: {message}"
    if any(value is None for value in error.values()):
        yield f"keys without a value: {error}"
    yield from (f"{word!r} is not in: {message}" for word in case.message_has if word.lower() not in message.lower())


def play_all(world: World, cases: Sequence[Case]) -> str:
    """The cases with unexpected results, one per line; empty if there are none."""

    def one(case: Case) -> str:
        try:
            got, goal = play(world, case), expected(case)
        except AssertionError as problem:
            return f"{case.row}: {problem}"
        wrong = [f"{key} is {got[key]!r}, not {goal[key]!r}" for key in goal if got[key] != goal[key]]
        return f"{case.row}: {'; '.join(wrong)}" if wrong else ""

    assert len({case.row for case in cases}) == len(cases), "two cases have the same name"
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return "\n".join(filter(None, pool.map(one, cases)))


def refreshing(world: World, uri: str) -> Json:
    """Waits until the status shows the refresh."""
    return world.until(uri, lambda status: status["status"] == "Refreshing", END_SECONDS)


def all_as_expected(world: World, cases: Sequence[Case]) -> str:
    """How many cases went as expected, and how long that took. Fails and shows the others if there are any."""
    began = time.monotonic()
    wrong = play_all(world, cases)
    assert not wrong, wrong
    return f"{len(cases)} cases in {time.monotonic() - began:.0f} s"
