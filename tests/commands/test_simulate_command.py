"""`dev.py simulate` with its processes."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

if Path(sys.prefix).resolve() != (ROOT / ".venv").resolve():
    # outside the project's environment, dev.py would create it
    reason = "this Python is not that of .venv, so dev.py would create and install .venv first"
    pytest.skip(reason, allow_module_level=True)


def simulate(*arguments: str) -> list[str]:
    return [sys.executable, str(ROOT / "dev.py"), "simulate", *arguments]


def test_days_from_anywhere(tmp_path: Path) -> None:
    """The command can be started in any folder."""
    command = simulate("--seeds", "2", "--from", "20", "--faults", "light", "--jobs", "2")
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "2 days of the seeds 20 to 21 in " in done.stdout
    assert done.stdout.endswith("No invariant was violated in 2 days.\n")


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_ctrl_c_ends_the_command_and_its_processes() -> None:
    """A terminal sends Ctrl-C to all processes. None prints a traceback, and the counts so far are shown."""
    with subprocess.Popen(
        simulate("--seeds", "1000000", "--jobs", "2", "--faults", "none"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as running:
        try:
            assert running.stdout
            assert running.stderr
            while (line := running.stdout.readline()).startswith("0 of "):
                pass  # on a loaded machine, a line can come before the end of the first day
            assert " of 1,000,000 days, " in line
            os.killpg(running.pid, signal.SIGINT)
            # both pipes are closed when the last process has ended
            text, errors = running.stdout.read(), running.stderr.read()
            assert running.wait(60) == 130
            assert errors == ""
            assert "outcomes" in text
            assert re.fullmatch(r"Interrupted after \d[\d,]* days?\. No day failed\.", text.splitlines()[-1])
        finally:
            running.kill()
