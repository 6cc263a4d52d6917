"""Statements of the documentation that were wrong before: numbers, keys of log lines, allowed imports."""

import json
import re
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import grimp
import pytest

from activities.model import CALL_SECONDS
from activities.post import POST_SECONDS
from dev.checks import steps
from durable.waits import ACTIVITY_SECONDS
from refresh.queue import room
from refresh.reporting.status import ENDS, STATUSES
from refresh.request import spec
from refresh.request.reply import MAX_WAIT_SECONDS
from tests.log.timeline import stories, story
from tests.simulation.run import run_day
from tests.simulation.scenario import scenario
from triggers.http_list import MAX_ROWS
from triggers.list_pages import PAGE_REQUESTS
from triggers.portions import SECONDS as PORTION_SECONDS

ROOT = Path(__file__).parents[2]
PACKAGES = ("triggers", "orchestrators", "entities", "activities", "durable", "power_bi", "outbound", "refresh")

Json = dict[str, Any]

CALLER = {"pipeline": "Load sales"}
OF_ALL_REQUESTS = {"request.reminded", "request.not_reminded", "callback.reminded", "callback.not_reminded"}
"""Events of timers, which are not about one request."""
RARE = {"request.waits_for_room"}
"""An event that neither a recorded story nor a simulated day has."""


def document(name: str) -> str:
    """The text of a document without its line breaks."""
    return " ".join((ROOT / name).read_text("utf-8").split())


API, CALLERS, ERRORS, OPERATIONS = (document(f"docs/{name}.md") for name in ("api", "callers", "errors", "operations"))
NUMBERS = [
    (API, f"up to {spec.MAX_TIMEOUT_MINUTES:.0f} (a week)"),
    (API, f"| {spec.DEFAULT_TIMEOUT_MINUTES:.0f}, which is less than"),
    (API, f"| `retries` | 0 to {spec.MAX_RETRIES}:"),
    (API, f"| `idempotencyKey` | 1 to {spec.MAX_KEY} characters"),
    (API, f"| `waitSeconds` | 0 to {MAX_WAIT_SECONDS}:"),
    (API, f"object of strings, at most {spec.MAX_CALLER_BYTES // 1024} KB"),
    (API, f"at most {PAGE_REQUESTS} requests"),
    (API, f"{MAX_ROWS:,} rows of the storage"),
    (CALLERS, f"newest first, {PAGE_REQUESTS} to a page"),
    (CALLERS, f"{MAX_ROWS:,} rows of the storage"),
    (
        ERRORS,
        f"({room.MAX_RUNS} runs, {room.MAX_MEMBERS:,} requests, {room.MAX_OBJECTS_WAITING:,} tables and partitions, or "
        f"{room.MAX_NAMES:,} characters of their names)",
    ),
]


@pytest.mark.parametrize(("text", "statement"), NUMBERS, ids=[statement[:30] for _, statement in NUMBERS])
def test_numbers_are_those_of_the_code(text: str, statement: str) -> None:
    """The documents have the limits of the code that affect callers."""
    assert statement in text


def test_every_status_is_explained() -> None:
    """Each status of a request in progress is explained with the event for which it waits."""
    table = (ROOT / "docs/api.md").read_text("utf-8").split("| `status` in progress |")[1].split("\n\n")[0]
    assert re.findall(r"^\| (\w+) \|", table, re.M) == [status for status in STATUSES if status not in ENDS]
    assert f"`status` ({', '.join(STATUSES)})" in API


def test_no_function_comes_near_the_timeout_of_functions() -> None:
    """The document names the longest functions, with their seconds, next to the setting."""
    hours, minutes, seconds = json.loads((ROOT / "host.json").read_text("utf-8"))["functionTimeout"].split(":")
    longest = max(MAX_WAIT_SECONDS, POST_SECONDS, PORTION_SECONDS)
    assert (int(hours) * 60 + int(minutes)) * 60 + int(seconds) >= longest + 60
    left = POST_SECONDS - CALL_SECONDS - ACTIVITY_SECONDS
    before = f"{CALL_SECONDS:.0f} for the read of the history, {ACTIVITY_SECONDS:.0f} for the permit"
    parts = f"{before}, {left:.0f} for the POST"
    others = f"a start with `waitSeconds` {MAX_WAIT_SECONDS} s, a timer {PORTION_SECONDS:.0f} s"
    assert f"the longest function is `post_refresh`, at most {POST_SECONDS:.0f} s ({parts}); {others}" in OPERATIONS


