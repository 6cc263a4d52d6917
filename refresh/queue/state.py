"""The state of a queue: its runs, their members, and entries for the runs and requests that have ended or left.

Plain data with query methods. Requests are members of runs; the first run is active, the others wait for their turn.
`refresh.queue.stored` serialises the state; keys added by newer code are ignored when it is read.
"""

import msgspec

from refresh.failure.catalogue import ModelNames
from refresh.history.look import ExternalRefresh, Look
from refresh.history.outcome import Outcome
from refresh.queue.answers import PRIORITIES, Holder, Left, Priority, Superseded, Turn
from refresh.queue.scopes import ScopeTable
from refresh.scope.scope import Scope, fingerprint

MAX_KNOWN_OBJECTS = 10


class Member(msgspec.Struct, frozen=True, array_like=True):
    """A request enrolled in a run. `wake_event` is the event that it currently waits for, `since` the time of its
    enrolment.

    `scope` is the place of its own scope, if that is narrower than the run's. `runs_made` counts the runs that were
    named after it in this attempt.
    """

    token: str
    since: str
    wake_event: str
    scope: int | None = None
    attempt: int = 1
    runs_made: int = 0
    leaving: bool = False
    priority: Priority = "normal"


class Run(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A refresh that is to be started or is running. `permit` is the number of the last permit to POST.

    The run is closed while it holds a permit. `token` is the token of the orchestration that claimed the current
    incarnation. `withdrawn_permit` is the number of the last permit that the queue withdrew (Reopen, Drop): late
    duplicates of operations with it must change nothing. `look`: the history when the run was closed. `execution` took
    the permit at `permit_taken_at`; each of `unused_executions` has returned the permit (ReturnPermit): it posted
    nothing with it, and never will. `cancel`: every member left and requested the cancellation; `kept`: a member left
    without requesting it. `start_asked`: the request that has to start the current incarnation, and when it was asked.
    `capacity_group`: the group in which the run had a place when it was closed.
    """

    id: str
    scope: int
    share: bool = True
    members: dict[str, Member] = msgspec.field(default_factory=dict)
    incarnation: int = 1
    token: str | None = None
    permit: int = 0
    withdrawn_permit: int = msgspec.field(default=0, name="spent")  # the stored key
    look: Look | None = None
    execution: str | None = None
    permit_taken_at: str | None = None
    unused_executions: list[str] = msgspec.field(default_factory=list, name="returned")  # the stored key
    waits_for: ExternalRefresh | None = None
    refresh_id: str | None = None
    adopted: bool = False
    posted_at: str | None = None
    cancel: bool = False
    kept: bool = False
    start_asked: tuple[str, str] | None = None
    capacity_group: str | None = None

    @property
    def closed(self) -> bool:
        """Whether the run may POST or has posted: its refresh may have started before a new request arrived."""
        return self.permit > self.withdrawn_permit

    @property
    def joinable(self) -> bool:
        """Whether a new request may join."""
        return self.share and not self.closed and self.refresh_id is None

    @property
    def since(self) -> str:
        """When the first of its members enrolled."""
        return min((member.since for member in self.members.values()), default="")

    @property
    def priority(self) -> Priority:
        """The highest priority among its members."""
        levels = [PRIORITIES.index(member.priority) for member in self.members.values()]
        return PRIORITIES[max(levels)] if levels else "normal"

    @property
    def turn(self) -> Turn:
        """The current incarnation."""
        return Turn(run=self.id, incarnation=self.incarnation)

    def is_at(self, turn: Turn | None) -> bool:
        """Whether `turn` is the current incarnation of the run."""
        return turn is not None and (self.id, self.incarnation) == (turn.run, turn.incarnation)

    def is_held_by(self, holder: Holder) -> bool:
        """Whether this orchestration claimed the current incarnation."""
        return self.is_at(holder) and self.token == holder.token


class Uncollected(msgspec.Struct, frozen=True, array_like=True):
    """A request that has not collected its outcome. `served_by`: `wider`, `merged`, or None if the run had exactly the
    scope of the request."""

    token: str
    wake_event: str
    attempt: int = 1
    served_by: str | None = None


class EndedRun(msgspec.Struct, kw_only=True, omit_defaults=True):
    """The outcome of a run, kept for its members. `number` is unique in the queue."""

    number: int
    id: str
    at: str
    outcome: Outcome
    shared_with: int = 0
    uncollected: dict[str, Uncollected] = msgspec.field(default_factory=dict)


class Departed(msgspec.Struct, frozen=True, array_like=True):
    """A request that is no longer in the queue, remembered so that late duplicates and new incarnations change nothing.

    `run` is the number of the ended run whose outcome the request has, or 0. `leave_answer` is the place of the answer
    that the request got when it left, and `shared_with` a part of that answer. `dropped`: its orchestration was
    believed to have ended.
    """

    at: str
    token: str
    run: int = 0
    leave_answer: int | None = None
    shared_with: int = 0
    attempt: int = 1
    served_by: str | None = None
    dropped: bool = False


class Queue(msgspec.Struct, kw_only=True, omit_defaults=True):
    """The queue of one dataset. `at` is the time of its last operation (ISO 8601 UTC).

    `pending_cancellations`: requests that were cancelled while they were not enrolled, and when. `leave_answers`:
    answers of requests that left. `known_objects`: for the last scopes of enhanced refreshes, by fingerprint, a digest
    of the objects that our refresh had; `objects_at`: when the newest digest was stored. `names`: the names of the
    model and its workspace, as the last run read them. `expected_every_hours`: the value of the last request that had
    this key.
    """

    at: str = ""
    runs: list[Run] = msgspec.field(default_factory=list)
    ended: list[EndedRun] = msgspec.field(default_factory=list)
    departed: dict[str, Departed] = msgspec.field(default_factory=dict)
    pending_cancellations: dict[str, str] = msgspec.field(default_factory=dict, name="asked")  # the stored key
    scopes: ScopeTable = msgspec.field(default_factory=ScopeTable)
    leave_answers: list[Left | None] = msgspec.field(default_factory=list, name="lefts")  # the stored key
    runs_ended: int = 0
    known_objects: dict[str, str] = msgspec.field(default_factory=dict)
    names: ModelNames = ModelNames()
    objects_at: str = ""
    expected_every_hours: float | None = None

    @property
    def is_empty(self) -> bool:
        """Whether the queue has no runs and no entries to remember."""
        return not (self.runs or self.ended or self.departed or self.pending_cancellations)

    def copy(self) -> "Queue":
        """A copy that can be changed without changing this queue."""
        return Queue(
            at=self.at,
            runs=[
                msgspec.structs.replace(run, members={**run.members}, unused_executions=run.unused_executions[:])
                for run in self.runs
            ],
            ended=[msgspec.structs.replace(run, uncollected={**run.uncollected}) for run in self.ended],
            departed={**self.departed},
            pending_cancellations={**self.pending_cancellations},
            scopes=self.scopes.copy(),
            leave_answers=self.leave_answers[:],
            runs_ended=self.runs_ended,
            known_objects={**self.known_objects},
            names=self.names,
            objects_at=self.objects_at,
            expected_every_hours=self.expected_every_hours,
        )

    def run_of(self, request: str) -> Run | None:
        """The run in which the request is enrolled."""
        return next((run for run in self.runs if request in run.members), None)

    def scope_of(self, run: Run) -> Scope:
        """The scope of a run."""
        return self.scopes.scope(self.scopes.extent(run.scope))

    def is_enhanced(self, run: Run) -> bool:
        """Whether the refresh of a run is an enhanced one. Cheap, because it does not build the scope."""
        return self.scopes.frame(self.scopes.extent(run.scope)).enhanced

    def objects_of(self, run: Run) -> str | None:
        """The digest of the objects of our last refresh with the scope of this run; None if not known."""
        return self.known_objects.get(fingerprint(self.scope_of(run)))

    def remember_objects(self, run: Run, digest: str) -> None:
        """Stores the digest of the objects that a refresh with the scope of this run had."""
        name = fingerprint(self.scope_of(run))
        self.known_objects.pop(name, None)
        self.known_objects[name] = digest
        self.objects_at = self.at
        while len(self.known_objects) > MAX_KNOWN_OBJECTS:
            del self.known_objects[next(iter(self.known_objects))]

    def next_turn(self) -> Turn | None:
        """The run to start now: the active one, if no orchestration has claimed it."""
        return self.runs[0].turn if self.runs and self.runs[0].token is None else None

    def superseded(self, holder: Turn) -> Superseded:
        """The answer to an incarnation of a run that must not continue."""
        return Superseded(next=self.next_turn(), over=all(run.id != holder.run for run in self.runs))

    def held(self, holder: Holder) -> Run | None:
        """The active run, if this orchestration holds it."""
        return self.runs[0] if self.runs and self.runs[0].is_held_by(holder) else None

    def permitted(self, holder: Holder, permit: int) -> Run | None:
        """The active run, if this orchestration holds it with this permit and no refresh is recorded for it.

        An execution may have taken the permit, and may have posted.
        """
        run = self.held(holder)
        if run is None or not run.closed or run.permit != permit or run.refresh_id is not None:
            return None
        return run

    def blocker_of(self, run: Run) -> ExternalRefresh | None:
        """The refresh that a run waits for: an external refresh, or the refresh of the active run; None if nothing is
        running."""
        active = self.runs[0]
        if active is run or active.refresh_id is None:
            return active.waits_for
        return ExternalRefresh(refresh_id=active.refresh_id, started_at=active.posted_at)
