"""Unfriendly behaviour of the platform, over HTTP: latency, failing reads, one pool of threads, lost log lines."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from devhost.app.threads import thread_count
from devhost_tests.conftest import Start
from devhost_tests.process import Client, Devhost, until

FAULTS = "/admin/devhost/faults"
LOST = "/admin/devhost/lost-logs"
NO_FAULTS = {"latency": 0.0, "internalLatency": 0.0, "blobReadsFail": 0.0}


@pytest.fixture
def set_faults(host: Client) -> Iterator[Callable[..., Any]]:
    """Changes the faults of the shared host for one test."""

    def change(**faults: Any) -> Any:
        answer = host.post(FAULTS, json=faults)
        assert answer.status_code == 200, answer.text
        return answer.json()

    if host.get(FAULTS).status_code != 200:
        pytest.skip("only a devhost has faults that can be switched")
    yield change
    change(**NO_FAULTS)


def call(host: Client, method: str, *args: Any) -> Any:
    return host.post(f"/api/v1/client/{method}", json={"args": args}).json()


# ---- latency and failing reads ------------------------------------------------------------------------------------


def test_latency_can_be_switched_on_and_off(host: Client, set_faults: Callable[..., Any]) -> None:
    """Starts and signals are accepted at once and arrive later, through the client and the management API."""
    assert set_faults(latency=3600) == {**NO_FAULTS, "latency": 3600.0}
    assert call(host, "start_new", "generations", "late-1", 0) == {"returned": "late-1"}
    assert host.manage("POST", "/orchestrators/generations/late-2", json="0").status_code == 202
    assert call(host, "signal_entity", {"entity": ["total", "late"]}, "add", 1) == {"returned": None}
    assert host.manage("POST", "/entities/total/late?op=add", json="1").status_code == 202
    set_faults(latency=0)
    host.post("/api/v1/start/generations/in-time", data="0")
    assert host.wait_for_end("in-time")["output"] == "end"
    assert [host.status(f"late-{n}")["runtimeStatus"] for n in (1, 2)] == ["Pending", "Pending"]
    assert host.manage("GET", "/entities/total/late").status_code == 404
    assert call(host, "read_entity_state", {"entity": ["total", "late"]}) == {"returned": [False, None]}


def test_late_messages_survive_a_kill(start: Start) -> None:
    """Messages that were accepted before kill -9 arrive after the next start."""
    first = start("--latency", "2", "--seed", "3")
    for n in range(10):
        assert first.manage("POST", "/entities/total/sum?op=add", json="1").status_code == 202
        assert first.post(f"/api/v1/start/generations/g{n}", data="0").status_code == 202
    first.kill()
    second = start()
    for n in range(10):
        assert second.wait_for_end(f"g{n}")["output"] == "end"
    until(lambda: second.manage("GET", "/entities/total/sum").text == "10", 20)


def test_reads_of_a_rewritten_blob_fail(host: Client, set_faults: Callable[..., Any]) -> None:
    """While a blob is rewritten, its reads answer 500. The client raises an exception for an entity, and reports an
    instance as missing."""
    entity = {"entity": ["large", "blob"]}

    def fill(count: int) -> None:
        host.manage("POST", "/entities/large/blob?op=fill", json=str(count))

    def exists() -> Any:
        return host.manage("GET", "/entities/large/blob")

    fill(40_000)
    until(lambda: exists().status_code == 200, 20)
    set_faults(blobReadsFail=1)
    fill(40_001)
    until(lambda: exists().status_code == 500, 20)
    assert len(exists().json()) == 40_001
    fill(40_002)
    until(lambda: "raised" in call(host, "read_entity_state", entity), 20)
    fill(40_003)
    until(lambda: host.manage("GET", "/instances/@large@blob").status_code == 500, 20)
    fill(3)
    until(lambda: call(host, "get_status", "@large@blob") == {"returned": None}, 20)
    assert call(host, "read_entity_state", entity) == {"returned": [True, "xxx"]}


def test_the_body_of_a_failing_read(host: Client, set_faults: Callable[..., Any]) -> None:
    """The body of a failing read is the usual JSON of an exception."""
    for count in ("40000", "40001"):
        host.manage("POST", "/entities/large/body?op=fill", json=count)
    set_faults(blobReadsFail=1)
    host.manage("POST", "/entities/large/body?op=fill", json="5")
    seen: list[Any] = []

    def failed() -> bool:
        answer = host.manage("GET", "/entities/large/body")
        seen.append(answer)
        return answer.status_code == 500

    until(failed, 20)
    assert seen[-1].json() == {
        "Message": "Something went wrong while processing your request",
        "ExceptionMessage": "The specified blob does not exist.",
        "ExceptionType": "DurableTask.AzureStorage.Storage.DurableTaskStorageException",
        "StackTrace": "",
    }


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ("[1]", "must be a JSON object"),
        ("{", "must be a JSON object"),
        ('{"latncy": 1}', "there is no fault 'latncy'; the faults are latency"),
        ('{"latency": "1"}', "latency must be a number"),
        ('{"latency": -1}', "from 0 to 3600"),
        ('{"latency": NaN}', "from 0 to 3600"),
        ('{"blobReadsFail": 2}', "a probability from 0 to 1"),
    ],
)
def test_wrong_faults_are_refused(host: Client, body: str, sentence: str) -> None:
    """The message gives the reason, and no fault changes."""
    answer = host.post(FAULTS, data=body)
    assert answer.status_code == 400
    assert sentence in answer.json()["Message"]
    assert host.get(FAULTS).json() == NO_FAULTS


def test_wrong_faults_on_the_command_line_are_refused(start: Start) -> None:
    """Wrong faults on the command line are refused like those in a request."""
    host = start("--latency", "-1")
    assert host.stop() == 2
    assert "latency must be a number of seconds" in host.log


def test_admin_routes_need_the_master_key(start: Start) -> None:
    """If keys are checked, the admin routes need the master key."""
    host = start("--keys")
    assert [host.get(path).status_code for path in (FAULTS, LOST)] == [401, 401]


# ---- threads ------------------------------------------------------------------------------------------------------


def test_all_synchronous_functions_share_one_pool(start: Start, scratch: Any) -> None:
    """If the pool has one thread, an activity that blocks it stops all orchestrators, entities and synchronous
    functions."""
    host = start(PYTHON_THREADPOOL_THREAD_COUNT="1")
    host.post("/api/v1/start/note_in_activity/blocks", json={"file": "blocks", "until": "blocks-may-end"})
    until(lambda: (scratch / "blocks").exists(), 20)
    host.post("/api/v1/start/generations/waits", data="0")
    host.manage("POST", "/entities/total/waits?op=add", json="1")
    assert host.get("/api/v1/open").text == "open_to_all hello", "asynchronous functions run"
    assert host.status("waits")["runtimeStatus"] == "Pending"
    assert host.manage("GET", "/entities/total/waits").status_code == 404
    (scratch / "blocks-may-end").touch()
    assert host.wait_for_end("waits")["output"] == "end"
    until(lambda: host.manage("GET", "/entities/total/waits").text == "1", 20)


def test_asynchronous_functions_have_a_pool_of_their_own(host: Client) -> None:
    """Asynchronous functions run on one loop. asyncio.to_thread does not use the threads of the synchronous
    functions."""
    host.post("/api/v1/start/calls/threads-1", json={"name": "async_threads"})
    host.post("/api/v1/start/calls/threads-2", json={"name": "thread_name"})
    loop, other = host.wait_for_end("threads-1")["output"]
    assert loop == "app-async"
    assert other.startswith("app-executor-")
    assert host.wait_for_end("threads-2")["output"].startswith("function-")


def test_the_number_of_threads_is_that_of_the_worker(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The pool has min(32, cores + 4) threads, or the number in the app setting. An invalid number is logged and
    ignored."""
    name, usual = "PYTHON_THREADPOOL_THREAD_COUNT", min(32, (os.cpu_count() or 1) + 4)
    monkeypatch.delenv(name, raising=False)
    assert thread_count() == usual
    monkeypatch.setenv(name, "3")
    assert thread_count() == 3
    for nonsense in ("0", "many", "-1"):
        monkeypatch.setenv(name, nonsense)
        assert thread_count() == usual
    assert "must be a whole number above zero, not 'many'" in caplog.text


