"""The app in the platform's own worker library (`azure-functions-runtime`), which Python 3.13 and newer use in Azure.

The tests index the app and invoke each kind of function with the messages that the host sends. Without the host, they
do not cover its gRPC channel, its routing and keys, how it filters log lines by category, and the Durable extension
(the development host and the recordings of the real engine replace it). Nor do they cover the older worker of Python
3.11 and 3.12, which has the same rules for annotations."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.worker.conftest import PROBE, ROOT, Json, drive, hosted

STARTED = "2026-03-23T13:48:31.0000000Z"
HISTORY = [
    {"EventType": 12, "EventId": -1, "IsPlayed": False, "Timestamp": STARTED},
    {"EventType": 0, "EventId": -1, "IsPlayed": False, "Timestamp": STARTED, "Name": "x", "Version": "", "Input": None},
]
ORCHESTRATION = {
    "history": HISTORY,
    "input": None,
    "instanceId": "instance",
    "isReplaying": False,
    "parentInstanceId": None,
    "upperSchemaVersion": 1,
    "upperSchemaVersionNew": 2,
}
ENTITY: Json = {"self": {"name": "x", "key": "k"}, "state": None, "exists": False, "batch": []}
TIMER = {"IsPastDue": False, "ScheduleStatus": {"Last": STARTED, "Next": STARTED, "LastUpdated": STARTED}}
PARAMETERS = {
    "id": "22222222-aaaa-bbbb-cccc-000000000002",
    "name": "not-a-file",
    "datasetId": "22222222-aaaa-bbbb-cccc-000000000002",
}
KINDS = {
    "httpTrigger": "http",
    "timerTrigger": "timer",
    "activityTrigger": "activity",
    "orchestrationTrigger": "orchestration",
    "entityTrigger": "entity",
}


def trigger_of(function: Json) -> Json:
    """The binding that starts a function."""
    (found,) = [binding for binding in function["bindings"] if binding["type"] in KINDS]
    return dict(found)


def input_of(trigger: Json) -> Json:
    """The minimum that the host sends to start a function."""
    if trigger["type"] != "httpTrigger":
        content: dict[str, Json] = {
            "timerTrigger": {"json": TIMER},
            "activityTrigger": {"string": "{}"},
            "orchestrationTrigger": {"string": ORCHESTRATION},
            "entityTrigger": {"string": ENTITY},
        }
        return content[trigger["type"]]
    url = f"http://127.0.0.1/api/{trigger['route']}"
    method = next(iter(trigger.get("methods") or ["GET"])).upper()
    headers = {"content-type": "application/json"}
    return {"http": {"method": method, "url": url, "headers": headers, "params": PARAMETERS, "body": "{}"}}


@cache
def indexed() -> list[Json]:
    """The functions of the app that the worker reports to the host."""
    result = drive(ROOT)
    assert result["init"]["ok"], result["init"]["problem"]
    return list(result["functions"])


@cache
def invoked() -> tuple[dict[str, Json], list[Json]]:
    """Invokes each function of the app once. Returns the responses by name, and all log lines."""
    triggers = {function["name"]: trigger_of(function) for function in indexed()}
    orders = [{"function": name, "inputs": {trigger["name"]: input_of(trigger)}} for name, trigger in triggers.items()]
    result = drive(ROOT, *orders)
    return dict(zip(triggers, result["responses"], strict=True)), result["lines"]


def responses(kind: str) -> dict[str, Json]:
    """The responses of all functions of one kind."""
    names = {function["name"] for function in indexed() if KINDS[trigger_of(function)["type"]] == kind}
    found = {name: response for name, response in invoked()[0].items() if name in names}
    assert found
    return found


def test_every_annotation_of_a_binding_is_a_class() -> None:
    """On any Python, every annotation of a binding has to be a class. From 3.11 on, `dict[str, Any]` is not a class;
    with it, the worker loads no function."""
    functions = hosted(ROOT)
    assert functions
    for function in functions:
        assert all(function["classes"].values()), f"{function['name']}: {function['classes']}"


@pytest.mark.usefixtures("worker")
def test_the_app_is_indexed_as_the_development_host_finds_it() -> None:
    """Both find the same functions of the same kinds, and every kind occurs. Names differ by more than case."""
    found = {function["name"]: KINDS[trigger_of(function)["type"]] for function in indexed()}
    assert found == {function["name"]: function["kind"] for function in hosted(ROOT)}
    assert set(found.values()) == set(KINDS.values())
    assert len({name.lower() for name in found}) == len(found)


@pytest.mark.usefixtures("worker")
def test_the_bindings_fill_the_same_parameters() -> None:
    """The parameters are the trigger and the durable client. The result is returned with the binding `$return` or
    without one."""
    found = {
        function["name"]: {binding["name"] for binding in function["bindings"] if binding["direction"] == "IN"}
        for function in indexed()
    }
    assert found == {function["name"]: set(function["parameters"]) for function in hosted(ROOT)}
    for function in indexed():
        outgoing = [binding["type"] for binding in function["bindings"] if binding["direction"] == "OUT"]
        assert outgoing == (["http"] if trigger_of(function)["type"] == "httpTrigger" else []), function["name"]


@pytest.mark.usefixtures("worker")
def test_http_functions_answer() -> None:
    """Each of them answers an empty request without an exception."""
    for name, response in responses("http").items():
        assert response["ok"], f"{name}: {response['exception']}"
        value = response["value"]
        assert value["kind"] == "http"
        assert 200 <= int(value["status"]) < 500, f"{name}: {value}"
        if name == "http_ui":
            assert value["body"].startswith("<!doctype html>")
        else:
            assert isinstance(json.loads(value["body"]), dict), name


@pytest.mark.usefixtures("worker")
def test_timers_run() -> None:
    """Every timer runs in an app without data."""
    for name, response in responses("timer").items():
        assert response["ok"], f"{name}: {response['stack']}"
        assert response["value"]["value"] is None, name


@pytest.mark.usefixtures("worker")
def test_activities_are_reached() -> None:
    """The app's own code refuses an invalid order, or answers in JSON."""
    for name, response in responses("activity").items():
        if response["ok"]:
            json.loads(response["value"]["value"])
        else:
            assert str(ROOT / "activities") in response["stack"], f"{name}: {response['stack']}"


