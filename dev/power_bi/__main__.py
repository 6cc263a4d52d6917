"""`python -m dev.power_bi --port P`: a Power BI service on this machine, for development."""

from __future__ import annotations

import argparse
import logging
import secrets
import sys

from dev.loops import until_signalled
from dev.power_bi.server import PortTaken, serve
from dev.power_bi.service import PowerBiService

DEFAULT_PORT = 7072


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="dev.power_bi", description=__doc__)
    parser.add_argument("--port", type=int, default=DEFAULT_PORT, help="on 127.0.0.1 (default 7072; 0: any free port)")
    parser.add_argument("--seed", help="makes ids and durations repeatable (default: new ones at each start)")
    parser.add_argument("--quiet", action="store_true", help="do not log requests")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Runs until Ctrl-C or SIGTERM. Exit code 2: the port cannot be used; stderr says why."""
    options = _parser().parse_args(arguments)
    level = logging.WARNING if options.quiet else logging.INFO
    logging.basicConfig(stream=sys.stderr, level=level, format="%(asctime)s %(message)s")
    wait = until_signalled()
    # apps remember the ids of refreshes longer than this process runs, so a restart must not repeat them
    service = PowerBiService(options.seed or secrets.token_hex(8))
    try:
        with serve(service, options.port) as serving:
            print(f"power bi service ready: {serving.base_url}", flush=True)
            wait()
    except PortTaken as problem:
        print(f"power bi service: {problem}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
