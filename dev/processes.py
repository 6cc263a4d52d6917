"""Server processes that run exactly as long as a block of code: started, awaited, watched, and always ended."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import FrameType
from typing import Any, Self

from dev.environment import ROOT

READY_SECONDS = 60  # the first start compiles every module; later ones take about a second
END_SECONDS = 10
TAIL_LINES = 20
_READY = re.compile(r" ready: (https?://\S+)")


class ServerFailed(Exception):  # noqa: N818
    """A server did not start or ended by itself; the message contains the end of its log."""


class Server:
    """A server process. Its output goes to the file `log`; `base` is the URL in its ready line."""

    def __init__(self, name: str, command: list[str], log: Path, environ: Mapping[str, str]) -> None:
        self.name, self.log, self.base = name, log, ""
        more: dict[str, Any] = {}
        # Ctrl-C must not reach the servers: this process ends them in the right order
        if sys.platform == "win32":
            more["creationflags"] = subprocess.CREATE_NEW_PROCESS_GROUP
        else:
            more["start_new_session"] = True
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                command, cwd=ROOT, env=dict(environ), stdin=subprocess.DEVNULL, stdout=output, stderr=output, **more
            )

    def wait_until_ready(self, seconds: float = READY_SECONDS) -> str:
        """The URL in its ready line. Raises ServerFailed if the server ends first or the time is up."""
        end = time.monotonic() + seconds
        while not self.base:
            self.check()
            if found := _READY.search(self._text()):
                self.base = found[1]
            elif time.monotonic() > end:
                raise ServerFailed(f"{self.name} was not ready after {seconds:.0f} s.{self._tail()}")
            else:
                time.sleep(0.05)
        return self.base

    def check(self) -> None:
        """Raises ServerFailed if the server has ended."""
        code = self._process.poll()
        if code is not None:
            raise ServerFailed(f"{self.name} ended with exit code {code}.{self._tail()}")

    def end(self) -> None:
        """Asks the server to end, and kills it if it is still running after END_SECONDS."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(END_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
        self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        # Ctrl-C is ignored meanwhile: a second one would leave the server running
        with _ignored(signal.SIGINT):
            self.end()

    def _text(self) -> str:
        return self.log.read_text("utf-8", errors="replace")

    def _tail(self) -> str:
        lines = self._text().splitlines()[-TAIL_LINES:]
        if not lines:
            return " Its log is empty."
        return "\n".join([f" The end of {self.log}:", *(f"    {line}" for line in lines)])


@contextlib.contextmanager
def ended_by_signals() -> Iterator[None]:
    """Makes SIGTERM and SIGHUP (the terminal was closed) raise SystemExit in the block, so that the block cleans up."""

    def leave(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    names = ["SIGTERM"] if os.name == "nt" else ["SIGTERM", "SIGHUP"]
    before = {number: signal.signal(number, leave) for number in (getattr(signal, name) for name in names)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _ignored(number: int) -> Iterator[None]:
    before = signal.signal(number, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(number, before)
