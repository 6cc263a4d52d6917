"""Advice for particular messages of Power BI, where it helps more than the advice of the error code.

Sources for refresh policies: "Enhanced refresh with the Power BI REST API", "Advanced incremental refresh", and public
reports of partitions that fail because the policy is applied by default.
"""

from refresh.pattern import Pattern

_ADVICE = (
    (
        Pattern(r"(?i)effective ?date"),
        'Leave out "refresh.effectiveDate", or give the table an incremental refresh policy.',
    ),
    (
        Pattern(r"(?i)refresh ?policy|refresh policies|incremental refresh"),
        'Set "refresh.applyRefreshPolicy" to false. This is required for single partitions of a table with a refresh '
        'policy, for "commitMode": "PartialBatch", and for the types Calculate, ClearValues and Defragment.',
    ),
    (
        Pattern(r"(?i)bound to a gateway|unbound|not bound"),
        "Bind every data source of the model to a gateway or cloud connection in the settings of the model.",
    ),
)
_CODES = ("DefinitionInvalid", "InvalidRefreshRequest", "RefreshFailed", "CredentialsRejected")


def advice_for(code: str, sentence: str | None) -> str | None:
    """The advice for a message with this catalogue code; None if the advice of the code itself fits."""
    if code not in _CODES or not sentence:
        return None
    return next((advice for pattern, advice in _ADVICE if pattern.search(sentence)), None)
