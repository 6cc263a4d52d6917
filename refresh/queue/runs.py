"""The operations of runs on a queue: claim their turn, close, use the permit, record the refresh, finish."""

from bisect import bisect_left
from collections.abc import Iterable
from itertools import accumulate

from refresh.history.blame import may_spare
from refresh.messages import replace
from refresh.queue import sharing
from refresh.queue.answers import (
    ClaimAnswer,
    Claimed,
    CloseAnswer,
    Closed,
    Done,
    FinishAnswer,
    Finished,
    HoldAnswer,
    PermitTaken,
    RecordAnswer,
    Recorded,
    ReopenAnswer,
    Restarted,
    WakeUp,
)
from refresh.queue.members import named_run, narrow
from refresh.queue.memory import answer_of, ended_run, served_by
from refresh.queue.operations import (
    Claim,
    Close,
    Drop,
    Finish,
    Record,
    Reopen,
    Restart,
    ReturnPermit,
    Sweep,
    TakePermit,
    WaitBehind,
)
from refresh.queue.state import Departed, EndedRun, Member, Queue, Run, Uncollected

MAX_UNUSED_EXECUTIONS = 20
"""The maximum number of stored executions that returned a permit: the engine rarely runs an activity more than
twice."""


def restart(queue: Queue, operation: Restart) -> Restarted:
    """Gives the active run a new incarnation, if `operation.turn` is still its current incarnation."""
    if queue.runs and queue.runs[0].is_at(operation.turn):
        queue.runs[0].incarnation += 1
        queue.runs[0].token = queue.runs[0].start_asked = None
    return Restarted(next=queue.next_turn())


def claim(queue: Queue, operation: Claim) -> ClaimAnswer:
    """Gives the run to the first orchestration that claims this incarnation. A repeat by the same orchestration returns
    the run's state."""
    holder = operation.holder
    if queue.runs and queue.runs[0].is_at(holder):
        queue.runs[0].token = queue.runs[0].token or holder.token
    run = queue.held(holder)
    if run is None:
        return queue.superseded(operation.holder)
    return Claimed(
        scope=queue.scope_of(run),
        objects=queue.objects_of(run),
        permit=run.permit,
        closed=run.closed,
        look=run.look,
        permit_taken_at=run.permit_taken_at,
        refresh_id=run.refresh_id,
        adopted=run.adopted,
        posted_at=run.posted_at,
        cancel=run.cancel,
        names=queue.names,
        priority=run.priority,
        capacity_group=run.capacity_group if run.closed else None,
        since=run.since,
        requests=len(run.members),
        expected_every_hours=queue.expected_every_hours,
    )


def wait_behind(queue: Queue, operation: WaitBehind) -> HoldAnswer:
    """The model is busy with an external refresh; the queue reports it to the requests."""
    run = queue.held(operation.holder)
    if run is None:
        return queue.superseded(operation.holder)
    run.waits_for = operation.refresh
    queue.names = operation.names.also(queue.names)
    return Done()


def close(queue: Queue, operation: Close) -> CloseAnswer:
    """Gives the permit to POST once; from then on no request can join. Permits are numbered, so a repeat gets the same
    permit."""
    run = queue.held(operation.holder)
    if run is None:
        return queue.superseded(operation.holder)
    if operation.permit > run.permit:
        run.permit, run.look, run.waits_for = operation.permit, operation.look, None
        run.execution, run.permit_taken_at, run.unused_executions = None, None, []
        run.capacity_group = operation.capacity_group
        queue.names = operation.names.also(queue.names)
    return Closed(scope=queue.scope_of(run), objects=queue.objects_of(run))


def take_permit(queue: Queue, operation: TakePermit) -> Done:
    """An execution takes the permit before it posts: the first one gets it, duplicates do not."""
    run = queue.held(operation.holder)
    free = run is not None and run.closed and run.permit == operation.permit and run.execution is None
    if run is not None and free and operation.execution not in run.unused_executions:
        run.execution, run.permit_taken_at = operation.execution, operation.at
    return Done()


