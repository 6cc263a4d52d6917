"""The invariants of any day, each in its own function, which raises Violation with the sentence that the day violated.

Here are the invariants of refreshes, queues and the engine; those of answers to callers are in `answers`.
"""

from collections import defaultdict
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from refresh.run.waits import PROBE_AFTER, UNKNOWN_AFTER
from tests.simulation import answers, models, places
from tests.simulation.power_bi import A_MOMENT, RefreshCall
from tests.simulation.rules import (
    REMINDED_WITHIN,
    delayed,
    final,
    known_as_ours,
    purged_between,
    pushed_out,
    refresh_of,
    require,
    time,
)
from tests.simulation.world import World

Json = dict[str, Any]

# ---- after every step --------------------------------------------------------------------------------------------


def no_post_beside_our_own(world: World) -> None:
    """3. The app never POSTs while a refresh of ours for that dataset is in progress, as far as it can know.

    Two kinds of refreshes do not count. One is a refresh with the outcome OutcomeUnknown: a refresh that Power BI never
    ends must not block the model forever. The other is a refresh that is not known to be ours (see
    `one_refresh_a_run`), after the app has waited behind it for an hour.
    """
    for post in world.posts[world.checked_posts :]:
        for entry in world.truth(post.dataset_id):
            if entry["external"] or (entry["endTime"] and time(entry["endTime"]) <= post.at):
                continue
            visible = entry["listedFrom"] is not None and time(entry["listedFrom"]) <= post.at
            age = post.at - time(entry["startTime"])
            given_up = age >= UNKNOWN_AFTER or (age >= PROBE_AFTER and not known_as_ours(world, entry["requestId"]))
            harmless = not visible or given_up or age <= timedelta(0)
            require(
                harmless or pushed_out(world, post.dataset_id, entry, post.at),
                f"3: {post.run} posts beside our own refresh {entry['requestId']}",
            )
        require(post.recorded is None, f"3: {post.run} posts although the queue has its refresh {post.recorded}")


def posts_serve_active_requests(world: World) -> None:
    """8. A refresh is posted only for a run with an active request.

    A request that was active a moment earlier also counts, because the POST comes a moment after the last look at the
    requests.
    """
    for post in world.posts[world.checked_posts :]:
        require(post.members, f"8: {post.run} posts although no request is enrolled in the active run")
        members = [world.engine.instances[m] for m in post.members if m in world.engine.instances]
        active = [member for member in members if not member.terminal or post.at - member.updated < A_MOMENT]
        require(active, f"8: {post.run} posts although all its requests {post.members} have ended")


STEPS: tuple[Callable[[World], None], ...] = (
    no_post_beside_our_own,
    posts_serve_active_requests,
    places.never_more_than_the_capacity_allows,
)

# ---- at the end of the day ---------------------------------------------------------------------------------------


def one_refresh_a_run(world: World) -> None:
    """4. One run makes one refresh, unless the service dropped or failed it.

    Another exception is a lost answer to a POST for the whole model, or for tables without their partitions, while the
    objects of such a refresh are not known: the history does not distinguish it from an external refresh of a part. A
    second refresh is better than a success without proof.
    """
    made: dict[str, list[RefreshCall]] = defaultdict(list)
    for post in world.posts:
        if post.accepted:
            made[post.run].append(post)
    for run, posts in made.items():
        truth = {entry["requestId"]: entry for entry in world.truth(posts[0].dataset_id)}
        for before, after in pairwise(posts):
            entry = truth.get(before.accepted or "")
            good = entry is not None and entry["state"] == "Completed"
            if (
                entry
                and after.accepted in truth
                and pushed_out(world, before.dataset_id, entry, time(truth[after.accepted]["startTime"]))
            ):
                continue  # the first refresh is no longer in the history
            if purged_between(world, run, before.at, after.at):
                continue  # a start after the purge created another request and another run with the same names
            if not known_as_ours(world, before.accepted or ""):
                world.counts["second refreshes"] += good
                continue
            require(not good, f"4: {run} made {after.accepted}, although {before.accepted} was good")


def no_read_between_permit_and_post(world: World) -> None:
    """4. Between asking for the permit and its POST, an execution reads nothing from Power BI."""
    require(not world.service_side.late_reads, "4: an activity read from Power BI between its permit and its POST")


