"""The platform's worker library, run in its own process by a Python that has it."""

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROBE = Path(__file__).parent / "probe_app"
LISTING = """
import inspect, json, pathlib, sys, typing
from devhost.app.index import load

def classes(handler):
    hints = typing.get_type_hints(handler)
    return {name: isinstance(hints.get(name, str), type) for name in inspect.signature(handler).parameters}

print(json.dumps([
    {"name": one.name, "kind": one.kind, "parameters": [one.trigger["name"], *one.clients],
     "classes": classes(one.handler)}
    for one in load(pathlib.Path(sys.argv[1]))
]))
"""
"""A program that prints the functions that the development host finds in an app. It needs a process of its own, because
an app can be indexed only once in a process."""
PYTHON = os.environ.get("WORKER_PYTHON", sys.executable)
SECONDS = 120

Json = dict[str, Any]


@cache
def why_not() -> str:
    """The reason why the library cannot run; empty if it can."""
    program = "import azure_functions_runtime, google.protobuf, azure.durable_functions"
    tried = subprocess.run([PYTHON, "-c", program], capture_output=True, text=True, timeout=SECONDS, check=False)
    if tried.returncode == 0:
        return ""
    reason = tried.stderr.strip().splitlines()[-1]
    return f"azure-functions-runtime needs Python 3.13 or newer (WORKER_PYTHON may name one that has it): {reason}"


@pytest.fixture
def worker() -> None:
    """Skips the test if the library cannot run."""
    if reason := why_not():
        pytest.skip(reason)


def drive(app: Path, *invocations: Json) -> Json:
    """Runs an app in the library. The result has `init`, `functions`, `responses` and `lines`; see
    `tests/worker/drive.py`."""
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "POWER_BI_API_URL": "http://127.0.0.1:1"}
    ended = subprocess.run(
        [PYTHON, str(Path(__file__).parent / "drive.py"), str(app)],
        input=json.dumps(invocations),
        env=environ,
        cwd=app,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    result: Json = json.loads(ended.stdout.splitlines()[-1])
    return result


def hosted(app: Path) -> list[Json]:
    """The functions that the development host finds in an app: `name`, `kind`, `parameters` (filled by bindings), and
    `classes` (whether the annotation of each parameter is a class)."""
    environ = {**os.environ, "POWER_BI_API_URL": "http://127.0.0.1:1"}
    command = [sys.executable, "-c", LISTING, str(app)]
    ended = subprocess.run(command, env=environ, cwd=ROOT, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert ended.returncode == 0, ended.stderr
    found: list[Json] = json.loads(ended.stdout.splitlines()[-1])
    return found
