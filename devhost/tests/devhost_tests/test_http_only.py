"""A second process with only the HTTP functions, as on a plan where HTTP and durable functions scale separately."""

from __future__ import annotations

from devhost_tests.conftest import Start
from devhost_tests.process import Client


def call(host: Client, method: str, *args: object) -> object:
    return host.post(f"/api/v1/client/{method}", json={"args": args}).json()


def test_http_functions_run_in_another_process(start: Start) -> None:
    """The orchestrations that HTTP functions start run in the first process. Data in the memory of one process is not
    visible in the other."""
    engine = start()
    http = start("--http-only")
    assert http.base not in ("", engine.base)
    http.post("/api/v1/start/calls/i", json={"name": "count_up"})
    counted = engine.wait_for_end("i")["output"]
    assert counted.split()[1] == "1"
    assert http.get("/api/v1/count").text.split()[1] == "0"
    assert engine.get("/api/v1/count").text == counted
    assert http.get("/api/v1/count").text.split()[0] != counted.split()[0]


def test_the_client_and_the_management_api_work_in_the_http_process(start: Start) -> None:
    """All URLs in the responses lead to the process that got the request."""
    start()
    http = start("--http-only")
    links = http.post("/api/v1/start/waits/i", json=1).json()
    assert links["statusQueryGetUri"].startswith(http.base)
    http.wait_for_status("i", "Running")
    location = http.manage("GET", "/instances/i").headers["Location"]
    assert location.startswith(http.base)
    assert http.manage("POST", "/instances/i/raiseEvent/go", json={"a": 1}).status_code == 202
    assert http.wait_for_end("i")["output"] == [None, 1, {"a": 1}]
    assert call(http, "signal_entity", {"entity": ["total", "k"]}, "add", 2) == {"returned": None}
    assert http.post("/admin/functions/tick", json={}).status_code == 202
    assert http.post("/admin/devhost/faults", json={"latency": 0}).status_code == 200


def test_the_http_process_outlives_the_engine(start: Start) -> None:
    """Without the engine, the HTTP process answers 502. It finds the restarted engine on a different port."""
    engine = start()
    http = start("--http-only")
    engine.kill()
    assert http.manage("GET", "/instances/i").status_code == 502
    assert http.get("/api/v1/text").text == "just text"
    start()
    http.post("/api/v1/start/generations/i", data="0")
    assert http.wait_for_end("i")["output"] == "end"


def test_keys_are_those_of_the_engine(start: Start) -> None:
    """Both processes accept the same keys, because they belong to one app."""
    engine = start("--keys")
    engine.wait_for_log("devhost keys")
    key = engine.log.partition("host key ")[2].partition(",")[0]
    http = start("--http-only")
    assert http.get("/api/v1/text").status_code == 401
    assert http.get(f"/api/v1/text?code={key}").status_code == 200
    assert http.get("/admin/devhost/lost-logs").status_code == 401
    assert http.manage("GET", "/instances/i").status_code == 404


def test_each_process_reports_its_own_lost_lines(start: Start) -> None:
    """Each process reports its own lost lines."""
    engine = start()
    http = start("--http-only")
    http.get("/api/v1/logs/to-thread")
    assert http.get("/admin/devhost/lost-logs").json()["count"] == 1
    assert engine.get("/admin/devhost/lost-logs").json()["count"] == 0


def test_without_an_engine_the_http_process_does_not_start(start: Start) -> None:
    """The HTTP process does not start with a state that was never used, nor with a state whose devhost has ended."""
    early = start("--http-only")
    assert early.stop() == 2
    assert "no devhost uses the state" in early.log
    start().stop()
    late = start("--http-only")
    assert late.stop() == 2
    assert "no devhost uses the state" in late.log
