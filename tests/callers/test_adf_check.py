"""The shipped pipelines are valid. An error that is put into one of them is found."""

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.callers.adf_check import problems
from tests.callers.adf_models import SYNAPSE
from tests.callers.shipped import OF_SYNAPSE, PIPELINES, SYNAPSE_PIPELINES, pipeline

Json = dict[str, Any]


def activity(file: Json, name: str) -> Json:
    """An activity of a file, including a nested one."""

    def all_of(activities: list[Json]) -> list[Json]:
        inner = [
            one[key] for a in activities for one in [a["typeProperties"]] for key in one if key.endswith("ctivities")
        ]
        return [*activities, *(one for some in inner for one in all_of(some))]

    return next(one for one in all_of(file["properties"]["activities"]) if one["name"] == name)


def kind(name: str, value: object) -> Callable[[Json], None]:
    return lambda file: activity(file, name).update(type=value)


def prop(name: str, key: str, value: object) -> Callable[[Json], None]:
    """Sets a property of an activity."""
    return lambda file: activity(file, name)["typeProperties"].update({key: value})


def without(name: str, key: str) -> Callable[[Json], None]:
    """Removes a property of an activity."""
    return lambda file: activity(file, name)["typeProperties"].pop(key)


def rule(name: str, key: str, value: object) -> Callable[[Json], None]:
    """Sets a part of the policy of an activity."""
    return lambda file: activity(file, name)["policy"].update({key: value})


def depends(name: str, on: str, condition: str) -> Callable[[Json], None]:
    given = [{"activity": on, "dependencyConditions": [condition]}]
    return lambda file: activity(file, name).update(dependsOn=given)


def expr(text: str) -> Json:
    return {"value": text, "type": "Expression"}


WEB, HOOK, FUNCTION, POLL = (f"refresh-{way}-key" for way in ("with-web", "with-webhook", "with-function", "and-poll"))
FAULTS: dict[str, tuple[str, Callable[[Json], Any], str]] = {
    "a default of another type": (
        WEB,
        lambda file: file["properties"]["parameters"]["Options"].update(type="string"),
        "parameters.Options: the default value is not of the type string",
    ),
    "an unknown kind": (WEB, kind("Refresh", "Web"), "not a known kind"),
    "no URL": (WEB, without("Refresh", "url"), "typeProperties.url: missing"),
    "no method": (HOOK, without("Refresh", "method"), "typeProperties.method: missing"),
    "no function": (FUNCTION, without("Start", "functionName"), "functionName: missing"),
    "an unknown method": (WEB, prop("Refresh", "method", "PATCH"), "'PATCH' is not one of"),
    "a webhook that does not post": (HOOK, prop("Refresh", "method", "GET"), "'GET' is not one of"),
    "an unknown property": (WEB, prop("Refresh", "turnOfAsync", True), "turnOfAsync: not a known property"),
    "an unknown policy": (WEB, rule("Refresh", "retries", 3), "policy.retries: not a known property"),
    "a retry on a webhook": (HOOK, rule("Refresh", "retry", 3), "policy.retry: not a known property"),
    "a text for a switch": (WEB, prop("Refresh", "turnOffAsync", "true"), "not of type bool"),
    "a pause that is too short": (WEB, rule("Refresh", "retryIntervalInSeconds", 5), "not between 30 and 86400"),
    "an invalid time span": (WEB, rule("Refresh", "timeout", "12 hours"), "not a time span"),
    "another time span": (HOOK, prop("Refresh", "timeout", "PT12H"), "not a time span"),
    "an unknown kind of sign-in": (
        "refresh-with-web-identity",
        lambda file: activity(file, "Refresh")["typeProperties"]["authentication"].update(type="ManagedIdentity"),
        "'ManagedIdentity' is not one of",
    ),
    "an unknown type of parameter": (
        WEB,
        lambda file: file["properties"]["parameters"]["BaseUrl"].update(type="text"),
        "'text' is not one of",
    ),
    "a dependency on nothing": (WEB, depends("Refresh", "Read keys", "Succeeded"), "there is no activity 'Read keys'"),
    "an unknown condition": (WEB, depends("Refresh", "Read key", "Success"), "are not conditions"),
    "a circle": (WEB, depends("Read key", "Refresh", "Succeeded"), "it waits for itself"),
    "two with one name": (
        POLL,
        lambda file: activity(file, "Poll status").update(name="Wait"),
        "two with the same name",
    ),
    "an invalid name": (WEB, lambda file: file.update(name="refresh/web"), "an invalid name"),
    "an unknown parameter": (
        WEB,
        prop("Refresh", "url", expr("@pipeline().parameters.Url")),
        "no parameter 'Url'",
    ),
    "an unused parameter": (
        WEB,
        lambda file: file["properties"]["parameters"].update(More={"type": "string"}),
        "parameters.More: not used",
    ),
    "an unknown variable": (POLL, prop("Set reason", "variableName", "Reasons"), "no variable 'Reasons'"),
    "a variable set from itself": (
        POLL,
        prop("Set reason", "value", expr("@concat(variables('Reason'), 'x')")),
        "cannot be set from itself",
    ),
    "an output of a later activity": (
        POLL,
        prop("Start", "url", expr("@activity('Poll status').output.url")),
        "no activity 'Poll status'",
    ),
    "an open bracket": (WEB, prop("Refresh", "url", expr("@concat('a', 'b'")), "Unexpected end-of-input"),
    "an unknown function": (WEB, prop("Refresh", "url", expr("@join2('a', 'b')")), "No terminal matches"),
    "an expression without a type": (WEB, prop("Refresh", "url", "@pipeline().parameters.BaseUrl"), "sent as a text"),
    "a visible secret": (WEB, rule("Read key", "secureOutput", False), "secureOutput must be true"),
    "a visible key": (WEB, rule("Refresh", "secureInput", False), "secureInput must be true"),
    "a key in the file": (
        WEB,
        lambda file: activity(file, "Refresh")["typeProperties"]["headers"].update({"x-functions-key": "abc"}),
        "a key in the file",
    ),
    "a key in the URL": (
        WEB,
        prop(
            "Refresh",
            "url",
            expr("@concat(pipeline().parameters.BaseUrl, '?code=', activity('Read key').output.value)"),
        ),
        "a key in a URL",
    ),
}


