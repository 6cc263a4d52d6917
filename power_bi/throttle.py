"""The pauses that Power BI asks for, by model, so that no call is made before they are over.

The run that was throttled waits in a durable timer. This is for the other callers of the same model: the next run, a
new incarnation, a check, a cancel. It lives in the process: another worker learns of the pause by one call.
"""

import threading
from datetime import datetime, timedelta

from power_bi.errors import Facts, Throttled
from refresh import clock
from refresh.times import instant

MOST_MODELS = 1000
"""Models in a pause that are kept before those whose pause is over are dropped."""
TIMER_EARLY = timedelta(seconds=1)
"""A durable timer may fire so much early, and then means due."""


class Throttle:
    """Until when each model is to be left alone. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._until: dict[str, datetime] = {}

    def keep(self, dataset_id: str, answer: Throttled) -> None:
        """Keeps the pause that the service asked for. Where it asked for none, its callers wait as they see fit."""
        if answer.retry_after_seconds is None:
            return
        now = clock.now()
        until = now + timedelta(seconds=answer.retry_after_seconds)
        with self._lock:
            if len(self._until) >= MOST_MODELS:
                self._until = {model: end for model, end in self._until.items() if end > now}
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
