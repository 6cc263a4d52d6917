"""The walks of docs/architecture.md: lists of files that follow a start, a run, a place, an outcome or a batch."""

import re
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("triggers", "orchestrators", "entities", "activities", "durable", "power_bi", "outbound", "refresh")
BY_NAME = ("orchestrators", "entities", "activities")
"""The packages whose functions the engine starts by name, so that no import leads to them."""


def walks() -> dict[str, list[str]]:
    """The modules of each walk, in order."""
    text = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    section = text.split("## Five walks through the code\n")[1].split("\n## ")[0]
    found = {}
    for part in section.split("\n### ")[1:]:
        title, _, body = part.partition("\n")
        found[title] = re.findall(r"^\d+\. `([^`]+)\.py`", body, re.M)
    return found


@pytest.fixture(scope="module")
def imports() -> grimp.ImportGraph:
    """The imports between the modules of the app."""
    return grimp.build_graph(*PACKAGES)


def test_there_are_five_walks() -> None:
    """The walks follow a start, a run, a place, an outcome and a batch. All their files exist."""
    assert list(walks()) == ["A start", "A run", "A place", "An outcome", "A batch"]
    for files in walks().values():
        assert len(files) >= 5
        assert [name for name in files if not (ROOT / f"{name}.py").exists()] == []


@pytest.mark.parametrize("title", walks())
def test_a_walk_never_goes_back(title: str, imports: grimp.ImportGraph) -> None:
    """No file of a walk imports an earlier one, not even indirectly."""
    modules = [name.replace("/", ".") for name in walks()[title]]
    back = [
        (later, earlier)
        for place, later in enumerate(modules)
        for earlier in modules[:place]
        if imports.chain_exists(importer=later, imported=earlier)
    ]
    assert back == []


@pytest.mark.parametrize("title", walks())
def test_a_walk_has_no_gap(title: str, imports: grimp.ImportGraph) -> None:
    """A file of a walk is imported by an earlier one, or by a function that the engine starts."""
    modules = [name.replace("/", ".") for name in walks()[title]]
    started = [name for name in imports.modules if name.split(".")[0] in BY_NAME]
    for place, module in enumerate(modules[1:], 1):
        before = [*modules[:place], *started]
        others = [importer for importer in before if importer != module]
        reached = any(imports.chain_exists(importer=importer, imported=module) for importer in others)
        assert reached or module.split(".")[0] in (*BY_NAME, "triggers"), module
