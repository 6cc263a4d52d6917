"""What has to hold on any day, each in a function of its own, which raises Violation with the broken sentence."""

import json
from collections import defaultdict
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from refresh.run.waits import UNKNOWN_AFTER
from tests.simulation.callers import Accepted, submission
from tests.simulation.power_bi import Post
from tests.simulation.scenario import START
from tests.simulation.world import World

MOST_ROWS = 60
"""Of a history."""
SLACK = timedelta(minutes=4)
"""Between a deadline and the request's end: work hidden by a crash or two, and late timers."""

Json = dict[str, Any]


class Violation(AssertionError):  # noqa: N818
    """An invariant does not hold."""


def require(condition: object, sentence: str) -> None:
    """Raises Violation with the sentence unless the condition holds."""
    if not condition:
        raise Violation(sentence)


# ---- after every step --------------------------------------------------------------------------------------------


def no_post_beside_our_own(world: World) -> None:
    """3. We never POST while a refresh of ours for that dataset is in progress, as far as anybody could know.

    One that is given up as lost is in nobody's way: what Power BI never ends must not close the model for ever.
    """
    for post in world.posts[world.checked_posts :]:
        for entry in world.truth(post.dataset_id):
            if entry["external"] or (entry["endTime"] and time(entry["endTime"]) <= post.at):
                continue
            visible = entry["listedFrom"] is not None and time(entry["listedFrom"]) <= post.at
            given_up = post.at - time(entry["startTime"]) >= UNKNOWN_AFTER
            harmless = not visible or given_up or time(entry["startTime"]) >= post.at
            require(
                harmless or _pushed_out(world, post.dataset_id, entry, post.at),
                f"3: {post.run} posts beside our own refresh {entry['requestId']}",
            )
        require(post.recorded is None, f"3: {post.run} posts although the queue has its refresh {post.recorded}")


def a_living_request_wants_it(world: World) -> None:
    """8. A refresh is posted only for a run that a living request wants at that moment."""
    for post in world.posts[world.checked_posts :]:
        require(post.members, f"8: {post.run} posts though no request is enrolled in the active run")
        living = [m for m in post.members if m in world.engine.instances and not world.engine.instances[m].terminal]
        require(living, f"8: {post.run} posts though all its requests {post.members} are gone")


STEPS: tuple[Callable[[World], None], ...] = (no_post_beside_our_own, a_living_request_wants_it)

# ---- when all is quiet -------------------------------------------------------------------------------------------


def every_request_ends_once(world: World) -> None:
    """1. Every accepted request ends exactly once, with the verdict of a refresh that really ended so, or its own.

    But for one that was terminated by hand and is then begun anew by a late duplicate of its start (see the README).
    """
    two_ends = _terminated_and_begun_anew(world)
    for request in world.requests:
        ends = [(code, body["status"], body.get("refreshId")) for _, code, body in request.seen if code != 202]
        require(ends, f"1: {request.id} has no end")
        if request.id in two_ends:
            ends = [end for end in ends if end[1] != "Terminated"] or ends
        require(len(set(ends)) == 1, f"1: {request.id} was told different ends: {ends}")
        _, code, body = request.seen[-1]
        require((code == 200) == (body["status"] == "Completed"), f"1: {request.id}: {code} for {body['status']}")
        _true(world, request, body)


def _terminated_and_begun_anew(world: World) -> set[str]:
    """Requests of which another life has an end of its own, after somebody may have been told Terminated."""
    return {request.id for request in world.requests if request.terminated_at} & world.second_lives


