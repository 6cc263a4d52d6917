"""For all tests: the Hypothesis profile, the order of the tests, and measurements in the summary."""

import gc
import os
import signal
from collections.abc import Sequence
from itertools import groupby

import pytest
from hypothesis import settings

# No deadline: on a loaded machine an example can take long for reasons outside the code.
settings.register_profile("checks", deadline=None, max_examples=50)
settings.register_profile("thorough", deadline=None, max_examples=1000)
settings.load_profile("checks")  # --hypothesis-profile thorough replaces it

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # a shell starts what it runs in the background like this, and the programs that tests interrupt would inherit it
    signal.signal(signal.SIGINT, signal.default_int_handler)

LONG = ("simulation", "e2e", "callers", "browser", "devhost_tests", "commands", "worker")
"""Folders of tests that take long, for the most part in processes of their own. Others take milliseconds each."""
FIRST = {"test_capacity.py", "test_bounds.py", "test_fuzz.py", "test_latency.py", "test_service_faults.py"}
"""Modules with a test that takes most of a minute: at the end of a run, nothing else would be left to run beside it."""


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Each process begins with long tests, so that in the end there are short ones to share."""
    items[:] = dealt(items, int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")))


def pytest_collection_finish() -> None:
    """The garbage collector leaves alone what the collection of the tests has created: it is needed until the end."""
    gc.collect()
    gc.freeze()


def dealt(items: Sequence[pytest.Item], processes: int) -> list[pytest.Item]:
    """The tests in another order: as many parts as processes, of the same size and each with its share of long tests.

    xdist (`worksteal`) gives each process one part, in this order, and idle processes take over the rest.
    Modules stay together, because many start an app; except simulated days, which need nothing in common.
    """
    long: list[list[pytest.Item]] = []
    short: list[pytest.Item] = []
    for _, group in groupby(items, key=lambda item: item.nodeid if "simulation" in item.path.parts else item.path):
        module = list(group)
        if any(folder in module[0].path.parts for folder in LONG):
            long.append(module)
        else:
            short += module
    # those of one folder are much alike: each process gets some of them
    long.sort(key=lambda module: next(folder for folder in LONG if folder in module[0].path.parts))
    first = [module for module in long if module[0].path.name in FIRST]
    rest = [module for module in long if module[0].path.name not in FIRST]
    # processor and waiting are shared best if not all processes play simulated days at the same time
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
