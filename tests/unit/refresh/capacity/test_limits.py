"""The setting CAPACITY_LIMITS: the group of a workspace, and the messages for invalid values."""

import json
from typing import Any
from uuid import UUID

import pytest

from refresh.capacity.limits import CapacityLimit, LimitsError, limit_of, parse_limits
from refresh.settings import Settings, SettingsError

A, B, C = (UUID(f"00000000-0000-0000-0000-00000000000{digit}") for digit in "abc")
P1: dict[str, Any] = {"name": "P1", "workspaces": [str(A), str(B).upper()], "refreshes": 3}
OTHERS: dict[str, Any] = {"name": "others", "refreshes": 1}


def test_a_group_that_names_a_workspace_has_priority_over_the_one_of_all_others() -> None:
    """A workspace belongs to the group that names it, in any order of the groups."""
    for groups in ([P1, OTHERS], [OTHERS, P1]):
        limits = parse_limits(json.dumps(groups))
        assert limit_of(limits, A) == limit_of(limits, B) == CapacityLimit(group="P1", refreshes=3)
        assert limit_of(limits, C) == CapacityLimit(group="others", refreshes=1)


def test_a_workspace_that_no_group_names_has_no_limit() -> None:
    """Without a group for all other workspaces, a workspace that no group names has no limit."""
    assert limit_of(parse_limits(json.dumps([P1])), C) is None
    assert Settings.from_environment({}).capacity_of(A) is None


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("{", "must be a JSON array"),
        ("[" * 100_000, "must be a JSON array"),
        ({}, "must be a JSON array of 1 to 100 groups"),
        ([], "must be a JSON array of 1 to 100 groups"),
        ([3], "group 1 must be a JSON object"),
        ([{**P1, "workspace": []}], "group 1 has the unknown key 'workspace'; known keys: name, workspaces, refreshes"),
        ([{"refreshes": 1}], "group 1 needs a name"),
        ([{"name": "a/b", "refreshes": 1}], "group 1 needs a name"),
        ([{"name": "x" * 65, "refreshes": 1}], "group 1 needs a name"),
        ([{"name": "P1"}], 'group P1: "refreshes" must be a whole number from 1 to 1000'),
        ([{**OTHERS, "refreshes": 0}], 'group others: "refreshes" must be a whole number'),
        ([{**OTHERS, "refreshes": True}], 'group others: "refreshes" must be a whole number'),
        ([{**OTHERS, "refreshes": 1.5}], 'group others: "refreshes" must be a whole number'),
        ([{**OTHERS, "refreshes": "3"}], 'group others: "refreshes" must be a whole number'),
        ([{**P1, "workspaces": []}], 'group P1: "workspaces" must be an array of 1 to 1000 GUIDs; leave it out'),
        ([{**P1, "workspaces": None}], 'group P1: "workspaces" must be an array'),
        ([{**P1, "workspaces": ["x"]}], "group P1: 'x' is not a GUID"),
        ([{**P1, "workspaces": [str(A), str(A).upper()]}], f"group P1 names workspace {A} twice"),
        ([P1, {**OTHERS, "name": "p1"}], "two groups are named 'p1'"),
        ([OTHERS, {**OTHERS, "name": "more"}], 'only one group may omit "workspaces"'),
        ([P1, {"name": "P2", "workspaces": [str(B)], "refreshes": 1}], f"workspace {B} is in the groups P1 and P2"),
    ],
)
def test_an_invalid_value_stops_the_start(value: object, problem: str) -> None:
    """The error has the name of the setting and the reason."""
    text = value if isinstance(value, str) else json.dumps(value)
    with pytest.raises(LimitsError) as refused:
        parse_limits(text)
    assert str(refused.value).startswith(problem)
    with pytest.raises(SettingsError, match="App setting CAPACITY_LIMITS: "):
        Settings.from_environment({"CAPACITY_LIMITS": text})
