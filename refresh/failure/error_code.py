"""One kind of failure, as callers branch on it."""

from dataclasses import dataclass

ROLE = "Contributor, Member or Admin"


@dataclass(frozen=True, slots=True)
class ErrorCode:
    """One kind of failure. `meaning` continues "Semantic model X: ..."; `action` is advice for a data engineer.

    `retryable` is True if the same request may well succeed later without a change by a person.
    """

    code: str
    meaning: str
    action: str
    retryable: bool = False
