"""How long a run waits before it looks again: the poll schedule, and the moments that a wait must not miss."""

from datetime import datetime, timedelta

from refresh.polling.schedule import next_wait, planned_wait
from refresh.run.orders import HistoryRead
from refresh.run.state import RunState
from refresh.times import parse_time, time_of

PROBE_AFTER = timedelta(minutes=60)
"""After waiting this long behind the same row, the run posts anyway: the row may never end, and the answer of Power BI
decides."""
UNKNOWN_AFTER = timedelta(hours=30)
"""After this time the outcome counts as unknown, and the next run of the queue has its turn. Power BI ends a refresh
after 24 h; a pause of the capacity can add up to 6 h."""
LONGEST_WAIT_BEHIND = 600.0
"""The maximum number of seconds between two looks at an external refresh, even if its estimated end is far away:
callers wait until the model is idle."""


def wait_behind(run: RunState, answer: HistoryRead, waited: timedelta) -> float:
    """Seconds until the next look at a busy model. `waited`: the time since the run first saw the external refresh."""
    began = parse_time(answer.running.started_at) if answer.running else None
    # both times are from the service's own clock
    service_time = parse_time(answer.look.service_time)
    if not answer.durations or began is None or service_time is None:
        return next_wait(waited.total_seconds(), run.limits)
    planned = planned_wait((service_time - began).total_seconds(), answer.durations, run.limits)
    longest = min(max(LONGEST_WAIT_BEHIND, run.limits.poll_max), (PROBE_AFTER - waited).total_seconds())
    return max(min(planned, longest), run.limits.poll_min)


def wait_to_poll(run: RunState, now: datetime) -> float:
    """Seconds until the next look at the refresh that the run follows."""
    refresh = run.followed
    wait = planned_wait((now - time_of(refresh.began_at)).total_seconds(), refresh.durations, run.limits)
    if not refresh.durations:
        return wait
    # however far away the estimated end is, do not wait past the end of the grace, or past the time at which the run
    # gives up
    last = time_of(refresh.posted_at) + UNKNOWN_AFTER if refresh.seen else time_of(refresh.visible_by)
    return max(min(wait, (last - now).total_seconds()), run.limits.poll_min)
