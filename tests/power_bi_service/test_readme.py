"""The README's tables have exactly the names of the code."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from dev.power_bi import __main__ as command_line
from dev.power_bi import control
from dev.power_bi.dataset import EXTERNAL_KEYS
from dev.power_bi.faults import FAULTS, KEYS, ROUTES
from dev.power_bi.knobs import KNOBS, OUTCOME_KEYS, REFRESH_TYPES, Knobs, to_json

README = Path(command_line.__file__).with_name("README.md")


def table(first: str) -> list[list[str]]:
    """The rows of the table whose header begins with `first`."""
    block = README.read_text("utf-8").split(f"\n| {first} |", 1)[1].split("\n\n")[0]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in block.splitlines()[2:]]


def names(first: str) -> list[str]:
    """The names in the first column."""
    return [re.sub(r"^\W*`([^`]*)`.*", r"\1", row[0]) for row in table(first)]


@pytest.mark.parametrize(
    ("first", "known"),
    [
        ("knob", list(KNOBS)),
        ("key of an outcome", list(OUTCOME_KEYS)),
        ("fault", list(FAULTS)),
        ("option", ["--port", "--seed", "--quiet"]),
    ],
)
def test_tables_in_the_order_of_the_code(first: str, known: list[str]) -> None:
    """The README has all names of the code in the same order, and no others."""
    assert names(first) == known


@pytest.mark.parametrize(("first", "known"), [("key of an external refresh", EXTERNAL_KEYS), ("key of a fault", KEYS)])
def test_tables_of_keys(first: str, known: tuple[str, ...]) -> None:
    """The README has all keys of the code and no others, in any order."""
    assert sorted(names(first)) == sorted(known)


def test_the_defaults_of_the_knobs() -> None:
    """The README shows them as JSON."""
    documented = {name: json.loads(row[1].strip("`")) for name, row in zip(names("knob"), table("knob"), strict=True)}
    assert documented == to_json(Knobs())


def test_the_routes() -> None:
    """The README has the control routes and the routes of the API."""
    tables = README.read_text("utf-8")
    documented = re.findall(r"\n\| `(\w+) (/control/[^`]*)` \|", tables)
    assert sorted(documented) == sorted(control.ROUTES)
    assert sorted(re.findall(r"\n\| `\w+ /v1\.0[^|]*\| `(\w+)` \|", tables)) == sorted(ROUTES)


def test_the_refresh_types() -> None:
    """The README has the types that an external refresh may have."""
    row = next(row for row in table("key of an external refresh") if row[0].endswith("`refreshType`"))
    assert {*re.findall(r"`(\w+)`", row[2]), row[1].strip('`"')} == set(REFRESH_TYPES)
