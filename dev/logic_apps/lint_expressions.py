"""Every expression of a definition: it can be read, its functions exist, and what it names is there."""

from collections.abc import Iterator
from typing import Any

from dev.logic_apps.expressions import Call, ExpressionError, Literal, parse_text, walk
from dev.logic_apps.functions import FUNCTIONS, wrong_count
from dev.logic_apps.tree import Action, Json, actions_of, own_part, texts_of

OF_ACTIONS = ("actions", "body", "outputs", "result")


def check_expressions(definition: Json, parameters: set[str]) -> Iterator[str]:
    """Problems of all texts; `parameters` are the names that parameters() may take."""
    everything = list(actions_of(definition))
    by_name = {action.name: action for action in everything}
    variables = {
        variable.get("name"): variable.get("type")
        for action in everything
        if action.kind == "InitializeVariable"
        for variable in action.inputs.get("variables", [])
        if isinstance(variable, dict)
    }
    for path, text in texts_of(definition.get("triggers"), "triggers"):
        yield from check_text(path, text, parameters)
    for action in everything:
        part = own_part(action)
        for path, text in texts_of(part, action.path):
            yield from check_text(path, text, parameters)
        for path, call in calls_of(part, action.path):
            yield from _check_action_name(path, call, action, by_name)
            yield from _check_names(path, call, action, variables)
        name = action.inputs.get("name")
        if action.kind.endswith("Variable") and action.kind != "InitializeVariable" and name not in variables:
            yield f"{action.path}.inputs.name: no variable {name} is initialized"
        elif action.kind == "AppendToArrayVariable" and variables[name] != "array":
            yield f"{action.path}.inputs.name: {name} is no array"


def check_text(path: str, text: str, parameters: set[str]) -> Iterator[str]:
    """Problems that can be seen without knowing the other actions."""
    try:
        node = parse_text(text)
    except ExpressionError as error:
        yield f"{path}: {error}, in {text}"
        return
    for call in walk(node):
        if isinstance(call, Call):
            if call.name not in FUNCTIONS:
                yield f"{path}: no function {call.name}()"
                continue
            if wrong := wrong_count(call.name, len(call.arguments)):
                yield f"{path}: {wrong}"
            if call.name == "parameters" and (name := first_text(call)) not in parameters:
                yield f"{path}: no parameter {name} is declared"
            if call.name == "appsetting":
                yield f"{path}: appsetting() stands in parameters.json and connections.json only"


def calls_of(value: Any, path: str = "") -> Iterator[tuple[str, Call]]:
    """All function calls in the texts of a value, with their paths; texts that cannot be read have none."""
    for place, text in texts_of(value, path):
        try:
            node = parse_text(text)
        except ExpressionError:
            continue
        for call in walk(node):
            if isinstance(call, Call):
                yield place, call


def first_text(call: Call) -> str | None:
    """The first argument, if it is written as a text."""
    first = call.arguments[0] if call.arguments else None
    return first.value if isinstance(first, Literal) and isinstance(first.value, str) else None


def _check_action_name(path: str, call: Call, action: Action, by_name: dict[str, Action]) -> Iterator[str]:
    name = first_text(call)
    if call.name not in OF_ACTIONS:
        return
    if name not in by_name:
        yield f"{path}: {call.name}() names no action of the workflow: {name}"
    elif not {name, *(outer.name for outer in by_name[name].within)} & set(_before(action, by_name)):
        yield f"{path}: {call.name}() names {name}, which this action does not run after"


def _before(action: Action, by_name: dict[str, Action]) -> Iterator[str]:
    """What has ended when an action begins: all on the way of runAfter, its own and that of the actions around it."""
    seen: set[str] = set()
    left = [action, *action.within]
    while left:
        after = left.pop().body.get("runAfter")
        for name in set(after if isinstance(after, dict) else ()) - seen:
            seen.add(name)
            yield name
            left += [by_name[name]] if name in by_name else []


def _check_names(path: str, call: Call, action: Action, variables: dict[Any, Any]) -> Iterator[str]:
    name = first_text(call)
    if call.name == "variables" and name not in variables:
        yield f"{path}: no variable {name} is initialized"
    elif call.name == "items" and name not in action.loops:
        yield f"{path}: the action is in no loop {name}"
    elif call.name == "item" and not action.loops and action.kind not in ("Select", "Query", "Table"):
        yield f"{path}: item() has a meaning in loops, Select, Query and Table only"
    elif call.name == "listcallbackurl" and not (action.kind.endswith("Webhook") and ".inputs." in path):
        yield f"{path}: listCallbackUrl() has a meaning in a webhook action only"
