"""Exchanges of the tests. Limits are parameters, so no test waits for a long one.

`SHORT` is a limit that a test expects to reach; every other limit is `LONG`, and a test that reaches it fails. So a
slow machine makes a test slower, but never makes it fail.
"""

import time
from collections.abc import Callable

from outbound.exchange import Limits, Outgoing, Received, exchange
from tests.unit.outbound.hostile import Server

SHORT, LONG = 0.5, 60.0
PATIENT = Limits(LONG, LONG, LONG, 1024 * 1024)
HURRIED = Limits(LONG, LONG, SHORT, 1024 * 1024)


def get(server: Server, limits: Limits = PATIENT, **headers: str) -> Received:
    """Makes a GET."""
    return exchange(Outgoing("GET", server.url, headers), limits)


def within_its_limit(call: Callable[[], object]) -> None:
    """Runs a call, and fails if it takes a large part of LONG."""
    began = time.monotonic()
    call()
    assert time.monotonic() - began < LONG / 2
