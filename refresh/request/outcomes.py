"""The outcomes of a request: the outcome of its run, or an outcome without a run."""

from typing import assert_never

from refresh.capacity.answers import WaitsForPlace
from refresh.failure.catalogue import SITUATION, ModelNames, failure
from refresh.history.look import ExternalRefresh
from refresh.queue.answers import Ended, LeaveReason, Left
from refresh.request.spec import RequestSpec
from refresh.request.state import RequestOutcome, Standing, phase_of

CANCELLED = {
    None: "and continues",
    True: "and Power BI was asked to cancel it",
    False: "and could not be cancelled",
}
"""The end of the sentence about a running refresh. The key: whether Power BI accepted the cancellation; None if no
cancellation was requested."""

STARTED_TWICE = "this request was started twice, and the outcome of the other start is not known"


def outcome_of_run(answer: Ended) -> RequestOutcome:
    """The outcome of a request whose run has ended, as the queue stored it."""
    outcome = answer.outcome
    return RequestOutcome(
        status=outcome.status,
        error=outcome.error,
        run_id=answer.run,
        refresh_id=outcome.refresh_id,
        shared_with=answer.shared_with,
        served_by=answer.served_by,
        started_at=outcome.started_at,
        ended_at=outcome.ended_at,
        model_name=answer.names.model,
        workspace_name=answer.names.workspace,
    )


def outcome_after_leaving(
    spec: RequestSpec,
    answer: Left,
    *,
    cancelled: bool | None = None,
    trouble: str | None = None,
    place: WaitsForPlace | None = None,
) -> RequestOutcome:
    """The outcome of a request that left its run: cancelled by a caller, or past its deadline.

    `cancelled`: whether Power BI accepted the cancellation; None if none was requested. `trouble`: the error of the
    last call of the active run. `place`: the reason why the active run waits for a place, if it does.
    """
    detail = _where(answer, cancelled, place)
    if trouble:
        detail += f"; the last call failed: {trouble}"
    code = "TimedOut" if answer.reason == "TimedOut" else "RequestCancelled"
    return RequestOutcome(
        status=answer.reason,
        error=failure(code, spec.dataset_id, detail=detail, link=SITUATION, run_id=answer.run, names=answer.names),
        run_id=answer.run,
        refresh_id=answer.refresh_id,
        shared_with=answer.shared_with if answer.run else None,
        started_at=answer.posted_at,
        model_name=answer.names.model,
        workspace_name=answer.names.workspace,
    )


def outcome_outside_the_queue(spec: RequestSpec, reason: LeaveReason, standing: Standing) -> RequestOutcome:
    """The outcome of a request that is not in its queue. `standing`: where it was when it was last in the queue."""
    left = Left(
        reason=reason,
        run=standing.run_id,
        incarnation=standing.incarnation,
        position=standing.position or 0,
        shared_with=standing.shared_with or 0,
        refresh_id=standing.refresh_id,
        posted_at=standing.started_at,
        waits_for=standing.waits_for,
        names=standing.names,
    )
    return outcome_after_leaving(spec, left)


def outcome_while_backing_off(spec: RequestSpec, after: str | None, names: ModelNames) -> RequestOutcome:
    """The outcome of a request that was cancelled between two attempts; `after` is the code of the failure."""
    detail = f"it was waiting to try again after {after or 'a failure'}"
    error = failure("RequestCancelled", spec.dataset_id, detail=detail, link=SITUATION, names=names)
    return RequestOutcome(status="Cancelled", error=error)


def outcome_of_fault(spec: RequestSpec, detail: str, names: ModelNames) -> RequestOutcome:
    """The outcome of a request that cannot continue because of a fault in this app."""
    error = failure("InternalError", spec.dataset_id, detail=detail, names=names)
    return RequestOutcome(status="Failed", error=error)


def _where(answer: Left, cancelled: bool | None, place: WaitsForPlace | None) -> str:
    if answer.run is None:
        return "it was not in the queue yet"
    phase, behind = phase_of(answer.position, answer.refresh_id, answer.waits_for), _behind(answer.waits_for)
    match phase:
        case "Queued":
            others = f"{answer.position} other run{'s' if answer.position > 1 else ''}"
            if place:
                behind = f"; the first one waits for {place.text}"
            return f"it was in the queue behind {others}{behind}"
        case "WaitingForIdle":
            return f"it was waiting for {place.text if place else f'the model to be idle{behind}'}"
        case "Starting":
            return (
                f"it was waiting for {place.text}"
                if place
                else "its turn had come, but its refresh had not started yet"
            )
        case "Refreshing":
            return f"refresh {answer.refresh_id} was running {CANCELLED[cancelled]}"
        case _:
            assert_never(phase)


def _behind(refresh: ExternalRefresh | None) -> str:
    if refresh is None:
        return ""
    kind = f"{refresh.refresh_type} refresh" if refresh.refresh_type else "refresh"
    since = f" since {refresh.started_at}" if refresh.started_at else ""
    return f", with {kind} {refresh.refresh_id} running{since}"
