"""The simulation can fail: it finds each deliberate mistake in the app."""

from collections.abc import Callable

import pytest

from tests.simulation import catches
from tests.simulation.capacity_mutations import NAMES
from tests.simulation.mutations import MUTATIONS, mutated


@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", NAMES)
def test_a_mistake_is_found(name: str, record_property: Callable[[str, object], None]) -> None:
    """The recorded day finds the mistake. If it does not, one of hundreds of other days does, and the summary names
    this day."""
    day = catches.recorded()[name]
    with mutated(name):
        if day.play().violation:
            return
    for other, result in catches.search(name):
        assert result.violation is not None
        invariant = result.violation.split(":")[0]
        line = f'write "{name} {other}" into {catches.FILE.name} (invariant {invariant})'
        record_property("measured", f"mutation {name}: the recorded day {day} no longer finds it; {line}")
        return
    raise AssertionError(f"{MUTATIONS[name].__doc__} Not found in {catches.MAX_SEEDS} days.")


def test_each_mistake_has_a_recorded_day() -> None:
    """The file has a line for each mistake and no others. The command `catches.RECORD` records the day of a new
    mistake."""
    assert set(catches.recorded()) == set(MUTATIONS), catches.RECORD
