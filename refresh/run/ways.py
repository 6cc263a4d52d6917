"""What all phases of a run share: errors of the service, budgets, and the ways to an end."""

from datetime import datetime
from typing import Any

from msgspec import to_builtins

from refresh.failure.catalogue import failure
from refresh.failure.outcome import Outcome, outcome_json
from refresh.history.rows import instant
from refresh.polling.schedule import backoff
from refresh.run.state import RunState, replace

Json = dict[str, Any]


def not_read(state: RunState, answer: Json, now: datetime, *, budget: bool = True) -> RunState:
    """The service did not answer well: wait as it says, or with growing waits; give up when the budget is spent."""
    if answer["kind"] == "refused":
        return failed(state, answer["error"])
    error = answer.get("error", "")
    if answer["kind"] == "throttled":
        state = replace(state, failures=state.failures + 1, last_error=error, outage_since=None)
        # where the service does not say how long, waits grow
        wait = backoff(state.failures, state.limits) if answer["seconds"] is None else answer["seconds"]
        return replace(state, wait=max(wait, state.limits.poll_min))
    since = state.outage_since or instant(now)
    state = replace(state, failures=state.failures + 1, last_error=error, outage_since=since)
    if budget and (now - time_of(state.outage_since)).total_seconds() >= state.limits.outage:
        return failed(state, to_builtins(failure("ServiceUnavailable", state.dataset_id, detail=error)))
    return replace(state, wait=backoff(state.failures, state.limits))


def read_well(state: RunState) -> RunState:
    """The service answered well: failures before count no more."""
    return replace(state, failures=0, outage_since=None, last_error=None)


def failed(state: RunState, error: Json) -> RunState:
    """The run ends as Failed, with an error of `refresh.failure.catalogue`."""
    return over(state, {**outcome_json(Outcome(status="Failed", refresh_id=state.refresh_id)), "error": error})


def over(state: RunState, outcome: Json) -> RunState:
    """The run has its outcome; the queue is told next."""
    return replace(state, phase="finish", wait=0, outcome=outcome)


def leave(state: RunState, answer: Json) -> RunState:
    """This life of the run may not go on; if its going made room, the next run starts."""
    return replace(state, phase="start_next" if answer.get("next") else "end", next=answer.get("next"), wake=[])


def time_of(text: str | None) -> datetime:
    """A time of the state."""
    assert text is not None  # noqa: S101 - the phases that read a time have set it
    return datetime.fromisoformat(text)
