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
    """A model is started as soon as there is room, whatever it depends on."""
    return [(batch_machine, "_may_start", lambda state, number: True)]


def any_end_of_a_dependency_will_do() -> list[Patch]:
    """A model is started after all that it depends on has ended, even badly."""

    def may_start(state: BatchState, number: int) -> bool:
        return all(state.progress[before].ended for before in state.models[number].depends_on)

    return [(batch_machine, "_may_start", may_start), (batch_machine, "_blocker", lambda *_: None)]


def complete_with_one_model() -> list[Patch]:
    """A batch has completed if one of its models has."""
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


def a_batch_names_its_requests_anew() -> list[Patch]:
    """Starting a model twice makes two requests."""

    def start(context: Any, state: BatchState, numbers: list[int]) -> Any:
        return (yield from original(context, state, [*numbers, *state.started]))

    def request_id(self: BatchState, batch_id: str, number: int) -> str:
        return f"{state_request_id(self, batch_id, number)}{self.turn % 2 or ''}"

    original, state_request_id = batch_orchestrator._start, BatchState.request_id
    return [(batch_orchestrator, "_start", start), (BatchState, "request_id", request_id)]


def nobody_tells_the_batch() -> list[Patch]:
    """A request that ends does not notify its batch, which finds that at its recheck."""

    async def raise_event(self: Engine, instance_id: str, event: str) -> bool:
        return event != names.MODEL_ENDED_EVENT and await original(self, instance_id, event)

    original = Engine.raise_event
    return [(Engine, "raise_event", raise_event)]


BATCH_MISTAKES = (
    ignore_dependencies,
    any_end_of_a_dependency_will_do,
    complete_with_one_model,
    cancel_the_batch_alone,
    a_batch_names_its_requests_anew,
    nobody_tells_the_batch,
)
