"""The world can fail: each deliberate mistake in the app is found, and the summary tells after how many seeds."""

from collections.abc import Callable

import pytest

from tests.simulation.mutations import MUTATIONS, mutated
from tests.simulation.run import run_seed
from tests.simulation.scenario import Level

MAX_SEEDS = 2000
LEVELS: tuple[Level | None, Level | None] = (None, "heavy")


@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", MUTATIONS)
def test_a_mistake_is_found(name: str, record_property: Callable[[str, object], None]) -> None:
    """Within 2,000 days, every other one with heavy faults. The summary tells after how many."""
    with mutated(name):
        for seed in range(MAX_SEEDS):
            violation = run_seed(seed, LEVELS[seed % 2]).violation
            if violation:
                invariant = violation.split(":")[0]
                record_property("measured", f"mutation {name}: found after {seed + 1} seeds, invariant {invariant}")
                return
    raise AssertionError(f"{MUTATIONS[name].__doc__} Not found in {MAX_SEEDS} days.")
