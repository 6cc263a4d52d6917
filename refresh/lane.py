"""The lane of one dataset: who shares which run, whose turn it is, and what became of it.

A pure state machine, `apply(state, operation, arguments) -> (state, answer)`; the entity around it only loads and
stores. The durable engine applies an operation twice now and then, and late, so every operation carries an id of ours
and gives the same answer when it is repeated; who has ended is remembered for half an hour, so that a late duplicate
brings nobody back.

A lane is a queue of runs. The first one is active, each of the others waits for its turn. A request is a member of
one run. A run lives as one orchestration at a time: its generation grows with each repair, and in each generation the
first life to claim the run (by its token) keeps it.

Operations, each with `at` (the caller's clock, ISO 8601 UTC). Of requests: `enroll`, `leave`, `restart`; of whoever
cancels one: `ask_to_leave`; of a timer: `tidy`, which does no more than every operation does.
Of runs: `claim`, `wait_behind`, `seal`, `take_ticket`, `reopen`, `record`, `drop`, `finish`.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

from refresh.lane_state import Ended, Gone, Json, Lane, Member, Run

START_WITHIN = timedelta(seconds=30)  # for the request that was asked to start a run, before another one is asked


def apply(state: Json | None, operation: str, arguments: Json) -> tuple[Json | None, Json]:
    """One operation on a lane: the new state (None for a quiet lane) and the answer. `state` is left as it was.

    Raises KeyError for an unknown operation or a missing argument.
    """
    lane = Lane.from_json(state)
    lane.at = max(lane.at, arguments["at"])
    answer = OPERATIONS[operation](lane, arguments)
    lane.forget()
    return (None if lane.quiet else lane.to_json()), answer


def view(lane: Lane, request_id: str) -> Json:
    """How an enrolled request stands: its run, how many runs are before it, with how many it shares."""
    run = lane.run_of(request_id)
    if run is None:
        return {"state": "gone"}
    active = lane.runs[0]
    member = next(m for m in run.members if m.id == request_id)
    return {
        "state": "enrolled",
        "leaving": member.leaving,
        "run": run.id,
        "generation": run.generation,
        "position": lane.runs.index(run),
        "shared_with": len(run.members) - 1,
        "refresh_id": run.refresh_id,
        "posted_at": run.posted_at,
        "active": _turn(active),
        "behind": lane.ahead_of(run),
    }


def _turn(run: Run) -> Json:
    return {"run": run.id, "generation": run.generation}


def _next(lane: Lane) -> Json | None:
    """The run to start now: the active one, if no life has claimed it yet."""
    return _turn(lane.runs[0]) if lane.runs and lane.runs[0].token is None else None


# ---- what requests do ---------------------------------------------------------------------------------------------


def _enroll(lane: Lane, args: Json) -> Json:
    """Joins a run or appends one; repeated, tells how the request stands, and its outcome once there is one."""
    request_id, token = args["request"], args["token"]
    gone = lane.gone.get(request_id)
    if gone is not None and gone.dropped and args["at"] > gone.at:
        # it was thought dead and asks again: no late duplicate, those carry the time of the first
        del lane.gone[request_id]
    elif gone is not None:
        return _answer_again(lane, gone, token)
    for run_id, ended in lane.ended.items():
        if any(member.id == request_id for member in ended.uncollected):
            ended.uncollected = [member for member in ended.uncollected if member.id != request_id]
            lane.gone[request_id] = Gone(lane.at, token, run_id)
            return _answer_again(lane, lane.gone[request_id], token)
    run = lane.run_of(request_id)
    if run is None:
        run = _run_to_join(lane, args)
        asked = lane.asked.pop(request_id, None) is not None
        run.members.append(Member(request_id, token, args["at"], args["wake"], leaving=asked))
    else:
        member = next(m for m in run.members if m.id == request_id)
        if member.token != token:
            return {"state": "taken"}
        member.wake = args["wake"]
    return {**view(lane, request_id), "start": _ask_to_start(lane, args)}


def _ask_to_start(lane: Lane, args: Json) -> bool:
    """Whether this request shall start the active run: one is asked at a time, and asked again if it repeats itself."""
    active = lane.runs[0]
    if active.token is not None:
        return False
    if active.start_asked is not None:
        request_id, at = active.start_asked
        waited = datetime.fromisoformat(args["at"]) - datetime.fromisoformat(at)
        if request_id != args["request"] and waited < START_WITHIN:
            return False
    active.start_asked = [args["request"], args["at"]]
    return True


def _run_to_join(lane: Lane, args: Json) -> Run:
    if args["share"]:
        for run in lane.runs:
            if run.share and not run.sealed and run.refresh_id is None and run.scope == args["scope"]:
                return run
    run = Run(_new_run_id(lane, args["request"]), args["scope"], args["share"])
    lane.runs.append(run)
    return run


def _new_run_id(lane: Lane, request_id: str) -> str:
    number = 1
    while lane.find(f"{request_id}-r{number}") or f"{request_id}-r{number}" in lane.ended:
        number += 1
    return f"{request_id}-r{number}"


def _answer_again(lane: Lane, gone: Gone, token: str) -> Json:
    ended = lane.ended.get(gone.run) if gone.run else None
    if ended is not None:
        # whichever life of the request asks: its verdict is one
        return {"state": "ended", "run": gone.run, "shared_with": ended.shared_with, "outcome": ended.outcome}
    if gone.token != token:
        return {"state": "taken"}
    return {"state": "gone", **(gone.answer or {}), "next": _next(lane)}


def _leave(lane: Lane, args: Json) -> Json:
    """Takes a request out. If its verdict is already there it is told that instead; the last one out may cancel."""
    request_id, token = args["request"], args["token"]
    if request_id in lane.gone:
        return _answer_again(lane, lane.gone[request_id], token)
    run = lane.run_of(request_id)
    if run is None:
        if any(member.id == request_id for ended in lane.ended.values() for member in ended.uncollected):
            return _enroll(lane, args)
        lane.gone[request_id] = Gone(lane.at, token)
        return {"state": "gone", "next": _next(lane)}
    if next(m for m in run.members if m.id == request_id).token != token:
        return {"state": "taken"}
    stood = view(lane, request_id)
    run.members = [m for m in run.members if m.id != request_id]
    # who leaves before the POST has no refresh to keep
    run.kept = run.kept or (run.sealed and not args["cancel"])
    run.cancel = not (run.members or run.kept or run.adopted)
    if not run.members and not run.sealed:
        lane.runs.remove(run)
    cancel_id = run.refresh_id if run.cancel else None
    told = {"reason": args["reason"], "alone": not run.members, "cancel_refresh_id": cancel_id}
    answer = {**stood, "state": "left", **told}
    lane.gone[request_id] = Gone(lane.at, token, answer=answer)
    return {**answer, "next": _next(lane)}


def _ask_to_leave(lane: Lane, args: Json) -> Json:
    """Somebody cancels a request: it is told when it next asks, even if it was not enrolled yet."""
    run = lane.run_of(args["request"])
    if run is not None:
        next(m for m in run.members if m.id == args["request"]).leaving = True
    elif args["request"] not in lane.gone:
        lane.asked[args["request"]] = lane.at
    return {}


def _restart(lane: Lane, args: Json) -> Json:
    """Gives the active run a new life if that generation of it is still the one in force."""
    if lane.runs and _turn(lane.runs[0]) == {"run": args["run"], "generation": args["generation"]}:
        lane.runs[0].generation += 1
        lane.runs[0].token = lane.runs[0].start_asked = None
    return {"next": _next(lane)}


# ---- what runs do -------------------------------------------------------------------------------------------------


def _held(lane: Lane, args: Json) -> Run | None:
    """The active run, if this life of it may go on."""
    if not lane.runs:
        return None
    run = lane.runs[0]
    same = (run.id, run.generation, run.token) == (args["run"], args["generation"], args["token"])
    return run if same else None


def _claim(lane: Lane, args: Json) -> Json:
    """The first life of a generation gets the run; repeated by the same life, it is told how the run stands."""
    if lane.runs and _turn(lane.runs[0]) == {"run": args["run"], "generation": args["generation"]}:
        lane.runs[0].token = lane.runs[0].token or args["token"]
    run = _held(lane, args)
    if run is None:
        return {"go": False}
    return {
        "go": True,
        "scope": run.scope,
        "ticket": run.ticket,
        "sealed": run.sealed,
        "before": run.before,
        "attempt_at": run.attempt and run.attempt_at,
        "refresh_id": run.refresh_id,
        "adopted": run.adopted,
        "posted_at": run.posted_at,
        "cancel": run.cancel,
    }


def _wait_behind(lane: Lane, args: Json) -> Json:
    """The model is busy with somebody else's refresh: those who ask are told."""
    run = _held(lane, args)
    if run is None:
        return {"go": False, "next": _next(lane)}
    run.behind = args["behind"]
    return {"go": True}


