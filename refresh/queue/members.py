"""The operations of requests on a queue: join a run, read their standing, collect their outcome, leave."""

from datetime import timedelta

from refresh.messages import replace
from refresh.queue import sharing
from refresh.queue.answers import Done, EnrollAnswer, Enrolled, LeaveAnswer, Left, OtherToken, QueueFull, Unknown
from refresh.queue.memory import answer_again, collect, remember_leave
from refresh.queue.operations import AskToLeave, Collect, Enroll, Leave
from refresh.queue.room import full
from refresh.queue.scopes import Extent
from refresh.queue.state import Departed, Member, Queue, Run
from refresh.times import time_of

START_WITHIN = timedelta(seconds=30)
"""How long a request has to start a run before the queue tells another request to start it."""


def enroll(queue: Queue, operation: Enroll) -> EnrollAnswer:
    """Enrols a request in a run that it can share, or in a new one. A repeat returns the standing of the request, or
    its outcome once there is one."""
    request = operation.request
    before = queue.departed.get(request)
    if before is not None and _comes_again(before, operation):
        del queue.departed[request]
    collect(queue, request)
    departed = queue.departed.get(request)
    if departed is not None and departed.dropped:
        return Unknown(next=queue.next_turn(), retry_after=_seconds_until_after(operation.at, departed.at))
    if departed is not None:
        return answer_again(queue, departed)
    run = queue.run_of(request)
    if run is None:
        joined = _join(queue, operation)
        if isinstance(joined, QueueFull):
            if before is not None:
                queue.departed[request] = before
            return joined
        run = joined
    elif run.members[request].token != operation.token:
        return OtherToken()
    elif run.members[request].attempt == operation.attempt:
        run.members[request] = replace(run.members[request], wake_event=operation.wake_event)
    return _standing(queue, run, request, start=_assign_start(queue, operation))


def acknowledge(queue: Queue, operation: Collect) -> Done:
    """The request has its outcome. A late duplicate, from an earlier attempt, changes nothing."""
    for ended in queue.ended:
        waiting = ended.uncollected.get(operation.request)
        if waiting and (waiting.token, waiting.attempt) == (operation.token, operation.attempt):
            collect(queue, operation.request)
    return Done()


def leave(queue: Queue, operation: Leave) -> LeaveAnswer:
    """Takes a request out, or returns its outcome if there is one. If no request is left, the refresh may have to be
    cancelled."""
    request = operation.request
    collect(queue, request)
    departed = queue.departed.get(request)
    if departed is not None:
        return answer_again(queue, departed)
    run = queue.run_of(request)
    if run is None:
        answer = Left(reason=operation.reason)
        remember_leave(queue, request, operation.token, answer)
        return replace(answer, next=queue.next_turn(), names=queue.names)
    member = run.members[request]
    if member.token != operation.token:
        return OtherToken()
    answer = _leave_run(queue, run, request, operation)
    remember_leave(queue, request, member.token, answer, member.attempt)
    return replace(answer, next=queue.next_turn(), names=queue.names)


def ask_to_leave(queue: Queue, operation: AskToLeave) -> Done:
    """A caller cancels a request. The request learns of the cancellation from the answer to its next operation, even if
    it is not enrolled now."""
    request = operation.request
    run, departed = queue.run_of(request), queue.departed.get(request)
    if run is not None:
        run.members[request] = replace(run.members[request], leaving=True)
    elif departed is None or departed.run or departed.dropped:
        # a request that has its outcome may be backing off before its next attempt, and a request that the queue
        # removed by mistake enrols again
        queue.pending_cancellations[request] = queue.at
    return Done()


def named_run(request: str, member: Member) -> tuple[str, Member]:
    """An unused id for a run that is created for a request, and the member with `runs_made` increased."""
    number = member.runs_made + 1
    suffix = f"-{number}" if number > 1 else ""
    return f"{request}-r{member.attempt}{suffix}", replace(member, runs_made=number)


def narrow(queue: Queue, run: Run) -> None:
    """Narrows an open run to the scopes of its remaining members."""
    places = {member.scope for member in run.members.values()}
    if None in places or not places:
        return
    table = queue.scopes
    extent = sharing.together(table, [table.extent(place) for place in places if place is not None])
    if extent is None:
        return
    run.scope = table.put(extent)
    for request, member in run.members.items():
        if member.scope == run.scope:
            run.members[request] = replace(member, scope=None)


