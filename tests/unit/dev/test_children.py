"""Servers started for a demo: waited for, watched, never left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from dev.children import Child, ChildFailed, ended_by_signals
from dev.environment import ROOT

SERVES = "import time; print('it is ready: http://127.0.0.1:5 (x)', flush=True); time.sleep(600)"
STUBBORN = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {SERVES}"


def child(tmp_path: Path, code: str) -> Child:
    return Child("the server", [sys.executable, "-c", code], tmp_path / "log", os.environ)


def test_ready_line_gives_the_url(tmp_path: Path) -> None:
    """The block has the URL; after it the process is gone."""
    with child(tmp_path, SERVES) as server:
        assert server.wait_until_ready() == "http://127.0.0.1:5"
        server.check()
    with pytest.raises(ChildFailed, match="exit code"):
        server.check()


def test_a_server_that_dies_shows_the_end_of_its_log(tmp_path: Path) -> None:
    """Instead of waiting for a line that will never come."""
    with (
        child(tmp_path, "import sys; sys.exit('the port is taken')") as server,
        pytest.raises(ChildFailed, match=r"(?s)the server ended with exit code 1.*the port is taken"),
    ):
        server.wait_until_ready()


def test_a_server_that_says_nothing_is_given_up(tmp_path: Path) -> None:
    """After the time it was given."""
    with child(tmp_path, "input()" if os.name == "nt" else SERVES.replace("ready", "busy")) as server:
        with pytest.raises(ChildFailed, match="was not ready after 0 s"):
            server.wait_until_ready(0)
        server.check()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGTERM that could be ignored")
def test_a_server_that_will_not_end_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Politeness has an end."""
    monkeypatch.setattr("dev.children.END_SECONDS", 0.1)
    with child(tmp_path, STUBBORN) as server:
        server.wait_until_ready()
    with pytest.raises(ChildFailed, match="exit code -9"):
        server.check()


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, getattr(signal, "SIGHUP", signal.SIGTERM)])
def test_no_server_outlives_the_one_who_started_it(tmp_path: Path, number: signal.Signals) -> None:
    """SIGTERM, Ctrl-C and a closed terminal end the children, too."""
    code = f"""
import os, sys
from pathlib import Path
from dev.children import Child, ended_by_signals
command = [sys.executable, "-c", {SERVES!r}]
with ended_by_signals(), Child("x", command, Path({str(tmp_path / "log")!r}), os.environ) as server:
    server.wait_until_ready()
    print(server._process.pid, flush=True)
    server._process.wait()
"""
    parent = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    with parent:
        assert parent.stdout
        pid = int(parent.stdout.readline())
        parent.send_signal(number)
        assert parent.wait(20) != 0
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_signal_handlers_are_given_back() -> None:
    """The block changes them for itself only."""
    before = signal.getsignal(signal.SIGTERM)
    with ended_by_signals():
        assert signal.getsignal(signal.SIGTERM) != before
    assert signal.getsignal(signal.SIGTERM) == before