def _seal(lane: Lane, args: Json) -> Json:
    """Permission to POST once: from now on nobody joins. The run numbers its tickets, so a repeat gets the same one."""
    run = _held(lane, args)
    if run is None:
        return {"go": False, "next": _next(lane)}
    if args["ticket"] > run.ticket:
        run.ticket, run.before, run.attempt, run.behind = args["ticket"], args["before"], None, None
    return {"go": True}


def _take_ticket(lane: Lane, args: Json) -> Json:
    """An execution asks to be the one that posts with this ticket: the first gets it, its twins do not."""
    run = _held(lane, args)
    if run is not None and run.ticket == args["ticket"] and run.attempt is None:
        run.attempt, run.attempt_at = args["attempt"], args["at"]
    return {}


def _reopen(lane: Lane, args: Json) -> Json:
    """The ticket came to nothing (refused, dropped, somebody else's refresh failed): others may join again."""
    run = _held(lane, args)
    if run is None:
        return {"go": False, "next": _next(lane)}
    if run.ticket == args["ticket"] and run.sealed:
        run.spent = run.ticket
        run.before = run.refresh_id = run.posted_at = None
        run.adopted = run.kept = False
    return _drop_if_unwanted(lane, run)


def _record(lane: Lane, args: Json) -> Json:
    """The refresh of the ticket is known. Answers whom to tell, and whether nobody wants it any more."""
    run = _held(lane, args)
    if run is None:
        return {"go": False, "next": _next(lane)}
    if run.ticket == args["ticket"] and run.sealed:
        run.refresh_id, run.adopted, run.posted_at = args["refresh_id"], args["adopted"], args["posted_at"]
        run.cancel = run.cancel and not run.adopted
    return {"go": True, "cancel": run.cancel, "wake": _wake(run.members)}


