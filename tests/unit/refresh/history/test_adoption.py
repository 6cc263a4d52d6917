"""The history shows why a model is busy, which refreshes are new since a look, and which are equivalent to ours."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refresh.history.adoption import (
    blocker,
    candidates,
    covers,
    digest_of,
    external_refresh,
    look_at,
    may_be_lost_one,
    may_cover,
    new_rows,
    rolled_over,
    service_clock,
)
from refresh.history.look import ExternalRefresh, Look, LostWindow
from refresh.history.rows import RefreshObject, RefreshRow
from refresh.scope.scope import CommitMode, RefreshOptions, TableRef
from refresh.times import instant

NOON = datetime(2026, 3, 31, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
ANY_TIME = LostWindow()
"""Our refresh may have begun at any time since the look."""
WHOLE = RefreshOptions()
TABLE = RefreshOptions(objects=(TableRef("Sales"),))


def row(name: str, start: datetime | None = NOON, status: str = "Unknown", kind: str = "ViaApi") -> RefreshRow:
    """A row of the history."""
    return RefreshRow(name, kind, status, start=start)


def after(seconds: float, name: str = "r", status: str = "Unknown", kind: str = "ViaApi") -> RefreshRow:
    """A row of a refresh that began this many seconds after noon."""
    return row(name, NOON + seconds * SECOND, status, kind)


def objects(*names: str) -> tuple[RefreshObject, ...]:
    """Objects such as `Sales/2025`."""
    pairs = [name.split("/") for name in names]
    return tuple(RefreshObject(table, partition, "Completed") for table, partition in pairs)


def details(*names: str, type_: str | None = "Full", mode: str | None = None) -> RefreshRow:
    """A refresh read by its id."""
    return RefreshRow("r", "ViaEnhancedApi", "Completed", type=type_, commit_mode=mode, objects=objects(*names))


def partition(name: str = "2025", mode: CommitMode | None = None) -> RefreshOptions:
    """The options of a refresh of one partition of the table Sales."""
    return RefreshOptions(commit_mode=mode, objects=(TableRef("Sales", name),))


LOOK = look_at([], NOON, NOON)


# ---- idle or busy ---------------------------------------------------------------------------------------------------


def test_a_model_is_idle_if_no_refresh_runs() -> None:
    """Ended refreshes do not keep a model busy."""
    ended = [row(status, status=status) for status in ("Completed", "Failed", "Cancelled", "Disabled", "TimedOut")]
    assert blocker([], NOON) is None
    assert blocker(ended, NOON) is None


def test_the_newest_running_refresh_is_the_blocker() -> None:
    """The refresh that keeps a model busy may be of any kind, and have any status that means running."""
    rows = [row("done", status="Completed"), row("new", status="NotStarted"), row("old")]
    assert blocker(rows, NOON) == rows[1]


@pytest.mark.parametrize(("age", "blocks"), [(0, True), (23.99, True), (24, False), (900, False)])
def test_a_row_without_end_blocks_for_a_day(age: float, blocks: bool) -> None:
    """A row without an end counts as running for a day, because such rows stay in the history."""
    found = row("stuck", NOON - timedelta(hours=age))
    assert (blocker([found], NOON) == found) is blocks


def test_a_running_row_without_start_blocks() -> None:
    """A row without a start keeps the model busy, because its refresh may just have been accepted."""
    assert blocker([row("queued", None)], NOON) is not None


def test_a_blocker_is_shown_by_id_kind_and_start() -> None:
    """Facts that are not known are left out."""
    assert external_refresh(row("a")) == ExternalRefresh(
        refresh_id="a", refresh_type="ViaApi", started_at=instant(NOON)
    )
    assert external_refresh(row("a", None)) == ExternalRefresh(refresh_id="a", refresh_type="ViaApi")


# ---- new refreshes --------------------------------------------------------------------------------------------------


def test_only_refreshes_after_the_look_are_new() -> None:
    """Times are compared in whole seconds of the service's clock, so the second of the look itself does not count."""
    look = look_at([after(5, "known")], NOON, NOON)
    rows = [
        after(5, "known"),
        after(1, "new"),
        after(0.999, "same second"),
        row("late row of an old refresh", NOON - timedelta(minutes=1)),
        row("no start", None),
    ]
    assert new_rows(rows, look) == [rows[1]]


