"""`dev.py test` runs every check and reports the results correctly."""

from __future__ import annotations

import itertools
import threading

import pytest

from dev import checks
from dev.checks import Result, Step, run_steps, steps, summary


def test_all_steps_run_after_a_failure(capsys: pytest.CaptureFixture[str]) -> None:
    """The output has a heading with the command and a line with the duration of each step."""
    clock = itertools.count(step=2).__next__
    todo = [Step("lint", ["/x/ruff", "check"]), Step("tests", ["/x/pytest"])]
    results = run_steps(todo, lambda command: 1 if command[0] == "/x/ruff" else 0, lambda: float(clock()))
    assert results == [Result("lint", 1, 2), Result("tests", 0, 2)]
    text = capsys.readouterr().out
    assert "=== lint: ruff check\n--- lint: FAILED in 2.0 s\n" in text
    assert "=== tests: pytest\n--- tests: passed in 2.0 s\n" in text


def test_optional_tools_may_be_missing(capsys: pytest.CaptureFixture[str]) -> None:
    """Tests that need a missing tool are skipped and say why; the output names the missing tools."""
    clock = itertools.count(step=2).__next__
    todo = [Step("tools", ["tools"], needed=False), Step("tests", ["pytest"])]
    results = run_steps(todo, lambda command: 1 if command == ["tools"] else 0, lambda: float(clock()))
    assert [result.code for result in results] == [0, 0]
    assert "--- tools: not complete" in capsys.readouterr().out


def test_the_tools_of_the_deployment_are_installed_before_all_tests() -> None:
    """The tools are not installed for the fast checks, for which a developer waits."""
    names = [step.name for step in steps(fast=False)]
    assert names.index("tools") < names.index("tests")
    assert not any(step.needed for step in steps(fast=False) if step.name == "tools")
    assert "tools" not in [step.name for step in steps(fast=True)]


def test_the_browser_is_installed_before_all_tests() -> None:
    """If the installation of the browser fails, the tests of the status page are skipped."""
    names = [step.name for step in steps(fast=False)]
    assert names.index("browser") < names.index("tests")
    assert not any(step.needed for step in steps(fast=False) if step.name == "browser")
    assert "browser" not in [step.name for step in steps(fast=True)]


def test_all_tests_are_compiled_before_they_run() -> None:
    """If the tests were not compiled once, each process would compile them. For a few tests, there is no such step."""
    (step,) = [step for step in steps(fast=False) if step.name == "bytecode"]
    assert (step.parallel, step.needed) == (True, False)
    assert "bytecode" not in [step.name for step in steps(fast=True)]
    assert "bytecode" not in [step.name for step in steps(fast=False, pytest_arguments=["tests/unit"])]


def test_a_parallel_check_begins_at_once() -> None:
    """A parallel check begins before its turn. Its result is awaited in its turn, so later checks come after it."""
    begun, order = threading.Event(), []

    def runner(command: list[str]) -> int:
        if command == ["tools"]:
            begun.set()
        else:
            assert begun.wait(60)
        order.append(command[0])
        return 0

    todo = [Step("types", ["mypy"]), Step("tools", ["tools"], parallel=True), Step("tests", ["pytest"])]
    assert [result.name for result in run_steps(todo, runner)] == ["types", "tools", "tests"]
    assert order.index("tools") < order.index("pytest")


def test_the_summary_names_the_failed_checks() -> None:
    """The last line of the summary names the failed checks."""
    assert summary([Result("lint", 1, 2), Result("tests", 0, 2)]).splitlines()[-1] == "FAILED: lint, 4 s"
    assert summary([Result("lint", 0, 2)]).splitlines()[-1] == "All checks passed, 2 s"


@pytest.mark.parametrize(("code", "expected"), [(0, 0), (1, 1), (5, 1), (-9, 1)])
def test_exit_code(monkeypatch: pytest.MonkeyPatch, code: int, expected: int) -> None:
    """The exit code is 1 if any check failed, for any reason."""
    monkeypatch.setattr(checks, "_run", lambda command: code if "pytest" in command else 0)
    assert checks.run(fast=False, pytest_arguments=[]) == expected


def test_fast_runs_the_unit_tests_only() -> None:
    """--fast runs the unit tests, unless arguments name other tests."""
    assert steps(fast=True)[-1].command[-1] == "tests/unit"
    assert steps(fast=False)[-1].command[-1] != "tests/unit"
    chosen = ["-x", "tests/unit/test_repository.py::test_only_the_app_is_deployed"]
    assert steps(fast=True, pytest_arguments=chosen)[-1].command[-2:] == chosen
    assert steps(fast=True, pytest_arguments=["-k", "queue"])[-1].command[-3:] == ["-k", "queue", "tests/unit"]


def test_output_of_failures_is_short_unless_arguments_ask_for_more() -> None:
    """The output of a failure is short, but options of the command line take precedence. The summary says how to get
    details."""
    command = steps(fast=True, pytest_arguments=["--tb=long"])[-1].command
    assert command.index("--tb=short") < command.index("--tb=long")
    assert "--last-failed" in summary([Result("tests", 1, 2)])
    assert "--last-failed" not in summary([Result("lint", 1, 2)])
