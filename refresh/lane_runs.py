"""What runs do in a lane: claim their turn, seal, record their refresh, bring the verdict. See `refresh.lane`."""

from refresh import sharing
from refresh.lane_state import Ended, Gone, Json, Lane, Member, Run, wake


def held(lane: Lane, args: Json) -> Run | None:
    """The active run, if this life of it may go on."""
    if not lane.runs:
        return None
    run = lane.runs[0]
    same = (run.id, run.generation, run.token) == (args["run"], args["generation"], args["token"])
    return run if same else None


def claim(lane: Lane, args: Json) -> Json:
    """The first life of a generation gets the run; repeated by the same life, it is told how the run stands."""
    if lane.runs and lane.runs[0].turn == {"run": args["run"], "generation": args["generation"]}:
        lane.runs[0].token = lane.runs[0].token or args["token"]
    run = held(lane, args)
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


def wait_behind(lane: Lane, args: Json) -> Json:
    """The model is busy with somebody else's refresh: those who ask are told."""
    run = held(lane, args)
    if run is None:
        return {"go": False, "next": lane.next_turn()}
    run.behind = args["behind"]
    return {"go": True}


def seal(lane: Lane, args: Json) -> Json:
    """Permission to POST once: from now on nobody joins. The run numbers its tickets, so a repeat gets the same one.

    Answers the scope too: until now others may have joined with wishes of their own.
    """
    run = held(lane, args)
    if run is None:
        return {"go": False, "next": lane.next_turn()}
    if args["ticket"] > run.ticket:
        run.ticket, run.before, run.attempt, run.behind = args["ticket"], args["before"], None, None
    return {"go": True, "scope": run.scope}


def take_ticket(lane: Lane, args: Json) -> Json:
    """An execution asks to be the one that posts with this ticket: the first gets it, its twins do not."""
    run = held(lane, args)
    if run is not None and run.ticket == args["ticket"] and run.attempt is None:
        run.attempt, run.attempt_at = args["attempt"], args["at"]
    return {}


def reopen(lane: Lane, args: Json) -> Json:
    """The ticket came to nothing (refused, dropped, somebody else's refresh failed): others may join again."""
    run = held(lane, args)
    if run is None:
        return {"go": False, "next": lane.next_turn()}
    if run.ticket == args["ticket"] and run.sealed:
        run.spent = run.ticket
        run.before = run.refresh_id = run.posted_at = None
        run.adopted = run.kept = False
        run.narrow()
    return _drop_if_unwanted(lane, run)


def record(lane: Lane, args: Json) -> Json:
    """The refresh of the ticket is known. Answers whom to tell, and whether nobody wants it any more."""
    run = held(lane, args)
    if run is None:
        return {"go": False, "next": lane.next_turn()}
    if run.ticket == args["ticket"] and run.sealed:
        run.refresh_id, run.adopted, run.posted_at = args["refresh_id"], args["adopted"], args["posted_at"]
        run.cancel = run.cancel and not run.adopted
    return {"go": True, "cancel": run.cancel, "wake": wake(run.members)}


def drop(lane: Lane, args: Json) -> Json:
    """The ticket was not used, because its members' orchestrations are gone: takes them out, and opens the run."""
    run = held(lane, args)
    if run is not None and run.ticket == args["ticket"] and run.sealed:
        _take_out(lane, run, args["gone"])
    return reopen(lane, args)


def sweep(lane: Lane, args: Json) -> Json:
    """Takes out requests whose orchestrations are gone, and the active run if it is dead and nobody wants it.

    `dead` is the turn of the run that was found without a life, or None.
    """
    for run in list(lane.runs):
        if not run.sealed or run.turn == args["dead"]:
            _take_out(lane, run, args["gone"])
        if not run.members and (not run.sealed or run.turn == args["dead"]):
            lane.runs.remove(run)
        elif not run.sealed:
            run.narrow()
    return {}


def _take_out(lane: Lane, run: Run, gone: list[str]) -> None:
    for member in run.members:
        if member.id in gone:
            lane.gone[member.id] = Gone(lane.at, member.token, dropped=True, round=member.round)
    run.members = [member for member in run.members if member.id not in gone]


def _drop_if_unwanted(lane: Lane, run: Run) -> Json:
    if run.members or run.sealed:
        # a late duplicate finds the run sealed again: its refresh is followed to the end, wanted or not
        return {"go": True}
    lane.runs.remove(run)
    return {"go": False, "next": lane.next_turn()}


def finish(lane: Lane, args: Json) -> Json:
    """The verdict: kept for the members, the next run's turn begins.

    `late_after` is set when the refresh is somebody else's: members enrolled after that time may have come too late
    for it, so they get a run of their own in the place of their coming. So do those whose own objects did not fail in a
    run that did more than they wished: nobody turns red through somebody else's mistake.
    """
    run = held(lane, args)
    if run is not None:
        late_after, outcome = args["late_after"], args["outcome"]
        late = [member for member in run.members if late_after is not None and member.since > late_after]
        spared = [member for member in run.members if sharing.spared(member.scope, outcome) and member not in late]
        served = [member for member in run.members if member not in late and member not in spared]
        merged = all(member.scope is not None for member in run.members)
        lane.runs.remove(run)
        lane.ended[run.id] = Ended(lane.at, outcome, max(len(served) - 1, 0), served, merged)
        again = _alone(run, spared)
        if late:
            again.append(Run(late[0].new_run_id(), run.scope, run.share, late))
            again[-1].narrow()
        for made in again:
            # behind whoever came before: they had only shared a run that was further ahead
            later = (place for place, other in enumerate(lane.runs) if other.since >= made.since)
            lane.runs.insert(next(later, len(lane.runs)), made)
    ended = lane.ended.get(args["run"])
    return {"next": lane.next_turn(), "wake": wake(ended.uncollected) if ended else []}


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
