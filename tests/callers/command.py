"""Runs integrations/command/refresh_model.py as a process, with a command line and an environment."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from devhost_tests.process import ROOT
from tests.callers.adf_estate import Factory
from tests.e2e.world import WORKSPACE

FOLDER = ROOT / "integrations" / "command"
COMMAND = FOLDER / "refresh_model.py"
SECONDS = 60


@dataclass(frozen=True)
class Ended:
    """The exit code of the command, and all its output."""

    code: int
    text: str


def environment(**variables: str) -> dict[str, str]:
    """An environment that contains no login of the machine that runs the tests."""
    return {
        "PATH": "/nowhere",
        **{name: os.environ[name] for name in ("SYSTEMROOT",) if name in os.environ},
        **variables,
    }


def arguments(url: str, dataset: str, *more: str) -> list[str]:
    """The command line. With its options, Python raises every warning as an error and reads no settings of the user."""
    command = [sys.executable, "-I", "-W", "error", str(COMMAND)]
    return [*command, "--url", url, "--workspace", WORKSPACE, "--dataset", dataset, *more]


def refresh(url: str, dataset: str, *more: str, env: Mapping[str, str]) -> Ended:
    """Runs the command to its end."""
    command = arguments(url, dataset, *more)
    done = subprocess.run(command, env=dict(env), capture_output=True, text=True, timeout=SECONDS, check=False)
    assert "Traceback" not in done.stderr
    return Ended(done.returncode, done.stdout + done.stderr)


@contextmanager
def started(url: str, dataset: str, *more: str, env: Mapping[str, str]) -> Iterator["subprocess.Popen[str]"]:
    """The command while it runs."""
    command = arguments(url, dataset, *more)
    output = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    with subprocess.Popen(command, env=dict(env), text=True, **output) as process:  # type: ignore[call-overload]
        try:
            yield process
        finally:
            process.kill()


def with_key(caller: Factory, **more: str) -> dict[str, str]:
    return environment(REFRESH_KEY=caller.app.key, **more)
