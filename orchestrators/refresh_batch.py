"""The orchestrator `refresh_batch`: requests for many models, with dependencies between them and one outcome.

Each model's refresh is an ordinary request, which an activity starts. The batch looks at the requests when a request
notifies it of its end, and on each recheck. There is one turn in each history: look, skip, start, wait. The decisions
are in `refresh.batch.machine`.
"""

import logging
from datetime import datetime, timedelta
from typing import Literal, TypeAlias, assert_never

import azure.durable_functions as df
import msgspec

from durable import names
from durable.calls import DEADLINE_EARLY, Steps, call, input_of, log_once, now, sleep
from durable.codec import encode
from refresh.batch import machine
from refresh.batch.orders import (
    KeepEnd,
    ListModels,
    ModelsListed,
    NewRequest,
    NotesRead,
    Numbered,
    ReadNotes,
    ReadRequests,
    RequestsSeen,
    Settle,
    Settled,
    StartRequests,
)
from refresh.batch.outcome import (
    BatchOutcome,
    counts_of,
    failure_of_listing,
    failure_without_models,
    failures,
    outcome_of,
)
from refresh.batch.spec import MAX_MODELS
from refresh.batch.state import BatchState, Progress
from refresh.batch.stored import BatchStanding, Change, PackedBatch, UnreadableBatchError, pack, unpack
from refresh.events import Event
from refresh.messages import replace, typed
from refresh.run.orders import ActivityFailure, NotifyCallbacks, Refused, Throttled, Unavailable
from refresh.times import instant

SHORT_SECONDS = 30.0
"""The pause before the next turn after an activity that failed."""
SHOWN_FAILURES, SHOWN_CHARACTERS = 5, 3_500
"""The limits of the custom status, for which the engine allows 8,000 characters. If the changes of a turn have more
than SHOWN_CHARACTERS, the batch does not show them, but continues as new at once."""

WaitResult: TypeAlias = Literal["notified", "recheck", "callback", "Cancelled", "TimedOut"]

bp = df.Blueprint()


class NotAllCompletedError(Exception):
    """Ends the orchestration as Failed, with the message for the caller."""


@bp.orchestration_trigger(context_name="context")
def refresh_batch(context: df.DurableOrchestrationContext) -> Steps[object]:
    """Input: `refresh.batch.stored.PackedBatch`. Output: `BatchOutcome`. Raises an error unless Completed."""
    state = yield from _state(context)
    if state is None:
        return None
    if outcome := outcome_of(state):
        return (yield from _end(context, state, outcome))
    before = state = state.replace(turn=state.turn + 1)
    context.set_custom_status(encode(_standing(before, state)))
    state, pause = yield from (_begin if state.turn == 1 else _turn)(context, state)
    if state.ended_at is None and not state.over:
        standing = _standing(before, state)
        if len(msgspec.json.encode(standing.changed)) <= SHOWN_CHARACTERS:
            context.set_custom_status(encode(standing))
            state = yield from _wait(context, state, pause)
    elif state.ended_at is None:
        state = state.replace(ended_at=instant(now(context)))
    context.continue_as_new(encode(pack(state)))
    return None


def _state(context: df.DurableOrchestrationContext) -> Steps[BatchState | None]:
    packed = yield from input_of(context, PackedBatch)
    if packed is None:
        return None
    try:
        return unpack(packed)
    except UnreadableBatchError as error:
        # newer code wrote the state: it is kept unchanged until the newer version is deployed again
        log_once(
            context, Event("input.not_understood", logging.ERROR, instanceId=context.instance_id, error=str(error))
        )
        yield from sleep(context, 600)
        context.continue_as_new(encode(packed))
        return None


def _begin(context: df.DurableOrchestrationContext, state: BatchState) -> Steps[tuple[BatchState, float]]:
    """The first turn. If the engine starts the id of an ended batch again, the new orchestration has the same
    outcome."""
    notes = yield from call(context, ReadNotes(batch=context.instance_id))
    match notes:
        case NotesRead(ended=None, cancelled=cancelled):
            return (yield from _turn(context, _with_stop(context, state, cancelled=cancelled)))
        case NotesRead():
            try:
                return unpack(typed(notes.ended, PackedBatch)), 0.0
            except (msgspec.ValidationError, UnreadableBatchError) as error:
                facts = {"instanceId": context.instance_id, "error": str(error)}
                log_once(context, Event("input.not_understood", logging.ERROR, **facts))
        case ActivityFailure():
            pass
        case _:
            assert_never(notes)
    return state.replace(turn=0), SHORT_SECONDS


