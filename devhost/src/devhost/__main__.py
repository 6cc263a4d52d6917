"""`python -m devhost --app DIR --port P --state PATH`: hosts a function app on this machine."""

from __future__ import annotations

import argparse
import contextlib
import logging
import signal
import socket
import sys
from pathlib import Path

from devhost.app.index import IndexingError
from devhost.app.settings import BadSettings
from devhost.engine import StateInUse
from devhost.engine.sqlite_store import StateTooNew
from devhost.host import Host, Options
from devhost.web.server import PortTaken


def _options(arguments: list[str] | None) -> Options:
    parser = argparse.ArgumentParser(prog="devhost", description=__doc__)
    parser.add_argument("--app", type=Path, required=True, help="folder with function_app.py and host.json")
    parser.add_argument("--port", type=int, default=7071, help="port on 127.0.0.1 (default 7071; 0: any free one)")
    parser.add_argument("--state", type=Path, required=True, help="directory for the state; made if missing")
    parser.add_argument("--key", help="key of the management API (default: one is made and kept in the state)")
    parser.add_argument(
        "--keys", action="store_true", help="check function keys as Azure does (default: as Core Tools, not)"
    )
    parser.add_argument(
        "--exact-timers", action="store_true", help="do not cut timers to whole seconds as Azure Storage does"
    )
    a = parser.parse_args(arguments)
    return Options(a.app, a.state, a.port, a.key, a.keys, a.exact_timers)


def main(arguments: list[str] | None = None) -> int:
    """Runs until Ctrl-C or SIGTERM. Exit code 2: the app or the settings cannot be used; stderr says why."""
    options = _options(arguments)
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)-7s %(name)s: %(message)s"
    )
    # The SDK's HTTP client and the token library log every request at INFO.
    for noisy in ("azure.core", "azure.identity", "asyncio"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    ended = _Ended()
    try:
        host = Host(options)
    except (IndexingError, BadSettings, StateInUse, StateTooNew, PortTaken) as problem:
        print(f"devhost: {problem}", file=sys.stderr)
        return 2
    host.runner.failed = ended.because
    print(f"devhost ready: {host.base} (app {options.app}, {len(host.functions)} functions)", flush=True)
    if options.check_keys:
        print(f"devhost keys: host key {host.keys.host}, master key {host.keys.master}", file=sys.stderr, flush=True)
    ended.wait()
    with contextlib.suppress(TimeoutError):
        host.stop()
    return 1 if ended.broken is not None else 0


class _Ended:
    """The wish that the process end: Ctrl-C, SIGTERM, or the engine has failed.

    A signal that arrives just before a lock or an event is waited for is only seen after that wait, which may be for
    ever. So what is waited for is a byte that Python's own signal handler writes.
    """

    def __init__(self) -> None:
        self.broken: BaseException | None = None
        self._reader, self._writer = socket.socketpair()
        self._writer.setblocking(False)
        signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda number, frame: None)

    def because(self, problem: BaseException) -> None:
        self.broken = problem
        self._writer.send(b"!")

    def wait(self) -> None:
        self._reader.recv(1)


if __name__ == "__main__":
    sys.exit(main())
