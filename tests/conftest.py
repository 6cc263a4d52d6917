"""For all tests: the Hypothesis profile, and measurements in the summary."""

import pytest
from hypothesis import settings

# No deadline: on a loaded machine an example can take long for reasons outside the code.
settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Prints the lines that tests passed to `record_property("measured", ...)`, also from other processes."""
    reports = terminalreporter.getreports("passed") + terminalreporter.getreports("failed")
    lines = [str(value) for report in reports for name, value in report.user_properties if name == "measured"]
    if lines:
        terminalreporter.section("measured")
        for line in sorted(lines):
            terminalreporter.write_line(line)
