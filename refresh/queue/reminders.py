"""Which requests of a queue need to be reminded, because a message to them seems to be lost.

A request does not ask how it stands while its refresh goes on: with many callers and long refreshes that would be most
of what the app does. A timer looks at each queue instead.
"""

from datetime import datetime, timedelta

from refresh.queue.members import START_WITHIN
from refresh.queue.state import Queue, Run
from refresh.times import instant

NOTIFIED_WITHIN = timedelta(minutes=1)
"""After its end a run notifies its members; those of a large one take some seconds."""
MOST = 500
"""Requests that are reminded at one visit."""


def to_remind(queue: Queue, now: datetime) -> list[str]:
    """Requests that have not heard of their outcome, or of their cancellation, or that the queue took for dead."""
    overdue = instant(now - NOTIFIED_WITHIN)
    uncollected = [request for run in queue.ended if run.at < overdue for request in run.uncollected]
    leaving = [request for run in queue.runs for request, member in run.members.items() if member.leaving]
    dropped = [request for request, departed in queue.departed.items() if departed.dropped]
    return [*uncollected, *leaving, *dropped][:MOST]


def is_unclaimed(run: Run, now: datetime) -> bool:
    """Whether no orchestration has claimed the active run, and no request is just about to start one."""
    if run.token is not None:
        return False
    return run.start_asked is None or run.start_asked[1] < instant(now - START_WITHIN)