def _turn(context: df.DurableOrchestrationContext, state: BatchState) -> Steps[tuple[BatchState, float]]:
    """The state after one turn, and the seconds until the next turn if no event comes first."""
    if not state.listed:
        state, pause = yield from _list(context, state)
        if not state.listed:
            return state, pause
    state, lost, healthy = yield from _look(context, state)
    state = _with_stop(context, machine.skip_blocked(state))
    if state.stop and lost:
        state, lost = machine.let_wait_again(state, lost), []
    if state.stop and not state.settled:
        state, healthy = yield from _settle(context, state, healthy)
    # at the deadline, requests of the batch time out and make room for others, which must not start any more
    numbers = machine.ready(state) if now(context) < state.deadline - DEADLINE_EARLY else []
    if numbers or lost:
        healthy = (yield from _start(context, state, [*lost, *numbers])) and healthy
        state = machine.after_start(state, numbers, instant(now(context)))
    return state, state.recheck_seconds if healthy else min(SHORT_SECONDS, state.recheck_seconds)


def _list(context: df.DurableOrchestrationContext, state: BatchState) -> Steps[tuple[BatchState, float]]:
    """The state with the models of the workspace; without them if the batch has to end, or to try again."""
    source, at = state.spec.all_models, instant(now(context))
    if source is None or state.stop:
        return state.replace(ended_at=at), 0.0
    answer = yield from call(context, ListModels(workspace_id=source.workspace_id))
    match answer:
        case ModelsListed():
            models, missing = machine.choose(source, answer.models)
            facts = {"models": len(models), "notFound": list(missing), "workspaceId": source.workspace_id}
            log_once(context, Event("batch.listed", **_about(context, state), **facts))
            if answer.more or len(models) > MAX_MODELS:
                trouble = failure_of_listing("TooManyModels", f'more than {MAX_MODELS} of them are not in "except".')
                return state.replace(trouble=trouble, ended_at=at), 0.0
            if not models:
                trouble = failure_without_models(len(answer.models))
                return state.replace(trouble=trouble, ended_at=at), 0.0
            return state.with_models(tuple(models)).replace(not_found=missing), 0.0
        case Refused():
            return state.replace(trouble=answer.failure, ended_at=at), 0.0
        case Throttled() | Unavailable() | ActivityFailure():
            return machine.after_failed_listing(state, answer, at)
        case _:
            assert_never(answer)


def _look(context: df.DurableOrchestrationContext, state: BatchState) -> Steps[tuple[BatchState, list[int], bool]]:
    """Three values: the state after a look at the active requests, the missing requests, and whether the look
    succeeded."""
    if not state.started:
        return state, [], True
    requests = tuple(_numbered(context, state, number) for number in state.started)
    answer = yield from call(context, ReadRequests(batch=context.instance_id, requests=requests))
    match answer:
        case RequestsSeen():
            ended = machine.after_look(state, answer.found)
            for one in answer.found:
                if one.outcome:
                    _log_model_end(context, ended, one.number)
            lost = [one.number for one in answer.found if one.missing]
            return _with_stop(context, ended, cancelled=answer.cancelled), lost, True
        case ActivityFailure():
            return state, [], False
        case _:
            assert_never(answer)


def _with_stop(
    context: df.DurableOrchestrationContext, state: BatchState, *, cancelled: bool = False, timed_out: bool = False
) -> BatchState:
    """Like `machine.with_stop`; also logs the reason when there is a new one."""
    stopped = machine.with_stop(state, cancelled=cancelled, timed_out=timed_out)
    if stopped.stop != state.stop:
        log_once(context, Event("batch.stopped", logging.WARNING, **_about(context, state), reason=stopped.stop))
    return stopped


def _settle(
    context: df.DurableOrchestrationContext, state: BatchState, healthy: bool
) -> Steps[tuple[BatchState, bool]]:
    """The state after a stop, and whether the next turn can wait as long as usual: all calls succeeded, and no further
    request was found."""
    suspects = machine.suspects(state)
    cancelled = state.started if state.stop == "Cancelled" else ()
    existing: tuple[int, ...] = ()
    if suspects or cancelled:
        order = Settle(
            cancel=tuple(_numbered(context, state, number) for number in cancelled),
            suspects=tuple(_numbered(context, state, number) for number in suspects),
        )
        answer = yield from call(context, order)
        if not isinstance(answer, Settled):
            return state, False
        existing = answer.existing
    # a request that exists, but was not in the state, is looked at soon
    return machine.settle(state, existing, instant(now(context))), healthy and not existing