def first_come_first_served(world: World) -> None:
    """5. FIFO per queue: runs post in the order in which they were enrolled."""
    first: dict[str, datetime] = {}
    for post in world.posts:
        first.setdefault(post.run, post.at)
    # a start after the purge may have created another request with the same name
    twice = {request.id for request in world.requests if request.purged_at}
    accepted = {request.id: request.at for request in world.requests if request.id not in twice}
    by_model: dict[str, list[tuple[datetime, datetime, str]]] = defaultdict(list)
    for run, at in first.items():
        owner = run.rsplit("-r", 1)[0]
        if run.endswith("-r1") and owner in accepted:
            by_model[owner.split("-")[0]].append((at, accepted[owner], run))
    for runs in by_model.values():
        runs.sort()
        for (_, came_at, run), (_, came_next, run_next) in pairwise(runs):
            delay = timedelta(seconds=120) + delayed(world)  # the maximum latency of an enrolment
            require(
                came_at <= came_next + delay,
                f"5: {run} went before {run_next}, which had come {came_at - came_next} sooner",
            )


def no_request_starves(world: World) -> None:
    """5. No starvation: no deadline passes while the model is idle and the service is healthy."""
    rates = world.rates
    if any((rates.throttled, rates.read_unavailable, rates.read_drop, rates.start_unavailable, rates.token_expired)):
        return  # on such days the model may be idle because it cannot be reached
    if world.day.capacity:
        return  # the model may be idle because there was no place: see `places.a_free_place_is_taken`
    settings = {name: float(value) for name, value in world.day.settings.items()}
    counts = world.counts
    repairs = 2 + counts["refresh_run terminated"] + counts["crashes"] + counts["starts_refused"]
    patience = min(settings["RECHECK_SECONDS"], REMINDED_WITHIN) * repairs
    patience += settings["POLL_MAX_SECONDS"] + settings["VISIBILITY_GRACE_SECONDS"] * 4
    for request in world.requests:
        if final(request)["status"] == "TimedOut":
            truth = world.truth(request.caller.dataset_id)
            if any(not entry["endTime"] or time(entry["endTime"]) > request.deadline for entry in truth):
                continue
            ends = [time(entry["endTime"]) for entry in truth]
            idle = request.deadline - max([request.at, *ends])
            allowed = timedelta(seconds=patience) + delayed(world)
            require(idle <= allowed, f"5: {request.id} times out after the model was idle for {idle}")


def reported_at_once(world: World) -> None:
    """5. On a day without faults, a request ends when its run ends, and not only at a later recheck."""
    if world.day.level != "none":
        return
    # a poll can be too early to see a late row of the history, so two polls may be needed
    longest = timedelta(seconds=2 * float(world.day.settings["POLL_MAX_SECONDS"]) + 30)
    for request in world.requests:
        body = final(request)
        refresh = refresh_of(world, request, body.get("refreshId"))
        if body["status"] in ("Completed", "Failed") and refresh:
            late = world.engine.instances[request.id].updated - time(refresh["endTime"])
            require(late <= longest, f"5: {request.id} gets the outcome of its refresh {late} late")


def nothing_is_left(world: World) -> None:
    """6. At the end of the day, the queue is empty and no instance is running."""
    running = [i.id for i in world.engine.instances.values() if not i.terminal]
    require(not running, f"6: still running: {running}")
    for dataset_id in world.day.knobs:
        queue = world.queue(dataset_id)
        waiting = [run.id for run in queue.runs if any(member not in world.terminated for member in run.members)]
        require(not waiting, f"6: the queue of {dataset_id} still holds {waiting}")
        # a run that was terminated while no request waited for it stays until the next request finds it
        require(queue.is_empty or queue.runs, f"6: the queue of {dataset_id} still stores {queue}")


def histories_stay_small(world: World) -> None:
    """6. No episode has more than 150 events to replay, no matter how long a refresh takes."""
    require(world.longest_history <= 150, f"6: an episode had {world.longest_history} events to replay")


def no_unrequested_cancellation(world: World) -> None:
    """7. No refresh of ours is cancelled unless every request of its run was cancelled."""
    for cancel in world.cancels:
        for request in world.requests:
            if final(request).get("refreshId") != cancel.accepted:
                continue
            spec = request.caller.spec
            requested = (request.cancelled_at and "refresh" in spec) or spec.get("onTimeout") == "cancel"
            require(requested, f"7: {cancel.accepted} was cancelled, although {request.id} never asked for it")


AT_THE_END: tuple[Callable[[World], None], ...] = (
    answers.every_request_ends_once,
    answers.completed_is_fresh,
    one_refresh_a_run,
    no_read_between_permit_and_post,
    first_come_first_served,
    no_request_starves,
    reported_at_once,
    nothing_is_left,
    no_unrequested_cancellation,
    histories_stay_small,
    answers.called_back_truly,
    answers.a_key_is_one_request,
    answers.tried_as_often_as_allowed,
    answers.no_request_pays_for_others,
    answers.no_caller_is_turned_away,
    answers.only_the_starter_may_cancel,
    answers.statuses_are_fresh,
    places.every_place_is_given_back,
    places.places_go_in_order,
    places.the_capacity_fails_no_caller,
    places.a_free_place_is_taken,
    models.models_tell_the_truth,
)
