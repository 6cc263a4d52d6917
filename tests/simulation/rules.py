"""The common parts of the invariants: the exception for a violation, and how late events may be because of faults."""

from datetime import datetime, timedelta
from typing import Any

from refresh.queue.reminders import NOTIFIED_WITHIN
from tests.simulation.callers import Accepted
from tests.simulation.client import LATE_SIGNAL_SECONDS
from tests.simulation.reminders import TIMER_SECONDS
from tests.simulation.world import World

Json = dict[str, Any]

HIDING = (
    "work_hidden",
    "activity_dies_before",
    "activity_dies_midway",
    "activity_dies_after",
    "crashes",
    "timers_late",
)
REMINDED_WITHIN = TIMER_SECONDS + NOTIFIED_WITHIN.total_seconds()
"""The seconds until the timer has made a request look at its queue."""
MAX_ROWS = 60
"""The maximum number of rows of a history."""
MESSAGES = 12
"""The maximum number of consecutive late messages of one request."""


class Violation(AssertionError):  # noqa: N818
    """An invariant is violated."""


def require(condition: object, sentence: str) -> None:
    """Raises Violation with the sentence unless the condition holds."""
    if not condition:
        raise Violation(sentence)


def time(text: str) -> datetime:
    """A time of a status or of the service."""
    return datetime.fromisoformat(text)


def delayed(world: World) -> timedelta:
    """How late events may be because workers die, work is hidden, and messages are late."""
    faults = sum(world.counts[name] for name in HIDING)
    late = min(world.counts["signals_late"], MESSAGES) * LATE_SIGNAL_SECONDS
    return timedelta(seconds=90 * faults + late + 5 * world.counts["reads_fail"])


def refresh_of(world: World, request: Accepted, refresh_id: str | None) -> Json | None:
    """The true state of a refresh of the request's model."""
    return next((e for e in world.truth(request.caller.dataset_id) if e["requestId"] == refresh_id), None)


def final(request: Accepted) -> Json:
    """The status that the caller saw last."""
    return request.seen[-1][2]


def terminated_and_started_again(world: World) -> set[str]:
    """The requests for which a second execution may reach a different outcome after a caller has read Terminated."""
    return world.terminated & world.second_executions


def known_as_ours(world: World, refresh_id: str) -> bool:
    """Whether a run followed this refresh, or could know that it is ours although the answer to its POST was lost."""
    made = next((post for post in world.posts if post.accepted == refresh_id), None)
    return refresh_id in world.recorded or made is None or made.identified


def purged_between(world: World, run: str, begin: datetime, end: datetime) -> bool:
    """Whether the request after which a run is named was purged in this time. Another run may then have the same
    name."""
    owner = run.rsplit("-r", 1)[0]
    return any(r.id == owner and r.purged_at and begin < r.purged_at < end for r in world.requests)


def pushed_out(world: World, dataset_id: str, refresh: Json, at: datetime) -> bool:
    """Whether so many refreshes began after this one that the history does not show it any more."""
    newer = [e for e in world.truth(dataset_id) if time(refresh["startTime"]) < time(e["startTime"]) <= at]
    return len(newer) >= MAX_ROWS
