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
LONGEST_DELAY = timedelta(hours=1)
"""Of a beat on its way to where it is stored."""


class Heartbeat(Message, frozen=True, kw_only=True):
    """The operation `beat`, and what is stored: when the timer ran last (ISO 8601 UTC)."""

    at: str = ""


def latest(stored: Heartbeat, beat: Heartbeat) -> Heartbeat:
    """What is stored after a beat: the later one, so that a beat which arrives late or twice changes nothing.

    A stored time far ahead of the beat is from a clock that was wrong, and would hide all later runs; the beat counts.
    """
    stored_at, beat_at = parse_time(stored.at), parse_time(beat.at)
    if beat_at is None:
        return stored
    overtaken = stored_at is not None and timedelta(0) < stored_at - beat_at <= LONGEST_DELAY
    return stored if overtaken else beat


def late(name: str, stored: Heartbeat, now: datetime) -> bool:
    """Whether a timer has missed runs. One that never ran is not late: the app may have been deployed just now."""
    ran = parse_time(stored.at)
    return ran is not None and now - ran > INTERVALS[name] * MISSED
