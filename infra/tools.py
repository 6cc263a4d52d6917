#!/usr/bin/env python3
"""Installs the programs that only the checks of the deployment need: `python3 infra/tools.py`. Takes about a minute.

* checkov, for the policies (infra/policies.py). It has a separate environment, because it needs older packages.
* Microsoft's parser and type checker of KQL (tests/kql/check.js). Needs npm.

Both go into `.dev/tools`, at the versions that this file names; a tool that has its version is not installed again.
`dev.py test` calls this script before the tests. If a tool cannot be installed, for example without a network, the
reason is printed, and the tests that need the tool are skipped. The Bicep compiler (`az bicep install`) is not
included, because it is in no package registry.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

TOOLS = Path(__file__).resolve().parent.parent / ".dev" / "tools"
SECONDS = 120
"""The time limit for each tool, so that a test run does not wait longer."""
STAMP = "version.txt"
"""Written last: a folder without it is from an interrupted installation."""


class InstallationFailed(Exception):  # noqa: N818
    """A tool could not be installed; the message says why."""


@dataclass(frozen=True)
class Tool:
    """A tool. `commands` returns what installs the version into a folder, or raises InstallationFailed."""

    name: str
    version: str
    commands: Callable[[Path, str], list[list[str]]]

    @property
    def folder(self) -> Path:
        """The folder of the tool, whether it is installed or not."""
        return TOOLS / self.name

    def installed(self) -> Path | None:
        """The folder of the tool; None if it is not installed at this version."""
        stamp = self.folder / STAMP
        return self.folder if stamp.is_file() and stamp.read_text("utf-8") == self.version else None

    def install(self) -> None:
        """Installs the tool, unless it is installed. Raises InstallationFailed."""
        if self.installed():
            return
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        for command in self.commands(self.folder, self.version):
            try:
                done = subprocess.run(  # noqa: S603
                    command, capture_output=True, text=True, errors="replace", check=False, timeout=SECONDS
                )
            except (OSError, subprocess.TimeoutExpired) as problem:
                raise InstallationFailed(str(problem)) from None
            if done.returncode:
                raise InstallationFailed((done.stderr.strip() or done.stdout.strip())[-500:])
        (self.folder / STAMP).write_text(self.version, "utf-8")


def _into_an_environment(folder: Path, version: str) -> list[list[str]]:
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--retries", "1", version]
    return [[sys.executable, "-m", "venv", str(folder)], install]


def _with_npm(folder: Path, version: str) -> list[list[str]]:
    npm, node = shutil.which("npm"), shutil.which("node")
    if npm is None or node is None:
        raise InstallationFailed("it needs node and npm, which are not installed")
    quiet = ("--no-save", "--no-audit", "--no-fund", "--silent", "--fetch-retries", "1")
    return [[npm, "install", "--prefix", str(folder), *quiet, version]]


CHECKOV = Tool("checkov", "checkov==3.3.30", _into_an_environment)
KUSTO = Tool("kusto", "@kusto/language-service-next@12.4.1", _with_npm)


def main() -> int:
    """Returns 0, or 1 if a tool could not be installed."""
    code = 0
    for tool in (CHECKOV, KUSTO):
        if tool.installed():
            continue
        try:
            print(f"Installing {tool.version} ...", flush=True)
            tool.install()
        except InstallationFailed as problem:
            print(f"{tool.version} could not be installed: {problem}", file=sys.stderr)
            code = 1
    return code


if __name__ == "__main__":
    sys.exit(main())
