"""One kind of failure, for callers to branch on."""

from dataclasses import dataclass

ROLE = "Contributor, Member or Admin"


@dataclass(frozen=True, slots=True)
class ErrorCode:
    """One kind of failure. `meaning` completes "Semantic model X: ..."; `action` is advice for a data engineer.

    `retryable` is True if the same request may succeed later, without any change.
    """

    code: str
    meaning: str
    action: str
    retryable: bool = False
