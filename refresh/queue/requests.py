"""What requests do in a queue: join a run, ask how they stand, collect their outcome, leave."""

from datetime import datetime, timedelta

from refresh.queue import sharing
from refresh.queue.state import Gone, Json, Member, Queue, Reservation, Run

START_WITHIN = timedelta(seconds=30)  # for the request that was asked to start a run, before another one is asked


def view(queue: Queue, request_id: str) -> Json:
    """How an enrolled request stands: its run, how many runs are before it, with how many it shares."""
    run = queue.run_of(request_id)
    member = run.member(request_id) if run else None
    if run is None or member is None:
        return {"state": "gone"}
    return {
        "state": "enrolled",
        "leaving": member.leaving,
        "run": run.id,
        "generation": run.generation,
        "position": queue.runs.index(run),
        "shared_with": len(run.members) - 1,
        "refresh_id": run.refresh_id,
        "posted_at": run.posted_at,
        "active": queue.runs[0].turn,
        "behind": queue.ahead_of(run),
    }


def reserve(queue: Queue, args: Json) -> Json:
    """Somebody sets out to start a request, whose id is made from a key of its caller's. The first one's input counts.

    Two who come at once read here whose it is; whoever then starts the request does so with that input.
    """
    if args["request"] not in queue.reserved:
        queue.reserved[args["request"]] = Reservation(queue.at, args["state"])
    return {}


def enroll(queue: Queue, args: Json) -> Json:
    """Joins a run or appends one; repeated, tells how the request stands, and its outcome once there is one."""
    request_id, token, round_ = args["request"], args["token"], args.get("round", 1)
    queue.reserved.pop(request_id, None)
    gone = queue.gone.get(request_id)
    if gone is not None and _comes_again(gone, args):
        del queue.gone[request_id]
    elif gone is not None:
        return _answer_again(queue, gone, token)
    for run_id, ended in queue.ended.items():
        member = next((member for member in ended.uncollected if member.id == request_id), None)
        if member is not None:
            ended.uncollected.remove(member)
            more = None if member.scope is None else "merged" if ended.merged else "wider"
            queue.gone[request_id] = Gone(queue.at, token, run_id, round=member.round, served_by=more)
            return _answer_again(queue, queue.gone[request_id], token)
    run = queue.run_of(request_id)
    known = run.member(request_id) if run else None
    if known is None:
        asked = queue.asked.pop(request_id, None) is not None
        _join(queue, args, Member(request_id, token, args["at"], args["wake"], leaving=asked, round=round_))
    elif known.token != token:
        return {"state": "taken"}
    elif known.round == round_:
        known.wake = args["wake"]
    return {**view(queue, request_id), "start": _ask_to_start(queue, args)}


def _comes_again(gone: Gone, args: Json) -> bool:
    """Whether this is no late duplicate, but a request that has reason to enrol again."""
    if gone.dropped:
        # it was thought dead; a duplicate would carry the time of the first
        return bool(args["at"] > gone.at)
    return gone.run is not None and gone.token == args["token"] and args.get("round", 1) > gone.round


def _ask_to_start(queue: Queue, args: Json) -> bool:
    """Whether this request shall start the active run: one is asked at a time, and asked again if it repeats itself."""
    active = queue.runs[0]
    if active.token is not None:
        return False
    if active.start_asked is not None:
        request_id, at = active.start_asked
        waited = datetime.fromisoformat(args["at"]) - datetime.fromisoformat(at)
        if request_id != args["request"] and waited < START_WITHIN:
            return False
    active.start_asked = [args["request"], args["at"]]
    return True


def _join(queue: Queue, args: Json, member: Member) -> None:
    """Into the first run that serves it, or can be made to; else into a new one."""
    scope = args["scope"]
    open_runs = [run for run in queue.runs if args["share"] and run.joinable]
    for run in open_runs:
        if sharing.serves(run.scope, scope):
            member.scope = None if sharing.serves(scope, run.scope) else scope
            run.members.append(member)
            return
    for run in open_runs:
        both = sharing.merged(run.scope, scope)
        if both is not None:
            for other in run.members:
                other.scope = other.scope or run.scope
            member.scope, run.scope = None if sharing.serves(scope, both) else scope, both
            run.members.append(member)
            return
    queue.runs.append(Run(member.new_run_id(), scope, args["share"], [member]))


def _answer_again(queue: Queue, gone: Gone, token: str) -> Json:
    ended = queue.ended.get(gone.run) if gone.run else None
    if ended is not None:
        # whichever life of the request asks: its verdict is one
        told = {"outcome": ended.outcome, "shared_with": ended.shared_with, "served_by": gone.served_by}
        return {"state": "ended", "run": gone.run, **told}
    if gone.token != token:
        return {"state": "taken"}
    return {"state": "gone", **(gone.answer or {}), "next": queue.next_turn()}


def leave(queue: Queue, args: Json) -> Json:
    """Takes a request out. If its verdict is already there it is told that instead; the last one out may cancel."""
    request_id, token = args["request"], args["token"]
    if request_id in queue.gone:
        return _answer_again(queue, queue.gone[request_id], token)
    run = queue.run_of(request_id)
    member = run.member(request_id) if run else None
    if run is None or member is None:
        if any(member.id == request_id for ended in queue.ended.values() for member in ended.uncollected):
            return enroll(queue, args)
        queue.gone[request_id] = Gone(queue.at, token)
        return {"state": "gone", "next": queue.next_turn()}
    if member.token != token:
        return {"state": "taken"}
    stood = view(queue, request_id)
    run.members.remove(member)
    # who leaves before the POST has no refresh to keep
    run.kept = run.kept or (run.closed and not args["cancel"])
    run.cancel = not (run.members or run.kept or run.adopted)
    if not run.closed:
        if run.members:
            run.narrow()
        else:
            queue.runs.remove(run)
    cancel_id = run.refresh_id if run.cancel else None
    told = {"reason": args["reason"], "alone": not run.members, "cancel_refresh_id": cancel_id}
    answer = {**stood, "state": "left", **told}
    queue.gone[request_id] = Gone(queue.at, token, answer=answer, round=member.round)
    return {**answer, "next": queue.next_turn()}


def ask_to_leave(queue: Queue, args: Json) -> Json:
    """Somebody cancels a request: it is told when it next asks, even if it is not enrolled (yet, or any more)."""
    run = queue.run_of(args["request"])
    member = run.member(args["request"]) if run else None
    gone = queue.gone.get(args["request"])
    if member is not None:
        member.leaving = True
    elif gone is None or gone.run is not None:
        # one with a verdict may be resting before it tries again
        queue.asked[args["request"]] = queue.at
    return {}


def restart(queue: Queue, args: Json) -> Json:
    """Gives the active run a new life if that generation of it is still the one in force."""
    if queue.runs and queue.runs[0].turn == {"run": args["run"], "generation": args["generation"]}:
        queue.runs[0].generation += 1
        queue.runs[0].token = queue.runs[0].start_asked = None
    return {"next": queue.next_turn()}
