"""The last run of each timer, so that a frozen one is noticed. Stored by the entity `timer_heartbeat`, one for each."""

from datetime import datetime, timedelta

from refresh.messages import Message
from refresh.times import parse_time

INTERVALS = {
    "deliver_callbacks": timedelta(minutes=5),
    "tidy_queues": timedelta(hours=1),
    "purge_ended": timedelta(days=1),
}
"""How often each timer runs, by the name of its function."""
MISSED = 3
"""Runs that a timer may miss before it counts as late."""


class Heartbeat(Message, frozen=True, kw_only=True):
    """The operation `beat`, and what is stored: when the timer ran last (ISO 8601 UTC)."""

    at: str = ""


def latest(stored: Heartbeat, beat: Heartbeat) -> Heartbeat:
    """What is stored after a beat; one that comes late or twice changes nothing."""
    return beat if beat.at > stored.at else stored


def late(name: str, stored: Heartbeat, now: datetime) -> bool:
    """Whether a timer has missed runs. One that never ran is not late: the app may have been deployed just now."""
    ran = parse_time(stored.at)
    return ran is not None and now - ran > INTERVALS[name] * MISSED
