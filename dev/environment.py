"""The project's virtual environment: created once, updated when the requirements change. Standard library only."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections import deque
from pathlib import Path
from typing import TextIO

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
STAMP = "dev-stamp.txt"
REQUIREMENTS = ("requirements-dev.txt", "requirements.txt", "devhost/pyproject.toml")
TAIL_LINES = 15


class EnvironmentFailed(Exception):  # noqa: N818
    """The environment cannot be created; the message says what failed and how to fix it."""


def inside() -> bool:
    """True if this process runs in the project's environment."""
    return Path(sys.prefix).resolve() == VENV.resolve()


def prepare() -> None:
    """Creates or updates the environment. Does nothing if its stamp says that it is up to date."""
    if not PYTHON.exists():
        _checked(
            "Creating .venv",
            [sys.executable, "-m", "venv", "--clear", str(VENV)],
            "Python could not create a virtual environment. On Debian and Ubuntu, install the package python3-venv.",
        )
    stamp, expected = VENV / STAMP, stamp_text(ROOT, python_version(VENV))
    if stamp.exists() and stamp.read_text("utf-8") == expected:
        return
    stamp.unlink(missing_ok=True)
    install = ["-m", "pip", "install", "--disable-pip-version-check", "-r", str(ROOT / REQUIREMENTS[0])]
    _checked(
        "Installing requirements-dev.txt into .venv (first run: about a minute)",
        [str(PYTHON), *install],
        "pip could not install requirements-dev.txt. If the network is fine, delete .venv and try again.",
    )
    stamp.write_text(expected, "utf-8")


def stamp_text(root: Path, version: str) -> str:
    """The expected content of the stamp, a digest of the requirements files and the Python version."""
    digest = hashlib.sha256()
    for name in REQUIREMENTS:
        # without line ends, because a checkout on Windows may have different ones
        digest.update(name.encode() + b"\0" + b"\n".join((root / name).read_bytes().splitlines()) + b"\0")
    return f"python {version}\nrequirements {digest.hexdigest()}\n"


def python_version(venv: Path) -> str:
    """Major and minor version of the environment's Python, such as `3.11`."""
    if Path(sys.prefix).resolve() == venv.resolve():
        # not from pyvenv.cfg, which is not updated when the Python of the environment is replaced
        return f"{sys.version_info.major}.{sys.version_info.minor}"
    config = venv / "pyvenv.cfg"
    found = (
        re.search(r"^version(?:_info)?\s*=\s*(\d+\.\d+)", config.read_text("utf-8"), re.M) if config.exists() else None
    )
    return found[1] if found else "unknown"


def replace_process(command: list[str]) -> int:
    """Replaces this process with another program, so that signals reach the program.

    Windows cannot do this; there this process waits for the program and returns its exit code.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    if os.name != "nt":
        os.execv(command[0], command)  # noqa: S606
    try:
        return subprocess.run(command, check=False).returncode
    except KeyboardInterrupt:  # Ctrl-C also reaches the program, which then ends by itself
        return 130


def _checked(title: str, command: list[str], problem: str) -> None:
    """Runs a command and shows its progress. Raises EnvironmentFailed with `problem` and the end of the output."""
    tail: deque[str] = deque(maxlen=TAIL_LINES)
    progress = _Progress(title, sys.stderr)
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as process:
        assert process.stdout  # noqa: S101 - a pipe was asked for
        for line in process.stdout:
            tail.append(line.rstrip())
            progress.show(line.strip())
    progress.end("failed" if process.returncode else "done")
    if process.returncode:
        raise EnvironmentFailed("\n".join([problem, *(f"    {line}" for line in tail)]))


class _Progress:
    """The progress of a command. On a terminal: one line with the latest output; elsewhere: a line at the start and one
    at the end.

    The seconds are updated even without new output: pip prints nothing for most of its time.
    """

    def __init__(self, title: str, stream: TextIO) -> None:
        self._title, self._stream, self._begin = title, stream, time.monotonic()
        self._live = stream.isatty()
        self._line, self._over, self._drawing = "", threading.Event(), threading.Lock()
        self._clock = threading.Thread(target=self._tick, daemon=True)
        print(f"{title} ...", file=stream, flush=True)
        if self._live:
            self._clock.start()

    def show(self, line: str) -> None:
        if line:
            self._line = line
            self._draw()

    def _tick(self) -> None:
        while not self._over.wait(0.5):
            self._draw()

    def _draw(self) -> None:
        if not self._live:
            return
        text = f"  {time.monotonic() - self._begin:3.0f} s  {self._line}"
        with self._drawing:
            # the escape sequence erases the rest of the line, where a longer text may have been
            self._stream.write(f"\r{text[: shutil.get_terminal_size().columns - 1]}\x1b[K")
            self._stream.flush()

    def end(self, word: str) -> None:
        self._over.set()
        if self._live:
            self._clock.join()
        self._stream.write("\r\x1b[K" if self._live else "")
        print(f"  {word} after {time.monotonic() - self._begin:.0f} s", file=self._stream, flush=True)