def return_permit(queue: Queue, operation: ReturnPermit) -> Done:
    """An execution reports that it has posted nothing and never will. If it holds the permit, the permit is free again;
    if not, it can no longer take the permit.

    Executions have unique ids, so this is also valid in a later incarnation of the run.
    """
    run = queue.runs[0] if queue.runs else None
    if run is None or run.id != operation.holder.run or run.permit != operation.permit or not run.closed:
        return Done()
    if run.execution == operation.execution:
        run.execution = run.permit_taken_at = None
    if operation.execution not in run.unused_executions:
        run.unused_executions = [*run.unused_executions, operation.execution][-MAX_UNUSED_EXECUTIONS:]
    return Done()


def reopen(queue: Queue, operation: Reopen) -> ReopenAnswer:
    """Withdraws the permit, because it led to no refresh, or the adopted refresh failed: requests may join again."""
    return _reopen(queue, operation, ())


def drop(queue: Queue, operation: Drop) -> ReopenAnswer:
    """Removes members whose orchestrations have ended, and withdraws the permit: the run posted nothing, because
    none of its members was active."""
    return _reopen(queue, operation, operation.requests)


def record(queue: Queue, operation: Record) -> RecordAnswer:
    """The refresh of the permit is known. Returns the requests to notify, and whether to cancel the refresh."""
    run = queue.held(operation.holder)
    if run is None:
        return queue.superseded(operation.holder)
    if run.permit == operation.permit and run.closed:
        run.refresh_id, run.adopted, run.posted_at = operation.refresh_id, operation.adopted, operation.posted_at
        run.cancel = run.cancel and not run.adopted
    return Recorded(cancel=run.cancel, wake_ups=_wake_ups(run.members))


def finish(queue: Queue, operation: Finish) -> FinishAnswer:
    """Keeps the outcome for the members and begins the turn of the next run.

    `late_after` is set if the refresh is adopted: members enrolled after that time may be too late for it, so they get
    a run of their own, in the order of enrolment. Members whose own objects did not fail in a run with a wider scope
    also get a run of their own: no request fails because of another request's mistake.
    """
    run = queue.held(operation.holder)
    if run is not None and operation.execution is not None and not (run.closed and run.permit == operation.permit):
        # a late duplicate: its sender learned that another execution has the permit, and the run continued
        return PermitTaken(at=run.permit_taken_at or "")
    taken = _taken(run, operation.execution) if run is not None else None
    if taken is not None:
        return taken
    if run is not None:
        if operation.objects is not None:
            queue.remember_objects(run, operation.objects)
        late = {
            request: member
            for request, member in run.members.items()
            if operation.late_after is not None and member.since > operation.late_after
        }
        spared = _spared(queue, run, operation, late)
        served = {key: member for key, member in run.members.items() if key not in late and key not in spared}
        _keep_outcome(queue, run, operation, served)
        queue.runs.remove(run)
        new_runs = _alone(run, spared)
        if late:
            new_runs.append(_run_for(late, run.scope, run.share))
            narrow(queue, new_runs[-1])
        _insert(queue, new_runs)
    ended = ended_run(queue, operation.holder.run)
    answer = Finished(next=queue.next_turn(), expected_every_hours=queue.expected_every_hours)
    if ended is None:
        return replace(answer, superseded=any(other.id == operation.holder.run for other in queue.runs))
    collected = tuple(request for request, entry in queue.departed.items() if entry.run == ended.number)
    answer = replace(answer, collected=collected, ended_at=ended.at)
    if not ended.uncollected:
        return answer
    wake_ups = tuple(
        WakeUp(instance=request, event=waiting.wake_event, served_by=served_by(ended, waiting.served_by))
        for request, waiting in ended.uncollected.items()
    )
    return replace(answer, wake_ups=wake_ups, ended=answer_of(queue, ended, None))


def sweep(queue: Queue, operation: Sweep) -> Done:
    """Removes requests whose orchestrations have ended, and the active run if it is dead and has no members."""
    remaining = []
    for run in queue.runs:
        dead = run.is_at(operation.dead)
        if not run.closed or dead:
            _take_out(queue, run, operation.requests)
        if run.members or (run.closed and not dead):
            remaining.append(run)
            if not run.closed:
                narrow(queue, run)
    queue.runs = remaining
    return Done()


