"""A devhost as its users have it: a process of its own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import requests

ROOT = Path(__file__).resolve().parents[2]
RECORDED = ROOT / "tests" / "data" / "conformance"
APP = Path(__file__).parent / "app"
START_SECONDS = 30  # on a machine busy with other tests; alone it is about one
END_SECONDS = 15
KEY = "management-key"


class Devhost:
    """Starts a devhost on `app` and `state` and waits until it is ready. `arguments` go to the command line."""

    def __init__(self, app: Path, state: Path, *arguments: str, env: dict[str, str] | None = None) -> None:
        self.lines: list[str] = []
        self.ready = ""
        command = [sys.executable, "-m", "devhost", "--app", str(app), "--state", str(state), *arguments]
        if "--port" not in arguments:
            command += ["--port", "0"]
        self.process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **(env or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        assert self.process.stdout is not None
        self.ready = self.process.stdout.readline().strip()
        found = re.search(r"http://[\d.:]+", self.ready)
        self.base = found[0] if found else ""

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append(line.rstrip())

    @property
    def log(self) -> str:
        return "\n".join(self.lines)

    def get(self, path: str, **more: Any) -> requests.Response:
        return requests.get(self.base + path, timeout=30, **more)

    def post(self, path: str, **more: Any) -> requests.Response:
        return requests.post(self.base + path, timeout=30, **more)

    def status(self, instance: str) -> Any:
        answer = self.get(f"/runtime/webhooks/durabletask/instances/{instance}?code={KEY}")
        return answer.json() if answer.content else None

    def ended(self, instance: str, seconds: float = 60) -> Any:
        """The status of an instance once it is over."""
        until(
            lambda: (self.status(instance) or {}).get("runtimeStatus") in ("Completed", "Failed", "Terminated"), seconds
        )
        return self.status(instance)

    def said(self, text: str, seconds: float = 20) -> None:
        """Waits for a text in the log."""
        until(lambda: text in self.log, seconds, lambda: self.log)

    def kill(self) -> None:
        """kill -9."""
        self.process.kill()
        self._gone()

    def stop(self) -> int:
        """SIGTERM (on Windows, where there is none, an end without ceremony); returns the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self._gone()

    def _gone(self) -> int:
        code = self.process.wait(END_SECONDS)
        self._reader.join(END_SECONDS)
        for stream in (self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()
        return code

    def __enter__(self) -> Self:
        if not self.base:
            self.stop()
            raise AssertionError(f"the devhost did not start: {self.log}")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.stop()
        elif self.process.stdout is not None and not self.process.stdout.closed:
            self._gone()


def until(condition: Callable[[], Any], seconds: float, explain: Callable[[], str] = lambda: "") -> None:
    """Waits until a condition holds; fails after `seconds`."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"not so within {seconds} s. {explain()}")
        time.sleep(0.02)
