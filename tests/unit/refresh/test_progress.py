"""How far a refresh is, in few words however large the model."""

import json

from refresh.history import RefreshObject, RefreshRow
from refresh.progress import progress


def row(*objects: tuple[str, str | None, str]) -> RefreshRow:
    """A running refresh with these objects."""
    return RefreshRow("r", "ViaEnhancedApi", "Unknown", objects=tuple(RefreshObject(*entry) for entry in objects))


def test_tables_and_partitions_are_counted_and_those_at_work_are_named() -> None:
    """By Power BI's own words, in any case."""
    found = progress(
        row(
            ("Sales", "2025", "Completed"),
            ("Sales", "2026", "inProgress"),
            ("Stock", None, "NotStarted"),
            ("A", "B", "Failed"),
        )
    )
    assert found == {"total": 4, "completed": 1, "inProgress": ["Sales/2026"], "failed": ["A/B"]}


def test_a_refresh_that_does_not_tell_has_no_progress() -> None:
    """Standard ones never do."""
    assert progress(row()) is None


def test_a_large_model_with_long_names_stays_small() -> None:
    """It goes into a custom status of at most 4 KB."""
    found = progress(row(*((f"{number}" + "t" * 500, "p" * 500, "InProgress") for number in range(5_000))))
    assert found is not None
    assert found["total"] == 5_000
    assert len(found["inProgress"]) == 5
    assert len(json.dumps(found)) < 700
