"""The catalogue of error codes, and the error object that callers get.

All parts that report an error use one entry: the outcome of a refresh, the refusals of the Power BI client, the end of
a request, and the table in docs/errors.md, which a test compares with this module. To add a code, add an `ErrorCode` to
`request_codes` or `refresh_codes`, its row to docs/errors.md, and an example to tests/unit/refresh/failure/examples.py.
"""

from collections.abc import Mapping

import msgspec

from refresh.failure.advice import advice_for
from refresh.failure.error_code import ErrorCode
from refresh.failure.message import LAST_ERROR, MAX_MESSAGE, SITUATION, ModelNames, Subject, compose
from refresh.failure.refresh_codes import REFRESH_CODES
from refresh.failure.request_codes import REQUEST_CODES
from refresh.messages import ApiMessage
from refresh.text import cut

__all__ = ["CATALOGUE", "LAST_ERROR", "MAX_MESSAGE", "SITUATION", "ErrorCode", "Failure", "ModelNames", "failure"]

CATALOGUE: Mapping[str, ErrorCode] = {entry.code: entry for entry in (*REQUEST_CODES, *REFRESH_CODES)}
MAX_CODE = 80


class Failure(ApiMessage, frozen=True, kw_only=True):
    """The error object that callers get. Empty keys are not written.

    `code` is always a code of the catalogue, to branch on; `service_code` is Power BI's own code, if it gave one.
    `message` is one line of at most 500 characters that makes sense by itself, see `refresh.failure.message`. `action`
    holds the advice in full, because a long message from Power BI leaves no room for it in `message`. `retryable` is
    always written: it has a default factory, because msgspec would leave out a plain default of false.
    """

    code: str
    message: str
    service_code: str | None = None
    table: str | None = None
    partition: str | None = None
    retryable: bool = msgspec.field(default_factory=bool)
    action: str | None = None


def failure(
    code: str,
    dataset_id: str,
    *,
    detail: str | None = None,
    service_code: str | None = None,
    table: str | None = None,
    partition: str | None = None,
    refresh_id: str | None = None,
    run_id: str | None = None,
    power_bi_request_id: str | None = None,
    http_status: int | None = None,
    names: ModelNames | None = None,
    action: str | None = None,
    link: str = ": ",
) -> Failure:
    """The error object for a code of the catalogue. `detail` describes the cause: Power BI's own message, or ours.

    `link` joins `detail` to the meaning of the code: LAST_ERROR, SITUATION, or a colon.
    `action` replaces the advice of the code, see `refresh.failure.advice`.
    A code that is not in the catalogue was written by a newer version: it is kept, with the advice of InternalError.
    """
    entry = CATALOGUE.get(code) or CATALOGUE["InternalError"]
    advice = action or advice_for(code, detail) or entry.action
    subject = Subject(
        dataset_id=dataset_id,
        names=names or ModelNames(),
        table=table,
        partition=partition,
        service_code=service_code,
        http_status=http_status,
        power_bi_request_id=power_bi_request_id,
        refresh_id=refresh_id,
        run_id=run_id,
    )
    return Failure(
        code=cut(code, MAX_CODE),
        message=compose(entry.meaning, subject, detail, advice, link),
        service_code=(cut(service_code, MAX_CODE) or None) if service_code else None,
        table=table or None,
        partition=partition or None,
        retryable=entry.retryable,
        action=advice,
    )
