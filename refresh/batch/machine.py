"""The next steps of a batch, as pure functions of its state. A model is started only after all its dependencies have
completed. It has exactly one outcome: that of its request, or Skipped with the reason.

The engine sometimes repeats episodes and activities. An episode may have started a model although its result was lost,
and the repeated episode may decide differently (docs/architecture.md, Batches). `suspects` names the models that may
have been started. Before such a model gets the outcome Skipped, the batch looks for its request. If there is no
request, the queue of the model stores a cancellation, so that a late start refreshes nothing.
"""

from collections import Counter
from collections.abc import Iterable
from typing import assert_never

from refresh.batch.orders import RequestSeen
from refresh.batch.outcome import failure_of_listing
from refresh.batch.spec import MAX_MODEL_NAME, MAX_MODELS, AllModels, ModelSpec
from refresh.batch.state import WAITING, BatchState, Progress, StopReason
from refresh.failure.catalogue import Failure
from refresh.ids import parse_guid
from refresh.messages import replace
from refresh.request.state import RequestOutcome
from refresh.run.orders import ActivityFailure, Throttled, Unavailable
from refresh.text import cut
from refresh.times import time_of

MAX_REASON = 200
STOPPED = {
    "Cancelled": "the batch was cancelled",
    "TimedOut": "the deadline of the batch passed",
    "Failed": "the batch stopped after a failure",
}


def ready(state: BatchState) -> list[int]:
    """The models to start now, as many as `maxConcurrent` allows."""
    if state.stop:
        return []
    free = state.spec.max_concurrent - len(state.started)
    waiting = (number for number in state.numbers("Waiting") if _may_start(state, number))
    return [number for number, _ in zip(waiting, range(free), strict=False)]


def after_start(state: BatchState, numbers: Iterable[int], at: str) -> BatchState:
    """The state after the order to start these models."""
    return state.with_progress({number: Progress(status="Started", started_at=at) for number in numbers})


def after_look(state: BatchState, found: Iterable[RequestSeen]) -> BatchState:
    """The state after a look at the requests: models whose requests have ended get their outcomes."""
    ends = {one.number: _ended(state.progress[one.number], one.outcome) for one in found if one.outcome}
    return state.with_progress({number: end for number, end in ends.items() if not state.progress[number].ended})


def skip_blocked(state: BatchState) -> BatchState:
    """The state after skipping the models that can no longer start because of their dependencies."""
    while True:
        blocked = {number: by for number in state.numbers("Waiting") if (by := _blocker(state, number)) is not None}
        if not blocked:
            return state
        state = state.with_progress({number: _skipped(_because_of(state, by)) for number, by in blocked.items()})


def with_stop(state: BatchState, *, cancelled: bool = False, timed_out: bool = False) -> BatchState:
    """The state with the reason to start no further models, if there is one. The first reason counts, except that a
    cancellation replaces any other."""
    failed = state.spec.on_failure == "stop" and any(progress.failed for progress in state.progress)
    found: tuple[tuple[bool, StopReason], ...] = ((cancelled, "Cancelled"), (timed_out, "TimedOut"), (failed, "Failed"))
    for applies, reason in found:
        # a cancellation always counts, because only a cancellation also cancels the active requests
        if applies and (state.stop is None or (reason == "Cancelled" and state.stop != "Cancelled")):
            return state.replace(stop=reason, settled=False)
    return state


def let_wait_again(state: BatchState, lost: Iterable[int]) -> BatchState:
    """The state after a stop: models whose requests are missing wait again, because a late start may still create these
    requests."""
    return state.with_progress(dict.fromkeys(lost, WAITING)).replace(settled=False)


def suspects(state: BatchState) -> list[int]:
    """The waiting models that an episode with a lost result may have started: each of their dependencies has been
    started, and may have completed."""
    return [
        number
        for number in state.numbers("Waiting")
        if all(state.progress[before].status in ("Started", "Completed") for before in state.models[number].depends_on)
    ]


def settle(state: BatchState, existing: Iterable[int], at: str) -> BatchState:
    """The state after a stop has taken effect: models whose requests exist (`existing`) are started, all other waiting
    models are skipped."""
    known, reason = set(existing), STOPPED[state.stop or "Failed"]
    skipped = {number: _skipped(reason) for number in state.numbers("Waiting") if number not in known}
    return after_start(state, known, at).with_progress(skipped).replace(settled=True)


