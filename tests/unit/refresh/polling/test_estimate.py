"""Earlier refreshes show how long the next one takes."""

from datetime import UTC, datetime, timedelta

import pytest

from refresh.history.rows import RefreshObject, RefreshRow
from refresh.polling.estimate import (
    LONGEST_SECONDS,
    MAX_DURATIONS,
    MAX_READ,
    of_blocker,
    of_enhanced,
    of_standard,
    seconds_of,
    to_read,
)
from refresh.scope.scope import CommitMode, RefreshOptions, TableRef
from tests.unit.refresh.run.incarnations import Incarnation

NOON = datetime(2026, 3, 31, 12, tzinfo=UTC)
FULL = RefreshOptions()


def sales(partition: str | None = None, mode: CommitMode | None = None) -> RefreshOptions:
    """The options of a refresh of the table Sales or of one of its partitions."""
    return RefreshOptions(commit_mode=mode, objects=(TableRef("Sales", partition),))


def row(refresh_type: str, seconds: float | None, status: str = "Completed", number: int = 0) -> RefreshRow:
    """A row of the history. It has no end if `seconds` is None."""
    end = None if seconds is None else NOON + timedelta(seconds=seconds)
    return RefreshRow(f"r{number}", refresh_type, status, start=NOON, end=end)


def read(number: int, *objects: tuple[str, str], type_: str = "Full", commit: str | None = None) -> RefreshRow:
    """An enhanced refresh read by its id."""
    listed = tuple(RefreshObject(table, partition, "Completed") for table, partition in objects)
    return RefreshRow(f"r{number}", "ViaEnhancedApi", "Completed", type=type_, commit_mode=commit, objects=listed)


def enhanced(*seconds: float) -> list[RefreshRow]:
    """Completed enhanced refreshes, newest first."""
    return [row("ViaEnhancedApi", took, number=number) for number, took in enumerate(seconds)]


@pytest.mark.parametrize("refresh_type", ["ViaApi", "Scheduled", "OnDemand", "onDemand"])
def test_standard_refreshes_are_alike_however_they_were_started(refresh_type: str) -> None:
    """Standard refreshes of all kinds count, because each refreshes the whole model."""
    assert of_standard([row(refresh_type, 100), row("ViaApi", 200)]) == (100, 200)


@pytest.mark.parametrize(
    "other",
    [
        row("DirectLakeFraming", 2),
        row("ViaXmlaEndpoint", 50),
        row("ViaEnhancedApi", 50),
        row("ViaApi", 3, "Failed"),
        row("ViaApi", 3, "Cancelled"),
        row("ViaApi", 0, "Disabled"),
        row("ViaApi", None, "Unknown"),
        row("ViaApi", None),
        row("ViaApi", -5),
        row("ViaApi", 0),
        row("ViaApi", LONGEST_SECONDS + 1),
        RefreshRow("x", "ViaApi", "Completed"),
        RefreshRow("x", "ViaApi", "Completed", start=NOON),
        RefreshRow("x", "ViaApi", "Completed", end=NOON),
        RefreshRow("x", "ViaApi", "Completed", start=NOON, end=datetime(9998, 12, 31, tzinfo=UTC)),
        RefreshRow("x", "ViaApi", "Completed", start=datetime(2, 1, 2, tzinfo=UTC), end=NOON),
    ],
)
def test_refreshes_of_another_kind_or_not_completed_do_not_count(other: RefreshRow) -> None:
    """Refreshes of another kind, refreshes that did not complete, and impossible times do not count."""
    assert of_standard([other, row("ViaApi", 100)]) == (100,)


def test_no_more_durations_are_stored_than_needed() -> None:
    """The newest durations are stored, as part of the state of the run."""
    assert of_standard([row("ViaApi", n + 1) for n in range(60)]) == tuple(n + 1 for n in range(MAX_DURATIONS))


def test_the_kind_of_an_external_refresh_must_be_known() -> None:
    """An external refresh has no estimate if it is enhanced or came through XMLA, because it may then have any
    scope."""
    rows = [*enhanced(100, 100, 100), row("Scheduled", 50)]
    assert of_blocker(rows, row("OnDemand", None, "Unknown")) == (50,)
    for refresh_type in ("ViaEnhancedApi", "ViaXmlaEndpoint", "DirectLakeFraming"):
        assert of_blocker(rows, row(refresh_type, None, "Unknown")) == ()


