"""The end of a run: it hands the outcome to the queue, starts the next run, and notifies the members."""

from datetime import datetime
from functools import partial
from typing import assert_never

from refresh.history.outcome import Outcome
from refresh.queue.answers import Ended, FinishAnswer, Finished, PermitTaken, WakeUp
from refresh.queue.operations import Finish
from refresh.run.news import ended_news
from refresh.run.orders import ActivityFailure, NotifyAnswer, NotifyRequests, StartRun
from refresh.run.state import Finishing, Notifying, Over, Phase, RunState, StartingNext
from refresh.run.step import Ask, Do, Moved
from refresh.run.transitions import search_after_taken_permit, without_place


def finish(run: RunState, phase: Finishing, outcome: Outcome, at: str) -> Ask[FinishAnswer]:
    """Hands the outcome to the queue."""
    late_after = run.late_after if run.refresh and run.refresh.adopted else None
    operation = Finish(
        at=at,
        holder=run.holder,
        outcome=outcome,
        permit=run.permit,
        late_after=late_after,
        objects=_objects(run, outcome),
        execution=phase.execution,
    )
    return Ask(operation, partial(_finished, run))


def _objects(run: RunState, outcome: Outcome) -> str | None:
    """The digest of the objects of our completed enhanced refresh. If the answer to the next POST is lost, it
    identifies the refresh."""
    ours = run.refresh is not None and not run.refresh.adopted and run.known_scope.enhanced
    return run.followed.objects if ours and outcome.status == "Completed" else None


def _finished(run: RunState, answer: FinishAnswer, now: datetime) -> Moved:
    match answer:
        case PermitTaken():
            return search_after_taken_permit(run, answer, now)
        case Finished():
            then: Phase = _notifying(run, answer.wake_ups, answer.ended).phase
            if answer.next is not None:
                then = StartingNext(next=answer.next, wake_ups=answer.wake_ups, ended=answer.ended)
            news = None if answer.superseded else ended_news(run, now, answer)
            return Moved(without_place(run, then), news=news)
        case _:
            assert_never(answer)


def start_next(run: RunState, phase: StartingNext) -> Do[NotifyAnswer]:
    """Starts the next run. If the start fails, a request of the next run starts that run at its next recheck."""
    return Do(StartRun(dataset_id=run.dataset_id, turn=phase.next), partial(_started, run, phase))


def _started(run: RunState, phase: StartingNext, answer: NotifyAnswer | ActivityFailure, now: datetime) -> Moved:
    return Moved(_notifying(run, phase.wake_ups, phase.ended))


def _notifying(run: RunState, wake_ups: tuple[WakeUp, ...], ended: Ended | None) -> RunState:
    return run.to(Notifying(wake_ups=wake_ups, ended=ended) if wake_ups else Over())


def notify(run: RunState, phase: Notifying) -> Do[NotifyAnswer]:
    """Sends the outcome to the members. A member whose notification is lost collects the outcome when it is
    reminded."""
    return Do(NotifyRequests(wake_ups=phase.wake_ups, ended=phase.ended), partial(_notified, run))


def _notified(run: RunState, answer: NotifyAnswer | ActivityFailure, now: datetime) -> Moved:
    return Moved(run.to(Over()))
