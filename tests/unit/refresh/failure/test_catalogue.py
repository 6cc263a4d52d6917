"""The catalogue of errors is complete and documented, and the code uses its names."""

import ast
import re
from pathlib import Path

import pytest

from refresh.failure.catalogue import CATALOGUE
from tests.unit.refresh.failure.examples import EXAMPLES
from tests.unit.refresh.failure.wording import described, failure_of, nested

ROOT = Path(__file__).parents[4]
APP = ("refresh", "power_bi", "activities", "orchestrators", "entities", "triggers")

OF_BATCHES = ("ModelsNotRefreshed", "TooManyModels", "NoRefreshableModels")
DEPENDS = {"ModelsNotRefreshed": "yes, if every failure is"}
"""The codes whose `retryable` depends on other errors: those of the models (refresh/batch/outcome.py)."""


def rows_of(first: str) -> list[list[str]]:
    """The rows of the table in docs/errors.md whose header begins with these cells."""
    page = (ROOT / "docs/errors.md").read_text(encoding="utf-8")
    block = page.split(f"\n| {first} |", 1)[1].split("\n\n", 1)[0]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in block.splitlines()[2:]]


def test_the_documentation_has_every_code() -> None:
    """The document has the codes and texts of the catalogue in the same order."""
    assert rows_of("code | meaning | retryable") == [
        [f"`{e.code}`", e.meaning, DEPENDS.get(e.code) or ("yes" if e.retryable else "no"), e.action]
        for e in CATALOGUE.values()
    ]


def test_the_documentation_shows_real_errors() -> None:
    """Each example in the document is produced by its own cause."""
    assert list(EXAMPLES) == list(CATALOGUE)
    assert rows_of("code | `message`") == [[f"`{code}`", make().message] for code, make in EXAMPLES.items()]


@pytest.mark.parametrize("code", EXAMPLES)
def test_an_example_is_of_its_code(code: str) -> None:
    """Each example has its code. If a case were recognised as a different one, the wrong error would be documented."""
    error = EXAMPLES[code]()
    assert (error.code, error.retryable) == (code, CATALOGUE[code].retryable)
    assert error.action
    assert len(error.message) <= 500
    # the end of a batch is about several models, so its message has no model
    assert error.message.startswith("Semantic model Sales in workspace Finance") or code in OF_BATCHES


def documented_signs() -> list[tuple[str, str, str]]:
    """The documented signs in docs/errors.md: the cause, `code` or `text`, and the sign."""
    found = []
    for cause, codes, words in rows_of("cause | codes, for example"):
        found += [(cause.strip("`"), "code", sign) for sign in re.findall(r"`([^`]+)`", codes)]
        found += [(cause.strip("`"), "text", sign) for sign in re.findall(r"`([^`]+)`", words)]
    return found


@pytest.mark.parametrize(("cause", "kind", "sign"), documented_signs())
def test_causes_are_recognised_as_documented(cause: str, kind: str, sign: str) -> None:
    """Each documented code and text gives its cause. A code with `*` stands for a family."""
    if kind == "code":
        row = nested(sign.replace("*", "Thing"))
    else:
        sentence = f"This is usually a {sign}" if sign == "transient issue" else f"The engine says: {sign}"
        row = described(f"{sentence}. Table: Sales.")
    assert failure_of(row).code == cause


@pytest.mark.parametrize("code", CATALOGUE)
def test_an_entry_results_in_whole_sentences(code: str) -> None:
    """The meaning continues the text "Semantic model X: "; the action is one or more complete sentences."""
    entry = CATALOGUE[code]
    assert entry.code == code
    assert not entry.meaning.endswith(".")
    assert entry.action[0].isupper()
    assert entry.action.endswith(".")
    assert len(entry.meaning) <= 120


def test_every_code_in_use_is_in_the_catalogue() -> None:
    """A code that is used in the app but missing in the catalogue would be reported with the advice of another code."""
    used: set[object] = set()
    for folder in APP:
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if (
                    isinstance(node, ast.Call)
                    and isinstance(node.func, ast.Name)
                    and node.func.id in ("failure", "Refused")
                ):
                    used.update(a.value for a in node.args[:2] if isinstance(a, ast.Constant))
    assert len(used) > 10
    assert used <= set(CATALOGUE)
