"""The invariants of batches: the order of models, one outcome for each model, and a batch outcome that agrees."""

from datetime import timedelta
from typing import Any

from tests.simulation.answers import SLACK
from tests.simulation.rules import delayed, require, terminated_and_started_again, time
from tests.simulation.world import World

Json = dict[str, Any]

COUNTED = {"Waiting": "waiting", "Started": "started", "Completed": "completed", "Skipped": "skipped"}
AT_ONCE = timedelta(seconds=10)
"""The time for a few episodes and activities, which take up to two seconds each."""
FAULTS_OF_UNKNOWN_STARTS = ("episode_lost", "episode_sent_twice", "crashes", "starts_refused")
"""Faults after which a request can exist although the state of the batch does not show that it was started."""


def every_batch_ends_once(world: World) -> None:
    """17. Every accepted batch ends exactly once, and every model in it has one outcome that does not change."""
    require(not world.batches.refused, f"17: {world.batches.refused[:1]}")
    two_ends = terminated_and_started_again(world)
    for batch in world.batches.accepted:
        ends = [(code, body["status"], _ends(body)) for _, code, body in batch.seen if code != 202]
        require(ends, f"17: {batch.id} has no end")
        if batch.id in two_ends:
            ends = ends[-1:]
        require(all(end == ends[0] for end in ends), f"17: {batch.id} showed different ends: {ends}")
        code, status, models = ends[-1]
        counts = dict.fromkeys(("waiting", "started", "completed", "failed", "skipped"), 0)
        for _, end, _ in models:
            counts[COUNTED.get(end, "failed")] += 1
        require(batch.final["counts"] == {"models": len(models), **counts}, f"17: {batch.id}: {batch.final['counts']}")
        completed = bool(models) and counts["completed"] == len(models)
        require((status == "Completed") == completed == (code == 200), f"17: {batch.id} ends as {status}: {models}")
        if status != "Terminated":
            require(not counts["waiting"] + counts["started"], f"17: {batch.id} ends before its models: {models}")


def _ends(body: Json) -> list[tuple[str, str, str | None]]:
    return [(model["name"], model["status"], model.get("requestId")) for model in body["models"]]


def a_batch_tells_why(world: World) -> None:
    """17. A batch is Cancelled only if a caller cancelled it and TimedOut only after its deadline; a model is Skipped
    only for a reason."""
    for batch in world.batches.accepted:
        body, spec = batch.final, batch.spec
        status, models = body["status"], {model["name"]: model for model in body["models"]}
        require(status != "Cancelled" or batch.cancelled_at, f"17: {batch.id} is Cancelled, but no caller cancelled it")
        require(status != "Terminated" or batch.id in world.terminated, f"17: {batch.id} is Terminated without a cause")
        if status == "TimedOut":
            early = batch.deadline - timedelta(seconds=1.01)
            require(time(body["endedAt"]) >= early, f"17: {batch.id} times out at {body['endedAt']}")
        if body.get("endedAt") and batch.id not in world.second_executions and status != "Terminated":
            # a request that is cancelled or past its deadline may not have enrolled in its queue yet
            late = time(body["endedAt"]) - batch.deadline
            recheck = timedelta(seconds=float(world.day.settings["RECHECK_SECONDS"]) * (2 + world.counts["wake_lost"]))
            require(late <= SLACK + recheck + delayed(world), f"17: {batch.id} ends {late} late")
        stopped = status in ("Cancelled", "TimedOut") or spec.get("onFailure") == "stop"
        for model in models.values():
            if model["status"] == "Skipped":
                before = [models[name]["status"] for name in model.get("dependsOn", [])]
                blocked = any(end != "Completed" for end in before)
                require(blocked or stopped, f"17: {batch.id} skips {model['name']}: {model['reason']}")
                require(model.get("reason"), f"17: {batch.id} skips {model['name']} without a reason")


