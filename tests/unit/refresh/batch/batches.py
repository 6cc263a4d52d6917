"""Batches for tests: built from a body as callers send it, and played without an engine."""

import random
from typing import Any

from refresh.batch import machine
from refresh.batch.orders import RequestSeen
from refresh.batch.spec import BatchSpec, parse_batch
from refresh.batch.state import BatchState
from refresh.failure.catalogue import failure
from refresh.messages import replace
from refresh.request.state import Final, RequestOutcome
from refresh.settings import Settings

WORKSPACE = "01234567-89ab-cdef-0123-456789abcdef"
AT = "2026-03-31T06:00:00.000Z"
ANYWHERE = Settings()

Json = dict[str, Any]


def dataset(number: int) -> str:
    """The dataset id of a model."""
    return f"22222222-aaaa-bbbb-cccc-{number:012}"


def model_list(dependencies: dict[str, list[str]], **more: Any) -> list[Json]:
    """The value of `models` for models by name, each with its dependencies."""
    return [
        {"name": name, "datasetId": dataset(number), "dependsOn": before, **more}
        for number, (name, before) in enumerate(dependencies.items())
    ]


def spec_of(_settings: Settings = ANYWHERE, /, **keys: Any) -> BatchSpec:
    """The batch in a body with the workspace and these keys."""
    return parse_batch({"workspaceId": WORKSPACE, **keys}, _settings)


def state_of(spec: BatchSpec) -> BatchState:
    """A batch that has just been accepted."""
    state = BatchState(spec=replace(spec, models=()), read_token="r", cancel_token="c", requested_at=AT)
    return state.with_models(spec.models)


def batch(dependencies: dict[str, list[str]], **keys: Any) -> BatchState:
    """A batch of models by name."""
    return state_of(spec_of(models=model_list(dependencies), **keys))


def outcome(status: Final, code: str | None = None) -> RequestOutcome:
    """How a request ended. `code`: of its error, by default one that a person has to correct."""
    if status == "Completed":
        return RequestOutcome(status=status, refresh_id="r", ended_at=AT)
    return RequestOutcome(status=status, error=failure(code or "CredentialsRejected", dataset(0)), ended_at=AT)


def statuses(state: BatchState) -> dict[str, str]:
    """The statuses of the models by name."""
    return {model.name: progress.status for model, progress in zip(state.models, state.progress, strict=True)}


def begin(state: BatchState) -> BatchState:
    """The state after one turn without news: it skips and starts the models that can be skipped and started."""
    state = machine.with_stop(machine.skip_blocked(state))
    if state.stop and not state.settled:
        state = machine.settle(state, [], AT)
    return machine.after_start(state, machine.ready(state), AT)


def end(state: BatchState, **ends: Final) -> BatchState:
    """The state after these models (by name) have ended, and after the turn that follows."""
    numbers = {model.name: number for number, model in enumerate(state.models)}
    found = [RequestSeen(number=numbers[name], outcome=outcome(status)) for name, status in ends.items()]
    return begin(machine.after_look(state, found))


def play(state: BatchState, chance: random.Random, ends: list[Final]) -> tuple[BatchState, list[int]]:
    """Plays a batch whose models end in any order. Returns the batch, and the numbers of its models in the order of
    their starts."""
    order: list[int] = []
    state = begin(state)
    while state.started:
        order += [number for number in state.started if number not in order]
        number = chance.choice(state.started)
        state = begin(machine.after_look(state, [RequestSeen(number=number, outcome=outcome(chance.choice(ends)))]))
    return state, order