def test_no_document_promises_one_call_of_a_callback() -> None:
    """After a crash, the app may call a receiver twice. The tables of callers state it, too."""
    assert "a callback can arrive twice" in API
    files = [*(ROOT / "docs").glob("*.md"), *(ROOT / "integrations").rglob("*.md"), ROOT / "README.md"]
    promise = re.compile(r"(calls?|called|calling) back (exactly |only )?once")
    assert [file.name for file in files if promise.search(" ".join(file.read_text("utf-8").split()))] == []
    for name in ("callers", "logic-apps"):
        assert "after a crash [perhaps twice](api.md#callbacks)" in document(f"docs/{name}.md")


def lines() -> Iterator[Json]:
    """All events that the app logged in recorded stories."""
    for name in stories():
        for line in story(name):
            yield json.loads(line["message"])


def simulated_lines(seed: int) -> Iterator[Json]:
    """All events of a simulated day with faults, in which every start names its caller."""
    day = scenario(seed, "heavy")
    callers = [replace(caller, spec={**caller.spec, "caller": CALLER}) for caller in day.callers]
    batches = [replace(batch, spec={**batch.spec, "caller": CALLER}) for batch in day.batches]
    for line in run_day(replace(day, callers=callers, batches=batches)).timeline:
        if (text := line[line.find("{") :]).startswith('{"event"'):
            yield json.loads(text)


def test_the_lines_of_a_request_or_batch_have_its_caller() -> None:
    """The lines of a callback have the caller, too, if the app could read the request. The lines of a run have no
    caller, because several callers may share it."""
    documented = set(re.findall(r"\| `((?:request|batch|callback)\.\w+)` \|", OPERATIONS))
    missing = documented - OF_ALL_REQUESTS - RARE
    # the first three simulated days have the events that few days have
    for source in chain([lines()], map(simulated_lines, dict.fromkeys((8, 13, 12, *range(60))))):
        for line in source:
            about_one = "requestId" in line or "batchId" in line
            unread = line["event"] in ("callback.failed", "callback.abandoned") and "datasetId" not in line
            assert ("caller" in line) == about_one or (unread and "caller" not in line), line
            if about_one:
                missing.discard(line["event"])
        if not missing:
            break
    assert missing == set()


def test_the_log_line_of_an_accepted_request() -> None:
    """The line has the keys that the table of events names."""
    [row] = re.findall(r"\| `request\.accepted` \| INFO \| (.*?) \|", OPERATIONS)
    ids = {"event", "requestId", "datasetId", "workspaceId"}
    logged = {key for line in lines() if line["event"] == "request.accepted" for key in line}
    assert set(re.findall(r"`(\w+)`", row)) == logged - ids


def test_fast_runs_the_documented_checks() -> None:
    """--fast runs all fast checks, and of the tests only the unit tests."""
    *others, tests = [step.name for step in steps(fast=True)]
    assert f"`--fast`: {', '.join(others)} and the unit {tests}" in document("docs/development.md")


def allowed_imports() -> dict[str, set[str]]:
    """The allowed imports of each package, according to the table in docs/architecture.md."""
    table = (
        (ROOT / "docs/architecture.md").read_text("utf-8").split("| package | holds | imports |")[1].split("\n\n")[0]
    )
    rows = [line.strip("| ").split(" | ") for line in table.splitlines()[2:]]
    found = {cells[0].strip("`/"): set(re.findall(r"`(\w+)`", cells[-1])) for cells in rows}
    return {name: found[name] & set(PACKAGES) for name in PACKAGES}


def test_the_table_of_imports_is_true() -> None:
    """Each package imports exactly the packages that the table names."""
    graph = grimp.build_graph(*PACKAGES)
    imported = {
        name: {
            module.split(".")[0]
            for one in (name, *graph.find_descendants(name))
            for module in graph.find_modules_directly_imported_by(one)
        }
        - {name}
        for name in PACKAGES
    }
    assert imported == allowed_imports()


def test_lint_imports_refuses_every_other_import() -> None:
    """Every other import is refused, by the layers or by a contract that forbids it."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]["contracts"]
    forbidden = {
        (source, target)
        for one in contracts
        if one["type"] == "forbidden"
        for source in one["source_modules"]
        for target in one["forbidden_modules"]
    }
    [layers] = [one["layers"] for one in contracts if one["type"] == "layers" and "refresh" in one["layers"]]
    height = {name: -number for number, layer in enumerate(layers) for name in layer.split(" | ")}
    allowed = {
        (source, target)
        for source in PACKAGES
        for target in PACKAGES
        if height[source] > height[target] and (source, target) not in forbidden
    }
    assert allowed == {(source, target) for source, targets in allowed_imports().items() for target in targets}
