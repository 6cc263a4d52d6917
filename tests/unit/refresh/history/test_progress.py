"""The progress of an enhanced refresh: counts and a few names, which stay small for every model."""

import json

from hypothesis import given
from hypothesis import strategies as st

from durable.codec import decode, encode
from refresh.history.progress import BAD, MAX_TABLES, Progress, TableProgress, progress
from refresh.history.rows import RefreshObject


def objects(*entries: tuple[str, str]) -> list[RefreshObject]:
    """Partitions of tables with their statuses."""
    return [RefreshObject(table, f"p{number}", status) for number, (table, status) in enumerate(entries)]


def json_of(found: Progress | None) -> str:
    """The progress in the format of a status, with escapes, after a round trip."""
    assert found is not None
    text = json.dumps(encode(found))
    assert decode(json.loads(text), Progress) == found
    return text


def test_a_refresh_without_objects_has_no_progress() -> None:
    """Standard refreshes never have objects; enhanced refreshes have them only after they have begun."""
    assert progress([]) is None


def test_running_and_failed_tables_are_named() -> None:
    """The failed tables come first. Completed and waiting tables are only counted."""
    found = progress(
        objects(
            ("Sales", "Completed"),
            ("Sales", "InProgress"),
            ("Sales", "NotStarted"),
            ("DimDate", "Completed"),
            ("Stock", "Completed"),
            ("Stock", "Failed"),
            ("Prices", "NotStarted"),
            ("Costs", "Completed"),
            ("Costs", "NotStarted"),
        )
    )
    assert found == Progress(
        objects=9,
        by_status={"NotStarted": 3, "InProgress": 1, "Completed": 4, "Failed": 1},
        tables=(
            TableProgress(table="Stock", status="Failed", completed=1, objects=2),
            TableProgress(table="Sales", status="InProgress", completed=1, objects=3),
            TableProgress(table="Costs", status="InProgress", completed=1, objects=2),
        ),
        more_tables=0,
    )
    assert list(json.loads(json_of(found))) == ["objects", "byStatus", "tables", "moreTables"]


def test_undocumented_statuses_count_as_unknown() -> None:
    """A status in another spelling is recognised; any other status counts as unknown."""
    found = progress(objects(("A", "inprogress"), ("B", "Canceled"), ("C", "Reticulating"), ("D", "$type")))
    assert found is not None
    assert found.by_status == {"InProgress": 1, "Cancelled": 1, "Unknown": 2}
    assert [table.table for table in found.tables] == ["B", "A"]


words = st.sampled_from(["NotStarted", "InProgress", "Completed", "Failed", "Cancelled", "Unknown", "Other"])


@given(st.lists(st.tuples(st.text(min_size=1, max_size=300), words), min_size=1, max_size=300))
def test_it_is_small_for_any_model(entries: list[tuple[str, str]]) -> None:
    """As JSON with escapes, the progress has less than 3,500 characters. It counts all objects."""
    found = progress(objects(*entries))
    assert found is not None
    assert len(json_of(found)) < 3_500
    assert found.objects == len(entries) == sum(found.by_status.values())
    assert len(found.tables) <= MAX_TABLES
    named = len(found.tables) + found.more_tables
    assert named <= len({table for table, _ in entries})
    assert all(table.completed <= table.objects for table in found.tables)
    bad = [table.status in BAD for table in found.tables]
    assert bad == sorted(bad, reverse=True)


def test_thousands_of_partitions_result_in_a_short_list() -> None:
    """Only some tables are named, because the size of a custom status is limited."""
    many = [RefreshObject("\U0001f4c8売上" * 100 + str(n % 500), str(n), "InProgress") for n in range(5_000)]
    found = progress(many)
    assert found is not None
    assert (found.objects, found.more_tables) == (5_000, 500 - MAX_TABLES)
    assert len(json_of(found)) < 3_500
