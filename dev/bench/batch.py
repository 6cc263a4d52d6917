"""`dev.py bench batch`: the additional cost of a batch, and how close its wall time is to the ideal.

It runs the deployed app on the devhost's engine, in virtual time and without faults. The same models are refreshed once
by separate callers and once by a batch. The counted messages of the engine are: starts, events, timers, operations of
entities and their answers, activities and their answers, and continue-as-new. The ideal wall time is the sum of the
durations of all refreshes divided by `maxConcurrent`; if the longest refresh takes longer, it is the duration of that
refresh.
"""

import argparse
import random
from collections import Counter
from dataclasses import dataclass
from typing import Any

from devhost.engine.model import Instance
from tests.simulation.batch_days import WORKSPACE, BatchCaller
from tests.simulation.loop import running
from tests.simulation.platform import Installed
from tests.simulation.rules import time
from tests.simulation.scenario import START, Caller, Rates, Scenario
from tests.simulation.world import World

SETTINGS = {
    "POLL_MIN_SECONDS": "5",
    "POLL_MAX_SECONDS": "60",
    "VISIBILITY_GRACE_SECONDS": "120",
    "OUTAGE_BUDGET_SECONDS": "900",
    "RECHECK_SECONDS": "300",
}
SPREAD = 0.5
"""The maximum relative deviation of a duration."""

Json = dict[str, Any]


@dataclass(frozen=True)
class Measured:
    """The result of a day. `messages` by kind; `seconds` from the first start to the last end."""

    messages: Counter[str]
    seconds: float
    refreshing: float
    """The sum of the durations of all refreshes in seconds."""
    longest: float

    @property
    def total(self) -> int:
        """The number of messages of all kinds."""
        return sum(self.messages.values())


class _Watched(World):
    """Records each execution of each instance: continue-as-new starts all executions of an instance except the
    first."""

    def __init__(self, day: Scenario) -> None:
        super().__init__(day)
        self.executions: set[tuple[str, str]] = set()

    def _watch(self, instance: Instance) -> None:
        self.executions.add((instance.id, instance.execution_id))
        super()._watch(instance)


def main(arguments: list[str]) -> int:
    """Prints what was measured."""
    parser = argparse.ArgumentParser(prog="dev.py bench batch", description=__doc__)
    parser.add_argument("--models", type=int, default=100)
    parser.add_argument("--minutes", type=float, default=5, help="the usual duration of a refresh")
    parser.add_argument("--at-once", type=int, default=10, help="maxConcurrent")
    options = parser.parse_args(arguments)
    alone = measure(options.models, options.minutes * 60, options.at_once, together=False)
    batch = measure(options.models, options.minutes * 60, options.at_once, together=True)
    more = batch.total / alone.total - 1
    ideal = max(batch.refreshing / options.at_once, batch.longest)
    print(f"{options.models} models of about {options.minutes:g} minutes, {options.at_once} at the same time")
    print(
        f"messages of {options.models} requests:  {alone.total:8,}  {alone.total / options.models:6.1f} for each model"
    )
    print(f"messages of one batch: {batch.total:12,}  {batch.total / options.models:6.1f} for each model, {more:+.1%}")
    print(
        f"wall time {batch.seconds / 60:.1f} minutes, ideal {ideal / 60:.1f} minutes, {batch.seconds / ideal - 1:+.1%}"
    )
    return 0


def measure(count: int, usual: float, at_once: int, *, together: bool) -> Measured:
    """A day on which the models are refreshed: `together` by a batch with `maxConcurrent`, else by one caller per
    model.

    The callers start one after the other, so that about `at_once` of their refreshes run at a time, as in the batch.
    If all started at once, the polls would wait for each other, because each takes some milliseconds here. So each
    refresh would be polled less often.
    """
    models = [f"22222222-aaaa-bbbb-cccc-{number:012}" for number in range(count)]
    chance = random.Random("durations")  # noqa: S311
    knobs: dict[str, Json] = {
        model: {"seconds": usual * chance.uniform(1 - SPREAD, 1 + SPREAD), "visibilitySeconds": 0} for model in models
    }
    spec = {"workspaceId": WORKSPACE, "models": models, "maxConcurrent": at_once}
    callers = [
        Caller(number * usual / at_once, model, {"workspaceId": WORKSPACE, "datasetId": model})
        for number, model in enumerate(models)
    ]
    day = Scenario(
        seed=1,
        level="none",
        rates=Rates(),
        callers=[] if together else callers,
        knobs=knobs,
        external=[],
        settings=SETTINGS,
        batches=[BatchCaller(0.0, spec)] if together else [],
    )
    messages: Counter[str] = Counter()
    world = _Watched(day)
    send = world.engine.send

    def counted(kind: Any, *more: Any, **named: Any) -> None:
        messages[kind] += 1
        send(kind, *more, **named)

    world.engine.send = counted  # type: ignore[method-assign]
    with Installed(world, day.settings), running(world.loop):
        while world.step():
            pass
        refreshes = [refresh for model in models for refresh in world.truth(model)]
    messages["continue-as-new"] = len(world.executions) - len(world.engine.instances)
    durations = [(time(r["endTime"]) - time(r["startTime"])).total_seconds() for r in refreshes]
    last = max(instance.updated for instance in world.engine.instances.values())
    return Measured(messages, (last - START).total_seconds(), sum(durations), max(durations))
