"""The last run of each timer, stored in one entity `timer_heartbeat` per timer, so that a stopped timer is noticed."""

from datetime import datetime, timedelta

from refresh.messages import Message
from refresh.times import parse_time

INTERVALS = {
    "deliver_callbacks": timedelta(minutes=5),
    "remind_requests": timedelta(minutes=5),
    "check_places": timedelta(minutes=5),
    "tidy_queues": timedelta(hours=1),
    "watch_models": timedelta(minutes=15),
    "purge_ended": timedelta(days=1),
}
"""The longest regular time between two runs of each timer, by the name of its function. `purge_ended` runs five times a
night; a day is longer than the time from the last run of one night to the first run of the next."""
MISSED = 3
"""A timer without a run for more than this many intervals has missed runs."""
LONGEST_DELAY = timedelta(hours=1)
"""The longest time that a beat takes to reach the entity."""


class Heartbeat(Message, frozen=True, kw_only=True):
    """The operation `beat`, and the stored value: when the timer last ran (ISO 8601 UTC)."""

    at: str = ""


def latest(stored: Heartbeat, beat: Heartbeat) -> Heartbeat:
    """The stored value after a beat: the later of the two, so that a late or repeated beat changes nothing.

    A stored time far ahead of the beat comes from a wrong clock and would hide all later runs, so the beat replaces it.
    """
    stored_at, beat_at = parse_time(stored.at), parse_time(beat.at)
    if beat_at is None:
        return stored
    overtaken = stored_at is not None and timedelta(0) < stored_at - beat_at <= LONGEST_DELAY
    return stored if overtaken else beat


def has_missed_runs(name: str, stored: Heartbeat, now: datetime) -> bool:
    """Whether the last run of a timer is too long ago.

    A timer that never ran has missed none: the app may have been deployed just now.
    """
    ran = parse_time(stored.at)
    return ran is not None and now - ran > INTERVALS[name] * MISSED
