"""Exchanges of the tests. Limits are parameters, so no test waits for a long one.

`SHORT` is a limit that a test expects to reach; every other limit is `LONG`, and a test that reaches it fails. So a
slow machine makes a test slower, but never makes it fail.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from outbound.exchange import ExchangeError, Limits, NotSentError, Outgoing, Received, exchange
from tests.unit.outbound.hostile import Server

T = TypeVar("T")

SHORT, LONG = 0.5, 60.0
PATIENT = Limits(LONG, LONG, LONG, 1024 * 1024)


def get(server: Server, limits: Limits = PATIENT, **headers: str) -> Received:
    """Makes a GET."""
    return exchange(Outgoing("GET", server.url, headers), limits)


def hurried(call: Callable[[Limits], T], too_slow: type[ExchangeError] = NotSentError) -> T:
    """The result of a call that is meant to reach a short time limit.

    `too_slow` is the error if the machine was so slow that the limit came too early; by default, the connection was not
    established in time. The call is then repeated with a longer limit.
    """
    for seconds in (SHORT, 4 * SHORT):
        with suppress(too_slow):
            return call(Limits(LONG, LONG, seconds, 1024 * 1024))
    return call(Limits(LONG, LONG, 16 * SHORT, 1024 * 1024))


def within_its_limit(call: Callable[[], object]) -> None:
    """Runs a call, and fails if it takes a large part of LONG."""
    began = time.monotonic()
    call()
    assert time.monotonic() - began < LONG / 2
