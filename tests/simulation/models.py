"""The invariants of models: at the end of the day, their stored data match the runs, the requests and the service."""

from itertools import combinations, takewhile

from refresh.history.outcome import Status
from refresh.models.index import FAILING, MAX_RECENT
from refresh.models.record import MAX_REQUESTS
from refresh.models.state import Record, RecordedRun
from refresh.request.news import OWN_ENDS
from tests.simulation.callers import Accepted
from tests.simulation.rules import final, purged_between, require, time
from tests.simulation.world import World

OF_RUNS: tuple[Status, ...] = ("Completed", "Failed", "Cancelled", "OutcomeUnknown")


def models_tell_the_truth(world: World) -> None:
    """19. The index and the records match the answers to requests, and the refreshes of Power BI."""
    for dataset_id in world.day.knobs:
        record = world.model_record(dataset_id)
        _runs_are_those_of_requests(world, dataset_id, record)
        _requests_are_stored(world, dataset_id, record)
        _entry_agrees(world, dataset_id, record)


def _runs_are_those_of_requests(world: World, dataset_id: str, record: Record) -> None:
    """The record has each run once, with its true outcome, and every run of an ended request.

    A run has the id of an earlier run only if a request was purged in between, so that its key was used for a new first
    request.
    """
    for one, other in combinations(record.runs, 2):
        between = purged_between(world, one.run_id, time(one.recorded_at), time(other.recorded_at))
        again = one.run_id == other.run_id and not between
        require(not again, f"19: {dataset_id} has a run twice: {[run.run_id for run in record.runs]}")
    truth = {entry["requestId"]: entry["state"] for entry in world.truth(dataset_id)}
    for run in record.runs:
        if run.status == "Completed":
            require(truth.get(run.refresh_id or "") == "Completed", f"19: {run.run_id} is stored as Completed")
    for request in world.requests:
        body = final(request)
        code, name = (body.get("error") or {}).get("code"), body.get("runId")
        if request.caller.dataset_id != dataset_id or name is None or code in OWN_ENDS or _ended_by_hand(world, name):
            continue
        if body["status"] in OF_RUNS and request.id not in world.terminated:
            kept = [run for run in record.runs if run.run_id == name and _belongs_to(request, run)]
            require(kept, f"19: {name} is not stored, although {request.id} got {body['status']} from it")
            # a later run can have the same name, if the request that both are named after was purged in between
            first = min(kept, key=lambda run: run.recorded_at)
            outcome = (body["status"], body.get("refreshId"))
            require((first.status, first.refresh_id) == outcome, f"19: {name} is kept as {first}, not as {outcome}")


def _belongs_to(request: Accepted, run: RecordedRun) -> bool:
    """Whether the run ended while the request was stored."""
    at = time(run.recorded_at)
    return request.at <= at and (request.purged_at is None or at <= request.purged_at)


def _requests_are_stored(world: World, dataset_id: str, record: Record) -> None:
    """The record has all requests of a model that has at most MAX_REQUESTS, except those that were terminated by hand
    or whose run was terminated."""
    known = {request.id for request in record.requests}
    all_of_them = {request.id for request in world.requests if request.caller.dataset_id == dataset_id}
    if len(all_of_them) <= MAX_REQUESTS:
        by_hand = {request for request in all_of_them if request in world.terminated}
        by_hand |= {r.id for r in world.requests if _ended_by_hand(world, final(r).get("runId") or "")}
        missing = all_of_them - by_hand - known
        require(not missing, f"19: the record of {dataset_id} lacks the requests {missing}")


def _entry_agrees(world: World, dataset_id: str, record: Record) -> None:
    """The entry of the index has the right last success, failures in a row and counts, and no active run."""
    entry = world.model_entry(dataset_id)
    require(entry or not record.runs, f"19: the index has no entry of {dataset_id}")
    if entry is None:
        return
    ends = [run.status for run in record.runs if run.status != "Cancelled"]
    completed = sum(status == "Completed" for status in ends)
    counted = tuple(map(sum, zip(*entry.days.values(), strict=True))) or (0, 0)
    require(counted == (completed, len(ends) - completed), f"19: {dataset_id} counts {counted} of {ends}")
    failures = len([*takewhile(lambda status: status in FAILING, reversed(ends))])
    require(entry.failures == failures, f"19: {dataset_id} has {entry.failures} failures in a row of {ends}")
    require(len(entry.recent) == min(len(record.runs), MAX_RECENT), f"19: the entry of {dataset_id} has {entry.recent}")
    good = {run.refresh_id: run.ended_at for run in record.runs if run.status == "Completed"}
    newest = max(good.values(), default=None)
    require((entry.success and entry.success.ended_at) == newest, f"19: {dataset_id} has {entry.success}, not {newest}")
    require(entry.success is None or entry.success.refresh_id in good, f"19: {dataset_id} has {entry.success}")
    queued = {run.id for run in world.queue(dataset_id).runs}
    require(entry.active is None or entry.active.run_id in queued, f"19: {dataset_id} still shows {entry.active}")


def _ended_by_hand(world: World, run: str) -> bool:
    """Whether an orchestration of the run was terminated by hand. If so, its later news is lost."""
    return any(instance.startswith(f"{run}-g") for instance in world.terminated)
