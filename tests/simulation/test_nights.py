"""Bad nights, and one question that the log alone has to answer: why was this model not refreshed between two and
three?

Each night is played in the simulated world. `why` gets only the app's log lines and knows nothing about the nights:
like an operator, it searches the log for the model."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.simulation.run import run_day
from tests.simulation.scenario import HOUR, MINUTE, WORKSPACE, Caller, Rates, Scenario

MODEL = "22222222-aaaa-bbbb-cccc-000000000001"
OTHER = "22222222-aaaa-bbbb-cccc-000000000002"
SETTINGS = {
    "POLL_MIN_SECONDS": "5",
    "POLL_MAX_SECONDS": "60",
    "VISIBILITY_GRACE_SECONDS": "120",
    "OUTAGE_BUDGET_SECONDS": "900",
    "RECHECK_SECONDS": "300",
}
USUAL = {"seconds": 300, "visibilitySeconds": 0}
MAPPING = {"pipeline": "Load sales", "runId": "4711"}

Json = dict[str, Any]


def night(
    *, knobs: Json | None = None, external: list[Json] | None = None, rates: Rates | None = None, **caller: Any
) -> list[Json]:
    """The log of a night in which a pipeline requests the model at five past two, and another pipeline another
    model."""
    spec = {
        "workspaceId": WORKSPACE,
        "datasetId": MODEL,
        "timeoutMinutes": 50,
        "caller": MAPPING,
        **caller.pop("spec", {}),
    }
    other = {"workspaceId": WORKSPACE, "datasetId": OTHER, "timeoutMinutes": 300}
    day = Scenario(
        seed=1,
        level="light" if rates else "none",
        rates=rates or Rates(),
        callers=[Caller(5 * MINUTE, MODEL, spec, **caller), Caller(6 * MINUTE, OTHER, other)],
        knobs={MODEL: {**USUAL, **(knobs or {})}, OTHER: USUAL},
        external=[(MODEL, each) for each in external or []],
        settings=SETTINGS,
    )
    result = run_day(day)
    assert result.violation is None, result.story
    lines = [line[14:] for line in result.timeline]
    return [json.loads(line) for line in lines if line.startswith('{"event"')]


def why(log: list[Json], dataset_id: str) -> str:
    """What the log says about a model: the caller, the outcome, and the cause of a delay."""
    about = [line for line in log if line.get("datasetId") == dataset_id]
    ended = next(line for line in reversed(about) if line["event"] == "request.ended")
    request = next(line for line in about if line["event"] == "request.accepted")
    who = f"{request['caller']['pipeline']} (run {request['caller']['runId']})"
    error = ended.get("error") or {}
    head = f"{who} got the outcome {ended['status']}, {error.get('code')}"
    cause = _in_the_way(about) if error.get("code") == "TimedOut" else error.get("message", "")
    if error.get("code") == "RequestCancelled":
        cause = "a caller cancelled it" if _last(about, "request.cancel_requested") else "?"
    if error.get("code") == "RefreshDropped":
        taken = [line["refreshId"] for line in about if line["event"] == "refresh.accepted"]
        cause = f"Power BI took {len(taken)} refreshes and showed none"
    return f"{head}: {cause}"


def _in_the_way(about: list[Json]) -> str:
    """What the run waited for when the deadline passed, according to its last log line."""
    for line in reversed(about):
        match line["event"]:
            case "run.waiting":
                behind = line["waitsFor"]
                return f"{behind['refreshType']} refresh {behind['refreshId']} was running since {behind['startedAt']}"
            case "run.read_failed":
                return f"Power BI said: {line['error']}; the run waits {line['waitSeconds']:.0f} s"
            case "refresh.started":
                return f"its own refresh {line['refreshId']} was running"
    return "?"


def _last(about: list[Json], event: str) -> Json | None:
    return next((line for line in reversed(about) if line["event"] == event), None)


SCHEDULED = {"refreshType": "Scheduled", "startsIn": 0, "seconds": 3 * HOUR, "visibilitySeconds": 0}
CREDENTIALS = {
    "outcome": "Failed",
    "errorCode": "ModelRefreshFailed_CredentialsNotSpecified",
    "errorDescription": "The credentials of the data source 'warehouse.example.com' are missing.",
}

NIGHTS: dict[str, tuple[Callable[[], list[Json]], list[str]]] = {
    "a schedule kept the model busy": (
        lambda: night(external=[SCHEDULED]),
        ["TimedOut", "Scheduled refresh", "was running since 2026-03-30T02:00:00"],
    ),
    "the model was not there": (
        lambda: night(knobs={"exists": False}),
        ["Failed, ModelNotFound", 'Check "workspaceId" and "datasetId"'],
    ),
    "credentials were missing": (
        lambda: night(knobs={"outcome": CREDENTIALS}),
        ["Failed, CredentialsRejected", "ModelRefreshFailed_CredentialsNotSpecified", "warehouse.example.com"],
    ),
    "Power BI was down": (
        lambda: night(rates=Rates(read_unavailable=1.0)),
        ["Failed, ServiceUnavailable", "HTTP 500"],
    ),
    "Power BI asked for patience": (
        lambda: night(rates=Rates(throttled=1.0)),
        ["TimedOut", "Power BI said: Could not", "the run waits"],
    ),
    "Power BI forgot what it had accepted": (
        lambda: night(rates=Rates(start_dropped=1.0)),
        ["Failed, RefreshDropped", "Power BI took 3 refreshes and showed none"],
    ),
    "its own refresh was slow": (
        lambda: night(knobs={"seconds": 4 * HOUR}),
        ["TimedOut", "its own refresh", "was running"],
    ),
    "a caller cancelled it": (
        lambda: night(cancel_after=10 * MINUTE, cancels_by_uri=True, knobs={"seconds": 4 * HOUR}),
        ["Cancelled, RequestCancelled", "a caller cancelled it"],
    ),
}


@pytest.mark.parametrize("name", NIGHTS)
def test_the_log_tells_why(name: str) -> None:
    """The log names the caller's pipeline and run and the cause; the answer contains nothing about the other model."""
    play, expected = NIGHTS[name]
    log = play()
    text = why(log, MODEL)
    assert text.startswith("Load sales (run 4711) got the outcome ")
    assert [part for part in expected if part not in text] == [], text
    assert OTHER not in text


def test_a_good_night_has_no_cause() -> None:
    """After a night without faults, `why` finds no cause."""
    assert why(night(), MODEL) == "Load sales (run 4711) got the outcome Completed, None: "
