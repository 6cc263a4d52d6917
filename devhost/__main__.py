"""`python -m devhost --app DIR --port P --state PATH`: hosts a function app on this machine."""

from __future__ import annotations

import argparse
import contextlib
import logging
import signal
import sys
import threading
from pathlib import Path
from types import FrameType

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
    stop = threading.Event()

    def end(number: int, frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGINT, end)
    signal.signal(signal.SIGTERM, end)
    try:
        host = Host(options)
    except (IndexingError, BadSettings, StateInUse, StateTooNew, PortTaken) as problem:
        print(f"devhost: {problem}", file=sys.stderr)
        return 2
    broken: list[BaseException] = []

    def failed(problem: BaseException) -> None:
        broken.append(problem)
        stop.set()

    host.runner.failed = failed
    print(f"devhost ready: {host.base} (app {options.app}, {len(host.functions)} functions)", flush=True)
    if options.check_keys:
        print(f"devhost keys: host key {host.keys.host}, master key {host.keys.master}", file=sys.stderr, flush=True)
    while not stop.wait(3600):
        pass
    with contextlib.suppress(TimeoutError):
        host.stop()
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
