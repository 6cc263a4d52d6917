"""The time of a caller, scaled or virtual: an hour of a pipeline may take seconds, or no time at all."""

import time
from typing import Protocol

MIN_SECONDS = 0.05
"""Minimum of a scaled wait, so that polling does not keep the machine busy."""


class Pace(Protocol):
    """How time passes for a caller, in its own seconds."""

    def now(self) -> float:
        """Seconds since some moment."""

    def wait(self, seconds: float) -> None:
        """Waits."""

    def limit(self, seconds: float) -> float:
        """Real seconds after which a single HTTP call times out."""


class Scaled:
    """Real time: `waits` seconds for each second of the caller's waits, `limits` for each of its limits on one call."""

    def __init__(self, waits: float, limits: float = 1.0) -> None:
        self._waits, self._limits = waits, limits

    def now(self) -> float:
        """Seconds of the caller."""
        return time.monotonic() / self._waits

    def wait(self, seconds: float) -> None:
        """Sleeps for the scaled time."""
        time.sleep(max(MIN_SECONDS, seconds * self._waits))

    def limit(self, seconds: float) -> float:
        """The scaled limit."""
        return seconds * self._limits


class Virtual:
    """Virtual time that advances only by waiting."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> float:
        """Seconds waited so far."""
        return self.seconds

    def wait(self, seconds: float) -> None:
        """Advances the time at once."""
        self.seconds += seconds

    def limit(self, seconds: float) -> float:
        """Unchanged."""
        return seconds
