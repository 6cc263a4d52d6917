"""Copies of a process that has imported the libraries of the devhost, so that a start takes half the processor time.

The copies import the app themselves: it reads its settings when it is imported, and tests start different apps. Linux
only, because no other system waits for the end of a process that is not a child.
"""

import atexit
import gc
import importlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from functools import cache
from pathlib import Path
from typing import IO, Any

import devhost

POSSIBLE = sys.platform == "linux"
SOURCE = str(Path(devhost.__file__).resolve().parents[1])
"""The devhost of this test run, so that its processes do not import another installed one."""
ENVIRONMENT = {
    **os.environ,
    "PYTHONPATH": os.pathsep.join([SOURCE, *filter(None, [os.environ.get("PYTHONPATH")])]),
    "PYTHONUNBUFFERED": "1",
}
LIBRARIES = ("devhost.__main__", "azure.durable_functions")
MESSAGE_BYTES = 128 * 1024
"""More than any environment has. A message over the socket is whole or an error."""


class Fork:
    """A running `devhost ARGUMENTS`, with the methods of `subprocess.Popen`."""

    def __init__(self, arguments: list[str], folder: Path, environ: dict[str, str]) -> None:
        self.stdout, out = _pipe()
        self.stderr, errors = _pipe()
        try:
            order = {"arguments": arguments, "folder": str(folder), "environ": environ}
            self.pid: int = _mother().answer(order, out, errors)
        finally:
            os.close(out)
            os.close(errors)
        self._end = os.pidfd_open(self.pid)
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """The exit code, or None while it runs."""
        return self.returncode if self._ended(0) else None

    def wait(self, timeout: float) -> int:
        """The exit code. Raises subprocess.TimeoutExpired."""
        if not self._ended(timeout):
            raise subprocess.TimeoutExpired("devhost", timeout)
        assert self.returncode is not None
        return self.returncode

    def kill(self) -> None:
        """kill -9."""
        self.send_signal(signal.SIGKILL)

    def send_signal(self, number: int) -> None:
        """Sends a signal, unless it has ended."""
        if self.poll() is None:
            signal.pidfd_send_signal(self._end, number)

    def _ended(self, seconds: float) -> bool:
        if self.returncode is None and select.select([self._end], [], [], seconds)[0]:
            self.returncode = _mother().answer({"wait": self.pid})
            os.close(self._end)
        return self.returncode is not None


class _Mother:
    """The process that is copied."""

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._lock = threading.Lock()
        words = [sys.executable, __file__, str(theirs.fileno())]
        self._process = subprocess.Popen(words, pass_fds=[theirs.fileno()], env=ENVIRONMENT)
        theirs.close()
        atexit.register(self._stop)

    def answer(self, order: dict[str, Any], *files: int) -> int:
        """The answer to an order, which gets these file descriptors."""
        with self._lock:
            socket.send_fds(self._socket, [json.dumps(order).encode()], files)
            return int(json.loads(self._socket.recv(MESSAGE_BYTES)))

    def _stop(self) -> None:
        self._socket.close()
        self._process.wait()


@cache
def _mother() -> _Mother:
    return _Mother()


def _pipe() -> tuple[IO[str], int]:
    reader, writer = os.pipe()
    return os.fdopen(reader, encoding="utf-8"), writer


def _serve(control: socket.socket) -> list[str]:
    """Makes copies until the test process closes the socket. In a copy it returns, with the arguments."""
    while True:
        data, files, _, _ = socket.recv_fds(control, MESSAGE_BYTES, 2)
        if not data:
            sys.exit()
        order = json.loads(data)
        if "wait" in order:
            control.send(json.dumps(os.waitstatus_to_exitcode(os.waitpid(order["wait"], 0)[1])).encode())
            continue
        copy = os.fork()
        if copy == 0:
            control.close()
            for number, file in enumerate(files, 1):
                os.dup2(file, number)
                os.close(file)
            os.environ.clear()
            os.environ.update(order["environ"])
            os.chdir(order["folder"])
            sys.path[0] = order["folder"]  # as `python -m devhost` has it
            signal.signal(signal.SIGINT, signal.default_int_handler)
            return list(order["arguments"])
        for file in files:
            os.close(file)
        control.send(json.dumps(copy).encode())


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the test process closes the socket
    for library in LIBRARIES:
        importlib.import_module(library)
    gc.collect()
    gc.freeze()
    command_line = _serve(socket.socket(fileno=int(sys.argv[1])))
    sys.exit(sys.modules["devhost.__main__"].main(command_line))
