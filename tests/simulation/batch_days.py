"""Batches on a simulated day: their models and dependencies, and what their callers do."""

import random
from dataclasses import dataclass, field
from typing import Any

WORKSPACE = "11111111-aaaa-bbbb-cccc-000000000001"
MINUTE, HOUR = 60.0, 3600.0

Json = dict[str, Any]

EVICTED: Json = {"outcome": "Failed", "errorCode": "0xC11C0020", "errorDescription": "The model has been evicted."}


@dataclass
class BatchCaller:
    """One batch: when it is sent (seconds), its body, and when it is cancelled (seconds after it was sent).

    `repeats`: after how many seconds it is sent again with its key. `retry_after`: after how many seconds a batch
    with retryOf is sent if the batch has failed.
    """

    at: float
    spec: Json
    cancel_after: float | None = None
    called_back: bool = False
    repeats: list[float] = field(default_factory=list)
    retry_after: float | None = None


def batches(knobs: dict[str, Json], span: float, chance: random.Random) -> list[BatchCaller]:
    """The batches of a day, sent within `span` seconds. They contain models of the day and further models, for which
    `knobs` gets entries."""
    known, found = sorted(knobs), []
    models = [f"33333333-aaaa-bbbb-cccc-{number:012}" for number in range(1, chance.randint(2, 5) + 1)]
    for model in models:
        like = {key: value for key, value in knobs[chance.choice(known)].items() if key != "recordedAs"}
        outcomes = [chance.choice(["Completed", "Completed", "Completed", "Failed", EVICTED]) for _ in range(3)]
        knobs[model] = {**like, "outcome": outcomes, "workspaceId": WORKSPACE}
    for number in range(chance.choice([1, 1, 2])):
        spec = _all_models(chance) if chance.random() < 0.15 else _batch(chance, [*models, *known])
        if chance.random() < 0.3:
            spec["idempotencyKey"] = f"batch {number}"
        if chance.random() < 0.2:
            spec["timeoutMinutes"] = chance.choice([1, 5, 30, 90])
        repeats = [chance.choice([0.0, chance.uniform(0, HOUR)]) for _ in range(chance.choice([0, 1, 2]))]
        found.append(
            BatchCaller(
                at=chance.choice([0.0, chance.uniform(0, span)]),
                spec=spec,
                cancel_after=chance.choice([0.0, chance.uniform(0, HOUR)]) if chance.random() < 0.2 else None,
                called_back=chance.random() < 0.3,
                repeats=repeats if "idempotencyKey" in spec else [],
                retry_after=chance.uniform(HOUR, 8 * HOUR) if chance.random() < 0.3 else None,
            )
        )
    return found


def _batch(chance: random.Random, known: list[str]) -> Json:
    chosen = chance.sample(known, chance.randint(2, min(len(known), 6)))
    listed: list[Json] = []
    for number, model in enumerate(chosen):
        entry: Json = {"name": f"model {number}", "datasetId": model}
        if number and chance.random() < 0.6:
            count = chance.randint(1, min(number, 3))
            entry["dependsOn"] = [f"model {before}" for before in chance.sample(range(number), count)]
        if chance.random() < 0.3:
            entry["refresh"] = {"type": "full"}
        if chance.random() < 0.2:
            entry["retries"] = 2
        listed.append(entry)
    chance.shuffle(listed)
    spec: Json = {"workspaceId": WORKSPACE, "models": listed}
    if chance.random() < 0.3:
        spec["onFailure"] = "stop"
    if chance.random() < 0.5:
        spec["maxConcurrent"] = chance.choice([1, 2, 3])
    return spec


def _all_models(chance: random.Random) -> Json:
    without = ["33333333-aaaa-bbbb-cccc-000000000001"] if chance.random() < 0.5 else []
    return {"workspaceId": WORKSPACE, "all": True, "except": without}
