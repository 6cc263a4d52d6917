"""The invariants of answers to callers: how requests end, what keys mean, and how receivers are called."""

import json
from datetime import timedelta
from typing import Any

from tests.simulation.callbacks import TIMER_SECONDS
from tests.simulation.callers import Accepted, Start, submission
from tests.simulation.rules import (
    delayed,
    final,
    refresh_of,
    require,
    terminated_and_started_again,
    time,
)
from tests.simulation.scenario import START
from tests.simulation.world import World

EARLY = timedelta(seconds=1.01)
"""How early the end of a request may be: timers fire up to a second early, and times are cut to milliseconds."""
SLACK = timedelta(minutes=4)
"""The maximum time between a deadline and the request's end: one or two crashes can hide work, and timers can be
late."""
CALLING_AGAIN = (
    *("activity_twice", "activity_dies_midway", "activity_dies_after", "crashes"),
    *("episode_lost", "episode_sent_twice", "start_again_late", "starts_refused"),
)

Json = dict[str, Any]


def every_request_ends_once(world: World) -> None:
    """1. Every accepted request ends exactly once: with the true outcome of a refresh, or with an outcome of its own.

    An outcome of its own is cancelled, timed out, terminated, or an error. There is one exception: a request that was
    terminated by hand, and then started again by a late duplicate of its start.
    """
    two_ends = terminated_and_started_again(world)
    for request in world.requests:
        ends = [(code, body["status"], body.get("refreshId")) for _, code, body in request.seen if code != 202]
        require(ends, f"1: {request.id} has no end")
        if request.id in two_ends:
            ends = [end for end in ends if end[1] != "Terminated"] or ends
        require(len(set(ends)) == 1, f"1: {request.id} had different outcomes: {ends}")
        _, code, body = request.seen[-1]
        require((code == 200) == (body["status"] == "Completed"), f"1: {request.id}: {code} for {body['status']}")
        _check_outcome(world, request, body)


def _check_outcome(world: World, request: Accepted, body: Json) -> None:
    status, error, refresh_id = body["status"], body.get("error") or {}, body.get("refreshId")
    refresh = refresh_of(world, request, refresh_id)
    about = f"{request.id} ends as {status} {error.get('code', '')} of {refresh_id}"
    match status:
        case "Completed":
            require(refresh and refresh["state"] == "Completed", f"1: {about}, which is {refresh}")
        case "Cancelled":
            if error["code"] == "RequestCancelled":
                require(request.cancelled_at, f"1: {about}, and no caller cancelled it")
            else:
                require(refresh and refresh["state"] == "Cancelled", f"1: {about}, which is {refresh}")
        case "TimedOut":
            ended = time(body["endedAt"])
            require(request.deadline - EARLY <= ended, f"1: {about} before its deadline")
            if request.id not in world.second_executions:
                late = ended - request.deadline
                require(
                    late <= SLACK + delayed(world) + _throttled(world, request, refresh_id), f"1: {about} {late} late"
                )
        case "Terminated":
            require(request.id in world.terminated, f"1: {about}, and it was not terminated")
        case "OutcomeUnknown" if error["code"] == "HistoryRolledOver":
            # after newer refreshes have filled the history, a dropped refresh looks like one that the history does not
            # show any more
            dropped = refresh_id in world.service.report(request.caller.dataset_id, world.now)["dropped"]
            newer = [
                entry
                for entry in world.truth(request.caller.dataset_id)
                if dropped or (refresh and time(entry["startTime"]) > time(refresh["startTime"]))
            ]
            require(len(newer) >= 20, f"1: {about}, with only {len(newer)} newer ones")
        case "OutcomeUnknown" if error["code"] in ("RefreshUnproven", "AnswerLost"):
            excused = _excuses(world, exists=True)[error["code"]]
            require(excused, f"1: {about}, and nothing was wrong with the service")
        case "OutcomeUnknown":
            require(refresh and refresh["state"] in ("InProgress", "NotStarted"), f"1: {about}, which is {refresh}")
        case _:
            require(status == "Failed", f"1: {about}")
            _failed(world, about, refresh, error["code"], exists=world.day.knobs[body["datasetId"]].get("exists", True))


def _throttled(world: World, request: Accepted, refresh_id: str | None) -> timedelta:
    """How long a request that cancels its refresh at its deadline may wait because Power BI throttles that call.

    Each throttled call delays it until Power BI allows another call, by at most OUTAGE_BUDGET_SECONDS.
    """
    if request.caller.spec.get("onTimeout") != "cancel":
        return timedelta(0)
    pauses = [
        at for at, of in world.service_side.throttled_cancels if of == refresh_id and at >= request.deadline - EARLY
    ]
    return len(pauses) * timedelta(seconds=float(world.day.settings["OUTAGE_BUDGET_SECONDS"]))


