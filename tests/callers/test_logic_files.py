"""The shipped Logic Apps files can be imported. The checks find no error in them, but find each kind of error that is
inserted."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.callers.logic_check import standard_problems, template_problems
from tests.callers.logic_estate import ALL_FILES

Json = dict[str, Any]

TEMPLATE, STANDARD = "consumption/refresh-with-webhook.key.json", "standard/identity/refresh-with-http/workflow.json"


def read(name: str) -> tuple[Json, Json]:
    """A shipped file, and its parameters.json if it is for a Standard app."""
    parameters = ALL_FILES[name].parent.parent / "parameters.json"
    beside = json.loads(parameters.read_text("utf-8")) if parameters.exists() else {}
    return json.loads(ALL_FILES[name].read_text("utf-8")), beside


def problems(content: Json, beside: Json) -> list[str]:
    return standard_problems(content, beside) if "kind" in content else template_problems(content)


def definition(content: Json) -> Json:
    found: Json = content.get("definition") or content["resources"][0]["properties"]["definition"]
    return found


def loop(content: Json) -> Json:
    """The actions in the loop over the models."""
    found: Json = definition(content)["actions"]["For_each_model"]["actions"]
    return found


def body(content: Json) -> Json:
    """The body that starts a refresh."""
    inputs = loop(content)["Refresh"]["inputs"]
    found: Json = inputs.get("subscribe", inputs)["body"]
    return found


@pytest.mark.parametrize("name", ALL_FILES)
def test_the_shipped_files_have_no_fault(name: str) -> None:
    """The checks find no error in any variant."""
    assert problems(*read(name)) == []


@pytest.mark.parametrize("name", ALL_FILES)
def test_parameters_are_described(name: str) -> None:
    """The parameters of the template and of its workflow and the keys of the trigger have descriptions."""
    content, _ = read(name)
    declared = {**content.get("parameters", {}), **definition(content).get("parameters", {})}
    assert [key for key, entry in declared.items() if not entry["metadata"]["description"]] == []
    model = definition(content)["triggers"]["manual"]["inputs"]["schema"]["properties"]["models"]["items"]
    assert [key for key, entry in model["properties"].items() if not entry["description"]] == []


FAULTS: dict[str, tuple[Callable[[Json], Any], str]] = {
    "no trigger": (lambda file: definition(file).update(triggers={}), "triggers is missing"),
    "unknown action type": (lambda file: loop(file)["Refresh"].update(type="Htpp"), "unknown type Htpp"),
    "missing input": (lambda file: loop(file)["Add_missing_outcome"]["inputs"].pop("name"), "input name is missing"),
    "runAfter an unknown action": (
        lambda file: loop(file)["Check_outcome"].update(runAfter={"Refrehs": ["Succeeded"]}),
        "runAfter names Refrehs",
    ),
    "runAfter an action in another group": (
        lambda file: loop(file)["Refresh"].update(runAfter={"Initialize_failures": ["Succeeded"]}),
        "runAfter names Initialize_failures",
    ),
    "unknown status": (
        lambda file: loop(file)["Check_outcome"].update(runAfter={"Refresh": ["Cancelled"]}),
        "unknown statuses {'Cancelled'}",
    ),
    "a circle": (
        lambda file: loop(file)["Refresh"].update(runAfter={"Add_missing_outcome": ["Succeeded"]}),
        "runs after itself",
    ),
    "a name used twice": (
        lambda file: loop(file).update(Check_all_outcomes=loop(file)["Add_missing_outcome"]),
        "two actions have the same name",
    ),
    "broken expression": (lambda file: body(file).update(caller="@concat('a'"), "')' is missing"),
    "unknown function": (lambda file: body(file).update(caller="@concatenate('a')"), "unknown function concatenate()"),
    "unknown parameter": (lambda file: body(file).update(caller="@parameters('Base')"), "parameters('Base') refers"),
    "unknown variable": (lambda file: body(file).update(caller="@variables('failure')"), "variables('failure') refers"),
    "unknown loop": (lambda file: body(file).update(caller="@items('Each')"), "items('Each') refers to nothing"),
    "unknown action": (lambda file: body(file).update(caller="@body('Refrehs')"), "body('Refrehs') refers to nothing"),
    "an action that runs later": (
        lambda file: body(file).update(caller="@outputs('Check_outcome')"),
        "outputs('Check_outcome') refers to nothing",
    ),
    "a variable in a loop": (
        lambda file: loop(file).update(More=definition(file)["actions"].pop("Initialize_failures")),
        "at the top level only",
    ),
    "Terminate in a loop": (
        lambda file: loop(file)["Refresh"].update(type="Terminate", inputs={"runStatus": "Failed"}),
        "Terminate is not allowed in a loop",
    ),
}


@pytest.mark.parametrize("name", [TEMPLATE, STANDARD])
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_in_the_definition_is_found(name: str, fault: str) -> None:
    """The fault is put into a valid file for either kind of app."""
    change, expected = FAULTS[fault]
    content, beside = read(name)
    change(content)
    assert expected in " ".join(problems(content, beside))


TEMPLATE_FAULTS: dict[str, tuple[Callable[[Json], Any], str]] = {
    "a parameter too few": (lambda file: file["parameters"].pop("baseUrl"), "the template has no parameter baseUrl"),
    "an unused parameter": (lambda file: file["parameters"].update(more={"type": "string"}), "more is not used"),
    "no value": (
        lambda file: file["resources"][0]["properties"]["parameters"].pop("BaseUrl"),
        "workflow parameter BaseUrl has no value",
    ),
    "an undeclared value": (
        lambda file: definition(file)["parameters"].pop("BaseUrl"),
        "the workflow declares no parameter BaseUrl",
    ),
    "a visible key": (lambda file: file["parameters"]["functionKey"].update(type="string"), "is not secure"),
    "a key with a default": (lambda file: file["parameters"]["functionKey"].update(defaultValue="x"), "default value"),
}


@pytest.mark.parametrize("fault", TEMPLATE_FAULTS)
def test_a_fault_in_the_template_is_found(fault: str) -> None:
    """The faults concern parameters and their values."""
    change, expected = TEMPLATE_FAULTS[fault]
    content, _ = read(TEMPLATE)
    change(content)
    assert expected in " ".join(template_problems(content))


def test_a_fault_in_a_standard_app_is_found() -> None:
    """The faults are a stateless workflow, and a literal value in parameters.json."""
    content, beside = read(STANDARD)
    assert "kind must be Stateful" in " ".join(standard_problems({**content, "kind": "Stateless"}, beside))
    beside["BaseUrl"]["value"] = "https://app.example"
    assert standard_problems(content, beside) == ["parameter BaseUrl is not taken from an app setting"]
