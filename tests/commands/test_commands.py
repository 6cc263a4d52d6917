"""The commands of dev.py, run in processes as on a command line."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DEMO_SECONDS = 210  # ten times as long as on an idle machine


def dev(*arguments: str) -> list[str]:
    return [sys.executable, str(ROOT / "dev.py"), *arguments]


@pytest.fixture
def inside() -> None:
    """Skips the test outside the project's environment, because dev.py would then create it."""
    if Path(sys.prefix).resolve() != (ROOT / ".venv").resolve():
        pytest.skip("this Python is not that of .venv, so dev.py would create and install .venv first")


@pytest.mark.usefixtures("inside")
def test_every_outcome_in_the_demo_is_correct(tmp_path: Path) -> None:
    """Five callers receive outcomes from the app, and Power BI's own records agree with each of them."""
    done = subprocess.run(dev("run"), cwd=tmp_path, capture_output=True, text=True, timeout=DEMO_SECONDS, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert sum(line.endswith(" yes") for line in lines) == 5
    assert any(line.startswith("Load warehouses Stock Failed #2 ") for line in lines)
    assert "All outcomes are correct: Power BI's own records agree." in lines
    assert "Power BI ran 3 refreshes for 5 callers." in lines
    readme = (ROOT / "README.md").read_text("utf-8").splitlines()
    heading = next(line for line in readme if line.startswith("     caller "))
    assert " ".join(heading.split()) in lines


@pytest.mark.usefixtures("inside")
@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_host_replaces_the_process_of_the_command(tmp_path: Path, number: signal.Signals) -> None:
    """The host prints its routes and one ready line. A signal to the command reaches the host, which stops cleanly."""
    command = dev("host", "--port", "0", "--state", str(tmp_path / "state"), "--power-bi", "http://127.0.0.1:9")
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as host:
        try:
            assert host.stdout
            assert host.stderr
            assert host.stdout.readline().startswith("devhost ready: http://127.0.0.1:")
            host.send_signal(number)
            assert host.wait(30) == 0
            assert host.stdout.read() == ""
            assert "/api/refreshes" in host.stderr.read()
        finally:
            host.kill()
