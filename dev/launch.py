"""Starts a command of dev.py: finds a suitable Python, creates `.venv` on the first run, and continues inside it.

Uses only the standard library, and only syntax that older Pythons can parse: they have to reach the message that they
are too old.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

OLDEST = (3, 11)
NEWER = ("python3.13", "python3.12", "python3.11")


def newer_python(folders: str) -> str | None:
    """The path of a Python in these folders (a list like PATH) that runs and is new enough; None if there is none."""
    found = (shutil.which(name, path=folder) for name in NEWER for folder in folders.split(os.pathsep) if folder)
    return next((path for path in found if path and _new_enough(path)), None)


def _new_enough(path: str) -> bool:
    """Whether a program runs and is a Python that is new enough. The shim of pyenv for a version that is not active
    exists, but cannot run."""
    command = [path, "-c", f"import sys; sys.exit(sys.version_info < {OLDEST})"]
    try:
        return not subprocess.run(command, capture_output=True, timeout=60, check=False).returncode
    except (OSError, subprocess.SubprocessError):
        return False


def main() -> int:
    """The exit code of the command. Does not return if the command replaces this process."""
    if sys.version_info < OLDEST:
        other = None if os.name == "nt" else newer_python(os.environ.get("PATH", os.defpath))
        if other is None:
            version = ".".join(map(str, sys.version_info[:3]))
            sys.exit(f"dev.py needs Python 3.11 or newer; this is Python {version}. Run it with a newer Python.")
        os.execv(other, [other, *sys.argv])  # noqa: S606
    from dev import commands, environment

    # parsed before anything is installed, so that --help and mistyped commands are answered at once
    options = commands.parse(sys.argv[1:])
    try:
        environment.prepare()
    except environment.EnvironmentFailed as problem:
        sys.exit(f"dev.py: {problem}")
    if not environment.inside():
        return environment.replace_process([str(environment.PYTHON), os.path.abspath(sys.argv[0]), *sys.argv[1:]])  # noqa: PTH100
    return commands.run(options)
