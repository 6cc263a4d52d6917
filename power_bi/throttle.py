"""What Power BI asked for with a 429, kept by model, so that nobody asks again before the time is over.

The run that met the 429 waits in a durable timer. This is for all others who speak of the same model: a request that
cancels, the next run, a new generation, a check. It lives in the process: another worker learns it by one call.
"""

import threading
from datetime import datetime, timedelta

from power_bi.errors import Facts, Throttled
from refresh import clock
from refresh.times import instant

TIMER_EARLY = timedelta(seconds=1)
"""A durable timer may fire so much early, and then means due."""


class Throttle:
    """Until when which model is to be left alone. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._until: dict[str, datetime] = {}

    def keep(self, dataset_id: str, answer: Throttled) -> None:
        """Remembers how long the service wants to be left alone."""
        until = clock.now() + timedelta(seconds=answer.retry_after_seconds)
        with self._lock:
            self._until[dataset_id] = max(until, self._until.get(dataset_id, until))

    def check(self, dataset_id: str, operation: str) -> None:
        """Raises Throttled, with the seconds that are left, if the time is not over."""
        now = clock.now()
        with self._lock:
            until = self._until.get(dataset_id)
            if until is None:
                return
            if until - now <= TIMER_EARLY:
                del self._until[dataset_id]
                return
        said = f"it asked for no calls before {instant(until)}"
        left = (until - now).total_seconds()
        raise Throttled(
            Facts(operation=operation, dataset_id=dataset_id, service_message=said, retry_after_seconds=left)
        )
