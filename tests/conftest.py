"""For all tests: the Hypothesis profile, the order of the tests, and measurements in the summary."""

import gc
import os
import signal
from collections.abc import Sequence
from itertools import groupby

import pytest

from devhost_tests import profiles

profiles.register()

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # a shell starts background jobs with SIGINT ignored, and the programs that the tests interrupt would inherit that
    signal.signal(signal.SIGINT, signal.default_int_handler)

LONG = ("simulation", "e2e", "callers", "browser", "devhost_tests", "commands", "worker")
"""Folders of tests that take long, mostly in processes of their own. Each other test takes milliseconds."""
FIRST = {"test_capacity.py", "test_bounds.py", "test_fuzz.py", "test_latency.py", "test_service_faults.py"}
"""Modules with a test that takes most of a minute. They run first: at the end of a run, the other processes would have
no tests left to run meanwhile."""


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Gives each process its long tests first, so that at the end there are short tests to share."""
    items[:] = distributed(items, int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")))


def pytest_collection_finish() -> None:
    """Excludes the objects that pytest created to collect the tests from garbage collection: they are needed until the
    end."""
    gc.collect()
    gc.freeze()


def distributed(items: Sequence[pytest.Item], processes: int) -> list[pytest.Item]:
    """The tests in a different order: one part per process, all of the same size and with the same share of long tests.

    xdist (`worksteal`) gives each process one part, in this order; a process that is idle takes tests from others. The
    tests of a module stay together, because many modules start an app; simulated days do not, because they share
    nothing.
    """
    long: list[list[pytest.Item]] = []
    short: list[pytest.Item] = []
    for _, group in groupby(items, key=lambda item: item.nodeid if "simulation" in item.path.parts else item.path):
        module = list(group)
        if any(folder in module[0].path.parts for folder in LONG):
            long.append(module)
        else:
            short += module
    # the modules of one folder are similar, so each process gets some of them
    long.sort(key=lambda module: next(folder for folder in LONG if folder in module[0].path.parts))
    first = [module for module in long if module[0].path.name in FIRST]
    rest = [module for module in long if module[0].path.name not in FIRST]
    # not all processes should play simulated days at the same time, because these need the processor and others mostly
    # wait
    parts = [
        first[process::processes] + rest[process::processes][:: -1 if process % 2 else 1]
        for process in range(processes)
    ]
    left, found = len(items), list[pytest.Item]()
    for process, modules in enumerate(parts):
        part = [item for module in modules for item in module]
        size = left // (processes - process)
        left -= size
        missing = max(0, size - len(part))
        found += part + short[:missing]
        del short[:missing]
    return found + short


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Prints the lines that tests passed to `record_property("measured", ...)`, even in other processes."""
    reports = terminalreporter.getreports("passed") + terminalreporter.getreports("failed")
    lines = [str(value) for report in reports for name, value in report.user_properties if name == "measured"]
    if lines:
        terminalreporter.section("measured")
        for line in sorted(lines):
            terminalreporter.write_line(line)
