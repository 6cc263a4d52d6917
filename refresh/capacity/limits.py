"""The limits of capacities: groups of workspaces, and how many of our refreshes each group allows at once.

The setting is a JSON array of `{"name": "P1", "workspaces": ["<GUID>", ...], "refreshes": 3}`. The group without
`workspaces` has all workspaces that no other group names.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from refresh.ids import parse_guid
from refresh.messages import Message

MAX_GROUPS = 100
MAX_WORKSPACES = 1_000
MAX_REFRESHES = 1_000
KEYS = ("name", "workspaces", "refreshes")
NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9])?", re.ASCII)
"""The form of a group's name, which is the key of the group's entity and appears in logs and statuses."""


class CapacityLimit(Message, frozen=True, kw_only=True):
    """The group that a run belongs to, and how many of our refreshes the group allows at once."""

    group: str
    refreshes: int


class LimitsError(ValueError):
    """The setting is invalid; the message names the problem and its place."""


@dataclass(frozen=True, kw_only=True)
class CapacityGroup:
    """Workspaces with a common limit. `workspaces` is empty for the group of all workspaces without another group."""

    name: str
    refreshes: int
    workspaces: frozenset[UUID] = frozenset()

    @property
    def limit(self) -> CapacityLimit:
        """The limit of the group, for its runs."""
        return CapacityLimit(group=self.name, refreshes=self.refreshes)


def limit_of(groups: Iterable[CapacityGroup], workspace_id: UUID) -> CapacityLimit | None:
    """The limit for a workspace; None if it has none. A group that names the workspace precedes the group without
    `workspaces`."""
    others = None
    for group in groups:
        if workspace_id in group.workspaces:
            return group.limit
        if not group.workspaces:
            others = group.limit
    return others


def parse_limits(text: str) -> tuple[CapacityGroup, ...]:
    """The groups of the setting, in its order. Raises LimitsError."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        raise LimitsError("must be a JSON array of groups") from None
    if not isinstance(value, list) or not 1 <= len(value) <= MAX_GROUPS:
        raise LimitsError(f"must be a JSON array of 1 to {MAX_GROUPS} groups")
    groups = tuple(_group(entry, number) for number, entry in enumerate(value, 1))
    _check_names(groups)
    _check_workspaces(groups)
    return groups


def _group(value: Any, number: int) -> CapacityGroup:
    if not isinstance(value, dict):
        raise LimitsError(f"group {number} must be a JSON object")
    for key in value:
        if key not in KEYS:
            raise LimitsError(f"group {number} has the unknown key {key[:64]!r}; known keys: {', '.join(KEYS)}")
    name, refreshes = value.get("name"), value.get("refreshes")
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise LimitsError(
            f"group {number} needs a name of 1 to 64 letters, digits and ._-, with a letter or digit at both ends"
        )
    if type(refreshes) is not int or not 1 <= refreshes <= MAX_REFRESHES:
        raise LimitsError(f'group {name}: "refreshes" must be a whole number from 1 to {MAX_REFRESHES}')
    return CapacityGroup(name=name, refreshes=refreshes, workspaces=_workspaces(value, name))


def _workspaces(value: dict[str, Any], name: str) -> frozenset[UUID]:
    if "workspaces" not in value:
        return frozenset()
    entries = value["workspaces"]
    if not isinstance(entries, list) or not 1 <= len(entries) <= MAX_WORKSPACES:
        raise LimitsError(
            f'group {name}: "workspaces" must be an array of 1 to {MAX_WORKSPACES} GUIDs; '
            "leave it out for all workspaces that no other group names"
        )
    found = [parse_guid(entry) for entry in entries]
    for entry, guid in zip(entries, found, strict=True):
        if guid is None:
            raise LimitsError(f"group {name}: {str(entry)[:64]!r} is not a GUID")
    twice = [guid for guid, count in Counter(found).items() if count > 1]
    if twice:
        raise LimitsError(f"group {name} names workspace {twice[0]} twice")
    return frozenset(UUID(guid) for guid in found if guid)


def _check_names(groups: tuple[CapacityGroup, ...]) -> None:
    twice = [name for name, count in Counter(group.name.lower() for group in groups).items() if count > 1]
    if twice:
        raise LimitsError(f"two groups are named {twice[0]!r} (names are case-insensitive)")


def _check_workspaces(groups: tuple[CapacityGroup, ...]) -> None:
    if sum(not group.workspaces for group in groups) > 1:
        raise LimitsError('only one group may omit "workspaces"; it covers all workspaces that no other group names')
    group_of: dict[UUID, str] = {}
    for group in groups:
        for workspace in sorted(group.workspaces):
            if workspace in group_of:
                raise LimitsError(f"workspace {workspace} is in the groups {group_of[workspace]} and {group.name}")
            group_of[workspace] = group.name
