"""The pauses that Power BI asks for, by model, so that the app makes no call before they are over.

The throttled run itself waits in a durable timer. The stored pause is for other calls about the same model: the next
run, a new incarnation, a check. Cancels ignore it (`PowerBiClient._ask`). Pauses are kept per process, so each other
worker makes one call before it learns of a pause. For lists of models, the workspace takes the place of the model.
"""

import threading
from datetime import datetime, timedelta

from power_bi.errors import Facts, Throttled
from refresh import clock
from refresh.times import TIMER_EARLY, instant

CLEAN_UP_FROM = 1000
"""When pauses of this many models are stored, the expired ones are removed."""


class Throttle:
    """The end of the pause for each model or, for lists of models, workspace. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._until: dict[str, datetime] = {}

    def keep(self, dataset_id: str, answer: Throttled) -> None:
        """Keeps the pause that the service asked for. If it asked for none, callers choose their own waits."""
        if answer.retry_after_seconds is None:
            return
        now = clock.now()
        until = now + timedelta(seconds=answer.retry_after_seconds)
        with self._lock:
            if len(self._until) >= CLEAN_UP_FROM:
                self._until = {model: end for model, end in self._until.items() if end > now}
            self._until[dataset_id] = max(until, self._until.get(dataset_id, until))

    def check(self, dataset_id: str, operation: str) -> None:
        """Raises Throttled, with the remaining seconds, during a pause."""
        now = clock.now()
        with self._lock:
            until = self._until.get(dataset_id)
            if until is None:
                return
            # a durable timer that fires a little too early still counts as due
            if until - now <= TIMER_EARLY:
                del self._until[dataset_id]
                return
        message = f"Power BI asked the app to wait until {instant(until)}"
        remaining = (until - now).total_seconds()
        raise Throttled(
            Facts(operation=operation, dataset_id=dataset_id, service_message=message, retry_after_seconds=remaining)
        )
