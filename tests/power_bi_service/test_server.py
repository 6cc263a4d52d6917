"""The service over sockets, and its command line."""

from __future__ import annotations

import http.client
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import requests

from dev.power_bi.server import PortTaken, Serving, serve
from dev.power_bi.service import PowerBiService
from tests.power_bi_service.world import BEARER, DATASET, FULL, PLAIN, REFRESHES, START

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 30  # on a busy machine; otherwise it takes a fraction of a second


@pytest.fixture
def serving() -> Iterator[Serving]:
    """A service over HTTP with knobs that exclude chance."""
    service = PowerBiService()
    service.set_defaults(PLAIN)
    with serve(service) as serving:
        yield serving


def test_a_refresh_over_http(serving: Serving) -> None:
    """Status, headers and body are those that the service returned, without additions."""
    url = serving.base_url + REFRESHES
    accepted = requests.post(url, json=FULL, headers=BEARER, timeout=SECONDS)
    assert (accepted.status_code, accepted.content) == (202, b"")
    assert accepted.headers["Content-Type"] == "application/octet-stream"
    assert accepted.headers["x-ms-request-id"] == accepted.headers["RequestId"]
    rows = requests.get(url + "?$top=1", headers=BEARER, timeout=SECONDS).json()["value"]
    assert rows[0]["requestId"] == accepted.headers["RequestId"]
    refused = requests.post(url, json=FULL, headers=BEARER, timeout=SECONDS)
    assert "already executing" in refused.json()["error"]["message"]
    assert "Content-Type" not in requests.get(url, timeout=SECONDS).headers


def test_control_over_http(serving: Serving) -> None:
    """Knobs, faults and records work over HTTP."""
    control = f"{serving.base_url}/control/datasets/{DATASET}"
    assert requests.post(control, json={"seconds": 5}, timeout=SECONDS).json()["knobs"]["seconds"] == 5
    assert requests.post(control, json={"colour": 5}, timeout=SECONDS).status_code == 400
    faults = f"{serving.base_url}/control/faults"
    requests.post(faults, json={"fault": "drop", "route": "start", "afterEffect": True}, timeout=SECONDS)
    with pytest.raises(requests.ConnectionError):
        requests.post(serving.base_url + REFRESHES, json=FULL, headers=BEARER, timeout=SECONDS)
    assert requests.get(control, timeout=SECONDS).json()["accepted"] == 1


def test_a_hanging_answer_does_not_block_other_calls(serving: Serving) -> None:
    """While an answer hangs, other calls get answers, and the server can be ended at once."""
    serving.service.add_fault({"fault": "hang", "seconds": 3600})
    host = serving.base_url.removeprefix("http://")
    waiting = http.client.HTTPConnection(host, timeout=SECONDS)
    waiting.request("GET", REFRESHES, headers=BEARER)
    while serving.service.report(DATASET, START)["calls"]["history"] == 0:
        pass
    assert requests.get(serving.base_url + REFRESHES, headers=BEARER, timeout=SECONDS).status_code == 200
    waiting.close()


def test_the_clock_is_a_parameter() -> None:
    """A test passes its own clock to the server, so that hours can pass."""
    times = iter([START, START + timedelta(hours=9)])
    with serve(PowerBiService(), clock=lambda: next(times)) as serving:
        dates = [requests.get(serving.base_url, timeout=SECONDS).headers["Date"] for _ in range(2)]
    assert dates == ["Mon, 23 Mar 2026 13:48:31 GMT", "Mon, 23 Mar 2026 22:48:31 GMT"]


def test_a_taken_port_is_refused(serving: Serving) -> None:
    """The error says what to do."""
    port = int(serving.base_url.rpartition(":")[2])
    with pytest.raises(PortTaken, match=f"port {port} is in use"), serve(PowerBiService(), port):
        pass


def command(*arguments: str) -> subprocess.Popen[str]:
    """The service as a process."""
    return subprocess.Popen(
        [sys.executable, "-m", "dev.power_bi", *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.skipif(sys.platform == "win32", reason="on Windows, a process cannot handle SIGTERM")
@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("quiet", [False, True])
def test_one_ready_line_a_line_for_each_request_and_a_clean_end(ending: signal.Signals, quiet: bool) -> None:
    """stdout has only the ready line; --quiet keeps stderr empty."""
    with command("--port", "0", *(["--quiet"] if quiet else [])) as process:
        assert process.stdout is not None
        ready = process.stdout.readline()
        found = re.fullmatch(r"power bi service ready: (http://127\.0\.0\.1:\d+)\n", ready)
        assert found
        requests.get(found[1] + REFRESHES, headers=BEARER, timeout=SECONDS)
        process.send_signal(ending)
        out, err = process.communicate(timeout=SECONDS)
    assert (process.returncode, out) == (0, "")
    assert [line.endswith(f" GET {REFRESHES} 200") for line in err.splitlines()] == ([] if quiet else [True])


def test_the_command_refuses_a_taken_port() -> None:
    """If the port is in use, the exit code is 2, with a message."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with command("--port", str(port)) as process:
            out, err = process.communicate(timeout=SECONDS)
    assert (process.returncode, out) == (2, "")
    assert err == f"power bi service: port {port} is in use; choose a different --port\n"
