"""The virtual environment of the project: made once, renewed when the requirements change. Standard library only."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
STAMP = "dev-stamp.txt"
REQUIREMENTS = ("requirements-dev.txt", "requirements.txt", "devhost/pyproject.toml")
TAIL_LINES = 15


class EnvironmentFailed(Exception):  # noqa: N818
    """The environment cannot be made; the message says what failed and what a person can do."""


def inside() -> bool:
    """True if this process runs in the project's environment."""
    return Path(sys.prefix).resolve() == VENV.resolve()


def prepare() -> None:
    """Makes or renews the environment. Does nothing when its stamp says that it is up to date."""
    if not PYTHON.exists():
        print("Making .venv ...", file=sys.stderr, flush=True)
        _checked(
            [sys.executable, "-m", "venv", "--clear", str(VENV)],
            "Python could not make a virtual environment. On Debian and Ubuntu its package python3-venv is missing.",
        )
    stamp, wanted = VENV / STAMP, stamp_text(ROOT, python_version(VENV))
    if stamp.exists() and stamp.read_text("utf-8") == wanted:
        return
    stamp.unlink(missing_ok=True)
    print("Installing requirements-dev.txt into .venv ...", file=sys.stderr, flush=True)
    _checked(
        [
            str(PYTHON),
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "-r",
            str(ROOT / REQUIREMENTS[0]),
        ],
        "pip could not install requirements-dev.txt. If the network is fine, delete .venv and try again.",
    )
    stamp.write_text(wanted, "utf-8")


def stamp_text(root: Path, version: str) -> str:
    """What the stamp must hold: the environment is renewed when a requirements file or Python changes."""
    digest = hashlib.sha256()
    for name in REQUIREMENTS:
        # a checkout on Windows may have other line ends
        digest.update(name.encode() + b"\0" + b"\n".join((root / name).read_bytes().splitlines()) + b"\0")
    return f"python {version}\nrequirements {digest.hexdigest()}\n"


def python_version(venv: Path) -> str:
    """Major and minor version of the environment's Python, such as `3.11`."""
    if Path(sys.prefix).resolve() == venv.resolve():
        # pyvenv.cfg would not know that the Python behind it has been replaced
        return f"{sys.version_info.major}.{sys.version_info.minor}"
    config = venv / "pyvenv.cfg"
    found = (
        re.search(r"^version(?:_info)?\s*=\s*(\d+\.\d+)", config.read_text("utf-8"), re.M) if config.exists() else None
    )
    return found[1] if found else "unknown"


def replace_process(command: list[str]) -> int:
    """Goes on as another program, in this very process where the system can do that: signals then reach the program.

    Windows cannot; there it waits for the program and returns its exit code.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    if os.name != "nt":
        os.execv(command[0], command)  # noqa: S606
    try:
        return subprocess.run(command, check=False).returncode
    except KeyboardInterrupt:  # it got its own and ends by itself
        return 130


def _checked(command: list[str], problem: str) -> None:
    """Runs a command in silence. Raises EnvironmentFailed with `problem` and the end of its output."""
    done = subprocess.run(
        command, cwd=ROOT, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    )
    if done.returncode:
        tail = "\n".join(f"    {line}" for line in done.stdout.splitlines()[-TAIL_LINES:])
        raise EnvironmentFailed(f"{problem}\n{tail}")
