"""A deadline that all calls of one piece of work share.

An activity may take its share of `functionTimeout` and no more, however many HTTP exchanges it makes: it sets the
deadline once, and each exchange takes what is left of it as its own limit.
"""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_DEADLINE: ContextVar[float] = ContextVar("deadline", default=math.inf)
"""On the clock of `time.monotonic`. A context variable: threads and tasks of other work have their own."""


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """The work in this block has `seconds` from now, or until the deadline around it if that is earlier."""
    before = _DEADLINE.set(min(_DEADLINE.get(), time.monotonic() + seconds))
    try:
        yield
    finally:
        _DEADLINE.reset(before)


def remaining() -> float:
    """Seconds until the deadline; infinite without one, negative when it has passed."""
    return _DEADLINE.get() - time.monotonic()