def _true(world: World, request: Accepted, body: Json) -> None:
    status, error = body["status"], body.get("error") or {}
    refresh = _refresh(world, request, body.get("refreshId"))
    about = f"{request.id} is told {status} {error.get('code', '')} of {body['refreshId']}"
    match status:
        case "Completed":
            require(refresh and refresh["state"] == "Completed", f"1: {about}, which is {refresh}")
        case "Cancelled":
            if error["code"] == "RequestCancelled":
                require(request.cancelled_at, f"1: {about}, and nobody cancelled it")
            else:
                require(refresh and refresh["state"] == "Cancelled", f"1: {about}, which is {refresh}")
        case "TimedOut":
            early = request.deadline - timedelta(seconds=1.01)  # timers come a second early, times have milliseconds
            ended = time(body["endedAt"])
            require(early <= ended, f"1: {about} before its deadline")
            if request.id not in world.second_lives:
                late = ended - request.deadline
                require(late <= SLACK + hidden(world), f"1: {about} {late} late")
        case "Terminated":
            require(request.terminated_at, f"1: {about}, and nobody terminated it")
        case "OutcomeUnknown" if error["code"] == "HistoryRolledOver":
            # one that the service dropped looks the same, once the history is full of newer ones
            dropped = body.get("refreshId") in world.service.seen(request.caller.dataset_id, world.now)["dropped"]
            newer = [entry for entry in world.truth(request.caller.dataset_id) if dropped or _later(entry, refresh)]
            require(len(newer) >= 20, f"1: {about}, with only {len(newer)} newer ones")
        case "OutcomeUnknown":
            require(refresh and refresh["state"] in ("InProgress", "NotStarted"), f"1: {about}, which is {refresh}")
        case _:
            require(status == "Failed", f"1: {about}")
            _failed(world, about, refresh, error["code"], exists=world.day.knobs[body["datasetId"]].get("exists", True))


def _later(entry: Json, refresh: Json | None) -> bool:
    return refresh is not None and time(entry["startTime"]) > time(refresh["startTime"])


def _pushed_out(world: World, dataset_id: str, refresh: Json, at: datetime) -> bool:
    newer = [entry for entry in world.truth(dataset_id) if _later(entry, refresh) and time(entry["startTime"]) <= at]
    return len(newer) >= MOST_ROWS


def _failed(world: World, about: str, refresh: Json | None, code: str, *, exists: bool) -> None:
    rates = world.rates
    nameless = any("dropHeaders" in knobs for knobs in world.day.knobs.values())
    excuses = {
        "AnswerLost": nameless
        or rates.start_answer_lost
        or rates.start_unavailable
        or rates.read_unavailable
        or rates.read_drop,
        "RefreshUnproven": nameless or rates.start_answer_lost or rates.activity_twice or rates.activity_dies_after,
        "RefreshDropped": rates.start_dropped,
        "TokenRejected": rates.token_expired,
        "ModelNotFound": not exists,
        "ServiceUnavailable": rates.read_unavailable or rates.read_drop or rates.start_unavailable,
    }
    if code in excuses:
        require(excuses[code], f"1: {about}, and nothing was wrong with the service")
    else:
        require(refresh and refresh["state"] in ("Failed", "Disabled", "TimedOut"), f"1: {about}, which is {refresh}")
        assert refresh is not None
        require(not refresh["external"], f"1: {about}, which was somebody else's")


def completed_is_fresh(world: World) -> None:
    """2. Completed only if a refresh of its scope started after the request was accepted, and completed."""
    for request in world.requests:
        _, _, body = request.seen[-1]
        if body["status"] != "Completed":
            continue
        refresh = _refresh(world, request, body.get("refreshId"))
        require(refresh, f"2: {request.id} is told of {body['refreshId']}, which does not exist")
        assert refresh is not None
        started = time(refresh["startTime"])
        require(started >= request.at, f"2: {request.id} came at {request.at}, its refresh started at {started}")
        partial = request.caller.dataset_id in world.day.partial
        framing = request.caller.dataset_id in world.day.direct_lake
        covered = _covers(refresh, request.caller.spec.get("refresh"), partial=partial, framing=framing)
        require(covered, f"2: {request.id} was served by {refresh}")


