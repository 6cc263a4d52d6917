"""`python -m tests.browser.install`: installs Debian's Chromium if the machine has none and if this is allowed.

`dev.py test` runs it before the tests. If Chromium cannot be installed, it prints the reason, and the tests of the page
are skipped.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

from tests.browser.browser import executable

SECONDS = 300
PACKAGES = ("chromium-headless-shell", "chromium")
"""The first of these that can be installed is used. The shell has no user interface and takes half the processor
time."""
UPDATE = ["apt-get", "update", "-qq"]
INSTALL = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", "fonts-dejavu-core"]


def main() -> int:
    """Returns 0 if there is a Chromium. Otherwise it prints the reason and returns 1."""
    if executable():
        return 0
    if shutil.which("apt-get") is None or not hasattr(os, "geteuid") or os.geteuid() != 0:
        print("No Chromium found. Install one, or set CHROMIUM to its path; the tests of the page are skipped.")
        return 1
    print("Installing Chromium with apt-get ...", flush=True)
    problems = [run(UPDATE)]
    for package in PACKAGES:
        problems.append(run([*INSTALL, package]))
        if executable():
            return 0
    print("\n".join(filter(None, problems)))
    return 1


def run(command: list[str]) -> str | None:
    """Runs a command. Returns an error message, or None if it succeeded."""
    environ = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    try:
        done = subprocess.run(
            command, env=environ, capture_output=True, text=True, errors="replace", timeout=SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as problem:
        return f"{' '.join(command)}: {problem}"
    return f"{' '.join(command)}: {done.stderr.strip()[-500:]}" if done.returncode else None


if __name__ == "__main__":
    sys.exit(main())
