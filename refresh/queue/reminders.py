"""Which requests of a queue need a reminder, because they seem to have missed a message.

A request sends no messages while its refresh is running: with many callers and long refreshes, such messages would be
most of the app's load. A timer reads each queue instead.
"""

from datetime import datetime, timedelta

from refresh.queue.members import START_WITHIN
from refresh.queue.state import Queue, Run
from refresh.times import instant

NOTIFIED_WITHIN = timedelta(minutes=1)
"""A run notifies its members within this time after its end, and a member ends within this time after it got its
outcome."""
MAX_REMINDED = 500
"""The maximum number of requests of one queue that one run of the timer reminds."""


def to_remind(queue: Queue, now: datetime) -> list[str]:
    """Requests that have not collected their outcome, requests that have not noticed their cancellation, and requests
    that the queue removed because their orchestrations seemed to have ended."""
    overdue = instant(now - NOTIFIED_WITHIN)
    uncollected = [request for run in queue.ended if run.at < overdue for request in run.uncollected]
    leaving = [request for run in queue.runs for request, member in run.members.items() if member.leaving]
    dropped = [request for request, departed in queue.departed.items() if departed.dropped]
    return [*uncollected, *leaving, *dropped][:MAX_REMINDED]


def answered_at(queue: Queue, now: datetime) -> dict[str, str]:
    """Requests that received their final answer over a minute ago, and so should have ended, with that time."""
    overdue = instant(now - NOTIFIED_WITHIN)
    answered = ((request, departed) for request, departed in queue.departed.items() if not departed.dropped)
    return {request: departed.at for request, departed in answered if departed.at < overdue}


def is_unclaimed(run: Run, now: datetime) -> bool:
    """Whether no orchestration has claimed the active run, and no request was asked to start it within
    `START_WITHIN`."""
    if run.token is not None:
        return False
    return run.start_asked is None or run.start_asked[1] < instant(now - START_WITHIN)
