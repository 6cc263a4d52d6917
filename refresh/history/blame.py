"""Decides which callers of a shared refresh its failure concerns: only those whose own objects failed.

Members that are not concerned get a refresh of their own. If Power BI names no failed object, it is not known whether a
member that needed only a part is concerned, so each such member gets a refresh of its own.
"""

from collections.abc import Callable

from refresh.failure.ranking import comparable_name
from refresh.history.outcome import Outcome
from refresh.scope.scope import TableRef

OPTION_REFUSAL_CODES = ("InvalidRefreshRequest", "DefinitionInvalid")
"""Codes of refusals that may be about other members' objects: the same POST for one member alone might be accepted."""


def may_spare(outcome: Outcome) -> bool:
    """Whether a member that needed only part of the run might be unaffected by its outcome.

    Completed and OutcomeUnknown concern every member. A cancelled refresh is treated like a failed one whose failed
    objects are not known. A failure before the refresh began concerns every member, because each would fail in the same
    way alone. The exception is a refusal of the options.
    """
    if outcome.status in ("Completed", "OutcomeUnknown"):
        return False
    return outcome.refresh_id is not None or (outcome.error is not None and outcome.error.code in OPTION_REFUSAL_CODES)


def failed_objects(outcome: Outcome) -> tuple[TableRef, ...]:
    """The objects that failed: those in `objects[]` of Power BI, else the table that the cause names."""
    error = outcome.error
    if outcome.refresh_id is None:
        return ()
    if outcome.failed_objects:
        return outcome.failed_objects
    return (TableRef(error.table, error.partition),) if error and error.table else ()


def concerns(outcome: Outcome) -> Callable[[TableRef], bool]:
    """A function that tells whether the failure concerns an object: the object itself, its table or one of its
    partitions failed."""
    failed: dict[str, set[str | None]] = {}
    for ref in failed_objects(outcome):
        failed.setdefault(comparable_name(ref.table), set()).add(_partition(ref))

    def concerned(ref: TableRef) -> bool:
        partitions = failed.get(comparable_name(ref.table))
        if partitions is None:
            return False
        return ref.partition is None or None in partitions or _partition(ref) in partitions

    return concerned


def _partition(ref: TableRef) -> str | None:
    return None if ref.partition is None else comparable_name(ref.partition)
