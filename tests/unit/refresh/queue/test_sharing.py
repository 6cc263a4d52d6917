"""Which refresh may serve which request, by cases and by the written rule, and which failures count."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refresh.history.outcome import Outcome
from refresh.messages import replace
from refresh.queue import sharing
from refresh.queue.scopes import Extent, ScopeTable
from refresh.scope.options import MAX_OBJECTS
from refresh.scope.scope import Scope, TableRef, canonical_objects
from tests.unit.refresh.queue.queues import BOTH, DATES, MODEL, SALES, WHOLE, CheckedQueue, enhanced, failed

SALES_2026 = TableRef("Sales", "2026")
ELSEWHERE = "33333333-3333-4333-8333-333333333333"


def serves(wide: Scope, narrow: Scope) -> bool:
    """The rule for scopes."""
    table = ScopeTable()
    return sharing.serves(table, table.take_in(wide), table.take_in(narrow))


def together(scopes: Sequence[Scope]) -> Scope | None:
    """The narrowest scope that serves all scopes."""
    table = ScopeTable()
    extent = sharing.together(table, [table.take_in(scope) for scope in scopes])
    return None if extent is None else table.scope(extent)


def merged(first: Scope, second: Scope) -> Scope | None:
    """The scope with the objects of both."""
    table = ScopeTable()
    extent = sharing.merged(table, table.take_in(first), table.take_in(second))
    return None if extent is None else table.scope(extent)


SERVES = {
    "the same": (SALES, SALES, True),
    "the same in another order": (enhanced("Sales", "DimDate"), enhanced("DimDate", "Sales"), True),
    "the same, standard": (WHOLE, WHOLE, True),
    "a part, from a refresh of the whole model": (MODEL, SALES, True),
    "a part with another speed, from a refresh of the whole model": (
        MODEL, enhanced("Sales", max_parallelism=2, retry_count=1, timeout="01:00:00"), True
    ),
    "defaults that are written down": (
        MODEL, enhanced("Sales", commit_mode="Transactional", apply_refresh_policy=True), True
    ),
    "a partition of a table": (SALES, enhanced(SALES_2026), True),
    "a partition and more of a table": (SALES, enhanced(SALES_2026, "DimDate"), False),
    "a partition of another table": (SALES, enhanced(TableRef("DimDate", "2026")), False),
    "another partition": (enhanced(SALES_2026), enhanced(TableRef("Sales", "2025")), False),
    "a table, from a refresh of its partition": (enhanced(SALES_2026), SALES, False),
    "another table": (SALES, DATES, False),
    "the whole model, from a refresh of a part": (SALES, MODEL, False),
    "a part with another speed, from a refresh of more parts": (BOTH, enhanced("Sales", max_parallelism=2), False),
    "the whole model with another speed": (MODEL, enhanced(max_parallelism=2), False),
    "another type": (MODEL, enhanced("Sales", type="DataOnly"), False),
    "another commit mode": (
        MODEL, enhanced("Sales", commit_mode="PartialBatch", apply_refresh_policy=False), False
    ),
    "another policy": (MODEL, enhanced("Sales", apply_refresh_policy=False), False),
    "another date": (MODEL, enhanced("Sales", effective_date="2026-03-31"), False),
    "another workspace": (MODEL, enhanced("Sales", workspace=ELSEWHERE), False),
    "another notification": (MODEL, replace(SALES, notify_option="MailOnFailure"), False),
    "an enhanced refresh, from a standard one": (WHOLE, SALES, False),
    "a standard refresh, from an enhanced one": (MODEL, WHOLE, False),
}  # fmt: skip


@pytest.mark.parametrize("case", SERVES)
def test_which_refresh_serves_which_request(case: str) -> None:
    """The cases are those of the table in docs/architecture.md, and edge cases."""
    wide, narrow, expected = SERVES[case]
    assert serves(wide, narrow) is expected


MERGED = {
    "two tables": (SALES, DATES, BOTH),
    "a table and one of its partitions": (enhanced(SALES_2026), SALES, SALES),
    "two tables and a partition of one of them": (BOTH, enhanced(SALES_2026), BOTH),
    "the whole model": (MODEL, SALES, None),
    "another speed": (SALES, enhanced("DimDate", max_parallelism=2), None),
    "another commit mode": (
        SALES, enhanced("DimDate", commit_mode="PartialBatch", apply_refresh_policy=False), None
    ),
    "another workspace": (SALES, enhanced("DimDate", workspace=ELSEWHERE), None),
    "a standard refresh": (SALES, WHOLE, None),
}  # fmt: skip


@pytest.mark.parametrize("case", MERGED)
def test_which_requests_are_merged(case: str) -> None:
    """Merged requests get the objects of both. Other requests have no common run."""
    first, second, expected = MERGED[case]
    assert merged(first, second) == merged(second, first) == expected
    assert expected is None or (serves(expected, first) and serves(expected, second))


def test_a_merged_run_has_no_more_objects_than_a_request_may_have() -> None:
    """A merged run is limited like a request, because Power BI must not get a body that no caller may send."""
    many = enhanced(*(f"T{number}" for number in range(MAX_OBJECTS)))
    assert merged(many, SALES) is None
    assert merged(many, enhanced("T7")) == enhanced(*sorted(f"T{number}" for number in range(MAX_OBJECTS)))


def test_partitions_of_a_whole_table_do_not_count() -> None:
    """If a scope has a whole table, its partitions are left out: Power BI gets only the table."""
    many = enhanced(*(TableRef("Sales", f"{number:04}") for number in range(MAX_OBJECTS)))
    assert merged(many, SALES) == SALES
    table = ScopeTable()
    assert table.take_in(enhanced(SALES_2026, "Sales", "Sales")) == table.take_in(SALES)


# ---- against the written rule ---------------------------------------------------------------------------------------

refs = st.builds(TableRef, st.sampled_from("ABCD"), st.none() | st.sampled_from("123"))
parts = st.lists(refs, min_size=1, max_size=6)


def covers(objects: Sequence[TableRef], ref: TableRef) -> bool:
    """Whether one of these contains the object."""
    return any(one.table == ref.table and one.partition in (None, ref.partition) for one in objects)


@given(st.lists(parts, min_size=2, max_size=5))
def test_a_part_serves_a_part_if_it_has_all_its_objects(several: list[list[TableRef]]) -> None:
    """This rule holds with any other objects in the table of the queue, and for any order in which objects are
    added."""
    table = ScopeTable()
    extents = [table.take_in(enhanced(*some)) for some in several]
    for wide, ours in zip(extents, several, strict=True):
        for narrow, theirs in zip(extents, several, strict=True):
            expected = all(covers(ours, ref) for ref in theirs)
            assert sharing.serves(table, wide, narrow) is expected


@given(st.lists(parts, min_size=1, max_size=5))
def test_together_has_the_objects_of_all_and_no_more(several: list[list[TableRef]]) -> None:
    """The common scope has the form for Power BI: sorted, and without partitions of a whole table."""
    everything = canonical_objects(tuple(ref for some in several for ref in some))
    assert together([enhanced(*some) for some in several]) == enhanced(*everything)


@given(st.lists(parts, min_size=1, max_size=6), st.data())
def test_scopes_stay_the_same_when_others_are_removed(several: list[list[TableRef]], data: st.DataObject) -> None:
    """If a scope is removed, the objects that only it had are removed from the table. The other scopes stay the
    same."""
    table = ScopeTable()
    scopes = [enhanced(*canonical_objects(tuple(some))) for some in several]
    places = [table.put(table.take_in(scope)) for scope in scopes]
    kept = data.draw(st.sets(st.sampled_from(range(len(scopes))), min_size=1))
    table.free_unused({places[number] for number in kept})
    for number in kept:
        assert table.scope(table.extent(places[number])) == scopes[number]
    assert len(table.objects) <= 2 * table.used.bit_count()
    again = [table.scope(table.extent(table.put(table.take_in(scope)))) for scope in scopes]
    assert again == scopes


def test_together_of_what_has_nothing_in_common() -> None:
    """Scopes of different kinds or with different options have no common scope, so a run keeps its own."""
    assert together([SALES, enhanced("DimDate", max_parallelism=2)]) is None
    assert together([MODEL, WHOLE]) is None
    assert together([]) is None


def test_together_of_the_whole_and_its_parts_is_the_whole() -> None:
    """The common scope of the whole model and parts is the whole model, if it has the same effect on the parts."""
    assert together([SALES, MODEL, DATES]) == MODEL
    assert together([SALES, MODEL, enhanced("Sales", type="DataOnly")]) is None


def test_late_objects_move_to_the_places_of_removed_ones() -> None:
    """Objects of the table get new places, but the objects of each scope do not change."""
    table = ScopeTable()
    scopes = [enhanced(*(f"T{number}-{each}" for each in range(10 * number))) for number in (1, 4, 2, 1)]
    places = [table.put(table.take_in(scope)) for scope in scopes]
    table.free_unused({places[0], places[2]})
    assert len(table.objects) == 30
    for number in (0, 2):
        extent = table.extent(places[number])
        assert set(refs_of(table.scope(extent))) == set(refs_of(scopes[number]))
    assert table.extent(places[2]).objects.bit_length() == 30


def test_partitions_are_found_at_their_new_places() -> None:
    """Objects have the same partitions before and after they have moved in the table."""
    table = ScopeTable()
    early = table.put(table.take_in(enhanced("A", "B", "C", "D")))
    sales, part = (table.put(table.take_in(scope)) for scope in (SALES, enhanced(SALES_2026)))
    assert sharing.serves(table, table.extent(sales), table.extent(part))
    table.free_unused({sales, part})
    assert table.extents[early] is None
    assert table.objects == [("Sales",), ("Sales", "2026")]
    assert sharing.serves(table, table.extent(sales), table.extent(part))


def refs_of(scope: Scope) -> tuple[TableRef, ...]:
    """The objects of an enhanced scope."""
    assert scope.refresh is not None
    return scope.refresh.objects


def test_a_thousand_scattered_objects_take_little_space() -> None:
    """An extent takes a quarter of a character per object of the table, and nothing for objects before its first."""
    table = ScopeTable()
    table.take_in(enhanced(*(f"Early{number}" for number in range(50_000))))
    late = table.take_in(enhanced(*(f"Late{number}" for number in range(1_000))))
    assert len(late.digits) < 255
    assert late == Extent(late.frame, late.digits, late.zeros)
    assert late.objects.bit_count() == 1_000


# ---- failures -------------------------------------------------------------------------------------------------------

SPARED = {
    "another table failed": (SALES, failed(TableRef("DimDate", "DimDate")), True),
    "its table failed": (SALES, failed(TableRef("Sales", "2026")), False),
    "its table failed as a whole": (enhanced(SALES_2026), failed(TableRef("Sales")), False),
    "another partition failed": (enhanced(SALES_2026), failed(TableRef("Sales", "2025")), True),
    "its partition failed": (enhanced(SALES_2026), failed(SALES_2026), False),
    "the error names its table": (SALES, failed(table="Sales"), False),
    "the error names another table": (SALES, failed(table="DimDate"), True),
    "the error names another partition": (enhanced(SALES_2026), failed(table="Sales", partition="2025"), True),
    "the failed object is unknown": (SALES, failed(), True),
    "it was cancelled": (SALES, Outcome(status="Cancelled", refresh_id="r"), True),
    "it never ended": (SALES, Outcome(status="OutcomeUnknown", refresh_id="r"), False),
    "it completed": (SALES, Outcome(status="Completed", refresh_id="r"), False),
    "Power BI refused the options": (SALES, failed(refresh_id=None, code="InvalidRefreshRequest"), True),
    "the app has no permission": (SALES, failed(refresh_id=None, code="NotAuthorized"), False),
}


@pytest.mark.parametrize("case", SPARED)
def test_which_members_a_failure_spares(case: str) -> None:
    """No request fails because of the mistake of another, and none is spared its own failure."""
    narrow, outcome, expected = SPARED[case]
    queue = CheckedQueue()
    for request, scope in (("all", MODEL), ("part", narrow)):
        queue.enroll(request, scope=scope)
    assert queue.members == [["all", "part"]]
    queue.finish(queue.post("all-r1"), outcome)
    assert queue.members == ([["part"]] if expected else [])


def test_a_member_with_all_objects_of_the_run_is_never_spared() -> None:
    """A member with all objects of the run is not spared, because it would also have failed on its own."""
    queue = CheckedQueue()
    queue.enroll("a", scope=SALES)
    queue.finish(queue.post("a-r1"), failed(TableRef("DimDate")))
    assert queue.outcome_of("a", scope=SALES).outcome.status == "Failed"
