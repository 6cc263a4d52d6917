#!/usr/bin/env python3
"""The commands for working on this project: `python3 dev.py --help`.

Needs Python 3.11 or newer and nothing else. Makes `.venv` on the first run and goes on inside it.
"""

from __future__ import annotations

import os
import shutil
import sys

# This file must be readable for older Pythons, or they could not say that they are too old.
OLDEST = (3, 11)
NEWER = ("python3.13", "python3.12", "python3.11")


def newer_python() -> str | None:
    """The path of a Python on this machine that is new enough; None if there is none."""
    return next(filter(None, map(shutil.which, NEWER)), None)


def main() -> int:
    """The exit code of the command. Does not return where the command replaces this process."""
    if sys.version_info < OLDEST:
        other = newer_python()
        if other is None or os.name == "nt":
            version = ".".join(map(str, sys.version_info[:3]))
            sys.exit(f"dev.py needs Python 3.11 or newer, and this is {version}. Run it with a newer one.")
        os.execv(other, [other, *sys.argv])  # noqa: S606
    from devtools import cli, environment

    # before anything is installed: help and mistyped commands are answered at once
    options = cli.parse(sys.argv[1:])
    try:
        environment.prepare()
    except environment.EnvironmentFailed as problem:
        sys.exit(f"dev.py: {problem}")
    if not environment.inside():
        return environment.replace_process([str(environment.PYTHON), os.path.abspath(__file__), *sys.argv[1:]])  # noqa: PTH100
    return cli.run(options)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
