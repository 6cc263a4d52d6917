"""One run, from waiting for an idle model to its outcome, as a pure state machine.

The orchestrator carries out `next_step` and passes the answer to the step's `then`. The state of a run is complete in
`RunState`, so every decision can be tested without an engine, and a restarted run continues from the state that the
queue has stored.
"""

from typing import TypeVar, assert_never

from refresh.run.phases import (
    cancelling,
    claiming,
    closing,
    finishing,
    leaving_place,
    looking,
    polling,
    posting,
    reconciling,
    recording,
    reopening,
    reporting_blocker,
    taking_place,
)
from refresh.run.state import (
    Cancelling,
    Claiming,
    Closing,
    Dropping,
    Finishing,
    LeavingPlace,
    Looking,
    Notifying,
    Over,
    Polling,
    Posting,
    Reconciling,
    Recording,
    Reopening,
    ReportingBlocker,
    RunState,
    StartingNext,
    TakingPlace,
    WaitingForPlace,
    Waking,
)
from refresh.run.step import End, Step, Wait

T = TypeVar("T")


def next_step(run: RunState, at: str) -> Step:
    """The next step of the run. `at`: the orchestration's own time."""
    if leaving_place.is_due(run):
        return next_step(run.to(LeavingPlace(then=run.phase, wait=run.wait), wait=0), at)
    if run.wait > 0:
        return Wait(run.wait, run.replace(wait=0))
    match run.phase:
        case Claiming() as phase:
            return claiming.step(run, phase, at)
        case Looking() as phase:
            return looking.step(run, phase)
        case ReportingBlocker() as phase:
            return reporting_blocker.step(run, phase, _known(run.blocker), at)
        case TakingPlace() as phase:
            return taking_place.ask(run, phase, at)
        case WaitingForPlace() as phase:
            return taking_place.wait(run, phase)
        case LeavingPlace() as phase:
            return leaving_place.leave(run, phase, at)
        case Waking() as phase:
            return leaving_place.wake(run, phase)
        case Closing() as phase:
            return closing.step(run, phase, _known(run.look), at)
        case Posting() as phase:
            return posting.step(run, phase, _known(run.look))
        case Reconciling() as phase:
            return reconciling.step(run, phase, _known(run.look))
        case Reopening() | Dropping() as phase:
            return reopening.step(run, phase, at)
        case Recording() as phase:
            return recording.step(run, phase, run.followed, at)
        case Cancelling() as phase:
            return cancelling.step(run, phase, run.followed)
        case Polling() as phase:
            return polling.step(run, phase, run.followed)
        case Finishing() as phase:
            return finishing.finish(run, phase, _known(run.outcome), at)
        case StartingNext() as phase:
            return finishing.start_next(run, phase)
        case Notifying() as phase:
            return finishing.notify(run, phase)
        case Over():
            return End()
        case _:
            assert_never(run.phase)


def continued(run: RunState) -> RunState:
    """The run as it continues in a new history. It claims the run again, unless it gives a place back, notifies others,
    starts the next run, or is over."""
    run = cancelling.limited(run)
    if isinstance(run.phase, Claiming | LeavingPlace | Waking | StartingNext | Notifying | Over):
        return run
    return run.to(Claiming(then=run.phase))


def _known(part: T | None) -> T:
    """The value, which an earlier phase has set."""
    assert part is not None  # noqa: S101 - see the docstring
    return part
