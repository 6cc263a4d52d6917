"""The bodies in docs/recipes.md are accepted, and have the meaning that the page describes."""

import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from refresh.messages import typed
from refresh.request.spec import parse_spec
from refresh.scope.options import WITHOUT_POLICY, check_options
from refresh.scope.scope import RefreshOptions, canonical_objects
from refresh.settings import Settings

PAGE = (Path(__file__).parents[2] / "docs/recipes.md").read_text(encoding="utf-8")
BODIES: list[dict[str, Any]] = [json.loads(block) for block in re.findall(r"```json\n(.*?)\n```", PAGE, re.DOTALL)]
IDS = {"workspaceId": "01234567-89ab-cdef-0123-456789abcdef", "datasetId": "fedcba98-7654-3210-fedc-ba9876543210"}


@pytest.mark.parametrize("body", BODIES, ids=range(len(BODIES)))
def test_a_recipe_is_accepted(body: dict[str, Any]) -> None:
    """The body of the page is accepted, with the ids of a model."""
    spec = parse_spec(json.dumps({**IDS, **body}).encode(), Settings())
    expected = typed(check_options(body["refresh"]), RefreshOptions)
    assert spec.scope.refresh == msgspec.structs.replace(expected, objects=canonical_objects(expected.objects))


def test_every_task_has_a_recipe() -> None:
    """Each section has at least one body."""
    sections = re.split(r"\n## ", PAGE)[1:]
    assert len(sections) == 6
    assert all("```json" in section for section in sections)


def test_the_table_names_the_types_without_a_policy() -> None:
    """The table has the types that the check of options also has."""
    row = next(line for line in PAGE.splitlines() if line.startswith("| `type`"))
    assert set(re.findall(r"`(Calculate|ClearValues|Defragment)`", row)) == set(WITHOUT_POLICY)