def test_only_rows_that_could_look_new_are_stored() -> None:
    """A stored look has only rows that could later seem new. So it stays small, no matter how long the history is."""
    old = [row(f"old-{number}", NOON - timedelta(minutes=number + 1), "Completed") for number in range(100)]
    ended = row("now", status="Completed")
    look = look_at([ended, row("no start", None, "Completed"), *old], NOON, NOON - 2 * SECOND)
    assert look == Look(
        service_time=instant(NOON), read_at=instant(NOON - 2 * SECOND), known=("now", "no start"), running=None
    )


def test_a_look_names_the_refresh_that_keeps_the_model_busy() -> None:
    """A look has the id of the refresh in progress. So a run that posts nevertheless knows which refresh causes the
    refusal."""
    assert look_at([row("done", status="Completed"), row("busy")], NOON, NOON).running == "busy"
    assert look_at([row("stuck", NOON - timedelta(days=2))], NOON, NOON).running is None


def test_a_row_that_was_there_before_is_never_new() -> None:
    """A row of the look is not new, even if its start appears later, or if the service's clock goes back."""
    look = look_at([row("queued", None), row("future", NOON + timedelta(hours=1))], NOON, NOON)
    assert new_rows([after(3, "queued"), row("future", NOON + timedelta(hours=1))], look) == []


def test_without_the_service_clock_no_row_is_new() -> None:
    """A look without the service's clock proves nothing, so no row is new."""
    assert new_rows([after(5)], Look(service_time="", read_at=instant(NOON))) == []


times = st.integers(-100, 100).map(lambda seconds: NOON + seconds * SECOND)
histories = st.lists(st.builds(row, st.sampled_from("abcdef"), times | st.none()), max_size=6)


@given(histories, histories, times)
def test_refreshes_of_a_look_are_never_new(before: list[RefreshRow], later: list[RefreshRow], now: datetime) -> None:
    """No matter how the rows change, a refresh is new only if it began in a later second than the look, and if its id
    was absent before or only had a row with an earlier start."""
    look = look_at(before, now, now)
    for found in new_rows(later, look):
        assert found.start is not None
        assert found.start > now
        assert all(known.request_id != found.request_id or (known.start and known.start < now) for known in before)


# ---- candidates -----------------------------------------------------------------------------------------------------


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
def test_the_kind_of_a_refresh_decides_whether_it_may_be_equivalent(kind: str, standard: bool, enhanced: bool) -> None:
    """Some kinds, such as refreshes through XMLA, may have any scope, so they are not equivalent."""
    assert may_cover(row("r", kind=kind), None) is standard
    assert may_cover(row("r", kind=kind), WHOLE) is enhanced


def test_candidates_are_new_and_running_or_completed() -> None:
    """Failed refreshes are not candidates, because they satisfy no request."""
    rows = [
        after(5, "failed", "Failed"),
        after(5, "cancelled", "Cancelled"),
        after(5, "disabled", "Disabled"),
        after(5, "enhanced", kind="ViaEnhancedApi"),
        after(5, "xmla", kind="ViaXmlaEndpoint"),
        after(5, "running"),
        after(4, "completed", "Completed", kind="Scheduled"),
        after(0, "old", "Completed"),
    ]
    assert [found.request_id for found, _ in candidates(rows, LOOK, None, None)] == ["completed", "running"]
    assert [found.request_id for found, _ in candidates(rows, LOOK, WHOLE, None)] == ["enhanced"]


def test_completed_candidates_come_first_then_the_oldest() -> None:
    """A completed refresh cannot fail any more. Of the others, ours began first, because an external one could only
    begin after it."""
    rows = [after(9, "d"), after(8, "c", "Completed"), after(7, "b"), after(6, "a", "Completed")]
    assert [found.request_id for found, _ in candidates(rows, LOOK, None, None)] == ["a", "c", "b", "d"]


