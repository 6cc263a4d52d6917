"""The management API beyond the recordings, partly according to the source of the real extension."""

from __future__ import annotations

from urllib.parse import quote

import pytest
import requests

from devhost_tests.process import Client, until

JSON = {"Content-Type": "application/json"}


def start(host: Client, instance: str, function: str = "waits", value: str = "null") -> None:
    answer = host.manage("POST", f"/orchestrators/{function}/{instance}", data=value, headers=JSON)
    assert answer.status_code == 202
    if function == "waits":
        until(lambda: (host.status(instance) or {}).get("customStatus") == "waiting", 20)


def test_words_of_a_path_are_case_insensitive(host: Client) -> None:
    """The fixed words of a path may be in upper or lower case. Ids and names keep their case."""
    answer = host.manage("POST", "/Orchestrators/waits/Any-Case", data="{}", headers=JSON)
    assert answer.json()["id"] == "Any-Case"
    host.becomes("Any-Case", "Running")
    assert host.manage("POST", "/INSTANCES/Any-Case/raiseevent/go", json=1).status_code == 202
    assert host.ended("Any-Case")["output"] == [None, {}, 1]
    assert host.status("any-case") is None


@pytest.mark.parametrize("instance", ["with blank", "plus+sign", "ünïcode-日本", "a&b=c", "100%", "!*()_.~", "x" * 200])
def test_ids_in_urls(host: Client, instance: str) -> None:
    """The URL of a started instance leads to it."""
    quoted = quote(instance, safe="")
    links = host.manage("POST", f"/orchestrators/waits/{quoted}", data="1", headers=JSON).json()
    assert links["id"] == instance
    found = requests.get(links["statusQueryGetUri"], timeout=30)
    assert found.json()["instanceId"] == instance
    assert requests.post(links["terminatePostUri"].replace("{text}", "done"), timeout=30).status_code in (202, 410)


def test_the_input_is_stored_unchanged(host: Client) -> None:
    """Numbers keep their format, and keys their order; the history has the original text."""
    start(host, "raw", value=' {"b": 1.50, "a": 1e2} ')
    text = host.status("raw", "?showHistory=true")["historyEvents"][0]["Input"]
    assert text == ' {"b": 1.50, "a": 1e2} '
    assert host.status("raw")["input"] == {"b": 1.5, "a": 100.0}


def test_a_missing_instance_is_reported_before_a_bad_body(host: Client) -> None:
    """404 and 410 are checked first, then the content type, then the body."""
    text = {"Content-Type": "text/plain"}
    assert host.manage("POST", "/instances/nobody/raiseEvent/go", data="x", headers=text).status_code == 404
    start(host, "gone")
    host.manage("POST", "/instances/gone/terminate?reason=x")
    host.becomes("gone", "Terminated")
    assert host.manage("POST", "/instances/gone/raiseEvent/go", data="x", headers=text).status_code == 410


def test_waiting_starts(host: Client) -> None:
    """An interval that is longer than the wait is refused, but the start takes effect. If the instance fails, the
    answer is 200 with its status, even if the call requests a 500."""
    answer = host.manage("POST", "/orchestrators/waits/wait-1?timeout=1&pollingInterval=5", data="1", headers=JSON)
    assert answer.status_code == 400
    assert answer.json() == {"Message": "Total timeout 1 should be bigger than retry timeout 5"}
    assert host.status("wait-1") is not None
    path = "/orchestrators/calls/wait-2?timeout=20&pollingInterval=0.1&returnInternalServerErrorOnFailure=true"
    answer = host.manage("POST", path, data='{"name": "exits_in_activity"}', headers=JSON)
    assert (answer.status_code, answer.json()["runtimeStatus"]) == (200, "Failed")
    path = "/instances/wait-2/restart?restartWithNewInstanceId=false&timeout=20&pollingInterval=0.1"
    assert host.manage("POST", path).json()["runtimeStatus"] == "Failed"


