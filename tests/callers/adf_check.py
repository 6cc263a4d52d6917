"""Finds errors in a pipeline file without a data factory.

The models of azure-mgmt-datafactory define the activities, their properties, and which properties are required and
which values are allowed. Further checks are for rules that the models do not contain: references and the handling of
secrets."""

import re
from collections.abc import Iterator
from typing import Any

from tests.callers.adf_models import DATA_FACTORY, Metadata
from tests.callers.clients.adf_expressions import ExpressionError, check_syntax, is_expression
from tests.callers.clients.adf_pipeline import TYPES

Json = dict[str, Any]

NAME = re.compile(r"[A-Za-z0-9_][^.+?/<>*%&:\\\"]{0,54}")
SPAN = re.compile(r"(\d+\.)?([01]\d|2[0-3]):[0-5]\d:[0-5]\d")
CONDITIONS = {"Succeeded", "Failed", "Completed", "Skipped"}
SPANS = ("timeout", "httpRequestTimeout")
INNER = ("activities", "ifTrueActivities", "ifFalseActivities")
POLICY = ("policy",)
REFERENCES = {
    "activity": re.compile(r"activity\('([^']*)'\)"),
    "parameter": re.compile(r"pipeline\(\)\.parameters\.(\w+)"),
    "variable": re.compile(r"variables\('([^']*)'\)"),
}


def problems(file: Json, metadata: Metadata = DATA_FACTORY) -> list[str]:
    """The errors of a pipeline file, each beginning with its place; empty for a valid pipeline."""
    found = list(metadata.problems(file, "PipelineResource", "pipeline", ignore=("name",)))
    properties = file.get("properties", {})
    found += _scope(properties.get("activities", []), properties, set())
    for name, declared in properties.get("parameters", {}).items():
        if not any(f"parameters.{name}" in text for text in _texts(properties["activities"])):
            found.append(f"parameters.{name}: not used ({declared})")
        if "defaultValue" in declared and not isinstance(
            declared["defaultValue"], TYPES.get(declared["type"].lower(), object)
        ):
            found.append(f"parameters.{name}: the default value is not of the type {declared['type']}")
    if not NAME.fullmatch(file.get("name", "")):
        found.append("pipeline: an invalid name")
    return found


def linked_service_problems(file: Json) -> list[str]:
    """The errors of a linked service, each beginning with its place."""
    return list(DATA_FACTORY.problems(file["properties"], "LinkedService", "properties"))


# ---- references and secrets ----


def _scope(activities: list[Json], properties: Json, before: set[str]) -> list[str]:
    """The errors of sibling activities. `before`: the activities that have ended when these start."""
    found = []
    by_name = {activity.get("name", ""): activity for activity in activities}
    if len(by_name) < len(activities):
        found.append(f"activities: two with the same name among {[a.get('name') for a in activities]}")
    for name, activity in by_name.items():
        where = f"activities[{name}]"
        if not NAME.fullmatch(name):
            found.append(f"{where}: an invalid name")
        for dependency in activity.get("dependsOn", []):
            if dependency.get("activity") not in by_name:
                found.append(f"{where}.dependsOn: there is no activity {dependency.get('activity')!r} in its group")
            if not set(dependency.get("dependencyConditions", ["none"])) <= CONDITIONS:
                found.append(f"{where}.dependsOn: {dependency.get('dependencyConditions')} are not conditions")
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
    """The activities that have ended when an activity starts."""
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
        "activity": earlier | _names(activity),  # the condition of a loop may refer to activities inside the loop
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
            found += [f"{where}: there is no {kind} {name!r}" for name in lost]
    found += [f"{where}: {text!r} is sent as a text, not as an expression" for text in _at_signs(own)]
    found += [f"{where}: {span!r} is not a time span" for span in _spans(activity) if not SPAN.fullmatch(span)]
    target = own.get("variableName")
    if activity.get("type") == "SetVariable":
        if target not in known["variable"]:
            found.append(f"{where}: there is no variable {target!r}")
        if any(f"variables('{target}')" in text for text in _texts(own)):
            found.append(f"{where}: a variable cannot be set from itself")
    return found


def _secrets(activity: Json, where: str) -> list[str]:
    """A key must be hidden where it is read and where it is sent, and must not be in a URL."""
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
            found.append(f"{where}: a key in the file")
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
    """Strings that look like expressions but are not marked as expressions."""
    if isinstance(value, str) and value.startswith("@"):
        yield value
    elif isinstance(value, dict) and not is_expression(value):
        for inner in value.values():
            yield from _at_signs(inner)


def _spans(activity: Json) -> Iterator[str]:
    for holder in (activity.get("policy", {}), activity.get("typeProperties", {})):
        yield from (str(holder[key]) for key in SPANS if key in holder)
