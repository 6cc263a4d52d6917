"""The catalogue of errors is complete, documented, and used by its names."""

import ast
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refresh.failure.catalogue import CATALOGUE, failure
from refresh.failure.causes import SIGNS

ROOT = Path(__file__).parents[4]
MODEL = "00000000-1111-2222-3333-444444444444"
APP = ("refresh", "power_bi", "activities", "orchestrators", "entities", "triggers")


def tables() -> list[list[list[str]]]:
    """The tables of docs/errors.md: rows of cells, without their heads."""
    found: list[list[list[str]]] = []
    for block in re.findall(r"(?:^\|.*\n)+", (ROOT / "docs/errors.md").read_text(encoding="utf-8"), re.MULTILINE):
        rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in block.splitlines()]
        found.append(rows[2:])
    return found


def test_the_documentation_has_every_code() -> None:
    """Same codes, same order, same words."""
    assert tables()[0] == [
        [f"`{e.code}`", e.meaning, "yes" if e.retryable else "no", e.action] for e in CATALOGUE.values()
    ]


def test_the_documentation_says_how_causes_are_recognised() -> None:
    """Same causes, same order, same signs."""
    assert tables()[1] == [[f"`{code}`", ", ".join(f"`{sign}`" for sign in signs)] for code, signs in SIGNS.items()]


@pytest.mark.parametrize("code", CATALOGUE)
def test_an_entry_makes_whole_sentences(code: str) -> None:
    """The meaning goes on after "Semantic model X: ", the action is a sentence of its own."""
    entry = CATALOGUE[code]
    assert entry.code == code
    assert not entry.meaning.endswith(".")
    assert entry.action[0].isupper()
    assert entry.action.endswith(".")


@pytest.mark.parametrize("code", CATALOGUE)
def test_the_longest_message_keeps_its_advice(code: str) -> None:
    """With every name at its longest there is still room for meaning and action."""
    error = failure(
        code,
        MODEL,
        refresh_id=MODEL,
        table="t" * 999,
        partition="p" * 999,
        reported_as="c" * 999,
        detail="d" * 9999,
    )
    assert len(error["message"]) <= 500
    assert CATALOGUE[code].meaning in error["message"]
    assert error["message"].endswith(CATALOGUE[code].action)


def test_what_cannot_be_mended_by_repeating_is_looked_for_first() -> None:
    """An error that speaks of credentials and of a time-out is about credentials."""
    repeatable = [CATALOGUE[code].retryable for code in SIGNS if code != "GatewayFailed"]
    assert repeatable == sorted(repeatable)


def test_every_code_in_use_is_in_the_catalogue() -> None:
    """A code that is written down in the app but not here would be reported with another one's advice."""
    used: set[object] = set()
    for folder in APP:
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "failure":
                    used.update(a.value for a in node.args[:1] if isinstance(a, ast.Constant))
    assert used <= set(CATALOGUE)


def test_tokens_are_not_shown() -> None:
    """A gateway may quote the request that it refuses."""
    message = failure("UnexpectedAnswer", MODEL, detail="GET / Authorization: Bearer eyJhbGciOi.abc.def failed")[
        "message"
    ]
    assert "eyJ" not in message
    assert "failed" in message


@settings(deadline=None)
@given(st.text(), st.text(), st.text())
def test_somebody_elses_text_stays_in_one_line(detail: str, table: str, code: str) -> None:
    """Line breaks and control characters would forge log lines."""
    message = failure("RefreshFailed", MODEL, detail=detail, table=table, reported_as=code)["message"]
    assert not re.search(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]", message)
    assert len(message) <= 500
