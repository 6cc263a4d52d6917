"""`python -m tests.browser.install`: installs Debian's Chromium where there is none, and this is allowed.

`dev.py test` calls it before the tests. What cannot be installed is named with the reason, and the tests of the page
skip.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

from tests.browser.browser import executable

SECONDS = 300
COMMANDS = (
    ["apt-get", "update", "-qq"],
    ["apt-get", "install", "-y", "-qq", "--no-install-recommends", "chromium", "fonts-dejavu-core"],
)


def main() -> int:
    """0 if there is a Chromium, 1 with the reason if there is none."""
    if executable():
        return 0
    if shutil.which("apt-get") is None or not hasattr(os, "geteuid") or os.geteuid() != 0:
        print("No Chromium found. Install one, or set CHROMIUM to its path; the tests of the page skip.")
        return 1
    print("Installing Chromium with apt-get ...", flush=True)
    environ = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in COMMANDS:
        try:
            done = subprocess.run(
                command, env=environ, capture_output=True, text=True, errors="replace", timeout=SECONDS, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as problem:
            print(f"{' '.join(command)}: {problem}")
            return 1
        if done.returncode:
            print(f"{' '.join(command)}: {done.stderr.strip()[-500:]}")
            return 1
    return 0 if executable() else 1


if __name__ == "__main__":
    sys.exit(main())
