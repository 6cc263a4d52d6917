"""`dev.py test`: all checks that must pass before a commit.

They run one after the other, except that some preparations run in parallel with the first checks.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from dev.environment import PYTHON, ROOT

WORKERS = 8
"""The number of test processes. Many tests mostly wait in real time: four processes use 55 to 80 % of two cores, six
80 to 86 %, eight 93 %."""
SHORT_OUTPUT = ("-q", "--no-header", "--tb=short", "--show-capture=no")
"""With these options a failure shows only the failing lines and the assertion. Arguments of the command line take
precedence."""
DETAILS = ".venv/bin/python -m pytest --last-failed --tb=long --show-capture=all -n 0"
IGNORED = ("POWER_BI_", "PYTEST_", "PYTHONDONTWRITEBYTECODE")
"""Prefixes of the environment variables that are hidden from the checks. Settings in this shell must not change the
tests. PYTHONDONTWRITEBYTECODE is hidden because without bytecode files each process of pytest compiles all tests again,
which takes 11 of the 20 s before its first test."""

Runner = Callable[[list[str]], int]
"""Runs a command with its output shown; returns its exit code."""


@dataclass(frozen=True)
class Step:
    """One check."""

    name: str
    command: list[str]
    needed: bool = True
    """Whether its failure fails the checks. Tests that need a missing tool skip with a reason."""
    parallel: bool = False
    """Whether it begins at once and runs in parallel with the checks before it, which it must not disturb."""


@dataclass(frozen=True)
class Result:
    """The exit code and the duration of a check."""

    name: str
    code: int
    seconds: float


def steps(*, fast: bool, pytest_arguments: Sequence[str] = ()) -> list[Step]:
    """The checks in their order, the quick ones first."""
    pytest = [sys.executable, "-m", "pytest", "-n", str(WORKERS), "--dist", "worksteal", *SHORT_OUTPUT]
    pytest += pytest_arguments
    if fast and not any((ROOT / argument.split("::")[0]).exists() for argument in pytest_arguments):
        pytest.append("tests/unit")
    return [
        Step("format", [sys.executable, "-m", "ruff", "format", "--check", "."]),
        Step("lint", [sys.executable, "-m", "ruff", "check", "."]),
        Step("import rules", [str(PYTHON.with_name("lint-imports")), "--no-logo"]),
        Step("types", [sys.executable, "-m", "mypy"]),
        *([] if fast else _parallel_steps(whole=not pytest_arguments)),
        Step("tests", pytest),
    ]


def _parallel_steps(*, whole: bool) -> list[Step]:
    """Steps that use the second core while the checks before them use only one: they download tools and compile tests.

    `whole`: all tests will run, so they are compiled first.
    """
    collection = [sys.executable, "-m", "pytest", "--collect-only", "-o", "addopts=", "-p", "no:terminal"]
    return [
        Step("tools", [sys.executable, "infra/tools.py"], needed=False, parallel=True),
        Step("browser", [sys.executable, "-m", "tests.browser.install"], needed=False, parallel=True),
        # without this step, each process compiles all tests. If tests cannot be collected, the step "tests" shows why
        *([Step("bytecode", collection, needed=False, parallel=True)] if whole else []),
    ]


def run_steps(todo: Sequence[Step], runner: Runner, clock: Callable[[], float] = time.monotonic) -> list[Result]:
    """Runs all checks, even after one has failed."""
    results = []
    with ThreadPoolExecutor() as pool:
        begun = {step.name: pool.submit(runner, step.command) for step in todo if step.parallel}
        for step in todo:
            command = " ".join([Path(step.command[0]).name, *step.command[1:]])
            print(f"\n=== {step.name}: {command}", flush=True)
            begin = clock()
            code = begun[step.name].result() if step.parallel else runner(step.command)
            if code and not step.needed:
                print(
                    f"--- {step.name}: not complete. The tests that need it are skipped or fail, and say why",
                    flush=True,
                )
                code = 0
            results.append(Result(step.name, code, clock() - begin))
            print(f"--- {step.name}: {_word(code)} in {results[-1].seconds:.1f} s", flush=True)
    return results


def summary(results: Sequence[Result]) -> str:
    """The closing lines: each check with its result and its duration."""
    lines = [f"  {result.name:<13} {_word(result.code):<8} {result.seconds:6.1f} s" for result in results]
    failed = [result.name for result in results if result.code]
    total = sum(result.seconds for result in results)
    if "tests" in failed:
        lines.append(f"  to run the failed tests again, with details: {DETAILS}")
    end = f"FAILED: {', '.join(failed)}" if failed else "All checks passed"
    return "\n".join(["", "=== summary", *lines, f"{end}, {total:.0f} s"])


def run(*, fast: bool, pytest_arguments: Sequence[str]) -> int:
    """Runs the checks; 1 if any failed."""
    results = run_steps(steps(fast=fast, pytest_arguments=pytest_arguments), _run)
    print(summary(results), flush=True)
    return 1 if any(result.code for result in results) else 0


def _run(command: list[str]) -> int:
    environ = {name: value for name, value in os.environ.items() if not name.startswith(IGNORED)}
    return subprocess.run(command, cwd=ROOT, env=environ, check=False).returncode


def _word(code: int) -> str:
    return "FAILED" if code else "passed"
