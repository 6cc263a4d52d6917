"""One of the errors that Power BI names for a failure."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """`code` and `text` come from Power BI; `table` and `partition` are set if the error itself names them.

    `signs` are further values that identify the cause but mean nothing to a person, such as the number of a SQL error.
    `warning`: Power BI does not call it an error.
    """

    code: str | None = None
    text: str | None = None
    table: str | None = None
    partition: str | None = None
    signs: str = ""
    warning: bool = False
