"""For all tests: what a test measured is shown in the summary, also when it ran in another process."""

import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Prints what tests handed to `record_property("measured", ...)`."""
    reports = terminalreporter.getreports("passed") + terminalreporter.getreports("failed")
    lines = [str(value) for report in reports for name, value in report.user_properties if name == "measured"]
    if lines:
        terminalreporter.section("measured")
        for line in sorted(lines):
            terminalreporter.write_line(line)