def _failed(world: World, about: str, refresh: Json | None, code: str, *, exists: bool) -> None:
    excuses = _excuses(world, exists=exists)
    if code in excuses:
        require(excuses[code], f"1: {about}, and nothing was wrong with the service")
    else:
        require(refresh and refresh["state"] in ("Failed", "Disabled", "TimedOut"), f"1: {about}, which is {refresh}")
        assert refresh is not None
        require(not refresh["external"], f"1: {about}, which was an external refresh")


def _excuses(world: World, *, exists: bool) -> dict[str, Any]:
    """The error codes that blame the service or the network, each with whether such a fault could occur on that day."""
    rates = world.rates
    nameless = any("dropHeaders" in knobs for knobs in world.day.knobs.values())
    return {
        "AnswerLost": nameless
        or rates.start_answer_lost
        or rates.start_unavailable
        or rates.read_unavailable
        or rates.read_drop,
        "RefreshUnproven": nameless
        or rates.start_answer_lost
        or rates.activity_twice
        or rates.activity_dies_after
        or rates.activity_dies_midway
        or (rates.start_unavailable and world.day.part_after_loss),
        "RefreshDropped": rates.start_dropped,
        "TokenRejected": rates.token_expired,
        "ModelNotFound": not exists,
        "ServiceUnavailable": rates.read_unavailable or rates.read_drop or rates.start_unavailable,
    }


def completed_is_fresh(world: World) -> None:
    """2. A request is Completed only if a refresh of its scope started after the request was accepted, and
    completed."""
    for request in world.requests:
        body = final(request)
        if body["status"] != "Completed":
            continue
        refresh = refresh_of(world, request, body["refreshId"])
        require(refresh, f"2: {request.id} names {body['refreshId']}, which does not exist")
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
        body = {"objects": [{"table": "DimDate", "partition": "DimDate"}]} if partial else {}
    if not body.get("objects") or "objects" not in options:
        return not body.get("objects")
    return all(objects in body["objects"] for objects in options["objects"])


def called_back_truly(world: World) -> None:
    """10. A receiver is called with the outcome that the status shows, and only once if no process dies."""
    again = sum(world.counts[name] for name in CALLING_AGAIN)
    two_ends = terminated_and_started_again(world)
    for number, callback in enumerate(world.receivers.callbacks):
        if callback.request is None:
            require(callback.unknown or not callback.calls, f"10: callback {number} was called for a refused request")
            continue
        about = f"10: callback {number} of {callback.request}"
        bodies = [body for _, body, answered in callback.calls if answered]
        require(bodies, f"{about} was never made")
        require(len(bodies) <= 1 + again, f"{about} was made {len(bodies)} times")
        truths = {
            (str(code), body["status"], body.get("refreshId"), (body.get("error") or {}).get("code"))
            for request in world.requests
            for _, code, body in request.seen[-1:]
            if request.id == callback.request
        }
        for _, body, _ in callback.calls:
            made = (body["StatusCode"], body["status"], body.get("refreshId"), body.get("Error", {}).get("ErrorCode"))
            known = callback.request in two_ends and body["status"] == "Terminated"
            require(not truths or made in truths or known, f"{about} reported {made}, but the status is {truths}")
        if world.day.level == "none":
            since = max(callback.added_at, world.engine.instances[callback.request].updated)
            late = callback.calls[0][0] - since
            longest = timedelta(seconds=30 + (TIMER_SECONDS if callback.later else 0))
            require(late <= longest, f"{about} was made {late} late")


def a_key_is_one_request(world: World) -> None:
    """11. A start with a used key gets the same request, a new request after a transient failure, or a refusal."""
    starts_with_keys = [start for start in world.callers.starts if start.key]
    finals = {request.id: final(request) for request in world.requests}
    unsure = {(start.dataset_id, start.key) for start in starts_with_keys if start.code in (0, 503)}
    unsure |= {(r.caller.dataset_id, r.caller.spec.get("idempotencyKey")) for r in world.requests if r.purged_at}
    two_ends = terminated_and_started_again(world)
    for start in starts_with_keys:
        about = f"11: key {start.key!r} of {start.dataset_id[-2:]}, answered {start.code} at {start.at - START}"
        others = [other for other in starts_with_keys if (other.dataset_id, other.key) == (start.dataset_id, start.key)]
        same = [other for other in others if other.scope == start.scope]
        if start.code == 409:
            require(len(same) < len(others), f"{about}, although no caller requested a different scope")
        elif start.id is not None:
            given = [other for other in others if other.id == start.id]
            require(all(other in same for other in given), f"{about}, for another scope: {given}")
            _newest(world, start, others, about)
            twins = {other.id for other in same if other.id and submission(other.id) == submission(start.id)}
            require(len(twins) == 1, f"{about}: {twins} are one submission")
            before = [other.id for other in others if other.id and submission(other.id) == submission(start.id) - 1]
            if submission(start.id) == 1 or (start.dataset_id, start.key) in unsure or two_ends.intersection(before):
                continue
            require(before, f"{about}: {start.id} is not the first submission, but there is none before it")
            ends = [finals[end] for end in before if end in finals]
            passes = [
                end["status"] in ("TimedOut", "Terminated") or (end.get("error") or {}).get("retryable") for end in ends
            ]
            require(any(passes) or not ends, f"{about}: {start.id} was started, although others ended as {ends}")
    require(not world.callers.wrong_cancels, f"11: {world.callers.wrong_cancels}")