def _reopen(queue: Queue, operation: Reopen | Drop, dropped: Iterable[str]) -> ReopenAnswer:
    run = queue.held(operation.holder)
    if run is None:
        return queue.superseded(operation.holder)
    if run.permit == operation.permit and run.closed:
        taken = _taken(run, operation.execution)
        if taken is not None:
            return taken
        _take_out(queue, run, dropped)
        run.withdrawn_permit = run.permit
        run.look = run.refresh_id = run.posted_at = run.execution = run.permit_taken_at = None
        run.adopted = run.kept = False
        run.unused_executions = []
        narrow(queue, run)
    if run.members or run.closed:
        # If this is a late duplicate, the run may already be closed again. It is then kept even without members: a
        # closed run continues to its end.
        return Done()
    queue.runs.remove(run)
    return queue.superseded(operation.holder)


def _taken(run: Run, execution: str | None) -> PermitTaken | None:
    """The answer if another execution took the permit of the run and may have posted with it."""
    if execution is None or run.execution in (None, execution):
        return None
    return PermitTaken(at=run.permit_taken_at or "")


def _take_out(queue: Queue, run: Run, requests: Iterable[str]) -> None:
    for request in requests:
        member = run.members.pop(request, None)
        if member is not None:
            queue.departed[request] = Departed(queue.at, member.token, attempt=member.attempt, dropped=True)


def _spared(queue: Queue, run: Run, operation: Finish, late: dict[str, Member]) -> dict[str, Member]:
    """The members that a failure does not concern, because it is about objects outside their scopes."""
    if not may_spare(operation.outcome):
        return {}
    table = queue.scopes
    failed = sharing.failed_objects(table, operation.outcome)
    hit = {
        place: bool(table.extent(place).objects & failed)
        for place in {member.scope for member in run.members.values()}
        if place is not None
    }
    return {
        request: member
        for request, member in run.members.items()
        if member.scope is not None and request not in late and not hit[member.scope]
    }


def _keep_outcome(queue: Queue, run: Run, operation: Finish, served: dict[str, Member]) -> None:
    more = "merged" if all(member.scope is not None for member in run.members.values()) else "wider"
    queue.runs_ended += 1
    ended = EndedRun(
        number=queue.runs_ended,
        id=run.id,
        at=queue.at,
        outcome=operation.outcome,
        shared_with=max(len(served) - 1, 0),
        uncollected={
            request: Uncollected(
                member.token, member.wake_event, member.attempt, None if member.scope is None else more
            )
            for request, member in served.items()
        },
    )
    queue.ended.append(ended)


def _alone(run: Run, members: dict[str, Member]) -> list[Run]:
    """Runs with exactly the scopes of these members, one for each scope; no request can join them."""
    groups: dict[int, dict[str, Member]] = {}
    for request, member in members.items():
        scope = run.scope if member.scope is None else member.scope
        groups.setdefault(scope, {})[request] = replace(member, scope=None)
    return [_run_for(group, scope, False) for scope, group in groups.items()]


def _run_for(members: dict[str, Member], scope: int, share: bool) -> Run:
    first = next(iter(members))
    name, member = named_run(first, members[first])
    return Run(id=name, scope=scope, share=share, members={**members, first: member})


def _insert(queue: Queue, new_runs: list[Run]) -> None:
    """Inserts each new run by the time at which its members enrolled, behind the runs that have waited longer.

    A new run does not go to the front: its members were at the front only as members of the run that has ended.
    """
    latest = [*accumulate((run.since for run in queue.runs), max)]
    places: dict[int, list[Run]] = {}
    for run in sorted(new_runs, key=lambda run: run.since):
        places.setdefault(bisect_left(latest, run.since), []).append(run)
    waiting = [*queue.runs, None]
    queue.runs = [
        run for place, other in enumerate(waiting) for run in (*places.get(place, ()), other) if run is not None
    ]


def _wake_ups(members: dict[str, Member]) -> tuple[WakeUp, ...]:
    return tuple(WakeUp(instance=request, event=member.wake_event) for request, member in members.items())
