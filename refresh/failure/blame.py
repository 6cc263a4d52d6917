"""Which callers of a shared refresh its failure is told to: only those whose own objects failed."""

from collections.abc import Iterable

from refresh.failure.outcome import Outcome
from refresh.failure.ranking import folded
from refresh.request.scope import TableRef

OF_THE_OPTIONS = ("InvalidRefreshRequest", "DefinitionInvalid")
"""Refusals of a start that may be about the objects of the others: one caller's own might be accepted."""


def fails(wanted: Iterable[TableRef] | None, outcome: Outcome) -> bool:
    """Whether the end of a run is the end of a member that wanted these objects of it; None: it wanted all of it.

    A member that is not failed by it is served by a refresh of its own. An end that is no failure is always its end.
    So is a failure before the refresh began, unless it was a refusal of the options: the member alone would fail
    alike. Where Power BI names no object that failed, no member is known to be concerned, and each gets a refresh of
    its own.
    """
    if wanted is None or outcome.status in ("Completed", "OutcomeUnknown"):
        return True
    error = outcome.error
    if outcome.refresh_id is None:
        return error is None or error.code not in OF_THE_OPTIONS
    return any(_touches(mine, failed) for mine in wanted for failed in failed_objects(outcome))


def failed_objects(outcome: Outcome) -> tuple[TableRef, ...]:
    """The objects that failed: as `objects[]` of Power BI says, else the table that the cause names."""
    if outcome.failed_objects:
        return outcome.failed_objects
    error = outcome.error
    return (TableRef(error.table, error.partition),) if error and error.table else ()


def _touches(mine: TableRef, failed: TableRef) -> bool:
    """Whether one of the two is, or is a part of, the other one. Names of a model do not differ by case only."""
    if folded(mine.table) != folded(failed.table):
        return False
    parts = (mine.partition, failed.partition)
    return None in parts or folded(str(parts[0])) == folded(str(parts[1]))