def test_a_candidate_may_be_ours_if_its_start_fits() -> None:
    """A candidate may be ours only if an answer was lost, and if it began when our refresh can have begun."""
    window = LostWindow(since=instant(NOON + 5 * SECOND), until=instant(NOON + 8 * SECOND))
    rows = [after(9, "c"), after(6, "b"), after(2, "a")]
    assert [ours for _, ours in candidates(rows, LOOK, None, window)] == [False, True, False]
    assert [ours for _, ours in candidates(rows, LOOK, None, ANY_TIME)] == [True, True, True]
    assert [ours for _, ours in candidates(rows, LOOK, None, None)] == [False, False, False]


FRAMED = [row(f"f-{number}", NOON - timedelta(minutes=number + 1), kind="DirectLakeFraming") for number in range(3)]


def test_a_direct_lake_model_is_identified_by_its_history() -> None:
    """The history of a Direct Lake model at the look has at least one framing and no other refreshes."""
    assert look_at(FRAMED, NOON, NOON).direct_lake
    assert not look_at([*FRAMED, row("old", NOON - timedelta(hours=1))], NOON, NOON).direct_lake
    assert not look_at([], NOON, NOON).direct_lake


@pytest.mark.parametrize("options", [None, WHOLE])
def test_a_framing_counts_if_it_may_be_ours(options: RefreshOptions | None) -> None:
    """A framing is a candidate if the model has no data of its own, an answer was lost, and the framing began when our
    refresh can have begun."""
    framing = after(5, "new", kind="DirectLakeFraming")
    look = look_at(FRAMED, NOON, NOON)
    assert candidates([framing, *FRAMED], look, options, ANY_TIME) == [(framing, True)]
    assert candidates([framing, *FRAMED], look, options, None) == []
    assert candidates([framing, *FRAMED], look, options, LostWindow(until=instant(NOON + SECOND))) == []
    assert candidates([framing], look, options, ANY_TIME) == [(framing, True)]  # many new rows hide the old ones
    with_data = look_at([*FRAMED, row("old", NOON - timedelta(hours=1))], NOON, NOON)
    assert candidates([framing, *FRAMED], with_data, options, ANY_TIME) == []
    assert not may_cover(row("r", kind="ViaXmlaEndpoint"), options, framing=True)


def test_a_refresh_is_the_lost_one_only_if_its_start_fits() -> None:
    """A refresh must start between the two times, as far as they are known, with a second for the clock. A row without
    a start never fits."""
    since, until = instant(NOON + 30 * SECOND), instant(NOON + 40 * SECOND)
    for second, both, only_since, only_until in (
        (28, False, False, True),
        (29, True, True, True),
        (40, True, True, True),
        (41, False, True, False),
    ):
        found = after(second)
        assert may_be_lost_one(found, LostWindow(since=since, until=until)) is both
        assert may_be_lost_one(found, LostWindow(since=since)) is only_since
        assert may_be_lost_one(found, LostWindow(until=until)) is only_until
    assert not may_be_lost_one(row("r", None), ANY_TIME)


# ---- the objects of an enhanced refresh -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("found", "options", "ours", "covered"),
    [
        (details("Sales/2025", type_="full"), partition(), False, True),
        (details("Sales/2025", "Sales/2024"), partition(), False, True),
        (details("Sales/2024"), partition(), True, False),
        (details("Stock/2025"), partition(), True, False),
        (details("Sales/2025"), TABLE, False, False),
        (details("Stock/2025"), TABLE, True, False),
        (details(), partition(), True, False),
        (details("Sales/2025", type_="DataOnly"), partition(), True, False),
        (details("Sales/2025", type_=None), partition(), True, False),
        (details("Sales/2025", mode="PartialBatch"), partition(), True, False),
        (details("Sales/2025", mode="transactional"), partition(), False, True),
        (details("Sales/2025", mode="PartialBatch"), partition(mode="PartialBatch"), False, True),
        (details("Sales/2025"), partition(mode="PartialBatch"), True, False),
    ],
)
def test_an_enhanced_refresh_covers_a_scope(
    found: RefreshRow, options: RefreshOptions, ours: bool, covered: bool
) -> None:
    """A refresh covers a scope if it has the same type, the same commit mode, and every object of the scope."""
    assert covers(found, options, ours=ours, known=None) is covered