def _covers(refresh: Json, options: Json | None, *, partial: bool, framing: bool) -> bool:
    kind, external = refresh["refreshType"], refresh["external"]
    if options is None:
        kinds = ("ViaApi", "Scheduled", "OnDemand", *(["DirectLakeFraming"] if framing else []))
        return kind in kinds if external else not refresh["enhanced"]
    if not (kind == "ViaEnhancedApi" if external else refresh["enhanced"]):
        return False
    body = refresh["body"] or {}
    if external:
        body = {"objects": [{"table": "DimDate"}]} if partial else {}
    if not body.get("objects") or "objects" not in options:
        return not body.get("objects")
    return all(wished in body["objects"] for wished in options["objects"])


def one_refresh_a_run(world: World) -> None:
    """4. One run makes one refresh, unless the service dropped or failed it."""
    made: dict[str, list[str]] = defaultdict(list)
    for post in world.posts:
        if post.accepted:
            made[post.run].append(post.accepted)
    for run, refreshes in made.items():
        dataset_id = next(post.dataset_id for post in world.posts if post.run == run)
        truth = {entry["requestId"]: entry for entry in world.truth(dataset_id)}
        for before, after in pairwise(refreshes):
            entry = truth.get(before)
            good = entry is not None and entry["state"] == "Completed"
            if entry and after in truth and _pushed_out(world, dataset_id, entry, time(truth[after]["startTime"])):
                continue  # nobody could see it any more, nor know that it was ours
            require(not good, f"4: {run} made {refreshes}, though {before} was good")


def first_come_first_served(world: World) -> None:
    """5. FIFO per queue: runs post in the order in which they were enrolled."""
    first: dict[str, datetime] = {}
    for post in world.posts:
        first.setdefault(post.run, post.at)
    accepted = {request.id: request.at for request in world.requests}
    by_model: dict[str, list[tuple[datetime, datetime, str]]] = defaultdict(list)
    for run, at in first.items():
        owner = run.rsplit("-r", 1)[0]
        if run.endswith("-r1") and owner in accepted:
            by_model[owner.split("-")[0]].append((at, accepted[owner], run))
    for runs in by_model.values():
        runs.sort()
        for (_, came, run), (_, came_next, run_next) in pairwise(runs):
            delay = timedelta(seconds=120) + hidden(world)  # how long an enrolment may be on its way
            require(
                came <= came_next + delay, f"5: {run} went before {run_next}, which had come {came - came_next} sooner"
            )


def nobody_waits_for_nothing(world: World) -> None:
    """5. No starvation: nobody's deadline passes while the model is idle and the service is well."""
    rates = world.rates
    if any((rates.throttled, rates.read_unavailable, rates.read_drop, rates.start_unavailable, rates.token_expired)):
        return  # then the model may be idle because nobody can reach it
    settings = {name: float(value) for name, value in world.day.settings.items()}
    patience = settings["RECHECK_SECONDS"] * (2 + world.counts["refresh_run terminated"] + world.counts["crashes"])
    patience += settings["POLL_MAX_SECONDS"] + settings["VISIBILITY_GRACE_SECONDS"] * 4
    for request in world.requests:
        _, _, body = request.seen[-1]
        if body["status"] == "TimedOut":
            truth = world.truth(request.caller.dataset_id)
            if any(not entry["endTime"] or time(entry["endTime"]) > request.deadline for entry in truth):
                continue
            ends = [time(entry["endTime"]) for entry in truth]
            idle = request.deadline - max([request.at, *ends])
            allowed = timedelta(seconds=patience) + hidden(world)
            require(idle <= allowed, f"5: {request.id} times out after the model was idle for {idle}")


