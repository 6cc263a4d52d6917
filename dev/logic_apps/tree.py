"""The actions of a workflow definition as a flat list, each with where it stands."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]

LOOPS = ("Foreach", "Until")


@dataclass(frozen=True)
class Action:
    """One action. `siblings` are the names beside it, the only ones that it may run after."""

    name: str
    body: Json
    path: str
    siblings: frozenset[str]
    within: tuple["Action", ...]

    @property
    def kind(self) -> str:
        """Its type; empty if it has none."""
        kind = self.body.get("type")
        return kind if isinstance(kind, str) else ""

    @property
    def inputs(self) -> Json:
        """Its inputs if they are an object, else an empty one."""
        inputs = self.body.get("inputs")
        return inputs if isinstance(inputs, dict) else {}

    @property
    def loops(self) -> tuple[str, ...]:
        """The names of the loops around it."""
        return tuple(outer.name for outer in self.within if outer.kind in LOOPS)


def actions_of(body: Json, path: str = "", within: tuple[Action, ...] = ()) -> Iterator[Action]:
    """All actions of a definition, or below an action, outer ones first."""
    for place, group in groups_of(body, path):
        siblings = frozenset(group)
        for name, inner in group.items():
            if isinstance(inner, dict):
                action = Action(name, inner, f"{place}.{name}", siblings, within)
                yield action
                yield from actions_of(inner, action.path, (*within, action))


def groups_of(body: Json, path: str) -> Iterator[tuple[str, Json]]:
    """The groups of actions right below something: those of a definition, a scope, the branches of a condition."""
    places: list[tuple[str, Any]] = [("actions", body.get("actions"))]
    places += [
        (f"{branch}.actions", body[branch].get("actions"))
        for branch in ("else", "default")
        if isinstance(body.get(branch), dict)
    ]
    if isinstance(body.get("cases"), dict):
        places += [
            (f"cases.{name}.actions", case.get("actions"))
            for name, case in body["cases"].items()
            if isinstance(case, dict)
        ]
    for place, group in places:
        if isinstance(group, dict):
            yield f"{path}.{place}".lstrip("."), group


def own_part(action: Action) -> Json:
    """The action without the actions in it."""
    return {key: value for key, value in action.body.items() if key not in ("actions", "else", "cases", "default")}


def texts_of(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """All texts in a JSON value with their paths."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from texts_of(inner, f"{path}.{key}".lstrip("."))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from texts_of(inner, f"{path}[{index}]")
