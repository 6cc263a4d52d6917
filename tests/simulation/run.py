"""Runs the day of a seed and checks the invariants."""

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime

from tests.simulation.batch_rules import BATCH_RULES
from tests.simulation.episodes import NotDeterministicError
from tests.simulation.invariants import QUIET, STEPS
from tests.simulation.loop import running
from tests.simulation.platform import Installed
from tests.simulation.rules import Violation
from tests.simulation.scenario import START, Level, Scenario, scenario
from tests.simulation.story import in_order, story
from tests.simulation.world import MAX_STEPS, World

TIMELINE = 80
"""The maximum number of lines of a timeline in the output: enough to see the cause, few enough to read."""

LOGGERS = ("activities", "durable", "entities", "triggers")
"""The loggers of the app: the names of its packages."""


@dataclass
class Result:
    """The result of a seed."""

    seed: int
    level: Level
    violation: str | None = None
    timeline: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    """Processor time, which does not depend on how busy the machine is."""

    @property
    def story(self) -> str:
        """The last lines of the timeline and the violation, for the output."""
        *sentences, violation = story([*self.timeline, str(self.violation)])
        head = f"seed {self.seed} ({self.level}): {violation}"
        skipped = len(sentences) - TIMELINE
        lines = sentences[-TIMELINE:]
        return "\n".join([head, *([f"... {skipped} lines before"] if skipped > 0 else []), *lines, head])


def run_seed(seed: int, level: Level | None = None) -> Result:
    """Plays the day of a seed until the world is quiet."""
    return run_day(scenario(seed, level))


def run_day(day: Scenario) -> Result:
    """Plays a day until the world is quiet."""
    result = Result(day.seed, day.level)

    def note(now: datetime, line: str) -> None:
        minutes, seconds = divmod((now - START).total_seconds(), 60)
        result.timeline.append(f"{minutes // 60:3.0f}:{minutes % 60:02.0f}:{seconds:05.2f}  {line}")

    world = World(day, note)
    began = time.process_time()
    try:
        with (
            _logged(lambda line: note(world.now, line)),
            Installed(world, day.settings) as installed,
            running(world.loop),
        ):
            world.new_processes = installed.new_processes
            _play(world)
    except (Violation, NotDeterministicError) as violation:
        result.violation = str(violation)
    result.seconds = time.process_time() - began
    result.timeline = in_order(result.timeline)
    result.counts = world.happened()
    return result


class _Lines(logging.Handler):
    """A log handler that passes the log lines of the app to a function."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        super().__init__()
        self._tell = tell

    def emit(self, record: logging.LogRecord) -> None:
        """Passes one line."""
        self._tell(record.getMessage())


@contextmanager
def _logged(tell: Callable[[str], None]) -> Iterator[None]:
    handler, before = _Lines(tell), []
    for name in LOGGERS:
        logger = logging.getLogger(name)
        before.append((logger, logger.level, logger.propagate))
        logger.setLevel(logging.INFO)
        logger.propagate = False
        logger.addHandler(handler)
    try:
        yield
    finally:
        for logger, level, propagate in before:
            logger.removeHandler(handler)
            logger.setLevel(level)
            logger.propagate = propagate


def _play(world: World) -> None:
    while world.step():
        if len(world.posts) > world.checked_posts:
            for invariant in STEPS:
                invariant(world)
            world.checked_posts = len(world.posts)
        if world.loop.problems:
            raise Violation(f"9: an exception that no code retrieved: {world.loop.problems[0]}")
        if world.steps > MAX_STEPS:
            raise Violation(f"6: not quiet after {MAX_STEPS} steps, at {world.now - START}")
    for request in world.requests:
        code, body = world.finish(world.callers.look(request))
        if code not in (200, 202, 424):
            raise Violation(f"9: the status of {request.id} is answered {code}")
        world.counts[f"outcome {body['status']}"] += 1
        world.counts["callers sharing a run"] += bool(body.get("sharedWith"))
        world.counts["adopted"] += body.get("servedBy") == "adopted"
        if code == 202:
            raise Violation(f"1: {request.id} has no end: {body['status']}")
    for batch in world.batches.accepted:
        code, body = world.finish(world.batches.look(batch))
        if code not in (200, 424):
            raise Violation(f"17: {batch.id} has no end: {code} {body.get('status')}")
        world.counts[f"batches {body['status']}"] += 1
        for model in body["models"]:
            world.counts[f"models {model['status']}"] += 1
        world.finish(world.batches.look_at_requests(batch))
    for callback in world.receivers.callbacks:
        world.counts["callbacks"] += 1
        world.counts["calls of callbacks"] += len(callback.calls)
    world.tidy_up()
    while world.step():
        pass
    world.counts["requests"] += len(world.requests)
    world.counts["posts"] += len(world.posts)
    world.counts["steps"] += world.steps
    for invariant in (*QUIET, *BATCH_RULES):
        invariant(world)