def models_agree_with_their_requests(world: World) -> None:
    """17. The outcome of a model is that of its request; a model that was skipped was not refreshed."""
    two_ends = terminated_and_started_again(world)
    for batch in world.batches.accepted:
        names = world.batch_requests(batch)
        for model in batch.final["models"]:
            request_id = next(key for key, name in names.items() if name == model["name"])
            code, body = world.batches.requests[request_id]
            about = f"17: {model['name']} of {batch.id} is {model['status']}"
            if model["status"] == "Skipped":
                unknown = code == 404 or body.get("status") == "Cancelled"
                require(unknown, f"{about}, but its request is {body.get('status')}")
                continue
            if model.get("earlier"):
                require(code == 404, f"{about} in an earlier batch, but was requested again: {body}")
                continue
            if model["status"] in ("Waiting", "Started"):
                continue  # the batch was terminated
            require(model.get("requestId") == request_id, f"{about}, by {model.get('requestId')}")
            if request_id in two_ends or (batch.id in two_ends):
                continue
            require(body.get("status") == model["status"], f"{about}, but its request is {body.get('status')}")
            require(body.get("refreshId") == model.get("refreshId"), f"{about} with {model.get('refreshId')}")


def nothing_starts_too_early(world: World) -> None:
    """17. A model never starts before all its dependencies have completed."""
    for batch in world.batches.accepted:
        models = {model["name"]: model for model in batch.final["models"]}
        for request_id, name in world.batch_requests(batch).items():
            posts = [post for post in world.posts if post.run.startswith(f"{request_id}-r")]
            truth = {entry["requestId"]: entry for entry in world.truth(models[name]["datasetId"])}
            own = truth.get(models[name].get("refreshId") or "")
            begun = [post.at for post in posts] + ([time(own["startTime"])] if own else [])
            for before in (models[name].get("dependsOn") or []) if begun else []:
                other = models[before]
                about = f"17: {name} of {batch.id} starts at {min(begun)}"
                require(other["status"] == "Completed", f"{about}, and {before} is {other['status']}")
                refreshes = {entry["requestId"]: entry for entry in world.truth(other["datasetId"])}
                end = time(refreshes[other["refreshId"]]["endTime"])
                require(end <= min(begun), f"{about}, and {before} completed at {end}")


def no_more_at_once(world: World) -> None:
    """17. At most `maxConcurrent` requests of a batch are in progress at the same time."""
    if any(world.counts[name] for name in FAULTS_OF_UNKNOWN_STARTS) or world.second_executions or world.terminated:
        return
    for batch in world.batches.accepted:
        spans = []
        for request_id in world.batch_requests(batch):
            code, body = world.batches.requests[request_id]
            if code in (200, 424) and body.get("endedAt"):
                spans.append((time(body["requestedAt"]), time(body["endedAt"])))
        for begun, _ in spans:
            going = sum(one <= begun < other for one, other in spans)
            most = batch.spec.get("maxConcurrent", 50)
            require(
                going <= most, f"17: {going} requests of {batch.id} are in progress at {begun}, but {most} are allowed"
            )


def dependents_start_at_once(world: World) -> None:
    """17. On a day without faults a model starts when the last of its dependencies has ended, not at a recheck."""
    if world.day.level != "none":
        return
    for batch in world.batches.accepted:
        names = world.batch_requests(batch)
        ids = {name: request_id for request_id, name in names.items()}
        for model in batch.final["models"]:
            _, body = world.batches.requests[ids[model["name"]]]
            before = [world.engine.instances.get(ids[other]) for other in model.get("dependsOn", [])]
            if not before or "requestedAt" not in body or batch.spec.get("maxConcurrent", 50) < len(names):
                continue
            late = time(body["requestedAt"]) - max(other.updated for other in before if other)
            require(late <= AT_ONCE, f"17: {model['name']} of {batch.id} starts {late} after its dependencies")


BATCH_RULES = (
    every_batch_ends_once,
    a_batch_tells_why,
    models_agree_with_their_requests,
    nothing_starts_too_early,
    no_more_at_once,
    dependents_start_at_once,
)