def _newest(world: World, start: Start, others: list[Start], about: str) -> None:
    assert start.id is not None
    for other in others:
        if other.id and other.at <= start.begun and not world.callers.purged(other.id):
            recent = submission(other.id) <= submission(start.id)
            require(recent, f"{about}: {start.id}, although {other.id} is newer")


def tried_as_often_as_allowed(world: World) -> None:
    """12. A request with retries left does not end with a transient failure while there is time for another attempt."""
    for request in world.requests:
        body, instance = final(request), world.engine.instances.get(request.id)
        if body["status"] != "Failed" or not body["error"].get("retryable"):
            continue
        if request.id in world.second_executions or instance is None or request.purged_at:
            continue
        attempt = json.loads(json.loads(instance.input or "")).get("attempt", 1)
        run_id = body.get("runId") or ""
        if run_id.startswith(f"{request.id}-r"):
            own = run_id.startswith(f"{request.id}-r{attempt}")
            require(own, f"12: {request.id} ends in attempt {attempt} with the failure of {run_id}")
        left = request.caller.spec.get("retries", 0) + 1 - attempt
        pause = timedelta(seconds=min(2 ** (attempt - 1), 15) * float(world.day.settings["POLL_MAX_SECONDS"]))
        # `updated` is the time when the app knew the outcome: up to a long poll after the end of the refresh
        in_time = instance.updated + pause < request.deadline - SLACK - delayed(world)
        require(request.cancelled_at or not (left and in_time), f"12: {request.id} gave up with {left} retries left")


def no_request_pays_for_others(world: World) -> None:
    """13. If a shared refresh fails, a request for some of its tables fails only if one of the tables that it named
    failed."""
    for request in world.requests:
        body = final(request)
        objects = (request.caller.spec.get("refresh") or {}).get("objects")
        refresh = refresh_of(world, request, body.get("refreshId"))
        table = world.day.failing.get(request.caller.dataset_id)
        if body["status"] != "Failed" or not objects or refresh is None or table is None:
            continue  # on days without the state of each object, Power BI reports every object as failed
        made = (refresh["body"] or {}).get("objects")
        if made is None or any(entry not in objects for entry in made):
            own = any(entry["table"] == table for entry in objects)
            require(own, f"13: {request.id}, for {objects}, ends with the failure of {refresh['requestId']} of {made}")


def no_caller_is_turned_away(world: World) -> None:
    """9. No call gets an error of the app because messages are late or reads fail.

    A start is refused only if the engine itself refused it. Once a request is accepted, it can be read.
    """
    for start in world.callers.starts:
        about = f"9: a start under key {start.key!r} at {start.begun - START} is answered {start.code}"
        require(start.code in (0, 200, 202, 409, 424, 503), about)
        require(start.code != 503 or start.refused_starts, f"{about}, although the engine refused nothing")
    for call in world.callers.other_calls:
        good = call.code in (200, 202, 424) or (call.code == 404 and call.function == "http_cancel_by_key")
        require(good, f"9: {call.function} at {call.at - START} is answered {call.code}")


def statuses_are_fresh(world: World) -> None:
    """15. The status of a request in progress is at most a few seconds old."""
    require(not world.callers.stale, f"15: {world.callers.stale[:1]}")


def only_the_starter_may_cancel(world: World) -> None:
    """14. Only the caller that started a request gets the URI that cancels it."""
    for start in world.callers.starts:
        if start.id is None or start.code not in (200, 202) or not start.repeated:
            continue
        others = [other for other in world.callers.starts if other.id == start.id and other is not start]
        started = [other.starter for other in others if not other.repeated]
        if start.may_cancel:
            # a start that the engine refused may have taken effect
            known = start.starter in started or start.refused_starts > 0
            known = known or any(other.code == 0 for other in world.callers.starts)
            require(known or not started, f"14: {start} may cancel a request of {started}")
