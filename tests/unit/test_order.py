"""The order of tests: long ones first in each process."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.conftest import FIRST, LONG, distributed


def stand_ins(path: str, count: int) -> list[Any]:
    """Stand-ins for the tests of a module."""
    return [SimpleNamespace(path=Path(path), nodeid=f"{path}::{number}") for number in range(count)]


ITEMS = [
    *stand_ins("tests/unit/test_a.py", 20),
    *stand_ins("tests/e2e/test_b.py", 3),
    *stand_ins("tests/simulation/test_c.py", 4),
    *stand_ins("tests/unit/test_d.py", 21),
    *stand_ins("tests/e2e/test_e.py", 2),
]


@pytest.mark.parametrize("processes", [1, 2, 3, 4, 7])
def test_each_process_begins_with_long_tests(processes: int) -> None:
    """No test is lost or duplicated. The parts are those that xdist would form."""
    ordered = distributed(ITEMS, processes)
    assert sorted(item.nodeid for item in ordered) == sorted(item.nodeid for item in ITEMS)
    left = list(ordered)
    for process in range(processes):
        size = len(left) // (processes - process)
        part, left = left[:size], left[size:]
        long = ["unit" not in item.path.parts for item in part]
        assert long == sorted(long, reverse=True)
        # two modules and four days are distributed
        assert any(long) == (process < 6)


def test_modules_stay_together_and_days_do_not() -> None:
    """The tests of a module stay together, because they may share an app. Simulated days share nothing."""
    ordered = distributed(ITEMS, 2)
    half = len(ordered) // 2
    homes = {item.nodeid: index >= half for index, item in enumerate(ordered)}
    for module in ("e2e/test_b", "e2e/test_e"):
        assert len({home for name, home in homes.items() if module in name}) == 1
    assert {home for name, home in homes.items() if "simulation" in name} == {True, False}


def test_the_longest_modules_come_first() -> None:
    """The longest modules come first in the part of each process. Each name in FIRST is that of a module."""
    ordered = distributed(
        [*ITEMS, *stand_ins("tests/e2e/test_bounds.py", 3), *stand_ins("tests/e2e/test_fuzz.py", 3)], 2
    )
    for part in (ordered[: len(ordered) // 2], ordered[len(ordered) // 2 :]):
        assert [item.path.name in FIRST for item in part[:4]] == [True, True, True, False]
    root = Path(__file__).parents[1]
    assert {path.name for folder in LONG for path in (root / folder).glob("test_*.py")} >= FIRST