def test_a_thread_of_the_loops_pool_does_not_keep_the_host_from_ending(start: Start) -> None:
    """SIGTERM ends the host although a function's asyncio.to_thread never returns."""
    host = start()
    host.manage("POST", "/orchestrators/calls/stuck", json='{"name": "never_comes_back"}')
    host.wait_for_log("it hangs")
    host.stop()
    assert host.process.returncode is not None


# ---- lost log lines -----------------------------------------------------------------------------------------------


@pytest.fixture
def logged(host: Client) -> Callable[[str], list[dict[str, str]]]:
    """Calls a function that logs. Returns the lost lines."""
    if not isinstance(host, Devhost) or host.get(LOST).status_code != 200:
        pytest.skip("the log of that host cannot be read")
    assert host.delete(LOST).status_code == 204

    def begin(path: str) -> list[dict[str, str]]:
        host.get(f"/api/v1/{path}")
        lost: list[dict[str, str]] = host.get(LOST).json()["first"]
        return lost

    return begin


@pytest.mark.parametrize("path", ["logs/task", "logs/child-task", "logs/to-thread-with-id", "sync-logs"])
def test_lines_of_an_invocation_are_kept(host: Client, logged: Callable[[str], Any], path: str) -> None:
    """The lines that are kept are those from an invocation's task, tasks that it creates, its thread, and a thread that
    got the invocation's id."""
    assert logged(path) == []
    assert isinstance(host, Devhost)
    host.wait_for_log(f"WARNING app: {path.rpartition('/')[2].removesuffix('-logs')}")


