"""The world can fail: each deliberate mistake in the app is found, and the summary tells after how many seeds."""

from collections.abc import Callable

import pytest

from tests.simulation.mutations import MUTATIONS, mutated
from tests.simulation.run import run_seed

MOST_SEEDS = 2000


@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", MUTATIONS)
def test_a_mistake_is_found(name: str, record_property: Callable[[str, object], None]) -> None:
    """Within 2,000 days."""
    with mutated(name):
        for seeds in range(1, MOST_SEEDS + 1):
            violation = run_seed(seeds - 1).violation
            if violation:
                record_property(
                    "measured", f"mutation {name}: caught by seed {seeds - 1}, invariant {violation.split(':')[0]}"
                )
                return
    raise AssertionError(f"{MUTATIONS[name].__doc__} Nobody noticed in {MOST_SEEDS} days.")
