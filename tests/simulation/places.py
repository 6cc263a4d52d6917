"""The invariants of capacity groups: the limit, the order, and that no place is lost."""

from datetime import timedelta

from refresh.run.waits import UNKNOWN_AFTER
from tests.simulation.capacity import last_full, running_at
from tests.simulation.rules import REMINDED_WITHIN, delayed, final, known_as_ours, pushed_out, require, time
from tests.simulation.world import World

PER_REQUEST = timedelta(minutes=15)
"""How long each request may leave a place unused. It does so while a dead run waits for repair, or while a waiting run
asks late."""


def never_more_than_the_capacity_allows(world: World) -> None:
    """16. A capacity group never has more refreshes of ours at a time than its bound, counted from POST to end.

    Refreshes that the app cannot know to be ours, or with the outcome OutcomeUnknown, do not count (see invariant 3).
    """
    if not world.day.capacity:
        return
    for post in world.posts[world.checked_posts :]:
        if post.accepted is None:
            continue
        ours = [
            entry
            for dataset_id, entry in running_at(world, post.at)
            if not entry["external"]
            and known_as_ours(world, entry["requestId"])
            and post.at - time(entry["startTime"]) < UNKNOWN_AFTER
            and not pushed_out(world, dataset_id, entry, post.at)
        ]
        names = [entry["requestId"] for entry in ours]
        require(len(ours) <= world.day.capacity, f"16: {post.run} posts, and {names} run at once")


def every_place_is_given_back(world: World) -> None:
    """16. At the end of the day, no run has a place, and no run waits for a place."""
    group = world.places.group
    require(not group.places, f"16: places that were not given back: {list(group.places)}")
    require(not group.waiting, f"16: still waiting: {list(group.waiting)}")


def places_go_in_order(world: World) -> None:
    """16. A place goes to the run that asked first. A level of priority counts as half an hour, so no run starves.

    If an incarnation of a run ends while it waits, the next incarnation keeps the time at which the run first asked.
    """
    for granted in world.places.granted:
        require(not granted.overtaken, f"16: {granted.run} got a place before {granted.overtaken}")


def the_capacity_fails_no_caller(world: World) -> None:
    """16. A refresh that the capacity refused is retried: no request fails because of it."""
    if not world.day.capacity:
        return
    for request in world.requests:
        code = (final(request).get("error") or {}).get("code")
        require(code != "CapacityLimitReached", f"16: {request.id} fails with {code}")


def a_free_place_is_taken(world: World) -> None:
    """16. No deadline passes after a long time in which a place was free, the model idle and the service healthy."""
    rates = world.rates
    faulty = (
        rates.throttled,
        rates.read_unavailable,
        rates.read_drop,
        rates.start_unavailable,
        rates.token_expired,
    )
    if not world.day.capacity or any(faulty):
        return
    settings = world.day.settings
    patience = 2 * float(settings["POLL_MAX_SECONDS"]) + 4 * float(settings["VISIBILITY_GRACE_SECONDS"])
    patience += float(settings["OUTAGE_BUDGET_SECONDS"])
    repairs = 2 + world.counts["refresh_run terminated"] + world.counts["crashes"] + world.counts["starts_refused"]
    patience += min(float(settings["RECHECK_SECONDS"]), REMINDED_WITHIN) * repairs
    allowed = timedelta(seconds=patience) + delayed(world) + PER_REQUEST * len(world.requests)
    for request in world.requests:
        if final(request)["status"] != "TimedOut":
            continue
        truth = world.truth(request.caller.dataset_id)
        if any(not entry["endTime"] or time(entry["endTime"]) > request.deadline for entry in truth):
            continue
        full = last_full(world, request.deadline)
        busy = [request.at, *(time(entry["endTime"]) for entry in truth), *([full] if full else [])]
        idle = request.deadline - max(busy)
        require(idle <= allowed, f"16: {request.id} times out after a place was free for {idle}")
