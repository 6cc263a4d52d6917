"""A shared refresh fails only requests whose own objects failed."""

import pytest

from refresh.failure.catalogue import failure
from refresh.history.blame import concerns, failed_objects, may_spare
from refresh.history.outcome import Outcome, Status
from refresh.scope.scope import TableRef

MODEL = "00000000-1111-2222-3333-444444444444"


def outcome(
    *failed: TableRef,
    table: str | None = None,
    code: str = "RefreshFailed",
    status: Status = "Failed",
    ran: bool = True,
) -> Outcome:
    """The outcome of a run with these failed objects, and with this table in its error."""
    error = None if status == "Completed" else failure(code, MODEL, table=table)
    return Outcome(status=status, refresh_id="r" if ran else None, error=error, failed_objects=failed)


SALES, SALES_26, SALES_25, DATE = TableRef("Sales"), TableRef("Sales", "26"), TableRef("Sales", "25"), TableRef("Date")


@pytest.mark.parametrize(
    ("objects", "ended", "expected"),
    [
        ([SALES], outcome(SALES_26), True),
        ([TableRef("sales")], outcome(SALES_26), True),
        ([SALES_26], outcome(SALES), True),
        ([SALES_26], outcome(SALES_26), True),
        ([SALES_25], outcome(SALES_26), False),
        ([DATE], outcome(SALES_26), False),
        ([DATE, SALES], outcome(SALES_26), True),
        # the structure outranks the error's table
        ([DATE], outcome(SALES, table="Date"), False),
        ([DATE], outcome(table="Date"), True),
        ([DATE], outcome(table="Sales"), False),
        # no object is known to have failed: each member gets its own refresh
        ([DATE], outcome(), False),
        ([DATE], outcome(status="Cancelled"), False),
        # no failure of objects
        ([DATE], outcome(status="Completed"), True),
        ([DATE], outcome(status="OutcomeUnknown"), True),
        # before the refresh began
        ([DATE], outcome(ran=False, code="ModelNotFound"), True),
        ([DATE], outcome(ran=False, code="ServiceUnavailable"), True),
        ([DATE], outcome(ran=False, code="InvalidRefreshRequest"), False),
        ([DATE], outcome(ran=False, code="DefinitionInvalid"), False),
    ],
)
def test_the_members_that_fail(objects: list[TableRef], ended: Outcome, expected: bool) -> None:
    """A request fails because of its own objects, never because of an object of another request."""
    assert (not may_spare(ended) or any(map(concerns(ended), objects))) == expected


def test_the_failed_objects_are_those_of_the_structure() -> None:
    """The failed objects are those that Power BI lists. If it lists none, the object in the error counts."""
    assert failed_objects(outcome(SALES_26, table="Date")) == (SALES_26,)
    assert failed_objects(outcome(table="Date")) == (DATE,)
    assert failed_objects(outcome()) == ()
