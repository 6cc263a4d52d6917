"""Invariants that might fail on a correct but rare day are checked on worlds of a few lines."""

from types import SimpleNamespace
from typing import cast

import pytest

from tests.simulation.answers import only_the_starter_may_cancel
from tests.simulation.callers import Start
from tests.simulation.rules import Violation
from tests.simulation.scenario import START
from tests.simulation.world import World


def start(starter: str, *, repeated: bool, refused: int = 0) -> Start:
    """An accepted start of one and the same request. Its sender gets the URI that cancels the request."""
    return Start(START, START, "d", "k", {}, starter, 202, "r", repeated, may_cancel=True, refused_starts=refused)


def world_of(*starts: Start) -> World:
    """A world with these starts and nothing else."""
    return cast(World, SimpleNamespace(callers=SimpleNamespace(starts=list(starts))))


def test_the_starter_may_cancel_from_a_repeat() -> None:
    """A repeated start of the same starter gets the URI again."""
    only_the_starter_may_cancel(world_of(start("a", repeated=False), start("a", repeated=True)))


def test_a_racing_start_that_the_engine_refused_may_have_been_the_first() -> None:
    """The engine may run one of several racing starts although its answer to this start was a refusal. The sender of
    this start then also counts as the starter."""
    only_the_starter_may_cancel(world_of(start("a", repeated=False), start("b", repeated=True, refused=1)))


def test_another_starter_may_not_cancel() -> None:
    """A caller that only repeats the start of another caller does not get the URI."""
    with pytest.raises(Violation, match="14: "):
        only_the_starter_may_cancel(world_of(start("a", repeated=False), start("b", repeated=True)))
