#!/usr/bin/env python3
"""Locks the deployed packages: `python3 infra/lock.py` writes requirements.lock from requirements.txt, with uv.

Locked versions are kept, unless requirements.txt no longer allows them; `--upgrade` selects the newest ones.
`--check` writes nothing and fails if uv would write a different lock. The lock is valid for every Python and
platform (markers distinguish them), and contains the hashes of all files, so that pip installs nothing else.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "requirements.txt"
LOCK = ROOT / "requirements.lock"
COMMAND = "python3 infra/lock.py"
OLDEST_PYTHON = "3.11"


def compile_lock(target: Path, *, upgrade: bool) -> int:
    """Writes the lock to `target`, keeping the versions in it; returns the exit code of uv."""
    command = [
        *(sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--universal", "--generate-hashes"),
        *("--python-version", OLDEST_PYTHON, "--custom-compile-command", COMMAND),
        *("--output-file", str(target), *(["--upgrade"] if upgrade else []), SOURCE.name),
    ]
    return subprocess.run(command, cwd=ROOT, check=False).returncode  # noqa: S603


def main(arguments: list[str]) -> int:
    """Returns 0; 1 if the lock is not up to date, or if uv failed or is missing."""
    parser = argparse.ArgumentParser(description="Writes requirements.lock from requirements.txt.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit code 1 if the lock is not up to date")
    parser.add_argument("--upgrade", action="store_true", help="take the newest versions that requirements.txt allows")
    options = parser.parse_args(arguments)
    if not options.check:
        return 1 if compile_lock(LOCK, upgrade=options.upgrade) else 0
    locked = LOCK.read_text("utf-8") if LOCK.is_file() else ""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / LOCK.name
        target.write_text(locked, "utf-8")
        if compile_lock(target, upgrade=False):
            return 1
        if target.read_text("utf-8") != locked:
            print(f"requirements.lock is not up to date. Run: {COMMAND}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
