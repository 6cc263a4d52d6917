"""What is wrong with a pipeline file, found without a factory.

The models of azure-mgmt-datafactory say which activities there are, which properties they have, which of them must be
there and which values they take. The rules after that are those that no model holds: what refers to what, and how
secrets travel.
"""

import re
from collections.abc import Iterator
from enum import Enum
from typing import Any

from azure.mgmt.datafactory import models

from tests.callers.clients.adf_expressions import ExpressionError, check_syntax, is_expression

Json = dict[str, Any]

NAME = re.compile(r"[A-Za-z0-9_][^.+?/<>*%&:\\\"]{0,54}")
SPAN = re.compile(r"(\d+\.)?([01]\d|2[0-3]):[0-5]\d:[0-5]\d")
CONDITIONS = {"Succeeded", "Failed", "Completed", "Skipped"}
SPANS = ("timeout", "httpRequestTimeout")


def _values(choices: type[Enum]) -> list[str]:
    return [str(choice.value) for choice in choices]


CHOICES: dict[str, list[str]] = {
    "WebActivity.method": _values(models.WebActivityMethod),
    "WebHookActivity.method": _values(models.WebHookActivityMethod),
    "AzureFunctionActivity.method": _values(models.AzureFunctionActivityMethod),
    "ParameterSpecification.type": _values(models.ParameterType),
    "VariableSpecification.type": _values(models.VariableType),
    "WebActivityAuthentication.type": ["MSI"],  # the only one that we ship
}
INNER = ("activities", "ifTrueActivities", "ifFalseActivities")
POLICY = ("policy",)
REFERENCES = {
    "activity": re.compile(r"activity\('([^']*)'\)"),
    "parameter": re.compile(r"pipeline\(\)\.parameters\.(\w+)"),
    "variable": re.compile(r"variables\('([^']*)'\)"),
}


def problems(file: Json) -> list[str]:
    """Sentences, each beginning with where it is; none for a good pipeline."""
    found = list(_model(file, "PipelineResource", "pipeline", ignore=("name",)))
    properties = file.get("properties", {})
    found += _scope(properties.get("activities", []), properties, set())
    for name, declared in properties.get("parameters", {}).items():
        if not any(f"parameters.{name}" in text for text in _texts(properties["activities"])):
            found.append(f"parameters.{name}: used nowhere ({declared})")
    if not NAME.fullmatch(file.get("name", "")):
        found.append("pipeline: a name that the service refuses")
    return found


def linked_service_problems(file: Json) -> list[str]:
    """The same for a linked service."""
    return list(_model(file["properties"], "LinkedService", "properties"))


# ---- what the models know ----


def _model(value: Any, kind: str, where: str, ignore: tuple[str, ...] = ()) -> Iterator[str]:
    """Walks a value along the metadata of the model class that it has to fit."""
    if not isinstance(value, dict):
        yield f"{where}: {value!r} instead of an object"
        return
    model = _class(value, kind)
    if model is None:
        yield f"{where}: {value.get('type')!r} is no known kind of {kind}"
        return
    constants = {"type"} if hasattr(models, kind) and getattr(getattr(models, kind), "_subtype_map", None) else set()
    known: set[tuple[str, ...]] = set()
    for attribute, said in model._attribute_map.items():
        path = tuple(said["key"].split("."))
        known.add(path)
        rules = model._validation.get(attribute, {})
        if rules.get("readonly") or path[0] in ignore:
            continue
        inner, there = _at(value, path)
        at = f"{where}.{'.'.join(path)}"
        if not there:
            if rules.get("required") and path[0] not in constants:
                yield f"{at}: missing"
            continue
        yield from _typed(inner, said["type"], at)
        yield from _bounded(inner, rules, at)
        choices = CHOICES.get(f"{model.__name__}.{path[-1]}")
        if choices and str(inner).lower() not in {choice.lower() for choice in choices}:
            yield f"{at}: {inner!r} is none of {', '.join(choices)}"
    yield from _unknown(value, known, where)


def _class(value: Json, kind: str) -> Any:
    """The model class for a value, by its `type` where a kind has several; None if there is none."""
    model = getattr(models, kind)
    while subtypes := getattr(model, "_subtype_map", {}).get("type"):
        if value.get("type") in subtypes:
            return getattr(models, subtypes[value["type"]])
        # Activity -> ControlActivity or ExecutionActivity, whose own kinds hold the type
        deeper = [getattr(models, name) for name in subtypes.values()]
        fitting = [one for one in deeper if value.get("type") in getattr(one, "_subtype_map", {}).get("type", {})]
        if not fitting:
            return None
        model = fitting[0]
    return model


def _at(value: Json, path: tuple[str, ...]) -> tuple[Any, bool]:
    inner: Any = value
    for key in path:
        if not isinstance(inner, dict) or key not in inner:
            return None, False
        inner = inner[key]
    return inner, True


def _typed(value: Any, kind: str, where: str) -> Iterator[str]:
    plain = {"str": str, "bool": bool, "int": int, "float": (int, float)}
    if kind in plain:
        if not isinstance(value, plain[kind]) or (kind != "bool" and isinstance(value, bool)):  # type: ignore[arg-type]
            yield f"{where}: {value!r} is not of type {kind}"
    elif kind.startswith("["):
        if not isinstance(value, list):
            yield f"{where}: not a list"
            return
        for number, inner in enumerate(value):
            name = inner.get("name", number) if isinstance(inner, dict) else number
            yield from _typed(inner, kind[1:-1], f"{where}[{name}]")
    elif kind.startswith("{"):
        if not isinstance(value, dict):
            yield f"{where}: not an object"
            return
        for key, inner in value.items():
            yield from _typed(inner, kind[1:-1], f"{where}.{key}")
    elif kind != "object" and hasattr(models, kind):
        yield from _model(value, kind, where)


