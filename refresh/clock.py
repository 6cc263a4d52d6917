"""The app's own clock, which a simulation can replace.

All code except orchestrators reads the time here. Orchestrators take their time from their history instead.
"""

from datetime import UTC, datetime


def now() -> datetime:
    """The current time in UTC."""
    return datetime.now(UTC)