@pytest.mark.parametrize("name", PIPELINES)
def test_the_shipped_pipelines_are_clean(name: str) -> None:
    """The check finds no error in a shipped pipeline."""
    assert problems(pipeline(name)) == []


@pytest.mark.parametrize("name", SYNAPSE_PIPELINES)
def test_the_pipelines_for_synapse_are_clean(name: str) -> None:
    """Neither the models of Synapse nor those of Data Factory find an error in a file for Synapse."""
    file = pipeline(name, OF_SYNAPSE)
    assert problems(file, SYNAPSE) == []
    assert problems(file) == []


@pytest.mark.parametrize("name", PIPELINES)
def test_there_is_a_file_for_synapse_where_it_differs(name: str) -> None:
    """A file for Synapse leaves out features that the models of Synapse lack, which are at most three. If this is not
    safe, there is no file."""
    found = problems(pipeline(name), SYNAPSE)
    unknown = {sentence.split(": ")[0].rsplit(".", 1)[-1] for sentence in found}
    assert unknown
    assert unknown <= {"httpRequestTimeout", "turnOffAsync", "policy"}
    assert (name in SYNAPSE_PIPELINES) == (name != "refresh-with-webhook-key" and "poll" not in name)
    if name in SYNAPSE_PIPELINES:
        assert json.dumps(pipeline(name, OF_SYNAPSE)["properties"]["parameters"]) == json.dumps(
            pipeline(name)["properties"]["parameters"]
        )


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_found(name: str) -> None:
    """The check reports an error that is put into a shipped file, and no error in the file itself."""
    shipped, seed, message = FAULTS[name]
    good = pipeline(shipped)
    bad = copy.deepcopy(good)
    seed(bad)
    assert problems(good) == []
    assert [sentence for sentence in problems(bad) if message in sentence], problems(bad)
