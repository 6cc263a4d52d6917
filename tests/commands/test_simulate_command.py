"""`dev.py simulate` as a person gives it, with its processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

if Path(sys.prefix).resolve() != (ROOT / ".venv").resolve():
    # dev.py would make the project's environment; the tests must run in it already
    pytest.skip("not run by dev.py test: this Python is not that of .venv", allow_module_level=True)


def simulate(*arguments: str) -> list[str]:
    return [sys.executable, str(ROOT / "dev.py"), "simulate", *arguments]


def test_days_from_anywhere(tmp_path: Path) -> None:
    """Also when it is started in another folder."""
    command = simulate("--seeds", "4", "--from", "20", "--faults", "light", "--jobs", "2")
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "4 of the seeds 20 to 23 in " in done.stdout
    assert done.stdout.endswith("All invariants held in 4 days.\n")


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_ctrl_c_ends_it_and_its_processes() -> None:
    """A terminal sends it to all of them: no traceback of any, and what was done so far is shown."""
    with subprocess.Popen(
        simulate("--seeds", "1000000", "--jobs", "2"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as running:
        try:
            assert running.stdout
            assert running.stderr
            assert " of 1,000,000 seeds, " in running.stdout.readline()
            os.killpg(running.pid, signal.SIGINT)
            # the ends of both pipes come when the last process has gone
            text, errors = running.stdout.read(), running.stderr.read()
            assert running.wait(60) == 130
            assert errors == ""
            assert "callers were told" in text
            assert text.splitlines()[-1].startswith("Interrupted. None of the ")
        finally:
            running.kill()
