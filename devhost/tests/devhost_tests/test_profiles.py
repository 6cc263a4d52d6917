"""The profiles of Hypothesis and the options of the tests, if only the tests of the devhost run."""

import os
import subprocess
import sys

import hypothesis
import pytest

from devhost_tests.process import ROOT

TESTS = ROOT / "devhost" / "tests"


def test_no_property_test_has_a_deadline() -> None:
    """A slow example on a loaded machine is not a failure. The conftest.py of these tests registers the profiles."""
    assert hypothesis.settings().deadline is None


@pytest.mark.parametrize("options", [("--hypothesis-profile", "thorough"), ("--base-url", "http://127.0.0.1:9")])
def test_the_folder_of_tests_accepts_the_options(options: tuple[str, ...]) -> None:
    """`pytest devhost/tests` knows them before it collects the tests."""
    command = [sys.executable, "-m", "pytest", str(TESTS), *options, "--collect-only", "-q", "-k", "no_such_test"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == pytest.ExitCode.NO_TESTS_COLLECTED, done.stdout + done.stderr
