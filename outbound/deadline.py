"""A deadline shared by all calls of one piece of work.

An activity may use its share of `functionTimeout` and no more, however many HTTP exchanges it makes: it sets the
deadline once, and each exchange is limited to the remaining time.
"""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_DEADLINE: ContextVar[float] = ContextVar("deadline", default=math.inf)
"""On the clock of `time.monotonic`. It is a context variable, so other threads and tasks have their own."""


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Gives the work in this block `seconds` from now, or less if a surrounding deadline is earlier."""
    before = _DEADLINE.set(min(_DEADLINE.get(), time.monotonic() + seconds))
    try:
        yield
    finally:
        _DEADLINE.reset(before)


def remaining() -> float:
    """Seconds until the deadline; infinite without a deadline, negative when it has passed."""
    return _DEADLINE.get() - time.monotonic()
