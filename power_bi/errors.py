"""What can go wrong between us and Power BI.

    PowerBiError
    ├── NoAnswer                    it did not happen, or nobody knows
    │   ├── NotSent                 certainly not accepted: no address, no connection, no TLS, no token service
    │   └── AnswerLost              may have been accepted: sent, then silence, a reset, or a 5xx on a POST
    └── BadAnswer                   Power BI answered, badly
        ├── ServiceUnavailable      5xx or nonsense where nothing was at stake
        ├── Throttled               429, 430, or an overloaded capacity: `retry_after_seconds` says how long
        ├── RefreshInProgress       another refresh of the model is running; ours was not accepted
        └── Refused                 for good: `code` says why, a person has to act

Facts are attributes. `retryable` is data of the class: True if the same call may succeed later by itself.
"""

from dataclasses import dataclass, replace
from typing import ClassVar

from refresh.failure.catalogue import CATALOGUE, Failure, ModelNames, failure
from refresh.text import cut, joined


@dataclass(frozen=True)
class Facts:
    """What is known of a failed call. Texts of the service are cleaned and cut, never a token among them."""

    operation: str = "call"
    """What was tried, such as "read the refresh history"."""
    dataset_id: str = ""
    http_status: int | None = None
    service_code: str | None = None
    """Power BI's own code, if it gave one."""
    service_message: str | None = None
    """Power BI's own sentence of the cause, or what the network said."""
    table: str | None = None
    partition: str | None = None
    power_bi_request_id: str | None = None
    """The header RequestId, which Microsoft's support asks for."""
    retry_after_seconds: float | None = None
    evidence: str = ""
    """All codes and texts of the answer, to recognise what it means. Never shown."""
    page: bool = False
    """The answer was an HTML page, which the API never sends."""


class PowerBiError(Exception):
    """Any failed call. `code` is one of the catalogue in `refresh.failure.catalogue`."""

    retryable: ClassVar[bool] = True
    default_code: ClassVar[str] = "ServiceUnavailable"

    def __init__(self, facts: Facts | None = None, code: str | None = None) -> None:
        self.facts = facts or Facts()
        self.code = code or self.default_code
        super().__init__(self.message)

    @property
    def message(self) -> str:
        """One sentence: what was tried, and how it failed."""
        facts = self.facts
        known = joined(
            f"HTTP {facts.http_status}" if facts.http_status else None,
            facts.service_code,
            facts.power_bi_request_id and f"RequestId {facts.power_bi_request_id}",
        )
        entry = CATALOGUE[self.code]
        said = f": {facts.service_message}" if facts.service_message else ""
        return cut(f"Could not {facts.operation}, {entry.meaning}{f' ({known})' if known else ''}{said}", 500)

    @property
    def http_status(self) -> int | None:
        """The status of the answer; None if there was none."""
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
        """How long the service asks us to wait, if it does."""
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
        """The same error, told of a call."""
        return type(self)(replace(self.facts, operation=operation, dataset_id=dataset_id), self.code)


class NoAnswer(PowerBiError):  # noqa: N818 - named for what happened, like its children
    """It did not happen, or nobody knows."""


class NotSent(NoAnswer):
    """Certainly not accepted: no connection was made, or there was no token to send."""


class AnswerLost(NoAnswer):
    """The call may have been accepted: it was sent and no clear answer came. Read before trying again."""


class BadAnswer(PowerBiError):  # noqa: N818 - likewise
    """Power BI answered, badly. What was asked for was not accepted."""


class ServiceUnavailable(BadAnswer):
    """5xx, or an answer that cannot be read, to a call that changes nothing or may be repeated."""


class Throttled(BadAnswer):
    """429, 430, or an overloaded capacity under any status. Nothing was accepted. Waits of an hour are real.

    `retry_after_seconds` is None where the service does not say how long: then waits grow from one try to the next.
    """

    default_code = "Throttled"


class RefreshInProgress(BadAnswer):
    """Another refresh of the model is running, perhaps one of ours; this one was not accepted."""

    default_code = "RefreshInProgress"


class Refused(BadAnswer):
    """Not to be repeated as it is: `code` says why, and its entry in the catalogue what a person has to do.

    `failure` says whether a later request may succeed, as one does after a refusal because a gateway is offline.
    """

    retryable = False
    default_code = "UnexpectedAnswer"
