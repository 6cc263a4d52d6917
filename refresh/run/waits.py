"""How long a run waits before it looks again: the poll plan, and the moments that it must not sleep past."""

from datetime import datetime, timedelta
from typing import Any

from refresh.history.rows import instant, parse_time
from refresh.polling.schedule import next_wait, planned_wait
from refresh.run.state import RunState
from refresh.run.ways import time_of

PROBE_AFTER = timedelta(minutes=60)
"""Behind one and the same row for so long, we POST anyway: the row may never end, the refusal is the truth."""
LOST_AFTER = timedelta(hours=30)
"""No refresh lives so long (24 h and 6 h of a paused capacity at most); the queue must be free again."""
LONGEST_WAIT_BEHIND = 600.0
"""Seconds between two looks at somebody else's refresh, however far its usual end: callers wait for an idle model."""

Json = dict[str, Any]


def wait_behind(state: RunState, answer: Json, waited: timedelta) -> float:
    """Seconds until the next look at a busy model. `answer`: of `read_history`, with the refresh in the way.

    `waited`: since it was first seen there.
    """
    usual = answer.get("usual")
    began = parse_time(answer["running"]["startedAt"])
    # both by the service's own clock
    service_time = parse_time(answer["before"]["service_time"]) if usual else None
    if not usual or began is None or service_time is None:
        return next_wait(waited.total_seconds(), state.limits)
    planned = planned_wait((service_time - began).total_seconds(), usual, state.limits)
    longest = min(max(LONGEST_WAIT_BEHIND, state.limits.poll_max), (PROBE_AFTER - waited).total_seconds())
    return max(min(planned, longest), state.limits.poll_min)


def began(state: RunState, row: Json) -> str | None:
    """When the refresh began. Of one that was adopted its row knows better, though by the service's own clock."""
    started = parse_time(row.get("startTime")) if state.adopted else None
    return instant(min(started, time_of(state.posted_at))) if started else state.began_at


def wait_to_poll(state: RunState, now: datetime) -> float:
    """Seconds until the next look at the refresh that the run follows."""
    spent = now - time_of(state.began_at or state.posted_at)
    wait = planned_wait(spent.total_seconds(), state.usual, state.limits)
    if not state.usual:
        return wait
    # however far the usual end is: not past the moment that proves a drop, nor past the one that ends all waiting
    last = time_of(state.posted_at) + LOST_AFTER if state.seen else time_of(state.until)
    return max(min(wait, (last - now).total_seconds()), state.limits.poll_min)
