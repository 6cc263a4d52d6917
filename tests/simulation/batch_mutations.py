"""Deliberate mistakes in batches, see `tests.simulation.mutations`."""

import importlib
from typing import Any

from durable import batches, names
from durable.engine import Engine
from refresh.batch import machine as batch_machine
from refresh.batch import outcome as batch_outcome
from refresh.batch.state import BatchState, Progress
from refresh.messages import replace as changed

Patch = tuple[Any, str, Any]

batch_orchestrator: Any = importlib.import_module("orchestrators.refresh_batch")


def ignore_dependencies() -> list[Patch]:
    """A model is started as soon as there is room, without regard to its dependencies."""
    return [(batch_machine, "_may_start", lambda state, number: True)]


def any_end_of_a_dependency_counts() -> list[Patch]:
    """A model is started when all its dependencies have ended, even if they have failed."""

    def may_start(state: BatchState, number: int) -> bool:
        return all(state.progress[before].ended for before in state.models[number].depends_on)

    return [(batch_machine, "_may_start", may_start), (batch_machine, "_blocker", lambda *_: None)]


def complete_with_one_model() -> list[Patch]:
    """A batch counts as completed if one of its models has completed."""
    original = batch_outcome.outcome_of

    def outcome_of(state: BatchState) -> Any:
        found = original(state)
        one = any(progress.status == "Completed" for progress in state.progress)
        return changed(found, status="Completed", error=None) if found and one else found

    return [(batch_orchestrator, "outcome_of", outcome_of), (batches, "outcome_of", outcome_of)]


def cancel_the_batch_alone() -> list[Patch]:
    """A batch that is cancelled treats its requests in progress as cancelled, but does not cancel them."""

    def settle(state: BatchState, alive: Any, at: str) -> BatchState:
        cancelled = dict.fromkeys(state.started, Progress(status="Cancelled", ended_at=at))
        return original(state.with_progress(cancelled if state.stop == "Cancelled" else {}), alive, at)

    original = batch_machine.settle
    return [(batch_machine, "settle", settle)]


def a_batch_gives_its_requests_new_ids() -> list[Patch]:
    """A repeated start of a model creates a second request."""

    def start(context: Any, state: BatchState, numbers: list[int]) -> Any:
        return (yield from original(context, state, [*numbers, *state.started]))

    def request_id(self: BatchState, batch_id: str, number: int) -> str:
        return f"{state_request_id(self, batch_id, number)}{self.turn % 2 or ''}"

    original, state_request_id = batch_orchestrator._start, BatchState.request_id
    return [(batch_orchestrator, "_start", start), (BatchState, "request_id", request_id)]


def the_batch_is_not_notified() -> list[Patch]:
    """A request that ends does not notify its batch. The batch finds out only at its recheck."""

    async def raise_event(self: Engine, instance_id: str, event: str) -> bool:
        return event != names.MODEL_ENDED_EVENT and await original(self, instance_id, event)

    original = Engine.raise_event
    return [(Engine, "raise_event", raise_event)]


BATCH_MISTAKES = (
    ignore_dependencies,
    any_end_of_a_dependency_counts,
    complete_with_one_model,
    cancel_the_batch_alone,
    a_batch_gives_its_requests_new_ids,
    the_batch_is_not_notified,
)