@pytest.mark.parametrize("options", [WHOLE, TABLE])
def test_a_refresh_with_listed_partitions_is_adopted_only_with_proof(options: RefreshOptions) -> None:
    """The details list partitions in the same form, whether the whole model, a table or single partitions were
    refreshed.

    So for the whole model or a table, the objects must be exactly those of our last refresh with these options.
    """
    known = digest_of(objects("Sales/2025", "Sales/2026"))
    assert covers(details("Sales/2026", "Sales/2025"), options, ours=True, known=known)
    assert not covers(details("Sales/2025"), options, ours=True, known=known)
    assert not covers(details("Sales/2025", "Sales/2026", "Sales/2027"), options, ours=True, known=known)


@pytest.mark.parametrize("options", [WHOLE, TABLE])
def test_an_external_refresh_does_not_count_as_one_of_the_whole(options: RefreshOptions) -> None:
    """The caller of an external refresh may have listed all partitions that it knew, but there may be more by now."""
    known = digest_of(objects("Sales/2025"))
    assert not covers(details("Sales/2025"), options, ours=False, known=known)


@pytest.mark.parametrize("options", [WHOLE, TABLE])
def test_without_an_earlier_refresh_of_ours_none_is_adopted_for_the_whole(options: RefreshOptions) -> None:
    """Without known objects of an earlier refresh, none is adopted. Nor is a refresh that lists no objects."""
    assert not covers(details("Sales/2025"), options, ours=True, known=None)
    assert not covers(details(), options, ours=True, known=None)
    assert not covers(details(), options, ours=True, known=digest_of(objects("Sales/2025")))


@pytest.mark.parametrize("options", [WHOLE, TABLE])
@pytest.mark.parametrize(
    "found", [details("Sales/2025", type_="Calculate"), details("Sales/2025", mode="PartialBatch")]
)
def test_a_refresh_of_another_type_or_commit_mode_is_not_equivalent(options: RefreshOptions, found: RefreshRow) -> None:
    """A refresh with another type or commit mode is not equivalent, even if its objects are the same."""
    assert not covers(found, options, ours=True, known=digest_of(found.objects))


def test_a_table_that_is_listed_without_partitions_is_covered() -> None:
    """If a table was requested without partitions, the details may list it without partitions. The table is then
    covered."""
    found = RefreshRow("r", "ViaEnhancedApi", "Unknown", type="Full", objects=(RefreshObject("Sales", None, "x"),))
    assert covers(found, TABLE, ours=False, known=None)


def test_a_digest_identifies_a_set_of_objects() -> None:
    """The order and the statuses of the objects do not change their digest. Names may be any text."""
    assert digest_of(objects("A/1", "B/2")) == digest_of(objects("B/2", "A/1", "A/1"))
    assert digest_of([RefreshObject("A", "1", "Failed")]) == digest_of(objects("A/1"))
    different = [objects("A/1"), objects("A/2"), objects("A/1", "B/2"), (RefreshObject("A", None, "Completed"),)]
    assert len({digest_of(some) for some in different}) == len(different)
    assert digest_of([]) is None
    assert len(digest_of(objects("A\ud800/1")) or "") == 16


# ---- clocks and the end of the history ------------------------------------------------------------------------------


def test_the_clock_of_the_service_is_known_from_the_look() -> None:
    """The look has the service's clock, which may be an hour ahead of ours."""
    look = look_at([], NOON + timedelta(hours=1), NOON)
    assert service_clock(look, instant(NOON + SECOND)) == instant(NOON + timedelta(hours=1) + SECOND)
    assert service_clock(look, "") is None
    assert service_clock(Look(service_time="", read_at=""), instant(NOON)) is None


def test_a_refresh_has_rolled_over_if_all_rows_are_newer() -> None:
    """A refresh is still in the history if the history has an older row, or if the history is short: a short history is
    complete."""
    newer = [after(number + 1, f"n-{number}") for number in range(20)]
    assert rolled_over(newer, NOON)
    assert not rolled_over(newer[1:], NOON)
    assert not rolled_over([*newer, row("old", NOON - SECOND)], NOON)
    assert not rolled_over([*newer, row("no start", None)], NOON)
    assert not rolled_over([], NOON)
