"""The outcome of a batch. It follows from the outcomes of its models, and its message names the first failures."""

from typing import Literal, TypeAlias

from refresh.batch.state import BatchState, Progress
from refresh.failure.catalogue import CATALOGUE, Failure
from refresh.failure.message import MAX_MESSAGE
from refresh.messages import ApiMessage
from refresh.text import cut

BatchEnd: TypeAlias = Literal["Completed", "Failed", "Cancelled", "TimedOut", "Terminated"]

NAMED = 3
"""The maximum number of models that the message names."""
CODES: dict[BatchEnd, str] = {
    "Failed": "ModelsNotRefreshed",
    "Cancelled": "RequestCancelled",
    "TimedOut": "TimedOut",
    "Terminated": "RequestTerminated",
}
HEADS: dict[BatchEnd, str] = {
    "Cancelled": "The batch was cancelled: ",
    "TimedOut": "The batch did not end before its deadline: ",
    "Terminated": "The orchestration of the batch was terminated: ",
}


class Counts(ApiMessage, frozen=True, kw_only=True):
    """The number of models in each status. The fields have no defaults, so that msgspec also writes zeros."""

    models: int
    waiting: int
    started: int
    completed: int
    failed: int
    skipped: int


class BatchOutcome(ApiMessage, frozen=True, kw_only=True):
    """The outcome of a batch: the last custom status of its orchestration, and its output if it completed."""

    status: BatchEnd
    counts: Counts
    error: Failure | None = None
    ended_at: str | None = None


def counts_of(state: BatchState) -> Counts:
    """The number of models in each status. `failed`: all outcomes except Completed and Skipped."""
    statuses = [progress.status for progress in state.progress]
    waiting, started = statuses.count("Waiting"), statuses.count("Started")
    completed, skipped = statuses.count("Completed"), statuses.count("Skipped")
    return Counts(
        models=len(statuses),
        waiting=waiting,
        started=started,
        completed=completed,
        failed=len(statuses) - waiting - started - completed - skipped,
        skipped=skipped,
    )


def outcome_of(state: BatchState) -> BatchOutcome | None:
    """The outcome of a batch that has ended, even before its models were listed; None while it is in progress."""
    if state.ended_at is None:
        return None
    counts = counts_of(state)
    if not state.listed:
        return BatchOutcome(
            status=state.stop or "Failed", counts=counts, error=_without_models(state), ended_at=state.ended_at
        )
    if all(progress.status == "Completed" for progress in state.progress):
        return BatchOutcome(status="Completed", counts=counts, ended_at=state.ended_at)
    end = _end(state)
    return BatchOutcome(status=end, counts=counts, error=_error(state, end), ended_at=state.ended_at)


def outcome_by_engine(state: BatchState, status: str, ended_at: str | None) -> BatchOutcome:
    """The outcome of a batch that stored none: it was terminated by hand, or its code failed.

    The requests of its models continue. `status`: the engine's status.
    """
    if status in ("Terminated", "Canceled"):
        error = _failure("RequestTerminated", f"{HEADS['Terminated']}{_unfinished(state)}", retryable=True)
        return BatchOutcome(status="Terminated", counts=counts_of(state), error=error, ended_at=ended_at)
    error = _failure("InternalError", f"The batch itself failed: {_unfinished(state)}", retryable=True)
    return BatchOutcome(status="Failed", counts=counts_of(state), error=error, ended_at=ended_at)


def failures(state: BatchState, limit: int) -> list[tuple[str, Progress]]:
    """Up to `limit` models that did not complete: first those that ended in another way, then the skipped ones."""
    models = [(model.name, progress) for model, progress in zip(state.models, state.progress, strict=True)]
    failed = [entry for entry in models if entry[1].failed]
    return [*failed, *(entry for entry in models if entry[1].status == "Skipped")][:limit]


def _end(state: BatchState) -> BatchEnd:
    if state.stop in ("Cancelled", "TimedOut"):
        return state.stop
    return "Failed"


def _without_models(state: BatchState) -> Failure | None:
    if state.stop == "Cancelled":
        return _failure("RequestCancelled", "The batch was cancelled before its models were listed.", retryable=False)
    if state.stop == "TimedOut":
        why = f" {state.trouble.message}" if state.trouble else ""
        message = f"The deadline of the batch passed before its models were listed.{why}"
        return _failure("TimedOut", message, retryable=True)
    return state.trouble


def _error(state: BatchState, end: BatchEnd) -> Failure:
    """The error of the batch: retryable if each failure is transient and the batch was not cancelled."""
    failed = [progress for progress in state.progress if progress.failed]
    transient = all(progress.error is not None and progress.error.retryable for progress in failed)
    return _failure(CODES[end], HEADS.get(end, "") + _sentence(state), retryable=transient and end != "Cancelled")


def _sentence(state: BatchState) -> str:
    counts, found = counts_of(state), failures(state, NAMED)
    named = [_named(name, progress) for name, progress in found]
    more = counts.failed + counts.skipped - len(named)
    verb = "was" if counts.completed == 1 else "were"
    text = f"{counts.completed} of {counts.models} models {verb} refreshed. {'; '.join(named)}"
    text += f"; and {more} more." if more else "."
    first = next((progress.error for _, progress in found if progress.failed and progress.error), None)
    return f"{text} First failure: {first.message}" if first else text


def _named(name: str, progress: Progress) -> str:
    short = cut(name, 60)
    if progress.status == "Skipped":
        return f"{short} was skipped"
    code = progress.error.code if progress.error else ""
    return f"{short} ended as {progress.status}{f' ({code})' if code and code != progress.status else ''}"


def _unfinished(state: BatchState) -> str:
    counts = counts_of(state)
    requests = "request in progress continues" if counts.started == 1 else "requests in progress continue"
    going = f"; {counts.started} {requests}" if counts.started else ""
    return f"{counts.completed} of {counts.models} models had been refreshed{going}."


def _failure(code: str, message: str, *, retryable: bool) -> Failure:
    entry = CATALOGUE[code]
    return Failure(code=code, message=cut(message, MAX_MESSAGE), retryable=retryable, action=entry.action)


def failure_of_listing(code: str, detail: str) -> Failure:
    """The error if the models of a workspace cannot be listed, or cannot form a batch."""
    entry = CATALOGUE[code]
    return _failure(code, f"{entry.meaning[:1].upper()}{entry.meaning[1:]}: {detail}", retryable=entry.retryable)


def failure_without_models(refreshable: int) -> Failure:
    """The error if no model is left to refresh. `refreshable`: the number of refreshable models of the workspace."""
    match refreshable:
        case 0:
            detail = "the workspace has no refreshable model."
        case 1:
            detail = 'the workspace has 1 refreshable model, and "except" excludes it.'
        case _:
            detail = f'the workspace has {refreshable} refreshable models, and "except" excludes all of them.'
    return failure_of_listing("NoRefreshableModels", detail)
