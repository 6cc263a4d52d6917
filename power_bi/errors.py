"""The errors of calls to Power BI.

    PowerBiError
    ├── NoAnswer                    the call did not happen, or it is unknown whether it did
    │   ├── NotSent                 certainly not accepted: name, connection, TLS or token service failed
    │   └── AnswerLost              may have been accepted: sent, then silence, a reset, or a 5xx on a POST
    └── BadAnswer                   Power BI answered with an error
        ├── ServiceUnavailable      5xx or an unreadable answer to a call that changes nothing
        ├── Throttled               429, 430, or an overloaded capacity: `retry_after_seconds` says how long
        ├── RefreshInProgress       another refresh of the model is running; ours was not accepted
        └── Refused                 permanently: `code` says why, a person has to act

Facts are attributes. `retryable` belongs to the class: True if the same call may succeed later without a change.
"""

from dataclasses import dataclass, replace
from typing import ClassVar

from refresh.failure.catalogue import CATALOGUE, Failure, ModelNames, failure
from refresh.text import cut, joined

TOKEN_CODES = ("TokenUnavailable", "SignInUnavailable", "TokenRejected")
"""Codes of calls that failed because of the token: they say nothing about the model."""


@dataclass(frozen=True)
class Facts:
    """The facts of a failed call. Texts of the service are cleaned and cut, and contain no token."""

    operation: str = "call"
    """What the call tried, such as "read the refresh history"."""
    dataset_id: str = ""
    http_status: int | None = None
    service_code: str | None = None
    """Power BI's own code, if it gave one."""
    service_message: str | None = None
    """Power BI's own message about the cause, or the error of the network."""
    table: str | None = None
    partition: str | None = None
    power_bi_request_id: str | None = None
    """The header RequestId, which Microsoft's support needs."""
    retry_after_seconds: float | None = None
    evidence: str = ""
    """All codes and texts of the answer, to recognise its meaning. Never shown."""
    page: bool = False
    """The answer was an HTML page, which the API never sends."""


class PowerBiError(Exception):
    """Any failed call. `code` is a code of the catalogue in `refresh.failure.catalogue`."""

    retryable: ClassVar[bool] = True
    default_code: ClassVar[str] = "ServiceUnavailable"

    def __init__(self, facts: Facts | None = None, code: str | None = None) -> None:
        self.facts = facts or Facts()
        self.code = code or self.default_code
        super().__init__(self.message)

    @property
    def message(self) -> str:
        """One sentence: what the call tried, and how it failed."""
        facts = self.facts
        known = joined(
            f"HTTP {facts.http_status}" if facts.http_status else None,
            facts.service_code,
            facts.power_bi_request_id and f"RequestId {facts.power_bi_request_id}",
        )
        entry = CATALOGUE[self.code]
        detail = f": {facts.service_message}" if facts.service_message else ""
        return cut(f"Could not {facts.operation}: {entry.meaning}{f' ({known})' if known else ''}{detail}", 500)

    @property
    def http_status(self) -> int | None:
        """The status of the answer; None if there was no answer."""
        return self.facts.http_status

    @property
    def service_code(self) -> str | None:
        """Power BI's own code, if it gave one."""
        return self.facts.service_code

    @property
    def service_message(self) -> str | None:
        """Power BI's own text, cleaned and cut."""
        return self.facts.service_message

    @property
    def power_bi_request_id(self) -> str | None:
        """The header RequestId of the answer."""
        return self.facts.power_bi_request_id

    @property
    def retry_after_seconds(self) -> float | None:
        """How long the service asks the app to wait; None if it does not."""
        return self.facts.retry_after_seconds

    def failure(self, dataset_id: str | None = None, names: ModelNames | None = None) -> Failure:
        """The error object for callers."""
        facts = self.facts
        return failure(
            self.code,
            dataset_id or facts.dataset_id,
            detail=facts.service_message,
            service_code=facts.service_code,
            table=facts.table,
            partition=facts.partition,
            http_status=facts.http_status,
            power_bi_request_id=facts.power_bi_request_id,
            names=names,
        )

    def about(self, operation: str, dataset_id: str) -> "PowerBiError":
        """The same error with the facts of a call."""
        return type(self)(replace(self.facts, operation=operation, dataset_id=dataset_id), self.code)


class NoAnswer(PowerBiError):  # noqa: N818 - named for what happened, like its children
    """The call did not happen, or it is unknown whether it did."""


class NotSent(NoAnswer):
    """Certainly not accepted: no connection was made, or there was no token to send."""


class AnswerLost(NoAnswer):
    """The call may have been accepted: it was sent and no clear answer came. Read before trying again."""


class BadAnswer(PowerBiError):  # noqa: N818 - likewise
    """Power BI answered with an error. The call was not accepted."""


class ServiceUnavailable(BadAnswer):
    """5xx, or an unreadable answer, to a call that changes nothing or may be repeated."""


class Throttled(BadAnswer):
    """429, 430, or an overloaded capacity with any status. Nothing was accepted. The pause can be an hour.

    `retry_after_seconds` is None if the service gives no duration: then waits grow from one try to the next.
    """

    default_code = "Throttled"


class RefreshInProgress(BadAnswer):
    """Another refresh of the model is running, perhaps one of ours; this one was not accepted."""

    default_code = "RefreshInProgress"


class Refused(BadAnswer):
    """Do not repeat the call unchanged: `code` says why, and its catalogue entry says what a person has to do.

    `failure` says whether a later request may succeed, for example after a refusal because a gateway is offline.
    """

    retryable = False
    default_code = "UnexpectedAnswer"
