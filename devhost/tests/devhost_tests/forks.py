"""Forks of a process that has imported the libraries of the devhost, so that a start takes half the processor time.

The forks import the app themselves, because it reads its settings when it is imported, and because tests start
different apps. They share the hash seed. A test that needs a different seed, or a different value of a variable that
Python reads at its start, starts `python -m devhost`. This works only on Linux, because it needs pidfd.
"""

import atexit
import contextlib
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
from pathlib import Path
from typing import IO, Any

import devhost

SOURCE = str(Path(devhost.__file__).resolve().parents[1])
"""The source of the devhost of this test run, so that its processes do not import a different, installed devhost."""
ENVIRONMENT = {
    **os.environ,
    "PYTHONPATH": os.pathsep.join([SOURCE, *filter(None, [os.environ.get("PYTHONPATH")])]),
    "PYTHONUNBUFFERED": "1",
}
LIBRARIES = ("devhost.__main__", "azure.durable_functions")
MESSAGE_BYTES = 128 * 1024
"""A size that no order exceeds. An order has the arguments and the variables of one test."""
ANSWER_SECONDS = 60


class Fork:
    """A running `devhost ARGUMENTS`, with the methods of `subprocess.Popen`. `environ`: added to `ENVIRONMENT`."""

    def __init__(self, arguments: list[str], folder: Path, environ: dict[str, str]) -> None:
        self._lock = threading.Lock()
        self._server = _fork_server()
        self.returncode: int | None = None
        self.stdout, out = _pipe()
        self.stderr, errors = _pipe()
        try:
            order = {"arguments": arguments, "folder": str(folder), "environ": environ}
            self.pid = self._server.answer(order, out, errors)
        finally:
            os.close(out)
            os.close(errors)
        self._end = os.pidfd_open(self.pid)

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
        """Kills the process with kill -9."""
        self.send_signal(signal.SIGKILL)

    def send_signal(self, number: int) -> None:
        """Sends a signal, unless the process has ended."""
        if self.poll() is None:
            signal.pidfd_send_signal(self._end, number)

    def _ended(self, seconds: float) -> bool:
        with self._lock:
            if self.returncode is None and select.select([self._end], [], [], seconds)[0]:
                self.returncode = self._server.answer({"wait": self.pid})
                os.close(self._end)
            return self.returncode is not None


class _ForkServer:
    """The process of which forks are made."""

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket.settimeout(ANSWER_SECONDS)
        self._lock = threading.Lock()
        self.failed = False
        words = [sys.executable, __file__, str(theirs.fileno())]
        self._process = subprocess.Popen(words, pass_fds=[theirs.fileno()], env=ENVIRONMENT)
        theirs.close()
        atexit.register(self._stop)

    def answer(self, order: dict[str, Any], *files: int) -> int:
        """The answer of the fork server to an order. The server gets these file descriptors with the order."""
        message = json.dumps(order).encode()
        assert len(message) < MESSAGE_BYTES, f"an order of {len(message)} bytes"
        with self._lock:
            try:
                socket.send_fds(self._socket, [message], files)
                answer = self._socket.recv(MESSAGE_BYTES)
            except BaseException:
                self.failed = True  # without this, a later order would get the answer to this one
                raise
            if not answer:
                self.failed = True
                raise RuntimeError(f"the process that is copied has ended with {self._process.wait()}, see stderr")
        return int(json.loads(answer))

    def _stop(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()


_CREATION = threading.Lock()
_servers: list[_ForkServer] = []


def _fork_server() -> _ForkServer:
    """The fork server of this test process. After a failure, a new one."""
    with _CREATION:
        if not _servers or _servers[-1].failed:
            _servers.append(_ForkServer())
        return _servers[-1]


def _pipe() -> tuple[IO[str], int]:
    reader, writer = os.pipe()
    return os.fdopen(reader, encoding="utf-8"), writer


def _possible() -> bool:
    try:
        os.close(os.pidfd_open(os.getpid()))
    except (AttributeError, OSError):  # another system, an old kernel, or a container that forbids it
        return False
    return True


POSSIBLE = _possible()


def _serve(control: socket.socket) -> list[str]:
    """Forks until the test process closes the socket. In a fork it returns the arguments."""
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
            os.environ.update(order["environ"])
            os.chdir(order["folder"])
            sys.path[0] = order["folder"]  # as with `python -m devhost`
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