def told_at_once(world: World) -> None:
    """5. On a day without faults a caller learns the verdict when the run does, not on a slow tick."""
    if world.day.level != "none":
        return
    # a poll can come too early for a row that the history shows late
    longest = timedelta(seconds=2 * float(world.day.settings["POLL_MAX_SECONDS"]) + 30)
    for request in world.requests:
        _, _, body = request.seen[-1]
        refresh = _refresh(world, request, body.get("refreshId"))
        if body["status"] in ("Completed", "Failed") and refresh:
            late = world.engine.instances[request.id].updated - time(refresh["endTime"])
            require(late <= longest, f"5: {request.id} learns {late} late how its refresh ended")


def nothing_is_left(world: World) -> None:
    """6. When all is quiet the queue is empty and no instance is left running."""
    running = [i.id for i in world.engine.instances.values() if not i.terminal]
    require(not running, f"6: still running: {running}")
    terminated = {request.id for request in world.requests if request.terminated_at}
    for dataset_id in world.day.knobs:
        queue = world.queue(dataset_id)
        waiting = [run.id for run in queue.runs if any(member.id not in terminated for member in run.members)]
        require(not waiting, f"6: the queue of {dataset_id} still holds {waiting}")
        # a run that is terminated when nobody waits for it any more stays until the next request finds it dead
        require(queue.quiet or queue.runs, f"6: the queue of {dataset_id} still remembers {queue.to_json()}")


def histories_stay_small(world: World) -> None:
    """9. No episode has more than 150 events to replay, however long a refresh lasts."""
    require(world.longest_history <= 150, f"9: an episode had {world.longest_history} events to replay")


def no_cancel_unasked(world: World) -> None:
    """7. No refresh of ours is cancelled unless every request of its run asked for it."""
    for cancel in world.cancels:
        refresh_id = cancel.accepted
        for request in world.requests:
            _, _, body = request.seen[-1]
            if body.get("refreshId") != refresh_id:
                continue
            wish = request.caller.spec
            asked = (request.cancelled_at and "refresh" in wish) or wish.get("onTimeout") == "cancel"
            require(asked, f"7: {refresh_id} was cancelled, and {request.id} never asked for it")


def called_back_truly(world: World) -> None:
    """10. Whoever waits to be called is told the verdict that the status tells, and is called once if nothing dies."""
    again = sum(world.counts[name] for name in CALLING_AGAIN)
    finals = {request.id: request.seen[-1] for request in world.requests}
    two_ends = _terminated_and_begun_anew(world)
    for number, callback in enumerate(world.receivers.callbacks):
        if callback.request is None:
            require(not callback.calls, f"10: callback {number} was called, and its request was refused")
            continue
        about = f"10: callback {number} of {callback.request}"
        heard = [body for _, body, answered in callback.calls if answered]
        require(heard, f"{about} was never told")
        require(len(heard) <= 1 + again, f"{about} was told {len(heard)} times")
        _, code, final = finals[callback.request]
        for _, body, _ in callback.calls:
            told = (body["StatusCode"], body["status"], body.get("refreshId"), body.get("Error", {}).get("ErrorCode"))
            truth = (str(code), final["status"], final.get("refreshId"), (final.get("error") or {}).get("code"))
            known = callback.request in two_ends and body["status"] == "Terminated"
            require(told == truth or known, f"{about} was told {told}, and the status says {truth}")
        if world.day.level == "none":
            since = max(callback.added_at, world.engine.instances[callback.request].updated)
            late = callback.calls[0][0] - since
            require(late <= timedelta(seconds=30), f"{about} was told {late} late")


