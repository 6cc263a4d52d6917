"""The commands as a person gives them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DEMO_SECONDS = 110  # about 21 alone


def dev(*arguments: str) -> list[str]:
    return [sys.executable, str(ROOT / "dev.py"), *arguments]


@pytest.fixture
def inside() -> None:
    """dev.py would make the project's environment; the tests must run in it already."""
    if Path(sys.prefix).resolve() != (ROOT / ".venv").resolve():
        pytest.skip("not run by dev.py test: this Python is not that of .venv")


@pytest.mark.usefixtures("inside")
def test_the_demo_tells_the_truth(tmp_path: Path) -> None:
    """Five callers get their verdicts from the real app, and Power BI's own books agree with each of them."""
    done = subprocess.run(dev("run"), cwd=tmp_path, capture_output=True, text=True, timeout=DEMO_SECONDS, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert sum(line.endswith(" yes") for line in lines) == 5
    assert any(line.startswith("Load warehouses Stock Failed #2 ") for line in lines)
    assert "All verdicts are right." in lines
    assert "Power BI ran 3 refreshes for 5 callers." in lines


@pytest.mark.usefixtures("inside")
@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_hosted_app_is_the_process_that_was_started(tmp_path: Path, number: signal.Signals) -> None:
    """One ready line; a signal to the command reaches the host itself and ends it cleanly."""
    command = dev("host", "--port", "0", "--state", str(tmp_path / "state"), "--power-bi", "http://127.0.0.1:9")
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as host:
        try:
            assert host.stdout
            assert host.stdout.readline().startswith("devhost ready: http://127.0.0.1:")
            host.send_signal(number)
            assert host.wait(30) == 0
            assert host.stdout.read() == ""
        finally:
            host.kill()
