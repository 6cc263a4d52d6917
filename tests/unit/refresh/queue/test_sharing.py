"""Which refresh may serve which wish, case by case, and what failures are nothing to whom."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refresh.queue.sharing import merged, serves, spared, together
from refresh.request.options import MAX_OBJECTS, check_options

Json = dict[str, Any]

SALES, DATES = {"table": "Sales"}, {"table": "DimDate"}
SALES_2026 = {"table": "Sales", "partition": "2026"}
PARTIAL_BATCH: Json = {"commitMode": "PartialBatch", "applyRefreshPolicy": False}


def enhanced(*objects: Json, workspace: str = "w", **options: Any) -> Json:
    """The scope of an enhanced wish."""
    given = {"type": "full", **options, **({"objects": list(objects)} if objects else {})}
    return {"workspace_id": workspace, "refresh": check_options(given), "notify_option": "NoNotification"}


STANDARD = {"workspace_id": "w", "refresh": None, "notify_option": "NoNotification"}
WHOLE = enhanced()

SERVES = {
    "the same": (enhanced(SALES), enhanced(SALES), True),
    "the same in another order": (enhanced(SALES, DATES), enhanced(DATES, SALES), True),
    "a part of the model": (WHOLE, enhanced(SALES), True),
    "a part, faster": (WHOLE, enhanced(SALES, maxParallelism=2, retryCount=1, timeout="01:00:00"), True),
    "defaults that are written down": (
        WHOLE, enhanced(SALES, commitMode="transactional", applyRefreshPolicy=True), True
    ),
    "a partition of a table": (enhanced(SALES), enhanced(SALES_2026), True),
    "a table by its partition": (enhanced(SALES_2026), enhanced(SALES), False),
    "another table": (enhanced(SALES), enhanced(DATES), False),
    "the whole by a part": (enhanced(SALES), WHOLE, False),
    "a part by a slower part": (enhanced(SALES, DATES), enhanced(SALES, maxParallelism=2), False),
    "the whole, faster": (WHOLE, enhanced(maxParallelism=2), False),
    "another type": (WHOLE, enhanced(SALES, type="dataOnly"), False),
    "another commit mode": (WHOLE, enhanced(SALES, **PARTIAL_BATCH), False),
    "another policy": (WHOLE, enhanced(SALES, applyRefreshPolicy=False), False),
    "another date": (WHOLE, enhanced(SALES, effectiveDate="2026-03-31"), False),
    "another workspace": (WHOLE, enhanced(SALES, workspace="v"), False),
    "an enhanced wish by a standard refresh": (STANDARD, enhanced(SALES), False),
    "a standard wish by an enhanced refresh": (WHOLE, STANDARD, False),
}  # fmt: skip


@pytest.mark.parametrize("case", SERVES)
def test_who_serves_whom(case: str) -> None:
    """The table of docs/architecture.md, and its edges."""
    wide, narrow, expected = SERVES[case]
    assert serves(wide, narrow) is expected


MERGED = {
    "two tables": (enhanced(SALES), enhanced(DATES), [SALES, DATES]),
    "a table takes its partitions in": (enhanced(SALES_2026), enhanced(SALES), [SALES]),
    "one more": (enhanced(SALES, DATES), enhanced(SALES_2026), [SALES, DATES]),
    "the whole model": (WHOLE, enhanced(SALES), None),
    "another speed": (enhanced(SALES), enhanced(DATES, maxParallelism=2), None),
    "another commit mode": (enhanced(SALES), enhanced(DATES, **PARTIAL_BATCH), None),
    "another workspace": (enhanced(SALES), enhanced(DATES, workspace="v"), None),
    "a standard wish": (enhanced(SALES), STANDARD, None),
}


@pytest.mark.parametrize("case", MERGED)
def test_who_is_merged_with_whom(case: str) -> None:
    """The objects of both, or no run together."""
    first, second, objects = MERGED[case]
    both = merged(first, second)
    assert (both and both["refresh"]["objects"]) == objects
    assert both is None or (serves(both, first) and serves(both, second))


def test_no_more_objects_than_one_request_may_have() -> None:
    """Power BI gets no body that a caller could not send."""
    many = enhanced(*({"table": f"T{number}"} for number in range(MAX_OBJECTS)))
    assert merged(many, enhanced(SALES)) is None


objects = st.lists(
    st.fixed_dictionaries({"table": st.sampled_from("ABC")}, optional={"partition": st.sampled_from("12")}),
    min_size=1, max_size=5,
)  # fmt: skip


@given(st.lists(objects, min_size=1, max_size=5))
def test_together_serves_all_and_no_more(wishes: list[list[Json]]) -> None:
    """Every object of the union is one that somebody wished."""
    scopes = [enhanced(*wish) for wish in wishes]
    union = together(scopes)
    assert union is not None
    assert all(serves(union, scope) for scope in scopes)
    assert all(entry in [wished for wish in wishes for wished in wish] for entry in union["refresh"]["objects"])


def test_together_of_what_has_nothing_in_common() -> None:
    """No scope, so that the run keeps the one it has."""
    assert together([enhanced(SALES), enhanced(DATES, maxParallelism=2)]) is None
    assert together([]) is None


def failed(*failed_objects: list[str | None], refresh_id: str | None = "r", **error: Any) -> Json:
    """A failure of a run."""
    outcome = {"status": "Failed", "refreshId": refresh_id, "failedObjects": list(failed_objects)}
    return {**outcome, "error": {"code": "RefreshFailed", "table": None, "partition": None, **error}}


SPARED = {
    "it was the whole of the run": (None, failed(), False),
    "another table failed": (enhanced(SALES), failed(["DimDate", "DimDate"]), True),
    "its table failed": (enhanced(SALES), failed(["Sales", "2026"]), False),
    "another partition failed": (enhanced(SALES_2026), failed(["Sales", "2025"]), True),
    "its partition failed": (enhanced(SALES_2026), failed(["Sales", "2026"]), False),
    "the error names its table": (enhanced(SALES), failed(table="Sales"), False),
    "the error names another table": (enhanced(SALES), failed(table="DimDate"), True),
    "nobody says what failed": (enhanced(SALES), failed(), True),
    "somebody cancelled it": (enhanced(SALES), {**failed(), "status": "Cancelled"}, True),
    "it never ended": (enhanced(SALES), {**failed(), "status": "OutcomeUnknown"}, False),
    "it completed": (enhanced(SALES), {**failed(), "status": "Completed"}, False),
    "Power BI refused the options": (enhanced(SALES), failed(refresh_id=None, code="InvalidRefreshRequest"), True),
    "the app may not": (enhanced(SALES), failed(refresh_id=None, code="NotAuthorized"), False),
}


@pytest.mark.parametrize("case", SPARED)
def test_whom_a_failure_spares(case: str) -> None:
    """Nobody turns red through somebody else's mistake, and nobody is spared his own."""
    narrow, outcome, expected = SPARED[case]
    assert spared(narrow, outcome) is expected