def _start(context: df.DurableOrchestrationContext, state: BatchState, numbers: list[int]) -> Steps[bool]:
    """Starts the requests of these models. A request that was not started is missing at the next look."""
    requests = tuple(
        NewRequest(
            request=state.request_id(context.instance_id, number),
            spec=replace(state.models[number].request, caller=state.spec.caller),
        )
        for number in numbers
    )
    order = StartRequests(
        batch=context.instance_id, deadline=instant(state.deadline), starter=state.starter, requests=requests
    )
    answer = yield from call(context, order)
    return not isinstance(answer, ActivityFailure) and answer.count == len(requests)


def _wait(context: df.DurableOrchestrationContext, state: BatchState, pause: float) -> Steps[BatchState]:
    """The state after a notification, a cancellation, the recheck, or the deadline; see `refresh_request`."""
    waited = yield from _wait_for_first(context, state, pause)
    if waited == "callback":
        return state.replace(has_callback=True)
    if waited == "recheck" and state.stop == "Cancelled":
        # the message that cancels a request may be lost
        return state.replace(settled=False)
    return _with_stop(context, state, cancelled=waited == "Cancelled", timed_out=waited == "TimedOut")


def _wait_for_first(context: df.DurableOrchestrationContext, state: BatchState, pause: float) -> Steps[WaitResult]:
    began: datetime = now(context)
    next_turn = began + timedelta(seconds=pause)
    last = state.stop is None and state.deadline <= next_turn
    timer = context.create_timer(max(began, state.deadline) if last else next_turn)
    notified = context.wait_for_external_event(names.MODEL_ENDED_EVENT)
    cancelled = context.wait_for_external_event(names.CANCEL_EVENT)
    callback = context.wait_for_external_event(names.CALLBACK_EVENT)
    first = yield context.task_any([notified, cancelled, callback, timer])
    if not timer.is_completed:
        timer.cancel()
    if first == cancelled:
        return "Cancelled"
    if first == timer:
        early = now(context) < state.deadline - DEADLINE_EARLY
        return "TimedOut" if last and not early else "recheck"
    return "callback" if first == callback else "notified"


def _end(context: df.DurableOrchestrationContext, state: BatchState, outcome: BatchOutcome) -> Steps[object]:
    """The last turn. It has its own history, because the status of an ended batch is read from the input of that
    history."""
    context.set_custom_status(encode(outcome))
    level = logging.INFO if outcome.status == "Completed" else logging.WARNING
    workspace_id = state.spec.all_models.workspace_id if state.spec.all_models else None
    facts = {"status": outcome.status, "counts": outcome.counts, "error": outcome.error, "workspaceId": workspace_id}
    while True:
        kept = yield from call(context, KeepEnd(batch=context.instance_id, state=encode(pack(state))))
        if not isinstance(kept, ActivityFailure):
            break
        yield from sleep(context, SHORT_SECONDS)
    log_once(context, Event("batch.ended", level, **_about(context, state), **facts))
    if state.has_callback:
        yield from call(context, NotifyCallbacks(request=context.instance_id))
    if outcome.status != "Completed":
        raise NotAllCompletedError(outcome.error.message if outcome.error else outcome.status)
    return encode(outcome)


def _standing(before: BatchState, state: BatchState) -> BatchStanding:
    """The custom status: counts, first failures, and the changes of this turn."""
    changed: list[Change] = []
    if len(before.progress) == len(state.progress):
        pairs: zip[tuple[Progress, Progress]] = zip(before.progress, state.progress, strict=True)
        changed = [Change(number=number, progress=new) for number, (old, new) in enumerate(pairs) if new is not old]
    named = tuple(
        f"{name[:60]}: {progress.error.code if progress.error else progress.status}"
        for name, progress in failures(state, SHOWN_FAILURES)
    )
    return BatchStanding(
        status="Running" if state.listed else "Listing", counts=counts_of(state), failures=named, changed=tuple(changed)
    )


def _numbered(context: df.DurableOrchestrationContext, state: BatchState, number: int) -> Numbered:
    request = state.request_id(context.instance_id, number)
    return Numbered(number=number, dataset_id=state.models[number].request.dataset_id, request=request)


def _log_model_end(context: df.DurableOrchestrationContext, state: BatchState, number: int) -> None:
    model, progress = state.models[number], state.progress[number]
    request, spec = state.request_id(context.instance_id, number), model.request
    ids = {"requestId": request, "datasetId": spec.dataset_id, "workspaceId": spec.scope.workspace_id}
    facts = {"model": model.name, "status": progress.status}
    log_once(context, Event("batch.model_ended", **_about(context, state), **ids, **facts))


def _about(context: df.DurableOrchestrationContext, state: BatchState) -> dict[str, object]:
    return {"batchId": context.instance_id, "caller": state.spec.caller}
