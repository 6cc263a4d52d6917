"""Servers are awaited and watched, and never outlive the command that started them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from dev.environment import ROOT
from dev.processes import Server, ServerFailed, ended_by_signals

SERVES = "import time; print('it is ready: http://127.0.0.1:5 (x)', flush=True); time.sleep(600)"
STUBBORN = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {SERVES}"


def server_of(tmp_path: Path, code: str) -> Server:
    return Server("the server", [sys.executable, "-c", code], tmp_path / "log", os.environ)


def test_ready_line_gives_the_url(tmp_path: Path) -> None:
    """The ready line of a server has its URL. When the block ends, the server has ended."""
    with server_of(tmp_path, SERVES) as server:
        assert server.wait_until_ready() == "http://127.0.0.1:5"
        server.check()
    with pytest.raises(ServerFailed, match="exit code"):
        server.check()


def test_the_end_of_the_log_of_a_dead_server_is_shown(tmp_path: Path) -> None:
    """If a server dies, waiting for its ready line ends at once, and the end of its log is shown."""
    with (
        server_of(tmp_path, "import sys; sys.exit('the port is taken')") as server,
        pytest.raises(ServerFailed, match=r"(?s)the server ended with exit code 1.*the port is taken"),
    ):
        server.wait_until_ready()


def test_waiting_for_a_server_has_a_limit(tmp_path: Path) -> None:
    """A server without a ready line is reported after the limit."""
    with server_of(tmp_path, "input()" if os.name == "nt" else SERVES.replace("ready", "busy")) as server:
        with pytest.raises(ServerFailed, match="was not ready after 0 s"):
            server.wait_until_ready(0)
        server.check()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGTERM that could be ignored")
def test_a_server_that_ignores_sigterm_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that ignores SIGTERM is killed after END_SECONDS."""
    monkeypatch.setattr("dev.processes.END_SECONDS", 0.1)
    with server_of(tmp_path, STUBBORN) as server:
        server.wait_until_ready()
    with pytest.raises(ServerFailed, match="exit code -9"):
        server.check()


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, getattr(signal, "SIGHUP", signal.SIGTERM)])
def test_no_server_outlives_its_parent(tmp_path: Path, number: signal.Signals) -> None:
    """SIGTERM, Ctrl-C and a closed terminal also end the servers."""
    code = f"""
import os, sys, time
from pathlib import Path
from dev.processes import Server, ended_by_signals
command = [sys.executable, "-c", {SERVES!r}]
with ended_by_signals(), Server("x", command, Path({str(tmp_path / "log")!r}), os.environ) as server:
    server.wait_until_ready()
    print(server._process.pid, flush=True)
    # not Popen.wait: Python handles a signal that arrives just before a blocking call only after that call
    while True:
        time.sleep(0.1)
"""
    parent = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    with parent:
        assert parent.stdout
        pid = int(parent.stdout.readline())
        parent.send_signal(number)
        assert parent.wait(60) != 0
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_signal_handlers_are_restored() -> None:
    """The block changes the signal handlers, and restores them at its end."""
    before = signal.getsignal(signal.SIGTERM)
    with ended_by_signals():
        assert signal.getsignal(signal.SIGTERM) != before
    assert signal.getsignal(signal.SIGTERM) == before
