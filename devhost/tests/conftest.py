"""What pytest has to know before it collects the tests: their options and the profiles of Hypothesis.

    pytest devhost/tests --base-url http://127.0.0.1:7071 --host-key CODE    a running host
    pytest devhost/tests --host-cmd "func start --port {port}"               a command; {app}, {state}: folders

With one of these options, the tests that only send requests run against that host, and the others are skipped. The
host must run the app of the test: devhost/tests/devhost_tests/data/conformance/app for test_recordings.py,
devhost/tests/devhost_tests/app for all other tests.
"""

from __future__ import annotations

import contextlib

import pytest

from devhost_tests import profiles

profiles.register()


def pytest_addoption(parser: pytest.Parser) -> None:
    for name, text in (
        ("--base-url", "test the host at this URL"),
        ("--host-cmd", "test the host that this command starts; {app}, {port} and {state} are filled in"),
        ("--host-key", "key of that host's management API"),
    ):
        with contextlib.suppress(ValueError):  # another part of the suite has the same option
            parser.addoption(name, default="", help=text)