def _bounded(value: Any, rules: Json, where: str) -> Iterator[str]:
    least, most = rules.get("minimum", float("-inf")), rules.get("maximum", float("inf"))
    if isinstance(value, int) and not least <= value <= most:
        yield f"{where}: {value} is not between {least} and {most}"


def _unknown(value: Json, known: set[tuple[str, ...]], where: str) -> Iterator[str]:
    for key, inner in value.items():
        below = {path[1:] for path in known if path[0] == key and len(path) > 1}
        if (key,) not in known and not below:
            yield f"{where}.{key}: not a known property"
        elif below and isinstance(inner, dict):
            yield from _unknown(inner, below, f"{where}.{key}")


# ---- what refers to what, and how secrets travel ----


def _scope(activities: list[Json], properties: Json, before: set[str]) -> list[str]:
    """Activities that lie beside each other; `before` are those that have ended when these begin."""
    found = []
    by_name = {activity.get("name", ""): activity for activity in activities}
    if len(by_name) < len(activities):
        found.append(f"activities: two with the same name among {[a.get('name') for a in activities]}")
    for name, activity in by_name.items():
        where = f"activities[{name}]"
        if not NAME.fullmatch(name):
            found.append(f"{where}: a name that the service refuses")
        for dependency in activity.get("dependsOn", []):
            if dependency.get("activity") not in by_name:
                found.append(f"{where}.dependsOn: there is no activity {dependency.get('activity')!r} beside it")
            if not set(dependency.get("dependencyConditions", ["none"])) <= CONDITIONS:
                found.append(f"{where}.dependsOn: {dependency.get('dependencyConditions')} are no conditions")
        earlier = before | _ancestors(name, by_name)
        if name in _ancestors(name, by_name):
            found.append(f"{where}.dependsOn: it waits for itself")
        found += _expressions(activity, where, properties, earlier)
        found += _secrets(activity, where)
        for key in INNER:
            inner = activity.get("typeProperties", {}).get(key, [])
            found += _scope(inner, properties, earlier)
    return found


def _ancestors(name: str, by_name: dict[str, Json]) -> set[str]:
    """The activities that have ended, one way or the other, when an activity begins."""
    seen: set[str] = set()
    todo = [name]
    while todo:
        for dependency in by_name.get(todo.pop(), {}).get("dependsOn", []):
            if dependency.get("activity") not in seen:
                seen.add(dependency.get("activity"))
                todo.append(dependency.get("activity"))
    return seen


def _expressions(activity: Json, where: str, properties: Json, earlier: set[str]) -> list[str]:
    found = []
    own = {key: value for key, value in activity.get("typeProperties", {}).items() if key not in INNER}
    known = {
        "activity": earlier | _names(activity),  # the condition of a loop may look at its inside
        "parameter": set(properties.get("parameters", {})),
        "variable": set(properties.get("variables", {})),
    }
    for text in _texts(own):
        try:
            check_syntax(text)
        except ExpressionError as problem:
            found.append(f"{where}: {problem}")
        for kind, pattern in REFERENCES.items():
            lost = [name for name in pattern.findall(text) if name not in known[kind]]
            found += [f"{where}: there is no {kind} {name!r} that it could refer to" for name in lost]
    found += [f"{where}: {text!r} is sent as it is, not as an expression" for text in _at_signs(own)]
    found += [f"{where}: {span!r} is no time span" for span in _spans(activity) if not SPAN.fullmatch(span)]
    target = own.get("variableName")
    if activity.get("type") == "SetVariable":
        if target not in known["variable"]:
            found.append(f"{where}: there is no variable {target!r}")
        if any(f"variables('{target}')" in text for text in _texts(own)):
            found.append(f"{where}: a variable cannot be set from itself")
    return found


def _secrets(activity: Json, where: str) -> list[str]:
    """A key is read out of sight, is sent out of sight, and never stands in a URL."""
    found = []
    policy, properties = activity.get("policy", {}), activity.get("typeProperties", {})
    texts = list(_texts(properties))
    reads = str(properties.get("authentication", {}).get("resource", "")).startswith("https://vault.")
    if reads and policy.get("secureOutput") is not True:
        found.append(f"{where}.policy: a secret is read, so secureOutput must be true")
    headers = properties.get("headers", {})
    if "x-functions-key" in headers:
        if policy.get("secureInput") is not True:
            found.append(f"{where}.policy: a key is sent, so secureInput must be true")
        if not is_expression(headers["x-functions-key"]):
            found.append(f"{where}: a key that stands in the file")
    if re.search(r"[?&'](code|x-functions-key|clientId)=", " ".join([*texts, str(properties.get("url", ""))])):
        found.append(f"{where}: a key in a URL")
    return found


def _names(activity: Json) -> set[str]:
    inner = [one for key in INNER for one in activity.get("typeProperties", {}).get(key, [])]
    return {one["name"] for one in inner} | {name for one in inner for name in _names(one)}


def _texts(value: Any) -> Iterator[str]:
    """Every expression in a value."""
    if is_expression(value):
        yield value["value"]
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)


def _at_signs(value: Any) -> Iterator[str]:
    """Texts that look like expressions and are not marked as such."""
    if isinstance(value, str) and value.startswith("@"):
        yield value
    elif isinstance(value, dict) and not is_expression(value):
        for inner in value.values():
            yield from _at_signs(inner)


def _spans(activity: Json) -> Iterator[str]:
    for holder in (activity.get("policy", {}), activity.get("typeProperties", {})):
        yield from (str(holder[key]) for key in SPANS if key in holder)
