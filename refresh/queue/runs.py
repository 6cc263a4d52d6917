"""What runs do in a queue: claim their turn, close, record their refresh, bring the outcome."""

from refresh.queue import sharing
from refresh.queue.state import Ended, Gone, Json, Member, Queue, Run, wake


def held(queue: Queue, args: Json) -> Run | None:
    """The active run, if this life of it may go on."""
    if not queue.runs:
        return None
    run = queue.runs[0]
    same = (run.id, run.generation, run.token) == (args["run"], args["generation"], args["token"])
    return run if same else None


def claim(queue: Queue, args: Json) -> Json:
    """The first life of a generation gets the run; repeated by the same life, it is told how the run stands."""
    if queue.runs and queue.runs[0].turn == {"run": args["run"], "generation": args["generation"]}:
        queue.runs[0].token = queue.runs[0].token or args["token"]
    run = held(queue, args)
    if run is None:
        return {"go": False}
    return {
        "go": True,
        "scope": run.scope,
        "permit": run.permit,
        "closed": run.closed,
        "before": run.before,
        "attempt_at": run.attempt and run.attempt_at,
        "refresh_id": run.refresh_id,
        "adopted": run.adopted,
        "posted_at": run.posted_at,
        "cancel": run.cancel,
    }


def wait_behind(queue: Queue, args: Json) -> Json:
    """The model is busy with somebody else's refresh: those who ask are told."""
    run = held(queue, args)
    if run is None:
        return {"go": False, "next": queue.next_turn()}
    run.behind = args["behind"]
    return {"go": True}


def close(queue: Queue, args: Json) -> Json:
    """Permission to POST once: from now on nobody joins. The run numbers its permits, so a repeat gets the same one.

    Answers the scope too: until now others may have joined with wishes of their own.
    """
    run = held(queue, args)
    if run is None:
        return {"go": False, "next": queue.next_turn()}
    if args["permit"] > run.permit:
        run.permit, run.before, run.attempt, run.behind = args["permit"], args["before"], None, None
    return {"go": True, "scope": run.scope}


def take_permit(queue: Queue, args: Json) -> Json:
    """An execution asks to be the one that posts with this permit: the first gets it, its twins do not."""
    run = held(queue, args)
    if run is not None and run.permit == args["permit"] and run.attempt is None:
        run.attempt, run.attempt_at = args["attempt"], args["at"]
    return {}


def reopen(queue: Queue, args: Json) -> Json:
    """The permit came to nothing (refused, dropped, somebody else's refresh failed): others may join again."""
    run = held(queue, args)
    if run is None:
        return {"go": False, "next": queue.next_turn()}
    if run.permit == args["permit"] and run.closed:
        run.spent = run.permit
        run.before = run.refresh_id = run.posted_at = None
        run.adopted = run.kept = False
        run.narrow()
    return _drop_if_unwanted(queue, run)


def record(queue: Queue, args: Json) -> Json:
    """The refresh of the permit is known. Answers whom to tell, and whether nobody wants it any more."""
    run = held(queue, args)
    if run is None:
        return {"go": False, "next": queue.next_turn()}
    if run.permit == args["permit"] and run.closed:
        run.refresh_id, run.adopted, run.posted_at = args["refresh_id"], args["adopted"], args["posted_at"]
        run.cancel = run.cancel and not run.adopted
    return {"go": True, "cancel": run.cancel, "wake": wake(run.members)}


def drop(queue: Queue, args: Json) -> Json:
    """The permit was not used, because its members' orchestrations are gone: takes them out, and opens the run."""
    run = held(queue, args)
    if run is not None and run.permit == args["permit"] and run.closed:
        _take_out(queue, run, args["gone"])
    return reopen(queue, args)


def sweep(queue: Queue, args: Json) -> Json:
    """Takes out requests whose orchestrations are gone, and the active run if it is dead and nobody wants it.

    `dead` is the turn of the run that was found without a life, or None.
    """
    for run in list(queue.runs):
        if not run.closed or run.turn == args["dead"]:
            _take_out(queue, run, args["gone"])
        if not run.members and (not run.closed or run.turn == args["dead"]):
            queue.runs.remove(run)
        elif not run.closed:
            run.narrow()
    return {}


def _take_out(queue: Queue, run: Run, gone: list[str]) -> None:
    for member in run.members:
        if member.id in gone:
            queue.gone[member.id] = Gone(queue.at, member.token, dropped=True, round=member.round)
    run.members = [member for member in run.members if member.id not in gone]


def _drop_if_unwanted(queue: Queue, run: Run) -> Json:
    if run.members or run.closed:
        # a late duplicate finds the run closed again: its refresh is followed to the end, wanted or not
        return {"go": True}
    queue.runs.remove(run)
    return {"go": False, "next": queue.next_turn()}


def finish(queue: Queue, args: Json) -> Json:
    """The verdict: kept for the members, the next run's turn begins.

    `late_after` is set when the refresh is somebody else's: members enrolled after that time may have come too late
    for it, so they get a run of their own in the place of their coming. So do those whose own objects did not fail in a
    run that did more than they wished: nobody turns red through somebody else's mistake.
    """
    run = held(queue, args)
    if run is not None:
        late_after, outcome = args["late_after"], args["outcome"]
        late = [member for member in run.members if late_after is not None and member.since > late_after]
        spared = [member for member in run.members if sharing.spared(member.scope, outcome) and member not in late]
        served = [member for member in run.members if member not in late and member not in spared]
        merged = all(member.scope is not None for member in run.members)
        queue.runs.remove(run)
        queue.ended[run.id] = Ended(queue.at, outcome, max(len(served) - 1, 0), served, merged)
        again = _alone(run, spared)
        if late:
            again.append(Run(late[0].new_run_id(), run.scope, run.share, late))
            again[-1].narrow()
        for made in again:
            # behind whoever came before: they had only shared a run that was further ahead
            later = (place for place, other in enumerate(queue.runs) if other.since >= made.since)
            queue.runs.insert(next(later, len(queue.runs)), made)
    ended = queue.ended.get(args["run"])
    return {"next": queue.next_turn(), "wake": wake(ended.uncollected) if ended else []}


def _alone(run: Run, members: list[Member]) -> list[Run]:
    """Runs that do no more than these members wish, one for each wish, and that nobody joins."""
    runs: list[Run] = []
    for member in members:
        scope, member.scope = member.scope or run.scope, None
        mine = next((other for other in runs if other.scope == scope), None)
        if mine is None:
            runs.append(Run(member.new_run_id(), scope, False, [member]))
        else:
            mine.members.append(member)
    return runs