def _comes_again(departed: Departed, operation: Enroll) -> bool:
    """Whether the operation is a new enrolment of the request, and not a late duplicate."""
    if departed.dropped:
        # its orchestration was believed to have ended; a late duplicate has the time of the earlier operation
        return operation.at > departed.at
    return departed.run > 0 and departed.token == operation.token and operation.attempt > departed.attempt


def _seconds_until_after(now: str, until: str) -> int:
    """Seconds from `now` until shortly after `until`. A timer may fire a second early."""
    return int((time_of(until) - time_of(now)).total_seconds()) + 2


def _standing(queue: Queue, run: Run, request: str, *, start: bool) -> Enrolled:
    return Enrolled(
        run=run.id,
        incarnation=run.incarnation,
        position=queue.runs.index(run),
        shared_with=len(run.members) - 1,
        active=queue.runs[0].turn,
        refresh_id=run.refresh_id,
        posted_at=run.posted_at,
        waits_for=queue.blocker_of(run),
        leaving=run.members[request].leaving,
        start=start,
        names=queue.names,
    )


def _assign_start(queue: Queue, operation: Enroll) -> bool:
    """Tells one request at a time to start the active run; True if it is this one. A repeated operation gets the same
    answer."""
    active = queue.runs[0]
    if active.token is not None:
        return False
    if active.start_asked is not None:
        request, at = active.start_asked
        waited = time_of(operation.at) - time_of(at)
        if request != operation.request and waited < START_WITHIN:
            return False
    active.start_asked = (operation.request, operation.at)
    return True


def _join(queue: Queue, operation: Enroll) -> Run | QueueFull:
    """Enrols a request in the first run that serves it or can be widened to serve it; else in a new run."""
    table = queue.scopes
    known = len(table.objects)
    extent = table.take_in(operation.scope)
    run, scope = _run_to_join(queue, extent) if operation.share else (None, extent)
    grown = extent if len(table.objects) > known else None
    refusal = full(queue, new_run=run is None, scope=grown)
    if refusal is not None:
        return refusal
    if operation.expected_every_hours is not None:
        queue.expected_every_hours = operation.expected_every_hours
    leaving = queue.pending_cancellations.pop(operation.request, None) is not None
    member = Member(
        operation.token,
        operation.at,
        operation.wake_event,
        attempt=operation.attempt,
        leaving=leaving,
        priority=operation.priority,
    )
    if run is None:
        name, member = named_run(operation.request, member)
        run = Run(id=name, scope=table.put(extent), share=operation.share)
        queue.runs.append(run)
    elif table.extent(run.scope) != scope:
        for other, before in run.members.items():
            if before.scope is None:
                run.members[other] = replace(before, scope=run.scope)
        run.scope = table.put(scope)
    run.members[operation.request] = replace(member, scope=None if extent == scope else table.put(extent))
    return run


def _run_to_join(queue: Queue, extent: Extent) -> tuple[Run | None, Extent]:
    """The open run that a new request joins, and the run's scope after that; None and the request's own scope if no run
    fits."""
    table = queue.scopes
    candidates = [(run, table.extent(run.scope)) for run in queue.runs if run.joinable]
    for run, scope in candidates:
        if sharing.serves(table, scope, extent):
            return run, scope
    for run, scope in candidates:
        both = sharing.merged(table, scope, extent)
        if both is not None:
            return run, both
    return None, extent


def _leave_run(queue: Queue, run: Run, request: str, operation: Leave) -> Left:
    before = _standing(queue, run, request, start=False)
    del run.members[request]
    # once the run is closed, a request that leaves without asking to cancel keeps the refresh from being cancelled
    run.kept = run.kept or (run.closed and not operation.cancel)
    run.cancel = not (run.members or run.kept or run.adopted)
    if not run.closed and run.members:
        narrow(queue, run)
    elif not run.closed:
        queue.runs.remove(run)
    return Left(
        reason=operation.reason,
        run=before.run,
        incarnation=before.incarnation,
        position=before.position,
        shared_with=before.shared_with,
        active=before.active,
        refresh_id=before.refresh_id,
        posted_at=before.posted_at,
        waits_for=before.waits_for,
        cancel_refresh_id=run.refresh_id if run.cancel else None,
    )
