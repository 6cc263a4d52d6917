"""The time of a caller, scaled or virtual, so that an hour of a pipeline takes seconds or no time at all."""

import time
from typing import Protocol

MIN_SECONDS = 0.05
"""The minimum of a scaled wait in seconds, so that polling does not keep the machine busy."""


class Pace(Protocol):
    """How time passes for a caller, in its own seconds."""

    def now(self) -> float:
        """Seconds since some moment."""

    def wait(self, seconds: float) -> None:
        """Waits."""

    def limit(self, seconds: float) -> float:
        """The real seconds after which a single HTTP call times out."""


class Scaled:
    """Scaled real time. `waits`: real seconds for each second that the caller waits. `limits`: real seconds for each
    second of its time limits."""

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
    """Virtual time, which advances only when the caller waits."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> float:
        """The seconds waited so far."""
        return self.seconds

    def wait(self, seconds: float) -> None:
        """Advances the time at once."""
        self.seconds += seconds

    def limit(self, seconds: float) -> float:
        """The same number of real seconds."""
        return seconds