def test_only_a_few_enhanced_refreshes_are_read_and_only_if_that_saves_calls() -> None:
    """For short refreshes, no details are read, because they would not reduce the number of calls."""
    rows = [row("ViaApi", 5_000), *enhanced(*[600.0] * 9)]
    assert [entry.request_id for entry in to_read(rows)] == [f"r{n}" for n in range(MAX_READ)]
    assert to_read(enhanced(20, 30, 299)) == []
    assert to_read([row("ViaEnhancedApi", 600, "Failed")]) == []


def test_enhanced_refreshes_count_if_they_were_of_the_same_objects() -> None:
    """An enhanced refresh counts if it had the same objects, type and commit mode."""
    rows = enhanced(600, 610, 620, 630, 640)
    details = [
        read(0, ("Sales", "2025"), ("Sales", "2026")),
        read(1, ("Sales", "2026"), ("DimDate", "DimDate")),
        read(2, ("Sales", "2026"), type_="DataOnly"),
        read(3, ("Sales", "2026"), commit="PartialBatch"),
        read(4, ("DimDate", "DimDate")),
    ]
    assert of_enhanced(rows, sales(), details) == (600,)
    assert of_enhanced(rows, sales(mode="PartialBatch"), details) == (630,)
    assert of_enhanced(rows, sales(), []) == ()


def test_a_scope_of_partitions_is_compared_by_partitions() -> None:
    """The requested partitions must be exactly those of the refresh. A table that was requested as a whole may have any
    partitions."""
    rows = enhanced(600, 700)
    details = [read(0, ("Sales", "2026")), read(1, ("Sales", "2025"), ("Sales", "2026"))]
    both = RefreshOptions(objects=(TableRef("Sales"), TableRef("Sales", "2026")))
    assert of_enhanced(rows, sales("2026"), details) == (600,)
    assert of_enhanced(rows, both, details) == (600, 700)


def test_refreshes_of_a_part_do_not_count_for_the_whole_model() -> None:
    """The history lists refreshes of a part and of the whole model in the same way. So only those with the most tables
    count for the whole model."""
    rows = enhanced(60, 3_600, 50)
    details = [read(0, ("Sales", "a")), read(1, ("Sales", "a"), ("DimDate", "b")), read(2, ("DimDate", "b"))]
    assert of_enhanced(rows, FULL, details) == (3_600,)


def test_if_all_refreshes_that_were_read_are_alike_earlier_ones_count_too() -> None:
    """If all refreshes that were read are alike, earlier ones count without being read, unless they took far shorter or
    longer."""
    rows = enhanced(600, 610, 620, 630, 640, 700, 100, 650, 9_000)
    details = [read(number, ("Sales", "a")) for number in range(MAX_READ)]
    assert of_enhanced(rows, FULL, details) == (600, 610, 620, 630, 640, 700, 650)
    mixed = [*details[:4], read(4, ("Sales", "a"), type_="Calculate")]
    assert of_enhanced(rows, FULL, mixed) == (600, 610, 620, 630)


def test_a_duration_is_never_negative_nor_invented() -> None:
    """A refresh without a start or an end, or with an end before its start, has no duration."""
    assert seconds_of(row("ViaApi", 61.5)) == 61.5
    assert seconds_of(row("ViaApi", -5)) == seconds_of(row("ViaApi", None)) == 0


def test_whatever_times_a_history_has_an_end_can_be_estimated() -> None:
    """An estimate is only information, so it must never end a run."""
    odd = [
        RefreshRow(f"r{n}", "ViaApi", "Completed", start=NOON, end=datetime(9998, 12, 31, tzinfo=UTC)) for n in range(5)
    ]
    longest = [row("ViaApi", LONGEST_SECONDS)] * 3
    for rows in (odd, longest, [*odd, *longest]):
        run = Incarnation().until_polling(estimate=of_standard(rows)).answer_read("Unknown")
        assert (run.status.expected_end is None) is (rows is odd)