@pytest.mark.parametrize("kind", ["to-thread", "own-thread"])
def test_lines_of_other_threads_are_lost(host: Client, logged: Callable[[str], Any], kind: str) -> None:
    """Lines of other threads are not in the log. The report has their logger, thread and reason."""
    (line,) = logged(f"logs/{kind}")
    assert (line["logger"], line["level"], line["message"]) == ("app", "WARNING", kind)
    # A thread of a pool keeps the id that earlier code set there and did not reset.
    assert line["reason"] == "no invocation" or kind == "to-thread"
    assert line["thread"].startswith("app-executor" if kind == "to-thread" else "of-the-app")
    assert isinstance(host, Devhost)
    assert f"WARNING app: {kind}" not in host.lines


def test_lines_after_the_end_of_an_invocation_are_lost(logged: Callable[[str], Any]) -> None:
    """A task that outlives its invocation still has the invocation's id, but its lines are lost."""
    assert logged("logs/after-the-end") == []
    (line,) = logged("logs/open-the-gate")
    assert (line["message"], line["reason"]) == ("after the end", "the invocation has ended")


def test_lost_lines_are_reported_once_and_at_the_end(start: Start) -> None:
    """There is one warning for the first line, and a summary on stderr at the end. The count is exact."""
    host = start()
    for n in range(3):
        host.post(f"/api/v1/start/calls/a{n}", json={"name": "logs_in_pool", "value": f"a{n}"})
    for n in range(3):
        host.wait_for_end(f"a{n}")
    assert host.get(LOST).json()["count"] == 3
    host.stop()
    assert host.log.count("a log line is lost, as on Azure") == 1
    assert "devhost: 3 log lines were lost, as on Azure:" in host.log
    assert "WARNING app (ThreadPoolExecutor-0_0, no invocation): pool a" in host.log
    assert "WARNING app: activity a2" in host.log.replace("  ", " ")


def test_without_lost_lines_there_is_no_summary(start: Start) -> None:
    """If no lines are lost, no summary is printed at the end."""
    host = start()
    host.get("/api/v1/sync-logs")
    host.stop()
    assert "lost" not in host.log
