"""Checks Logic Apps workflows without Azure: `python -m dev.logic_apps.lint PATH...`, files or folders.

Reads ARM templates with Microsoft.Logic/workflows (Consumption) and workflow.json files with the parameters.json of
their app (Standard). There is no published schema that says anything about what is inside a definition.
"""

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dev.logic_apps.lint_expressions import check_expressions
from dev.logic_apps.lint_service import check_service
from dev.logic_apps.lint_structure import check_structure
from dev.logic_apps.tree import Json, texts_of

TYPES = {"array", "bool", "float", "int", "object", "string", "secureobject", "securestring"}
SECURE_TYPES = {"secureobject", "securestring"}
LOOKS_SECRET = re.compile(r"key|secret|password|token", re.IGNORECASE)
APP_SETTING = re.compile(r"@(\{)?appsetting\('[^']+'\)(?(1)\})")


def lint_file(path: Path) -> list[str]:
    """The problems of a file, each with where it is; none if it is well."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        return [f"{error}"]
    if not isinstance(content, dict):
        return ["must be a JSON object"]
    if path.name != "workflow.json":
        return list(lint_template(content))
    beside = path.parent.parent / "parameters.json"
    parameters = json.loads(beside.read_text(encoding="utf-8")) if beside.exists() else {}
    return list(lint_standard(content, parameters))


def lint_template(template: Json) -> Iterator[str]:
    """An ARM template: each workflow in it, and how its parameters get there."""
    for key in ("$schema", "contentVersion"):
        if not isinstance(template.get(key), str):
            yield f"{key}: a template needs it"
    workflows = [
        resource
        for resource in template.get("resources", [])
        if isinstance(resource, dict) and resource.get("type") == "Microsoft.Logic/workflows"
    ]
    if not workflows:
        yield "resources: no Microsoft.Logic/workflows in it"
    own = template.get("parameters", {})
    for path, text in texts_of(template.get("resources"), "resources"):
        for name in _arm_parameters(text):
            if name not in own:
                yield f"{path}: no parameter {name} in the template"
    for name, parameter in own.items():
        yield from _check_secure_default(f"parameters.{name}", parameter)
    for index, resource in enumerate(workflows):
        for key in ("apiVersion", "name", "location"):
            if not isinstance(resource.get(key), str):
                yield f"resources[{index}].{key}: a logic app needs it"
        properties = resource.get("properties", {})
        definition = properties.get("definition")
        if not isinstance(definition, dict):
            yield f"resources[{index}].properties.definition: is missing"
            continue
        for path, text in texts_of(definition):
            if _arm_expression(text):
                yield f"{path}: a text in [ ] is an expression of the ARM template; write [[ for [: {text}"
        yield from _check_values(definition, properties.get("parameters", {}), own)
        if "ManagedServiceIdentity" in json.dumps(definition) and not resource.get("identity"):
            yield "resources: the workflow signs in with a managed identity and has none"
        declared = definition.get("parameters", {})
        secrets = {name for name, how in declared.items() if str(how.get("type")).lower() in SECURE_TYPES}
        yield from lint_definition(definition, set(declared), secrets)


def lint_standard(workflow: Json, parameters: Json) -> Iterator[str]:
    """A workflow.json with the parameters.json of its app."""
    for key in workflow.keys() - {"definition", "kind"}:
        yield f"{key}: no key of a workflow.json"
    if workflow.get("kind") != "Stateful":
        yield "kind: must be Stateful; a Stateless workflow neither waits for a 202 nor for a callback"
    for name, parameter in parameters.items():
        where = f"parameters.json: {name}"
        kind = str(parameter.get("type", "")).lower()
        if kind in SECURE_TYPES:
            yield f"{where}: Standard has no secure types; keep the value in an app setting"
        elif kind not in TYPES:
            yield f"{where}: {kind or 'no type'} is no type of a parameter"
        for path, text in texts_of(parameter.get("value")):
            if text.startswith("@") and not APP_SETTING.fullmatch(text):
                yield f"{where}{path}: @appsetting('NAME') is the only expression here"
        if LOOKS_SECRET.search(name) and "appsetting(" not in json.dumps(parameter.get("value")):
            yield f"{where}: a secret belongs in an app setting"
    definition = workflow.get("definition")
    if not isinstance(definition, dict):
        yield "definition: is missing"
        return
    secrets = {name for name in parameters if LOOKS_SECRET.search(name)}
    yield from lint_definition(definition, set(parameters), secrets)


def lint_definition(definition: Json, parameters: set[str], secrets: set[str]) -> Iterator[str]:
    """What is inside: `parameters` may be used, `secrets` among them must stay hidden."""
    broken = False
    for problem in check_structure(definition):
        broken = True
        yield problem
    if not broken or isinstance(definition.get("actions"), dict):
        yield from check_expressions(definition, parameters)
        yield from check_service(definition, secrets)


def _check_values(definition: Json, values: Json, own: Json) -> Iterator[str]:
    """Each parameter of the definition gets a value, and a secure one gets it from a secure one."""
    declared = definition.get("parameters", {})
    for name, parameter in declared.items():
        kind = str(parameter.get("type", "")).lower()
        if kind not in TYPES:
            yield f"definition.parameters.{name}.type: {kind or 'missing'} is no type of a parameter"
        yield from _check_secure_default(f"definition.parameters.{name}", parameter)
        if LOOKS_SECRET.search(name) and kind not in SECURE_TYPES:
            yield f"definition.parameters.{name}.type: a secret must be a securestring, or the designer shows it"
        if name not in values and "defaultValue" not in parameter:
            yield f"properties.parameters: no value for {name}"
        if name in values and kind in SECURE_TYPES:
            for source in _arm_parameters(str(values[name].get("value", ""))):
                if str(own.get(source, {}).get("type", "")).lower() not in SECURE_TYPES:
                    yield f"parameters.{source}.type: must be securestring, or the deployment history shows it"
    for name in values.keys() - declared.keys():
        yield f"properties.parameters.{name}: the definition declares no such parameter"


def _check_secure_default(path: str, parameter: Any) -> Iterator[str]:
    if (
        isinstance(parameter, dict)
        and str(parameter.get("type")).lower() in SECURE_TYPES
        and "defaultValue" in parameter
    ):
        yield f"{path}.defaultValue: the default of a secure parameter is stored as plain text"


def _arm_expression(text: str) -> bool:
    return text.startswith("[") and text.endswith("]") and not text.startswith("[[")


def _arm_parameters(text: str) -> list[str]:
    return re.findall(r"parameters\('([^']+)'\)", text) if _arm_expression(text) else []


def _found(arguments: list[str]) -> Iterator[Path]:
    for argument in arguments:
        path = Path(argument)
        if path.is_dir():
            yield from sorted(file for file in path.rglob("*.json") if file.name != "parameters.json")
        else:
            yield path


def main(arguments: list[str]) -> int:
    """Prints the problems; 1 if there are any, 2 if there was nothing to read."""
    found = list(_found(arguments))
    missing = [path for path in found if not path.is_file()]
    if not found or missing:
        print(f"no such file: {', '.join(map(str, missing))}" if missing else "Name files or folders.", file=sys.stderr)
        return 2
    problems = [f"{path}: {problem}" for path in found for problem in lint_file(path)]
    print("\n".join(problems) if problems else f"{len(found)} files are well.")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
