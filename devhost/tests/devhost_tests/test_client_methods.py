"""Each method of the durable client, called from a function of the app, has the same effect as on Azure."""

from __future__ import annotations

import inspect
import json
from typing import Any

import azure.durable_functions as df
import pytest

from devhost_tests.process import Client, until

PAGE = 100
"""The number of instances on a page."""


class Caller:
    """Calls client methods through the app. The instance ids of a test begin with a prefix of its own."""

    def __init__(self, host: Client, prefix: str) -> None:
        self.host, self.prefix = host, prefix

    def id(self, name: str) -> str:
        return f"{self.prefix}-{name}"

    def __call__(self, method: str, *args: Any, **named: Any) -> Any:
        answer = self.host.post(f"/api/v1/client/{method}", json={"args": args, "named": named})
        assert answer.status_code == 200, answer.text
        return answer.json()

    def waiting(self, name: str, value: Any = None, **named: Any) -> str:
        """An instance that waits for the event `go`."""
        instance = self.id(name)
        assert self("start_new", "waits", instance, value, **named) == {"returned": instance}
        until(lambda: (self.host.status(instance) or {}).get("customStatus") == "waiting", 20)
        return instance

    def done(self, name: str, value: Any = 1) -> str:
        """An instance that has completed."""
        instance = self.id(name)
        self("start_new", "calls", instance, {"name": "echo_later", "value": value})
        assert self.host.ended(instance)["runtimeStatus"] == "Completed"
        return instance


@pytest.fixture
def client(host: Client, request: pytest.FixtureRequest) -> Caller:
    return Caller(host, request.node.name.replace("[", "-").replace("]", ""))


def test_start_new_and_raise_event(client: Caller) -> None:
    """Input, version and event arrive; an event from the client arrives as text."""
    i = client.waiting("i", {"a": "ä"}, version="2.1")
    assert "with the status Running already exists" in client("start_new", "waits", i)["raised"]
    assert client("raise_event", i, "go", {"b": 1}) == {"returned": None}
    assert client.host.ended(i)["output"] == ["2.1", {"a": "ä"}, '{"b": 1}']
    assert "is gone" in client("raise_event", i, "go", 1)["raised"]
    assert "No instance with ID" in client("raise_event", client.id("unknown"), "go", 1)["raised"]
    made = client("start_new", "waits")["returned"]
    assert len(made) == 32


def test_get_status(client: Caller) -> None:
    """The status is read with and without input and history. That of an unknown instance is falsy."""
    i = client.done("i", 5)
    plain = client("get_status", i)["returned"]
    assert (plain["runtimeStatus"], plain["output"], plain["historyEvents"]) == ("Completed", 5, None)
    assert json.loads(plain["input"]) == {"name": "echo_later", "value": 5}
    events = client("get_status", i, show_history=True)["returned"]["historyEvents"]
    assert [e["EventType"] for e in events] == ["ExecutionStarted", "TaskCompleted", "ExecutionCompleted"]
    assert "Result" not in events[1]
    more = client("get_status", i, show_history=True, show_history_output=True)["returned"]["historyEvents"]
    assert (more[1]["Result"], more[1]["FunctionName"], more[2]["Result"]) == (5, "echo_later", 5)
    assert client("get_status", client.id("nobody")) == {"returned": None}


def test_get_status_all_and_by(client: Caller) -> None:
    """The client reads the statuses of all instances, or those of a time and status. It reads only the first page."""
    done, waiting = client.done("a"), client.waiting("b")
    since = {"time": client.host.status(done)["createdTime"]}
    latest = client("get_status_by", created_time_from=since)["returned"]
    assert {done, waiting} <= {s["instanceId"] for s in latest}
    everything = {s["instanceId"] for s in client("get_status_all")["returned"]}
    assert {done, waiting} <= everything or len(everything) == PAGE
    for number in range(PAGE):
        client("start_new", "waits", client.id(f"more-{number}"))
    assert len(client("get_status_all")["returned"]) == PAGE
    found = client(
        "get_status_by",
        created_time_from={"time": "2020-01-01"},
        created_time_to={"time": "2099-01-01"},
        runtime_status={"statuses": ["Running"]},
    )["returned"]
    assert {s["runtimeStatus"] for s in found} == {"Running"}
    assert client("get_status_by", created_time_from={"time": "2099-01-01"})["returned"] == []


