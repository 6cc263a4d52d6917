"""The entries that a queue keeps of ended requests and runs, and for how long.

The engine repeats operations and delivers them late, and an ended instance id can be started again. So ended requests
and runs are remembered for half an hour: a late duplicate does not revive a request, and a second incarnation of a
request gets the outcome of the first.
"""

from datetime import timedelta
from typing import TypeVar

from refresh.messages import replace
from refresh.queue.answers import Ended, Left, ServedBy, Unknown
from refresh.queue.scopes import free_unused, put
from refresh.queue.state import Departed, EndedRun, Queue
from refresh.times import instant, time_of

T = TypeVar("T")

REMEMBERED = timedelta(minutes=30)
"""How long ended requests are remembered: longer than the engine can delay a duplicate message."""
UNCOLLECTED = timedelta(hours=24)
"""How long an outcome is kept for a request that does not collect it (for example because it was terminated)."""
FROM_THE_FUTURE = timedelta(hours=24)
"""A time further ahead than this comes from a wrong clock; without this limit, its entry would be kept until then."""
OBJECTS_KNOWN = timedelta(days=60)
"""How long the objects of enhanced refreshes are kept after the last such refresh. A queue without other entries is
deleted then."""
MAX_REMEMBERED = 2_000
"""The maximum number of requests that are remembered, in about a tenth of a megabyte; if there are more, the oldest are
forgotten."""
MAX_PENDING_CANCELLATIONS = 500
"""The maximum number of cancelled but not enrolled requests that are remembered; if there are more, the oldest are
forgotten."""
MAX_ENDED = 500
"""The maximum number of runs whose outcome is kept; if there are more, the oldest are forgotten."""


def ended_run(queue: Queue, run: str) -> EndedRun | None:
    """The newest run with this id, if it has ended and is still remembered."""
    return next((ended for ended in reversed(queue.ended) if ended.id == run), None)


def collect(queue: Queue, request: str) -> None:
    """Moves a request from those that wait for their outcome to those that have collected it."""
    for ended in queue.ended:
        waiting = ended.uncollected.pop(request, None)
        if waiting is not None:
            queue.departed[request] = Departed(
                queue.at, waiting.token, ended.number, attempt=waiting.attempt, served_by=waiting.served_by
            )


def answer_again(queue: Queue, departed: Departed) -> Ended | Left | Unknown:
    """The answer for a request that has ended. Each incarnation of the request gets the same answer."""
    ended = next((ended for ended in queue.ended if ended.number == departed.run), None)
    if ended is not None:
        return answer_of(queue, ended, served_by(ended, departed.served_by))
    answer = None if departed.leave_answer is None else queue.leave_answers[departed.leave_answer]
    if answer is not None:
        return replace(answer, shared_with=departed.shared_with, next=queue.next_turn(), names=queue.names)
    return Unknown(next=queue.next_turn())


def remember_leave(queue: Queue, request: str, token: str, answer: Left, attempt: int = 1) -> None:
    """Remembers a request that left, with its answer. Requests that leave together share most of the answer."""
    place = put(queue.leave_answers, replace(answer, shared_with=0))
    queue.departed[request] = Departed(
        queue.at, token, leave_answer=place, shared_with=answer.shared_with, attempt=attempt
    )


def forget(queue: Queue) -> None:
    """Drops expired entries, by the time of the last operation."""
    now = time_of(queue.at)
    ahead = instant(now + FROM_THE_FUTURE)
    remembered_since, collectable_since = instant(now - REMEMBERED), instant(now - UNCOLLECTED)
    departed = {request: entry for request, entry in queue.departed.items() if remembered_since <= entry.at <= ahead}
    queue.departed = _newest(departed, MAX_REMEMBERED)
    pending = {request: at for request, at in queue.pending_cancellations.items() if remembered_since <= at <= ahead}
    queue.pending_cancellations = _newest(pending, MAX_PENDING_CANCELLATIONS)
    needed = {entry.run for entry in queue.departed.values()}
    queue.ended = [
        ended
        for ended in queue.ended[-MAX_ENDED:]
        if collectable_since <= ended.at <= ahead
        and (remembered_since <= ended.at or ended.uncollected or ended.number in needed)
    ]
    if queue.known_objects and not "" < queue.objects_at <= ahead:
        # stored by older code, or with the time of a wrong clock
        queue.objects_at = queue.at
    if queue.objects_at < instant(now - OBJECTS_KNOWN):
        queue.known_objects, queue.objects_at = {}, ""
    free_unused(
        queue.leave_answers, {entry.leave_answer for entry in queue.departed.values() if entry.leave_answer is not None}
    )
    scopes = {run.scope for run in queue.runs}
    scopes.update(member.scope for run in queue.runs for member in run.members.values() if member.scope is not None)
    queue.scopes.free_unused(scopes)


def would_forget(queue: Queue, at: str) -> bool:
    """Whether an operation at this time would make the queue drop entries."""
    after = queue.copy()
    after.at = at
    forget(after)
    after.at = queue.at
    return after != queue


def _newest(entries: dict[str, T], limit: int) -> dict[str, T]:
    return dict(list(entries.items())[-limit:]) if len(entries) > limit else entries


def answer_of(queue: Queue, ended: EndedRun, by: ServedBy | None) -> Ended:
    """The answer to a member of a run that has ended. `by`: its `served_by`."""
    return Ended(run=ended.id, outcome=ended.outcome, shared_with=ended.shared_with, served_by=by, names=queue.names)


def served_by(ended: EndedRun, more: str | None) -> ServedBy | None:
    """How the run served a request. `more`: the `served_by` that the queue keeps for the request."""
    if ended.outcome.refresh_id is None:
        return None
    if ended.outcome.adopted:
        return "adopted"
    return "wider" if more == "wider" else "merged" if more == "merged" else "own"
