"""Invariants that a rare day would violate wrongly are checked on worlds of a few lines."""

from types import SimpleNamespace
from typing import cast

import pytest

from tests.simulation.answers import only_the_starter_may_cancel
from tests.simulation.callers import Start
from tests.simulation.rules import Violation
from tests.simulation.scenario import START
from tests.simulation.world import World


def start(starter: str, *, repeated: bool, refused: int = 0) -> Start:
    """An accepted start of the same request, whose sender gets the URI that cancels it."""
    return Start(START, START, "d", "k", {}, starter, 202, "r", repeated, may_cancel=True, refused_starts=refused)


def world_of(*starts: Start) -> World:
    """A world with nothing but these starts."""
    return cast(World, SimpleNamespace(callers=SimpleNamespace(starts=list(starts))))


def test_the_starter_may_cancel_from_a_repeat() -> None:
    """The same starter gets the URI again."""
    only_the_starter_may_cancel(world_of(start("a", repeated=False), start("a", repeated=True)))


def test_a_racing_start_that_the_engine_refused_may_have_been_the_first() -> None:
    """Of racing starts the engine may take one that it has refused: its sender is the starter, too."""
    only_the_starter_may_cancel(world_of(start("a", repeated=False), start("b", repeated=True, refused=1)))


def test_another_starter_may_not_cancel() -> None:
    """It repeated the request of another one."""
    with pytest.raises(Violation, match="14: "):
        only_the_starter_may_cancel(world_of(start("a", repeated=False), start("b", repeated=True)))