def test_terminate_suspend_and_resume(client: Caller) -> None:
    """The status shows the reason of each call. A call has no effect on an ended instance, and raises for an unknown
    one."""
    i = client.waiting("i")
    assert client("suspend", i, "a pause & more") == {"returned": None}
    client.host.becomes(i, "Suspended")
    assert client.host.status(i)["output"] == "a pause & more"
    assert client("resume", i, "go on") == {"returned": None}
    client.host.becomes(i, "Running")
    assert client("terminate", i, "enough / now?") == {"returned": None}
    client.host.becomes(i, "Terminated")
    assert client.host.status(i)["output"] == "enough / now?"
    for verb in ("terminate", "suspend", "resume"):
        assert client(verb, i, "late") == {"returned": None}
        assert "No instance with ID" in client(verb, client.id("unknown"), "x")["raised"]


def test_rewind_and_restart(client: Caller) -> None:
    """A failed instance can be rewound. Any instance can be restarted, with its own id only after it has ended."""
    i = client.id("i")
    client("start_new", "calls", i, {"name": "exits_in_activity"})
    assert client.host.ended(i)["runtimeStatus"] == "Failed"
    assert client("rewind", i, "again") == {"returned": None}
    assert client.host.ended(i)["runtimeStatus"] == "Failed"
    assert "only orchestrations in the" in client("rewind", client.done("d"), "x")["raised"]
    again = client("restart", client.done("r", 7), restart_with_new_instance_id=False)["returned"]
    assert again["id"] == client.id("r"), "the client returns the whole answer, not the id"
    assert client.host.ended(client.id("r"))["output"] == 7
    other = client("restart", client.id("r"))["returned"]["id"]
    assert client.host.ended(other)["output"] == 7
    assert "status code 400" in client("restart", client.id("nobody"))["raised"]


def test_purging(client: Caller) -> None:
    """The client purges one finished instance, or many by time and status."""
    done, waiting = client.done("a"), client.waiting("b")
    assert client("purge_instance_history", done) == {"returned": 1}
    assert client("purge_instance_history", done) == {"returned": 0}
    assert "status code 412" in client("purge_instance_history", waiting)["raised"]
    client("terminate", waiting, "x")
    client.host.becomes(waiting, "Terminated")
    purged = client(
        "purge_instance_history_by",
        created_time_from={"time": "2020-01-01"},
        created_time_to={"time": "2099-01-01"},
        runtime_status={"statuses": ["Terminated"]},
    )
    assert purged["returned"] >= 1
    assert client.host.status(waiting) is None
    nothing = {"created_time_from": {"time": "2020-01-01"}, "created_time_to": {"time": "2020-01-02"}}
    assert client("purge_instance_history_by", **nothing) == {"returned": 0}


def test_entities(client: Caller) -> None:
    """Signals change the state; an unused entity does not exist."""
    entity = {"entity": ["total", client.prefix]}
    assert client("read_entity_state", entity) == {"returned": [False, None]}
    for n in (2, 3):
        assert client("signal_entity", entity, "add", n) == {"returned": None}
    until(lambda: client("read_entity_state", entity) == {"returned": [True, 5]}, 20)
    assert "status code 400" in client("signal_entity", {"entity": ["nobody", "k"]}, "add", 1)["raised"]


def test_links_and_waiting(client: Caller) -> None:
    """The links begin with the origin of the request. Waiting ends with the output, the failure or a 202."""
    i = client.waiting("i")
    links = client("create_http_management_payload", i)["returned"]
    assert links["statusQueryGetUri"].startswith(f"{client.host.base}/runtime/webhooks/durabletask/instances/{i}?")
    answer = client("create_check_status_response", "request", i)["returned"]
    assert (answer["status"], json.loads(answer["body"])["id"]) == (202, i)
    assert client("get_client_response_links", "request", i)["returned"]["id"] == i
    wait = "wait_for_completion_or_create_check_status_response"
    assert client(wait, "request", i, 200, 100)["returned"]["status"] == 202
    client.host.manage("POST", f"/instances/{i}/raiseEvent/go", json="now")
    assert json.loads(client(wait, "request", i, 10000, 100)["returned"]["body"]) == [None, None, "now"]
    client("start_new", "calls", client.id("f"), {"name": "exits_in_activity"})
    assert client(wait, "request", client.id("f"), 10000, 100)["returned"]["status"] == 500


def test_no_method_is_left_out() -> None:
    """This module calls every public method of the client."""
    source = inspect.getsource(inspect.getmodule(Caller))  # type: ignore[arg-type]
    methods = [n for n, _ in inspect.getmembers(df.DurableOrchestrationClient, inspect.isfunction) if n[0] != "_"]
    assert len(methods) > 15
    assert [m for m in methods if f'"{m}"' not in source] == []
