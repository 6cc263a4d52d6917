"""The linter passes what is shipped and names each fault that is put into it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dev.logic_apps.lint import lint_file, lint_standard, lint_template, main
from dev.logic_apps.write import FOLDER, consumption, files, standard, standard_parameters

Json = dict[str, Any]


def inner(definition: Json) -> Json:
    """The actions of the loop."""
    actions: Json = definition["actions"]["For_each_model"]["actions"]
    return actions


def refresh(definition: Json) -> Json:
    """The action that asks for a refresh."""
    action: Json = inner(definition)["Refresh"]
    return action


def call(definition: Json) -> Json:
    """The inputs of its call."""
    inputs: Json = refresh(definition)["inputs"]
    start: Json = inputs.get("subscribe", inputs)
    return start


def ending(definition: Json) -> Json:
    """The actions of the bad end."""
    actions: Json = definition["actions"]["All_refreshed"]["else"]["actions"]
    return actions


def put(place: Callable[[Json], Json], **values: Any) -> Callable[[Json], None]:
    """A fault: other values somewhere."""
    return lambda definition: place(definition).update(values)


def drop(place: Callable[[Json], Json], key: str) -> Callable[[Json], None]:
    """A fault: something is missing."""

    def fault(definition: Json) -> None:
        del place(definition)[key]

    return fault


def header(**headers: str) -> Callable[[Json], None]:
    """A fault: other headers."""
    return lambda definition: call(definition)["headers"].update({k.replace("_", "-"): v for k, v in headers.items()})


def circle(definition: Json) -> None:
    """Two actions that wait for each other."""
    refresh(definition)["runAfter"] = {"Refreshed": ["Succeeded"]}


def terminate_in_loop(definition: Json) -> None:
    """Not possible, and the first thing that one tries."""
    inner(definition)["End"] = {**ending(definition)["End_as_failed"], "runAfter": {"Refreshed": ["Failed"]}}


def variable_in_loop(definition: Json) -> None:
    """Variables are initialized at the top."""
    inner(definition)["More"] = {
        "type": "InitializeVariable",
        "inputs": {"variables": [{"name": "more", "type": "array"}]},
        "runAfter": {},
    }


def note(text: str) -> Callable[[Json], None]:
    """Another expression for the sentence."""
    return lambda d: inner(d)["Refreshed"]["else"]["actions"]["Note_the_sentence"]["inputs"].update(value=text)


FAULTS: dict[str, tuple[str, Callable[[Json], None], str]] = {
    # structure
    "an unknown key": ("http", put(lambda d: d, action={}), "action: no key of a definition"),
    "another schema": ("http", put(lambda d: d, **{"$schema": "http://x"}), "$schema: must be"),
    "no trigger": ("http", put(lambda d: d, triggers={}), "triggers: a workflow needs a trigger"),
    "no action": ("http", put(lambda d: d, actions={}), "actions: a workflow needs an action"),
    "an unknown type": ("http", put(refresh, type="HTTP"), "Refresh.type: HTTP is no type"),
    "a misspelt key": ("http", put(refresh, runafter={}), "Refresh.runafter: no key of an action"),
    "no address": ("http", drop(call, "uri"), "Refresh.inputs.uri: Http needs it"),
    "an unknown method": ("http", put(call, method="FETCH"), "inputs.method: must be one of"),
    "a GET with a body": ("http", put(call, method="GET"), "inputs.body: a GET has none"),
    "a misspelt part of a call": ("webhook", put(call, url="x"), "subscribe.url: no key of an HTTP call"),
    "no unsubscribe": ("webhook", drop(lambda d: refresh(d)["inputs"], "unsubscribe"), "HttpWebhook needs it"),
    "no loop": ("http", drop(lambda d: d["actions"]["For_each_model"], "foreach"), "Foreach needs it"),
    "a name used twice": (
        "http",
        lambda d: inner(d).update(Failures={**refresh(d)}),
        "Failures: the name is used twice",
    ),
    "a missing runAfter": ("http", put(refresh, runAfter={"Nobody": ["Succeeded"]}), "no action Nobody"),
    "a runAfter out of the loop": ("http", put(refresh, runAfter={"Failures": ["Succeeded"]}), "no action Failures"),
    "an unknown status": ("http", put(refresh, runAfter={"Refreshed": ["Done"]}), "statuses are Succeeded"),
    "a circle": ("http", circle, "in a circle"),
    "a Terminate in a loop": ("http", terminate_in_loop, "End: Terminate cannot stand in a loop"),
    "a variable in a loop": ("http", variable_in_loop, "More: InitializeVariable stands at the top level"),
    "another run status": ("http", put(lambda d: ending(d)["End_as_failed"]["inputs"], runStatus="Bad"), "runStatus"),
    "no sentence": ("http", drop(lambda d: ending(d)["End_as_failed"]["inputs"], "runError"), "runError.message"),
    "a limit that is no duration": ("http", put(refresh, limit={"timeout": "12 h"}), "a duration such as PT12H"),
    "an unknown retry policy": ("http", put(call, retryPolicy={"type": "often"}), "retryPolicy.type: must be one of"),
    "too many retries": (
        "http",
        put(call, retryPolicy={"type": "fixed", "count": 91, "interval": "PT30S"}),
        "retryPolicy.count",
    ),
    "hasty retries": (
        "http",
        put(call, retryPolicy={"type": "fixed", "count": 3, "interval": "PT1S"}),
        "retryPolicy.interval",
    ),
    "a policy that does not exist": (
        "webhook",
        lambda d: refresh(d)["inputs"]["unsubscribe"].update(retryPolicy={"type": "none"}),
        "unsubscribe.retryPolicy: only subscribe has one",
    ),
    "too many at once": (
        "http",
        put(lambda d: d["actions"]["For_each_model"], runtimeConfiguration={"concurrency": {"repetitions": 51}}),
        "repetitions: must be 1 to 50",
    ),
    # expressions
    "a bracket left open": ("http", note("@concat('a', 'b'"), "')' is missing"),
    "a brace left open": ("http", note("model @{items('For_each_model')"), "is not closed"),
    "an unknown function": ("http", note("@conct('a')"), "no function conct()"),
    "too few arguments": ("http", note("@if(true, 'a')"), "if() takes 3 arguments, not 2"),
    "an unknown action": ("http", note("@body('Refrsh')"), "body() names no action of the workflow: Refrsh"),
    "an action that comes later": (
        "http",
        lambda d: call(d)["body"].update(caller={"a": "@{body('Refreshed')}"}),
        "names Refreshed, which this action does not run after",
    ),
    "an unknown parameter": ("http", note("@parameters('baseurl')"), "no parameter baseurl is declared"),
    "an unknown variable": ("http", note("@variables('failure')"), "no variable failure is initialized"),
    "a variable that is not there": (
        "http",
        put(lambda d: inner(d)["Note_that_no_verdict_came"]["inputs"], name="failure"),
        "no variable failure is initialized",
    ),
    "an unknown loop": ("http", note("@items('For_each')"), "the action is in no loop For_each"),
    "a call back to a poller": ("http", note("@listCallbackUrl()"), "in a webhook action only"),
    "an app setting in a workflow": ("http", note("@appsetting('X')"), "parameters.json and connections.json only"),
    # the service
    "no limit": ("http", drop(refresh, "limit"), "limit.timeout: without one"),
    "a limit under the deadline": ("webhook", put(refresh, limit={"timeout": "PT11H"}), "above timeoutMinutes (660)"),
    "a deadline over the limit": (
        "http",
        lambda d: call(d)["body"].update(timeoutMinutes=720),
        "above timeoutMinutes (720)",
    ),
    "no polling": ("http", put(refresh, operationOptions="DisableAsyncPattern"), "takes the 202 for the end"),
    "no idempotency key": ("http", drop(lambda d: call(d)["body"], "idempotencyKey"), "starts a second refresh"),
    "a key for all runs": (
        "http",
        lambda d: call(d)["body"].update(idempotencyKey="@{items('For_each_model')?['datasetId']}"),
        "must hold workflow().run.name",
    ),
    "a key for all items": (
        "http",
        lambda d: call(d)["body"].update(idempotencyKey="@{workflow().run.name}"),
        "a part of the item of For_each_model",
    ),
    "no retries": ("http", put(call, retryPolicy={"type": "none"}), "it is safe to retry"),
    "nobody calls back": ("webhook", drop(lambda d: call(d)["body"], "callBackUri"), "or nobody calls back"),
    "another request is cancelled": (
        "webhook",
        lambda d: refresh(d)["inputs"]["unsubscribe"]["body"].update(idempotencyKey="x"),
        "datasetId and idempotencyKey of subscribe",
    ),
    "nothing is cancelled": (
        "webhook",
        lambda d: refresh(d)["inputs"]["unsubscribe"].update(uri="@{parameters('BaseUrl')}/api/refreshes"),
        "must POST to /api/refreshes/cancel",
    ),
    "a key that the history shows": ("http", drop(refresh, "runtimeConfiguration"), "must be secured"),
    "a callback that the history shows": (
        "webhook",
        put(refresh, runtimeConfiguration={"secureData": {"properties": ["outputs"]}}),
        "must be secured",
    ),
    "something else secured": (
        "http",
        put(refresh, runtimeConfiguration={"secureData": {"properties": ["headers"]}}),
        "a list of inputs and outputs",
    ),
    "a key in the address": (
        "http",
        put(call, uri="@{parameters('BaseUrl')}/api/refreshes?code=@{parameters('FunctionKey')}"),
        "uri: holds a key",
    ),
    "a key among the queries": ("http", put(call, queries={"code": "x"}), "queries.code: a key in an address"),
    "a key in the body": (
        "http",
        lambda d: call(d)["body"].update(key="@parameters('FunctionKey')"),
        "send it as a header",
    ),
    "a key in the definition": ("http", header(x_functions_key="abc"), "a secret is written into the definition"),
    "no https": ("http", put(call, uri="http://example.net/api/refreshes"), "must begin with https://"),
}


@pytest.mark.parametrize("name", FAULTS)
@pytest.mark.parametrize("host", ["consumption", "standard"])
def test_a_fault_is_named(name: str, host: str) -> None:
    """One fault put into a shipped file, with where it is and what is wrong."""
    way, fault, expected = FAULTS[name]
    if host == "consumption":
        template = consumption(way, "key")
        fault(template["resources"][0]["properties"]["definition"])
        problems = list(lint_template(template))
    else:
        workflow = standard(way, "key")
        fault(workflow["definition"])
        problems = list(lint_standard(workflow, standard_parameters("key")))
    assert any(expected in problem for problem in problems), problems


def resource(template: Json) -> Json:
    """The logic app in a template."""
    found: Json = template["resources"][0]
    return found


TEMPLATE_FAULTS: dict[str, tuple[str, Callable[[Json], None], str]] = {
    "no workflow": ("key", put(resource, type="Microsoft.Web/sites"), "no Microsoft.Logic/workflows"),
    "no schema of a template": ("key", drop(lambda t: t, "$schema"), "$schema: a template needs it"),
    "no version of the API": ("key", drop(resource, "apiVersion"), "apiVersion: a logic app needs it"),
    "no definition": ("key", drop(lambda t: resource(t)["properties"], "definition"), "definition: is missing"),
    "no value": ("key", drop(lambda t: resource(t)["properties"]["parameters"], "BaseUrl"), "no value for BaseUrl"),
    "a value for nothing": (
        "key",
        lambda t: resource(t)["properties"]["parameters"].update(Other={"value": 1}),
        "declares no such parameter",
    ),
    "a parameter that is not there": ("key", drop(lambda t: t["parameters"], "baseUrl"), "no parameter baseUrl"),
    "a key that is a string": (
        "key",
        lambda t: resource(t)["properties"]["definition"]["parameters"]["FunctionKey"].update(type="string"),
        "FunctionKey.type: a secret must be a securestring",
    ),
    "a key from a string": (
        "key",
        lambda t: t["parameters"]["functionKey"].update(type="string"),
        "functionKey.type: must be securestring",
    ),
    "a default key": (
        "key",
        lambda t: t["parameters"]["functionKey"].update(defaultValue="x"),
        "functionKey.defaultValue: the default of a secure parameter",
    ),
    "no identity": ("identity", drop(resource, "identity"), "signs in with a managed identity and has none"),
    "an expression of the template": (
        "key",
        lambda t: call(resource(t)["properties"]["definition"])["body"].update(caller="[a]"),
        "write [[ for [",
    ),
}


@pytest.mark.parametrize("name", TEMPLATE_FAULTS)
def test_a_fault_of_a_template_is_named(name: str) -> None:
    """What only an ARM template can get wrong."""
    sign_in, fault, expected = TEMPLATE_FAULTS[name]
    template = consumption("http", sign_in)
    fault(template)
    problems = list(lint_template(template))
    assert any(expected in problem for problem in problems), problems


STANDARD_FAULTS: dict[str, tuple[Callable[[Json], None], Callable[[Json], None], str]] = {
    "a stateless workflow": (put(lambda w: w, kind="Stateless"), lambda p: None, "kind: must be Stateful"),
    "an unknown key": (put(lambda w: w, parameters={}), lambda p: None, "parameters: no key of a workflow.json"),
    "no definition": (drop(lambda w: w, "definition"), lambda p: None, "definition: is missing"),
    "a parameter that is not there": (lambda w: None, drop(lambda p: p, "BaseUrl"), "no parameter BaseUrl"),
    "a secure type": (
        lambda w: None,
        lambda p: p["FunctionKey"].update(type="securestring"),
        "Standard has no secure types",
    ),
    "an unknown type": (lambda w: None, lambda p: p["BaseUrl"].update(type="text"), "text is no type"),
    "a key written down": (lambda w: None, lambda p: p["FunctionKey"].update(value="x"), "belongs in an app setting"),
    "another expression": (
        lambda w: None,
        lambda p: p["BaseUrl"].update(value="@concat('a', 'b')"),
        "is the only expression here",
    ),
}


@pytest.mark.parametrize("name", STANDARD_FAULTS)
def test_a_fault_of_a_standard_app_is_named(name: str) -> None:
    """What only a Standard app can get wrong."""
    in_workflow, in_parameters, expected = STANDARD_FAULTS[name]
    workflow, parameters = standard("http", "key"), standard_parameters("key")
    in_workflow(workflow)
    in_parameters(parameters)
    problems = list(lint_standard(workflow, parameters))
    assert any(expected in problem for problem in problems), problems


@pytest.mark.parametrize("path", sorted(files()), ids=str)
def test_a_shipped_file_is_as_written_and_well(path: Path) -> None:
    """The script writes just this file, and the linter has nothing to say."""
    assert (FOLDER / path).read_text("utf-8") == files()[path]
    if path.name != "parameters.json":
        assert lint_file(FOLDER / path) == []


def test_nothing_else_is_shipped() -> None:
    """A file of an older version would be imported too."""
    assert {path.relative_to(FOLDER) for path in FOLDER.rglob("*.json")} == set(files())


def test_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """0 and a count, 1 and the problems with their files, 2 if there is nothing to read."""
    assert main([str(FOLDER)]) == 0
    assert capsys.readouterr().out == "8 files are well.\n"
    for name, text in (("broken.json", "{"), ("list.json", "[]"), ("other.json", json.dumps({"resources": []}))):
        (tmp_path / name).write_text(text, "utf-8")
    assert main([str(tmp_path)]) == 1
    told = capsys.readouterr().out.splitlines()
    named = {line.split(": ")[0] for line in told}
    assert named == {str(tmp_path / name) for name in ("broken.json", "list.json", "other.json")}
    assert main([str(tmp_path / "missing.json")]) == 2
    assert main([]) == 2
