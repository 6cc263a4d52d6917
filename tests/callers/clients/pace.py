"""The time of a caller, which need not be ours: an hour of a pipeline may pass in seconds, or in none."""

import time
from typing import Protocol

LEAST_SECONDS = 0.05
"""A scaled wait is no shorter, or a caller that polls would keep the machine busy."""


class Pace(Protocol):
    """How time passes for a caller, in its own seconds."""

    def now(self) -> float:
        """Seconds since some moment."""

    def wait(self, seconds: float) -> None:
        """Lets them pass."""

    def limit(self, seconds: float) -> float:
        """The seconds of this machine after which a single HTTP call is given up."""


class Scaled:
    """Real time: `waits` seconds for each second of the caller's waits, `limits` for each of its limits on one call."""

    def __init__(self, waits: float, limits: float = 1.0) -> None:
        self._waits, self._limits = waits, limits

    def now(self) -> float:
        """Seconds of the caller."""
        return time.monotonic() / self._waits

    def wait(self, seconds: float) -> None:
        """Sleeps for the scaled time."""
        time.sleep(max(LEAST_SECONDS, seconds * self._waits))

    def limit(self, seconds: float) -> float:
        """The scaled limit."""
        return seconds * self._limits


class Virtual:
    """Time that passes only by waiting."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> float:
        """Seconds waited so far."""
        return self.seconds

    def wait(self, seconds: float) -> None:
        """Passes at once."""
        self.seconds += seconds

    def limit(self, seconds: float) -> float:
        """Nothing takes time but waiting."""
        return seconds