def choose(source: AllModels, found: Iterable[tuple[str, str]]) -> tuple[list[ModelSpec], tuple[str, ...]]:
    """The models of a workspace to refresh, and the entries of `except` that match no model.

    `found`: dataset id and name of each refreshable model. An ambiguous name is replaced with the dataset id.
    """
    known = {dataset_id: cut(name, MAX_MODEL_NAME) or dataset_id for dataset_id, name in sorted(found, key=_by_name)}
    without = set(source.without)
    kept = {key: name for key, name in known.items() if key not in without and name not in without}
    times = Counter(kept.values())
    models = [
        ModelSpec(
            name=name if times[name] == 1 else key,
            request=replace(source.options, dataset_id=key),
        )
        for key, name in kept.items()
    ]
    missing = without - set(known) - set(known.values())
    return models[: MAX_MODELS + 1], tuple(sorted(missing))


def after_failed_listing(
    state: BatchState, answer: Throttled | Unavailable | ActivityFailure, at: str
) -> tuple[BatchState, float]:
    """The state after a failed attempt to list the models of the workspace, and the seconds until the next attempt.

    The batch ends if all attempts fail for as long as the app tolerates an outage.
    """
    match answer:
        case Throttled():
            code, seconds = "Throttled", answer.seconds or 0.0
        case Unavailable():
            code, seconds = "ServiceUnavailable", 0.0
        case ActivityFailure():
            code, seconds = "InternalError", 0.0
        case _:
            assert_never(answer)
    since = state.trouble_since or at
    state = state.replace(trouble=failure_of_listing(code, answer.error), trouble_since=since)
    if (time_of(at) - time_of(since)).total_seconds() >= state.limits.outage:
        return state.replace(ended_at=at), 0.0
    return state, max(state.limits.poll_max, min(seconds, state.limits.outage))


def carried_over(models: tuple[ModelSpec, ...], earlier: BatchState, earlier_id: str) -> tuple[Progress, ...]:
    """The initial progress of a retry: models that completed in the earlier batch are not refreshed again.

    A model is the same if its name, dataset, workspace, refresh and notifyOption are the same.
    """
    before = {model.name: (model, number) for number, model in enumerate(earlier.models)}
    found = []
    for model in models:
        other, number = before.get(model.name, (None, 0))
        same = other is not None and (other.request.dataset_id, other.request.scope) == (
            model.request.dataset_id,
            model.request.scope,
        )
        done = earlier.progress[number] if same else None
        if done is not None and done.status == "Completed":
            found.append(replace(done, request_id=earlier.request_id(earlier_id, number)))
        else:
            found.append(Progress())
    return tuple(found)


def _by_name(entry: tuple[str, str]) -> tuple[str, str]:
    return entry[1], entry[0]


def _may_start(state: BatchState, number: int) -> bool:
    return all(state.progress[before].status == "Completed" for before in state.models[number].depends_on)


def _blocker(state: BatchState, number: int) -> int | None:
    """The first dependency of this model that ended without completing."""
    for before in state.models[number].depends_on:
        progress = state.progress[before]
        if progress.ended and progress.status != "Completed":
            return before
    return None


def _because_of(state: BatchState, blocker: int) -> str:
    name, status = state.models[blocker].name, state.progress[blocker].status
    word = "was skipped" if status == "Skipped" else f"ended as {status}"
    return f"{cut(name, 100)}, which it depends on, {word}"


def _skipped(reason: str) -> Progress:
    return Progress(status="Skipped", reason=cut(reason, MAX_REASON))


def _ended(progress: Progress, outcome: RequestOutcome) -> Progress:
    error: Failure | None = outcome.error
    return replace(
        progress,
        status=outcome.status,
        refresh_id=outcome.refresh_id,
        ended_at=outcome.ended_at,
        error=error,
    )


def entry_of(dataset_id: object, name: object) -> tuple[str, str] | None:
    """Dataset id and name of a model in Power BI's list; None if its id is not a GUID."""
    key = parse_guid(dataset_id)
    return (key, name if isinstance(name, str) and name else key) if key else None
