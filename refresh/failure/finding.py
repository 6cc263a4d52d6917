"""One error among those that Power BI names for a failure, as it was found."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """`code` and `text` are Power BI's own; `table` and `partition` are named by the error itself.

    `signs` is what recognises the cause beside code and text: values that say nothing to a person, such as the number
    of a SQL error. `warning`: Power BI does not call it an error.
    """

    code: str | None = None
    text: str | None = None
    table: str | None = None
    partition: str | None = None
    signs: str = ""
    warning: bool = False