def _wake(members: list[Member]) -> list[list[str]]:
    return [[member.id, member.wake] for member in members]


def _drop(lane: Lane, args: Json) -> Json:
    """The ticket was not used, because its members' orchestrations are gone: takes them out, and opens the run."""
    run = _held(lane, args)
    if run is not None and run.ticket == args["ticket"] and run.sealed:
        for member in run.members:
            if member.id in args["gone"]:
                lane.gone[member.id] = Gone(lane.at, member.token, dropped=True)
        run.members = [m for m in run.members if m.id not in args["gone"]]
    return _reopen(lane, args)


def _drop_if_unwanted(lane: Lane, run: Run) -> Json:
    if run.members or run.sealed:
        # a late duplicate finds the run sealed again: its refresh is followed to the end, wanted or not
        return {"go": True}
    lane.runs.remove(run)
    return {"go": False, "next": _next(lane)}


def _finish(lane: Lane, args: Json) -> Json:
    """The verdict: kept for the members, the next run's turn begins.

    `late_after` is set when the refresh is somebody else's: members enrolled after that time may have come too late
    for it, so they get a run of their own at the head of the queue.
    """
    run = _held(lane, args)
    if run is not None:
        late_after = args["late_after"]
        late = [m for m in run.members if late_after is not None and m.since > late_after]
        served = [m for m in run.members if m not in late]
        lane.runs.remove(run)
        lane.ended[run.id] = Ended(lane.at, args["outcome"], max(len(served) - 1, 0), served)
        if late:
            lane.runs.insert(0, Run(_new_run_id(lane, late[0].id), run.scope, run.share, late))
    ended = lane.ended.get(args["run"])
    return {"next": _next(lane), "wake": _wake(ended.uncollected) if ended else []}


OPERATIONS: dict[str, Callable[[Lane, Json], Json]] = {
    "enroll": _enroll,
    "leave": _leave,
    "ask_to_leave": _ask_to_leave,
    "restart": _restart,
    "tidy": lambda lane, args: {},
    "claim": _claim,
    "wait_behind": _wait_behind,
    "seal": _seal,
    "take_ticket": _take_ticket,
    "reopen": _reopen,
    "record": _record,
    "drop": _drop,
    "finish": _finish,
}
