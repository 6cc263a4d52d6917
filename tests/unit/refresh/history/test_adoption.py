"""The history tells what keeps a model busy, what is new since we looked, and what is as good as our own refresh."""

from datetime import UTC, datetime, timedelta

import pytest

from refresh.history.adoption import (
    blocker,
    covers,
    is_direct_lake,
    look_before,
    may_be_lost_one,
    may_cover,
    new_rows,
    pushed_out,
    service_clock,
)
from refresh.history.rows import RefreshObject, RefreshRow
from refresh.times import instant

NOON = datetime(2026, 3, 31, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def row(name: str, start: datetime | None = NOON, status: str = "Unknown", kind: str = "ViaApi") -> RefreshRow:
    """A row of the history."""
    return RefreshRow(name, kind, status, start=start)


def details(*names: str, type_: str | None = "Full", mode: str | None = None) -> RefreshRow:
    """A refresh read by its id, with objects such as `Sales/2025`."""
    pairs = [name.split("/") for name in names]
    objects = tuple(RefreshObject(table, partition, "Completed") for table, partition in pairs)
    return RefreshRow("r", "ViaEnhancedApi", "Completed", type=type_, commit_mode=mode, objects=objects)


def test_a_model_is_idle_if_nothing_runs() -> None:
    """Whatever has ended does not matter."""
    ended = [row(status, status=status) for status in ("Completed", "Failed", "Cancelled", "Disabled", "TimedOut")]
    assert blocker([], NOON) is None
    assert blocker(ended, NOON) is None


def test_the_newest_running_refresh_is_the_blocker() -> None:
    """Whoever started it, and whatever the service calls running."""
    rows = [row("done", status="Completed"), row("new", status="NotStarted"), row("old")]
    assert blocker(rows, NOON) == rows[1]


@pytest.mark.parametrize(("age", "blocks"), [(0, True), (23.99, True), (24, False), (900, False)])
def test_a_row_without_end_blocks_for_a_day(age: float, blocks: bool) -> None:
    """Rows that nobody ends stay in the history for ever."""
    found = row("stuck", NOON - timedelta(hours=age))
    assert (blocker([found], NOON) == found) is blocks


def test_a_running_row_without_start_blocks() -> None:
    """It may just have been asked for."""
    assert blocker([row("queued", None)], NOON) is not None


def test_only_what_started_after_the_look_is_new() -> None:
    """By the service's clock in whole seconds, so the second of the look itself does not count."""
    before = look_before([row("known", NOON + 5 * SECOND)], NOON, NOON)
    rows = [
        row("known", NOON + 5 * SECOND),
        row("new", NOON + SECOND),
        row("same second", NOON + 0.999 * SECOND),
        row("late row of an old refresh", NOON - timedelta(minutes=1)),
        row("no start", None),
    ]
    assert new_rows(rows, before) == [rows[1]]


def test_only_rows_that_could_be_taken_for_new_are_kept() -> None:
    """What a run keeps stays small, however long the history is."""
    old = [row(f"old-{number}", NOON - timedelta(minutes=number + 1)) for number in range(100)]
    before = look_before([row("now", NOON), row("no start", None), *old], NOON, NOON - 2 * SECOND)
    assert before == {
        "known": ["now", "no start"],
        "service_time": instant(NOON),
        "read_at": instant(NOON - 2 * SECOND),
    }


def test_a_row_that_was_there_before_is_never_new() -> None:
    """Even if it gets its start only later, or the service's clock goes back."""
    before = look_before([row("queued", None), row("future", NOON + timedelta(hours=1))], NOON, NOON)
    assert new_rows([row("queued", NOON + 3 * SECOND), row("future", NOON + timedelta(hours=1))], before) == []


@pytest.mark.parametrize(
    ("kind", "standard", "enhanced"),
    [
        ("ViaApi", True, False),
        ("Scheduled", True, False),
        ("onDemand", True, False),
        ("ViaEnhancedApi", False, True),
        ("ViaXmlaEndpoint", False, False),
        ("DirectLakeFraming", False, False),
        ("OnDemandTraining", False, False),
        ("Unknown", False, False),
    ],
)
def test_the_kind_of_a_refresh_tells_whether_it_may_be_as_good(kind: str, standard: bool, enhanced: bool) -> None:
    """Refreshes through XMLA may be of anything."""
    assert may_cover(row("r", kind=kind), None) is standard
    assert may_cover(row("r", kind=kind), {"type": "Full"}) is enhanced


TABLE = {"type": "Full", "objects": [{"table": "Sales"}]}
PARTITION = {"type": "Full", "objects": [{"table": "Sales", "partition": "2025"}]}


@pytest.mark.parametrize(
    ("found", "options", "ours", "covered"),
    [
        (details("Sales/2025"), {"type": "Full"}, True, True),
        (details("Sales/2025"), {"type": "Full"}, False, False),
        (details("Sales/2025", type_="full"), PARTITION, False, True),
        (details("Sales/2025", "Sales/2024"), PARTITION, False, True),
        (details("Sales/2024"), PARTITION, True, False),
        (details("Stock/2025"), PARTITION, True, False),
        (details("Sales/2025"), TABLE, True, True),
        (details("Sales/2025"), TABLE, False, False),
        (details("Stock/2025"), TABLE, True, False),
        (details(), PARTITION, True, False),
        (details("Sales/2025", type_="DataOnly"), PARTITION, True, False),
        (details("Sales/2025", type_=None), PARTITION, True, False),
        (details("Sales/2025", mode="PartialBatch"), PARTITION, True, False),
        (details("Sales/2025", mode="transactional"), PARTITION, False, True),
        (details("Sales/2025", mode="PartialBatch"), {**PARTITION, "commitMode": "PartialBatch"}, False, True),
        (details("Sales/2025"), {**PARTITION, "commitMode": "PartialBatch"}, True, False),
    ],
)
def test_an_enhanced_refresh_covers_a_wish(
    found: RefreshRow, options: dict[str, str], ours: bool, covered: bool
) -> None:
    """Same type, same commit mode, and every wished object; what only its owner can know counts if it may be ours."""
    assert covers(found, options, probably_ours=ours) is covered


def test_a_refresh_is_the_lost_one_only_if_it_began_when_ours_can_have() -> None:
    """Between the two times, as far as they are known, with a second for the clock; never without a start."""
    since, until = instant(NOON + 30 * SECOND), instant(NOON + 40 * SECOND)
    for second, both, only_since, only_until in (
        (28, False, False, True),
        (29, True, True, True),
        (40, True, True, True),
        (41, False, True, False),
    ):
        found = row("r", NOON + second * SECOND)
        assert may_be_lost_one(found, {"since": since, "until": until}) is both
        assert may_be_lost_one(found, {"since": since, "until": None}) is only_since
        assert may_be_lost_one(found, {"since": None, "until": until}) is only_until
    assert not may_be_lost_one(row("r", None), {"since": None, "until": None})


def test_the_services_clock_is_told_from_the_look() -> None:
    """It may be an hour ahead of ours."""
    before = look_before([], NOON + timedelta(hours=1), NOON)
    assert service_clock(before, instant(NOON + SECOND)) == instant(NOON + timedelta(hours=1) + SECOND)
    assert service_clock(before, "") is None


FRAMED = [row(f"f-{number}", NOON - timedelta(minutes=number + 1), kind="DirectLakeFraming") for number in range(3)]


@pytest.mark.parametrize(
    ("rows", "known"),
    [
        (FRAMED, True),
        ([row("new", NOON + 5 * SECOND), *FRAMED], True),
        ([*FRAMED, row("old", NOON - timedelta(hours=1))], False),
        ([row("new", NOON + 5 * SECOND, kind="DirectLakeFraming")], False),
        ([], False),
    ],
)
def test_a_direct_lake_model_is_known_by_what_its_history_held(rows: list[RefreshRow], known: bool) -> None:
    """Nothing but framing before our POST; what is new proves nothing, it may be what was looked for."""
    assert is_direct_lake(rows, look_before(FRAMED, NOON, NOON)) is known


def test_a_framing_counts_where_it_may_be_ours() -> None:
    """For wishes of both kinds; other refreshes are judged as ever."""
    framing = row("r", kind="DirectLakeFraming")
    for options in (None, {"type": "Full"}):
        assert may_cover(framing, options, framing=True)
        assert not may_cover(row("r", kind="ViaXmlaEndpoint"), options, framing=True)


def test_a_refresh_is_pushed_out_once_all_that_is_listed_is_newer() -> None:
    """A short history is whole, and one older row proves that ours is not too old."""
    newer = [row(f"n-{number}", NOON + (number + 1) * SECOND) for number in range(20)]
    assert pushed_out(newer, NOON)
    assert not pushed_out(newer[1:], NOON)
    assert not pushed_out([*newer, row("old", NOON - SECOND)], NOON)
    assert not pushed_out([*newer, row("no start", None)], NOON)
    assert not pushed_out([], NOON)
