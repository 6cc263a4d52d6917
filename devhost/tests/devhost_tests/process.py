"""Hosts for tests: a devhost in its own process, a host started by another command, or a running host."""

from __future__ import annotations

import contextlib
import random
import re
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest
import requests

from devhost_tests.forks import ENVIRONMENT, POSSIBLE, Fork

ROOT = Path(__file__).resolve().parents[3]
README = Path(__file__).resolve().parents[2] / "README.md"
RECORDED = Path(__file__).resolve().parent / "data" / "conformance"
APP = Path(__file__).parent / "app"
START_SECONDS = 120  # for other hosts' commands; a devhost itself writes a line when it is ready
END_SECONDS = 15
KEY = "management-key"
HOOK = "/runtime/webhooks/durabletask"
FIRST_PAUSE, LONGEST_PAUSE, GROWTH = 0.05, 0.4, 1.5
_RANDOM = random.SystemRandom()
"""Independent of seeds, so that processes of the same test run choose different ports."""


class Client:
    """Calls a host at `base`; `key` opens its management API."""

    base: str
    key: str

    def get(self, path: str, **more: Any) -> requests.Response:
        return requests.get(self.base + path, timeout=30, **more)

    def post(self, path: str, **more: Any) -> requests.Response:
        return requests.post(self.base + path, timeout=30, **more)

    def delete(self, path: str, **more: Any) -> requests.Response:
        return requests.delete(self.base + path, timeout=30, **more)

    def manage(self, method: str, path: str, **more: Any) -> requests.Response:
        """A request to the management API. `path`: the part after /runtime/webhooks/durabletask."""
        code = f"{'&' if '?' in path else '?'}code={self.key}"
        return requests.request(method, f"{self.base}{HOOK}{path}{code}", timeout=30, **more)

    def status(self, instance: str, query: str = "") -> Any:
        answer = self.manage("GET", f"/instances/{instance}{query}")
        return answer.json() if answer.content else None

    def ended(self, instance: str, seconds: float = 60) -> Any:
        """The status of an instance after it has ended."""
        over = ("Completed", "Failed", "Terminated")
        until(lambda: (self.status(instance) or {}).get("runtimeStatus") in over, seconds)
        return self.status(instance)

    def becomes(self, instance: str, status: str, seconds: float = 20) -> None:
        """Waits until an instance has a status."""
        until(lambda: (self.status(instance) or {}).get("runtimeStatus") == status, seconds)

    def wait_for_log(self, text: str, seconds: float = 20) -> None:
        """Waits for a text in the host's log."""
        pytest.skip("the log of that host cannot be read")


class Elsewhere(Client):
    """A host that is already running."""

    def __init__(self, base: str, key: str) -> None:
        self.base, self.key = base.rstrip("/"), key


class Devhost(Client):
    """Starts a devhost with `app` and `state` and waits until it is ready. `arguments`: for the command line.

    If `imported` is true and forks are possible, the devhost is a fork of a process that has already imported its
    libraries.

    `command` starts a different host: {app}, {port} and {state} in it are filled in, and the host is ready when it
    answers HTTP.
    """

    def __init__(
        self,
        app: Path,
        state: Path,
        *arguments: str,
        env: dict[str, str] | None = None,
        command: str = "",
        key: str = KEY,
        imported: bool = True,
    ) -> None:
        self.lines: list[str] = []
        self.ready = ""
        self.key = key
        words = [sys.executable, "-m", "devhost", "--app", str(app), "--state", str(state), "--key", key, *arguments]
        port = 0
        if command:
            port = free_port()
            words = shlex.split(command.format(app=app, port=port, state=state))
        elif "--port" not in arguments:
            words += ["--port", "0"]
        self.process: subprocess.Popen[str] | Fork
        if POSSIBLE and imported and not command:
            self.process = Fork(words[3:], ROOT, env or {})
        else:
            self.process = subprocess.Popen(
                words,
                cwd=app if command else ROOT,
                env={**ENVIRONMENT, **(env or {})},
                stdout=subprocess.DEVNULL if command else subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                encoding="utf-8",
            )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        try:
            self.base = self._await_answer(port) if command else self._await_line()
        except BaseException:
            self.kill()
            raise

    def _await_line(self) -> str:
        assert self.process.stdout is not None
        self.ready = self.process.stdout.readline().strip()
        found = re.search(r"http://[\d.:]+", self.ready)
        return found[0] if found else ""

    def _await_answer(self, port: int) -> str:
        base = f"http://127.0.0.1:{port}"

        def answers() -> bool:
            try:
                return requests.get(base, timeout=5).status_code > 0
            except requests.RequestException:  # can also be a timeout on a loaded machine
                return False

        until(answers, START_SECONDS, lambda: self.log)
        return base

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append(line.rstrip())

    @property
    def log(self) -> str:
        return "\n".join(self.lines)

    def wait_for_log(self, text: str, seconds: float = 20) -> None:
        until(lambda: text in self.log, seconds, lambda: self.log)

    def host_key(self) -> str:
        """A key for functions of the level FUNCTION, from the output of a devhost that checks keys."""
        self.wait_for_log("devhost keys:")
        found = re.search(r"host key ([^\s,]+)", self.log)
        assert found, self.log
        return found[1]

    def kill(self) -> None:
        """Kills the process with kill -9."""
        self.process.kill()
        self._wait_for_exit()

    def stop(self) -> int:
        """Ends the process with SIGTERM (on Windows, which has no SIGTERM, it is killed). Returns the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self._wait_for_exit()

    def _wait_for_exit(self) -> int:
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
        elif self.process.stderr is not None and not self.process.stderr.closed:
            self._wait_for_exit()


def free_port() -> int:
    """A free port for a host that is stopped and started again, or whose command needs a number.

    The system chooses ports from 32768 on, for port 0 and for outgoing connections. So it gives this port to no other
    process while the host is down.
    """
    while True:
        port = _RANDOM.randrange(20_000, 30_000)
        with contextlib.suppress(OSError), socket.socket() as sock:
            sock.bind(("127.0.0.1", port))
            return port


def until(condition: Callable[[], Any], seconds: float, explain: Callable[[], str] = lambda: "") -> None:
    """Waits until a condition holds; fails after `seconds`."""
    end, pause = time.monotonic() + seconds, pauses()
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"condition not met within {seconds} s. {explain()}")
        time.sleep(next(pause))


def pauses() -> Iterator[float]:
    """The seconds between two looks at a condition: longer and longer, because each look costs the app processor
    time."""
    pause = FIRST_PAUSE
    while True:
        yield pause
        pause = min(pause * GROWTH, LONGEST_PAUSE)
