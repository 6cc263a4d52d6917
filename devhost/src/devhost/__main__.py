"""`python -m devhost --app DIR --port P --state PATH`: hosts a function app on this machine.

`python -m devhost histories --help`: writes the histories in a state to files.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import signal
import socket
import sys
from pathlib import Path

from devhost import histories
from devhost.app.index import IndexingError
from devhost.app.settings import BadSettings
from devhost.engine import StateInUse
from devhost.engine.sqlite_store import StateTooNew
from devhost.faults import BadFaults, Faults
from devhost.host import Host, Options
from devhost.http_only import HttpOnlyHost, NoEngine
from devhost.logs import LostLines, host_thread
from devhost.web.server import PortTaken


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="devhost", description=__doc__)
    parser.add_argument("--app", type=Path, required=True, help="folder with function_app.py and host.json")
    parser.add_argument("--port", type=int, default=7071, help="port on 127.0.0.1 (default 7071; 0: any free one)")
    parser.add_argument("--state", type=Path, required=True, help="directory for the state; created if missing")
    parser.add_argument("--key", help="key of the management API (default: a generated key, kept in the state)")
    parser.add_argument(
        "--keys", action="store_true", help="check function keys as Azure does (default: not checked, as in Core Tools)"
    )
    parser.add_argument(
        "--exact-timers",
        action="store_true",
        help="keep exact timers (default: cut to whole seconds, as on Azure Storage)",
    )
    parser.add_argument(
        "--no-schedules",
        action="store_true",
        help="run timer functions only on POST /admin/functions/NAME (default: also on their schedules)",
    )
    parser.add_argument(
        "--http-only",
        action="store_true",
        help="serve only the app's HTTP functions, in addition to the devhost that has the state open",
    )
    parser.add_argument("--record", type=Path, metavar="DIR", help="write the history of each generation that ends")
    faults = parser.add_argument_group("faults of the platform (off by default)")
    faults.add_argument(
        "--latency",
        type=float,
        default=0.0,
        metavar="SECONDS",
        help="starts, signals and events of clients arrive after up to SECONDS, in any order",
    )
    faults.add_argument(
        "--internal-latency",
        type=float,
        default=0.0,
        metavar="SECONDS",
        help="messages between orchestrations, entities and activities arrive after up to SECONDS",
    )
    faults.add_argument(
        "--blob-reads-fail",
        type=float,
        default=0.0,
        metavar="RATE",
        help="the first read after the rewrite of a large value fails with 500, with this probability (0 to 1)",
    )
    faults.add_argument("--seed", type=int, default=0, help="seed of the random draws (default 0)")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Runs until Ctrl-C or SIGTERM. Exit code 2: the app or the settings cannot be used; stderr has the reason."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments[:1] == ["histories"]:
        return histories.main(arguments[1:])
    a = _parser().parse_args(arguments)
    lost = _log()
    ended = _Ended()
    try:
        host = _host(a, lost, ended)
    except (IndexingError, BadSettings, BadFaults, NoEngine, StateInUse, StateTooNew, PortTaken) as problem:
        print(f"devhost: {problem}", file=sys.stderr)
        return 2
    print(f"devhost ready: {host.base} (app {a.app}, {len(host.functions)} functions)", flush=True)
    if host.keys.checked:
        print(f"devhost keys: host key {host.keys.host}, master key {host.keys.master}", file=sys.stderr, flush=True)
    ended.wait()
    with contextlib.suppress(TimeoutError):
        host.stop()
    if lost.summary():
        print(f"devhost: {lost.summary()}", file=sys.stderr, flush=True)
    return 1 if ended.broken is not None else 0


def _host(a: argparse.Namespace, lost: LostLines, ended: _Ended) -> Host | HttpOnlyHost:
    if a.http_only:
        return HttpOnlyHost(a.app, a.state, a.port, lost)
    faults = Faults(a.latency, a.internal_latency, a.blob_reads_fail, a.seed)
    options = Options(a.app, a.state, a.port, a.key, a.keys, a.exact_timers, faults, a.record, not a.no_schedules)
    host = Host(options, lost=lost)
    host.runner.failed = ended.because
    return host


def _log() -> LostLines:
    """Configures logging to stderr, without the lines that Azure would lose."""
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)-7s %(name)s: %(message)s"
    )
    # The SDK's HTTP client and the token library log every request at INFO.
    for noisy in ("azure.core", "azure.identity", "asyncio"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    lost = LostLines()
    for handler in logging.getLogger().handlers:
        handler.addFilter(lost)
    host_thread()
    return lost


class _Ended:
    """Waits for the end of the process: for Ctrl-C, SIGTERM, or a failure of the engine.

    If a signal arrives just before the main thread waits for a lock or an event, Python handles the signal only after
    that wait, which may never end. So the main thread waits for a byte that Python's own signal handler writes.
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
