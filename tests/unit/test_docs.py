"""The documentation for operators and callers agrees with the code."""

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
APP = ("triggers", "orchestrators", "entities", "activities", "durable", "refresh", "power_bi", "outbound")
"""The packages that are deployed; a name without a folder is skipped."""
OPERATIONS = (ROOT / "docs/operations.md").read_text(encoding="utf-8")


def sources(pattern: str = "*.py") -> Iterator[str]:
    """The source of every module of the app whose file name matches."""
    for package in APP:
        for file in sorted((ROOT / package).rglob(pattern)):
            yield file.read_text(encoding="utf-8")


def rows(header: str) -> list[list[str]]:
    """The rows of the table with this header, as lists of cells."""
    table = OPERATIONS.split(f"| {header} |", 1)[1].split("\n\n", 1)[0]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table.splitlines()[2:]]


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """All settings of a JSON object, by dotted path."""
    for key, inner in value.items():
        name = f"{path}.{key}".lstrip(".")
        if isinstance(inner, dict):
            yield from leaves(inner, name)
        else:
            yield name, json.dumps(inner) if not isinstance(inner, str) else inner


def events(source: str) -> Iterator[str]:
    """The names of log events: the first arguments of `Event`, and both values of a conditional argument."""
    for call in ast.walk(ast.parse(source)):
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "Event":
            first = call.args[0]
            if isinstance(first, ast.Attribute):
                continue  # a copy of an event, whose name is where the event is created
            for value in (first.body, first.orelse) if isinstance(first, ast.IfExp) else (first,):
                assert isinstance(value, ast.Constant), "an event has a constant name, so that a search finds it"
                yield str(value.value)


def test_every_setting_of_host_json_is_explained() -> None:
    """The document has the same settings with the same values in the same order."""
    host = json.loads((ROOT / "host.json").read_text(encoding="utf-8"))
    documented = [(name.strip("`"), value.strip("`")) for name, value, *_ in rows("setting | value")]
    assert documented == list(leaves(host))


def test_every_log_event_is_explained() -> None:
    """The table lists exactly the events that the code logs."""
    written = {event for source in sources() for event in events(source)}
    documented = {name.strip("` ") for cell, *_ in rows("event") for name in cell.split(",")}
    assert len(written) > 15
    assert documented == written


def refusals(source: str) -> Iterator[str]:
    """The codes in all calls of `error` and in all raised refusals of the app."""
    places = {"error": 1, "BadRequestError": 2, "UriError": 1}
    for call in ast.walk(ast.parse(source)):
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in places:
            code = call.args[places[call.func.id] :][:1]
            if code and isinstance(code[0], ast.Constant):
                yield str(code[0].value)


def test_every_refusal_of_a_call_is_explained() -> None:
    """The last table of errors.md lists every `code` of an answer that is not the outcome of a refresh."""
    written = {"InvalidRequest", *(code for source in sources() for code in refusals(source))}
    table = (ROOT / "docs/errors.md").read_text(encoding="utf-8").split("| code | status | meaning |", 1)[1]
    documented = {line.split("`")[1] for line in table.splitlines() if line.startswith("| `")}
    assert len(written) > 5
    assert documented == written


def test_every_route_is_documented() -> None:
    """The documents have method and path of each HTTP function and no others; two URIs are documented by name."""
    table = (ROOT / "docs/api.md").read_text(encoding="utf-8").split("| route | access |", 1)[1].split("\n\n", 1)[0]
    documented = set(re.findall(r"^\| `(\w+) /api/([^?`]+)", table, re.MULTILINE))
    by_name = {"statusUri": "refreshes/{id}", "cancelUri": "refreshes/{id}"}
    documented |= {
        (method, by_name[name]) for method, name in re.findall(r"^\| `(\w+)` on the `(\w+)`", table, re.MULTILINE)
    }
    served = set()
    for source in sources("http_*.py"):
        for route, methods in re.findall(r'\broute="([^"]+)", methods=\[([^\]]+)\]', source):
            served |= {(method.strip('" '), route) for method in methods.split(",")}
    assert len(served) > 6
    assert documented == served