@pytest.mark.usefixtures("worker")
def test_orchestrators_answer_with_their_actions() -> None:
    """An orchestrator answers with actions, or fails because of its invalid input with the text that the extension
    parses."""
    for name, response in responses("orchestration").items():
        if response["ok"]:
            answer = json.loads(response["value"]["value"])
            assert {"isDone", "actions", "schemaVersion"} <= set(answer), name
        else:
            assert "$OutOfProcData$:" in response["exception"], f"{name}: {response['exception']}"


@pytest.mark.usefixtures("worker")
def test_entities_answer_with_their_state() -> None:
    """An entity answers an empty batch with its unchanged state."""
    for name, response in responses("entity").items():
        assert response["ok"], f"{name}: {response['stack']}"
        answer = json.loads(response["value"]["value"])
        assert (answer["entityExists"], answer["results"], answer["signals"]) == (False, [], []), name


@pytest.mark.usefixtures("worker")
def test_no_log_line_of_the_app_is_lost() -> None:
    """Each line is assigned to an invocation; the host would drop other lines."""
    answers, lines = invoked()
    invocations = {response["invocation"] for response in answers.values()}
    assert [line for line in lines if line["invocation"] not in invocations] == []


@pytest.mark.usefixtures("worker")
def test_the_lines_that_the_platform_keeps() -> None:
    """The platform keeps lines of the worker's own tasks and threads, and of threads to which our pool passes the id.
    It keeps no others."""
    request: dict[str, Any] = {"http": {"method": "GET", "url": "http://127.0.0.1/api/x"}}
    names = ("on_the_loop", "on_a_thread")
    result = drive(PROBE, *({"function": name, "inputs": {"req": request}} for name in names))
    assert result["init"]["ok"], result["init"]["problem"]
    invocations = {response["invocation"]: name for response, name in zip(result["responses"], names, strict=True)}
    kept = {line["text"]: invocations.get(line["invocation"]) for line in result["lines"]}
    assert kept == {
        "own task": "on_the_loop",
        "child task": "on_the_loop",
        "to_thread": None,
        "executor": None,
        "thread": None,
        "pool": "on_the_loop",
        "sync function": "on_a_thread",
    }
    threads = {line["text"]: line["thread"] for line in result["lines"]}
    assert threads["own task"] == threads["child task"] == "loop"
    assert threads["sync function"].startswith("ThreadPoolExecutor")


@pytest.mark.usefixtures("worker")
def test_an_app_with_an_annotation_that_is_not_a_class_is_not_loaded(tmp_path: Path) -> None:
    """The library loads none of the functions of such an app. This is the reason for the rule about annotations."""
    (tmp_path / "function_app.py").write_text(
        "import azure.functions as func\n"
        "app = func.FunctionApp()\n"
        "@app.generic_trigger(arg_name='order', type='activityTrigger')\n"
        "def activity(order: dict[str, str]):\n"
        "    return order\n"
    )
    result = drive(tmp_path)
    assert not result["init"]["ok"]
    assert "invalid non-type annotation" in result["init"]["problem"]
