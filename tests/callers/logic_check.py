"""Finds errors that would make Azure refuse to import a Logic Apps workflow, or make its first run fail.

Only Azure itself can validate a definition completely (`az logic workflow` and the Validate operation of its REST API):
the published JSON schema does not describe the contents of actions, and there is no library for it. This module checks
the same as the service at import: actions and their order, expressions and their references, parameters and values.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.callers.clients.logic_evaluate import is_reference
from tests.callers.clients.logic_syntax import Call, ExpressionError, Literal, parse_text, walk
from tests.callers.shipped import texts

Json = dict[str, Any]

INPUTS: dict[str, tuple[str, ...]] = {
    "AppendToArrayVariable": ("name", "value"),
    "Foreach": (),
    "Http": ("method", "uri"),
    "HttpWebhook": ("subscribe", "unsubscribe"),
    "If": (),
    "InitializeVariable": ("variables",),
    "Response": ("statusCode",),
    "Terminate": ("runStatus",),
}
"""The action types in use, each with its required inputs."""
STATUSES = {"Succeeded", "Failed", "Skipped", "TimedOut"}
OF_RUN = ("listcallbackurl", "triggerbody", "workflow")
SECURE_TYPES = ("securestring", "secureobject")


@dataclass(frozen=True)
class ActionInWorkflow:
    """An action, the actions of its group (including itself), and the names of the actions that enclose it."""

    name: str
    body: Json
    siblings: Json
    outer: tuple[str, ...]


def template_problems(template: Json) -> list[str]:
    """Errors of an ARM template for a Consumption logic app."""
    (resource,) = template["resources"]
    own, properties = template["parameters"], resource["properties"]
    used = "\n".join(texts(template["resources"]))
    names = re.findall(r"^\[parameters\('(\w+)'\)\]$", used, re.MULTILINE)
    found = [f"the template has no parameter {name}" for name in names if name not in own]
    found += [f"parameter {name} is not used" for name in own if name not in used]
    declared, values = properties["definition"].get("parameters", {}), properties.get("parameters", {})
    found += [f"workflow parameter {name} has no value" for name in declared.keys() - values.keys()]
    found += [f"the workflow declares no parameter {name}" for name in values.keys() - declared.keys()]
    for name, parameter in {**own, **declared}.items():
        secure = parameter["type"].lower() in SECURE_TYPES
        if secure and "defaultValue" in parameter:
            found.append(f"secure parameter {name} has a default value")
        if not secure and name.lower().endswith("key"):
            found.append(f"parameter {name} contains a key but is not secure")
    return found + definition_problems(properties["definition"], set(declared))


def standard_problems(workflow: Json, parameters: Json) -> list[str]:
    """Errors of a workflow.json for a Standard logic app, with the parameters.json of that app."""
    found = (
        [] if workflow.get("kind") == "Stateful" else ["kind must be Stateful: stateless ones do not wait after a 202"]
    )
    for name, parameter in parameters.items():
        if not re.fullmatch(r"@appsetting\('\w+'\)", str(parameter.get("value"))):
            found.append(f"parameter {name} is not taken from an app setting")
    return found + definition_problems(workflow["definition"], set(parameters))


def definition_problems(definition: Json, parameters: set[str]) -> list[str]:
    """Errors of a definition. `parameters`: the names that parameters() may have."""
    required = ("$schema", "contentVersion", "triggers", "actions")
    found = [f"{key} is missing" for key in required if not definition.get(key)]
    actions = list(_all_actions(definition.get("actions", {})))
    by_name = {action.name: action for action in actions}
    if len(by_name) < len(actions):
        found.append("two actions have the same name")
    initialized = [action.body for action in actions if action.body.get("type") == "InitializeVariable"]
    variables = {variable["name"] for body in initialized for variable in body["inputs"]["variables"]}
    for action in actions:
        loops = {name for name in action.outer if by_name[name].body.get("type") == "Foreach"}
        earlier = _earlier(action, by_name)
        ended = {name for name in by_name if {name, *by_name[name].outer} & earlier}
        known = {"parameters": parameters, "variables": variables, "items": loops}
        known |= {"actions": ended, "body": ended, "outputs": ended}
        own_part = {key: value for key, value in action.body.items() if key not in ("actions", "else")}
        problems = [*_action_problems(action, earlier, loops), *_expression_problems(own_part, known)]
        found += [f"{action.name}: {problem}" for problem in problems]
    return found


def _action_problems(action: ActionInWorkflow, earlier: set[str], loops: set[str]) -> Iterator[str]:
    kind, after = action.body.get("type"), action.body.get("runAfter", {})
    if kind not in INPUTS:
        yield f"unknown type {kind}"
        return
    yield from (f"input {name} is missing" for name in INPUTS[kind] if name not in action.body.get("inputs", {}))
    yield from (f"runAfter names {name}, which is not in its group" for name in after if name not in action.siblings)
    yield from (f"runAfter has unknown statuses {bad}" for names in after.values() if (bad := set(names) - STATUSES))
    if action.name in earlier:
        yield "it runs after itself"
    if kind == "InitializeVariable" and action.outer:
        yield "variables are initialized at the top level only"
    if kind in ("Terminate", "Response") and loops:
        yield f"{kind} is not allowed in a loop"


def _expression_problems(value: Any, known: dict[str, set[str]]) -> Iterator[str]:
    for text in texts(value):
        try:
            calls = [node for node in walk(parse_text(text)) if isinstance(node, Call)]
        except ExpressionError as problem:
            yield f"{problem}, in {text}"
            continue
        for call in calls:
            first = call.arguments[0] if call.arguments else None
            name = first.value if isinstance(first, Literal) else None
            if call.name in known and name not in known[call.name]:
                yield f"{call.name}('{name}') refers to nothing"
            elif call.name not in known and call.name not in OF_RUN and is_reference(call):
                yield f"unknown function {call.name}()"


def _all_actions(actions: Json, outer: tuple[str, ...] = ()) -> Iterator[ActionInWorkflow]:
    for name, body in actions.items():
        yield ActionInWorkflow(name, body, actions, outer)
        for branch in (body.get("actions", {}), body.get("else", {}).get("actions", {})):
            yield from _all_actions(branch, (*outer, name))


def _earlier(action: ActionInWorkflow, by_name: dict[str, ActionInWorkflow]) -> set[str]:
    """The actions that have ended when an action starts, according to runAfter of the action and of the enclosing
    actions."""
    found: set[str] = set()
    todo = [action.name, *action.outer]
    while todo:
        other = by_name.get(todo.pop())
        new = set(other.body.get("runAfter", {})) - found if other else set()
        found |= new
        todo += new
    return found
