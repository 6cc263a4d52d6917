"""The app's own clock: the one place that asks what time it is, so that a simulation can hand in another one.

Orchestrators never ask it; their time comes from their history.
"""

from datetime import UTC, datetime


def now() -> datetime:
    """The time, in UTC."""
    return datetime.now(UTC)