def a_key_is_one_request(world: World) -> None:
    """11. Who asks again under a key gets the same request, or a new one after an end that may pass, or a clear no."""
    ids = {asked.id for asked in world.callers.asked if asked.id}
    two_ends = _terminated_and_begun_anew(world)
    finals = {request.id: request.seen[-1][2] for request in world.requests}
    everybody = world.callers.asked
    for asked in everybody:
        about = f"11: key {asked.key!r} of {asked.dataset_id[-2:]}, answered {asked.code} at {asked.at - START}"
        others = [
            other for other in world.callers.asked if (other.dataset_id, other.key) == (asked.dataset_id, asked.key)
        ]
        same = [other for other in others if other.scope == asked.scope]
        if asked.code == 409:
            require(len(same) < len(others), f"{about}, and nobody wished for anything else")
        elif asked.code == 503:
            require(world.day.level != "none", f"{about} on a day on which all was well")
        else:
            given = [other for other in others if other.id == asked.id]
            require(all(other in same for other in given), f"{about}, for another wish: {given}")
    for request_id in ids:
        key, _, attempt = request_id.rpartition("-")
        before = f"{key}-{int(attempt) - 1}"
        if int(attempt) > 1 and before not in two_ends:
            require(before in finals, f"11: {request_id} was begun, and there was no {before}")
            end = finals[before]
            passes = end["status"] in ("TimedOut", "Terminated") or (end.get("error") or {}).get("retryable")
            require(passes, f"11: {request_id} was begun, although {before} ended {end['status']}")


def tried_as_often_as_allowed(world: World) -> None:
    """12. A request with retries left is not told of a failure that may pass while there is time for another try."""
    for request in world.requests:
        _, _, body = request.seen[-1]
        if body["status"] != "Failed" or not body["error"]["retryable"] or request.id in world.second_lives:
            continue
        state = json.loads(json.loads(world.engine.instances[request.id].input or ""))
        left = request.caller.spec.get("retries", 0) + 1 - state["round"]
        rest = timedelta(seconds=min(2 ** (state["round"] - 1), 15) * float(world.day.settings["POLL_MAX_SECONDS"]))
        in_time = time(body["endedAt"]) + rest < request.deadline - SLACK - hidden(world)
        require(request.cancelled_at or not (left and in_time), f"12: {request.id} gave up with {left} retries left")


def nobody_pays_for_others(world: World) -> None:
    """13. Who wished for less than the refresh did is failed by it only if one of his own tables failed."""
    for request in world.requests:
        _, _, body = request.seen[-1]
        wished = (request.caller.spec.get("refresh") or {}).get("objects")
        refresh = _refresh(world, request, body.get("refreshId"))
        table = world.day.failing.get(request.caller.dataset_id)
        if body["status"] != "Failed" or not wished or refresh is None or table is None:
            continue  # on other days Power BI says of every object that it failed
        made = (refresh["body"] or {}).get("objects")
        if made is None or any(entry not in wished for entry in made):
            own = any(entry["table"] == table for entry in wished)
            require(own, f"13: {request.id} wished {wished} and is failed by {refresh['requestId']}, which did {made}")


CALLING_AGAIN = (
    "activity_twice",
    "activity_dies_after",
    "crashes",
    "episode_lost",
    "episode_sent_twice",
    "start_again_late",
)

QUIET: tuple[Callable[[World], None], ...] = (
    every_request_ends_once,
    completed_is_fresh,
    one_refresh_a_run,
    first_come_first_served,
    nobody_waits_for_nothing,
    told_at_once,
    nothing_is_left,
    no_cancel_unasked,
    histories_stay_small,
    called_back_truly,
    a_key_is_one_request,
    tried_as_often_as_allowed,
    nobody_pays_for_others,
)


def time(text: str) -> datetime:
    """A time of a status or of the service."""
    return datetime.fromisoformat(text)


def hidden(world: World) -> timedelta:
    """How much later than usual things may come because workers die and work is hidden."""
    faults = sum(world.counts[name] for name in world.counts if name in HIDING)
    return timedelta(seconds=90 * faults)


HIDING = ("work_hidden", "activity_dies_before", "activity_dies_after", "crashes", "timers_late")


def _refresh(world: World, request: Accepted, refresh_id: str | None) -> Json | None:
    return next((e for e in world.truth(request.caller.dataset_id) if e["requestId"] == refresh_id), None)