def test_pages(host: Client) -> None:
    """Continuation tokens lead through all pages, for any ids; every instance is on exactly one page."""
    ids = [f"päge-{n:02}" for n in range(7)]
    for instance in ids:
        start(host, instance, "generations", "0")
    seen: list[str] = []
    token = ""
    while True:
        page = host.manage("GET", "/instances?instanceIdPrefix=päge-&top=3", headers={"x-ms-continuation-token": token})
        seen += [s["instanceId"] for s in page.json()]
        token = page.headers["x-ms-continuation-token"]
        if not token:
            break
        assert len(page.json()) == 3
    assert seen == ids
    bad = host.manage("GET", "/instances", headers={"x-ms-continuation-token": "ü".encode()})
    assert bad.status_code == 400


def test_lists_by_time(host: Client) -> None:
    """A period includes its start and its end. An invalid time is ignored."""
    start(host, "timed")
    created = host.status("timed")["createdTime"]

    def found(query: str) -> bool:
        listed = host.manage("GET", f"/instances?instanceIdPrefix=timed&{query}").json()
        return [s["instanceId"] for s in listed] == ["timed"]

    assert found(f"createdTimeFrom={created}")
    assert not found("createdTimeTo=2000-01-01T00:00:00Z")
    assert found("createdTimeTo=2099-01-01T00:00:00Z&runtimeStatus=Pending,Running")
    assert not found("runtimeStatus=Completed")
    assert found("createdTimeFrom=yesterday")


def test_entities(host: Client) -> None:
    """The tested cases: the empty key, a body that is not JSON, an unknown entity, and the list with its pages."""
    assert host.manage("POST", "/entities/total?op=add", json="7").status_code == 202
    until(lambda: host.manage("GET", "/entities/total/$").text == "7", 20)
    bad = host.manage("POST", "/entities/total/k2?op=add", data="{a", headers=JSON)
    assert bad.status_code == 400
    assert bad.json()["Message"].startswith("Could not parse JSON content: ")
    assert host.manage("GET", "/entities/total/nobody").status_code == 404
    listed = host.manage("GET", "/Entities/Total?fetchState=true&top=1")
    assert listed.json()[0]["entityId"]["name"] == "total"
    assert host.manage("DELETE", "/instances/@total@").json() == {"instancesDeleted": 1}
    assert host.manage("DELETE", "/instances/@total@").json() == {"instancesDeleted": 0}
    assert host.manage("GET", "/entities/total/$").status_code == 404


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/orchestrators/waits"),
        ("PUT", "/instances/x"),
        ("POST", "/instances/x"),
        ("POST", "/instances/x/nonsense"),
        ("GET", "/instances/x/terminate"),
        ("POST", "/instances/x/raiseEvent"),
        ("POST", "/orchestrators"),
        ("HEAD", "/instances/x"),
        ("OPTIONS", "/instances/x"),
    ],
)
def test_an_unknown_path_is_an_empty_404(host: Client, method: str, path: str) -> None:
    """An unknown path or a wrong method gets a 404 without a body."""
    answer = host.manage(method, path)
    assert (answer.status_code, answer.content) == (404, b"")


def test_nan_and_infinity_become_texts(host: Client) -> None:
    """NaN and infinity become texts: Python's JSON has them, but that of the extension does not."""
    start(host, "nan", "calls", '{"name": "echo_later", "value": [NaN, Infinity, {"a": -Infinity}]}')
    assert host.ended("nan")["output"] == ["NaN", "Infinity", {"a": "-Infinity"}]


def test_half_a_surrogate_pair(host: Client) -> None:
    """Half of a surrogate pair becomes the replacement character, as in all output of .NET."""
    start(host, "half", "calls", '{"name": "echo_later", "value": "\\ud800x"}')
    ended = host.ended("half")
    assert (ended["input"]["value"], ended["output"]) == ("\ufffdx", "\ufffdx")
