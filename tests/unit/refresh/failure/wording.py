"""Errors of Power BI in its own structure, and the errors that callers get for them."""

import json
from typing import Any

from refresh.failure.catalogue import Failure
from refresh.history.outcome import judge
from refresh.history.rows import parse_details

REFRESH = "9b2a5aa3-6207-47f9-8520-ed61b24c8634"
MODEL = "00000000-1111-2222-3333-444444444444"
ACTIVITY = "5d0c2b7e-1111-4222-8333-444455556666"
GENERIC = "ModelRefresh_ShortMessage_ProcessingError"
RAISED = "The exception was raised by the IDbCommand interface."
CANCELLED = f"The operation was canceled.. {RAISED}"
SIBLING = "The current operation was cancelled because another operation in the transaction failed."
RETRY_LIMIT = "Retry attempts for failures while executing the refresh exceeded the retry limit set on the request."
TRANSIENT = (
    "The last refresh attempt failed because of an internal service error. This is usually a transient issue. "
    "If you try again later and still see this message, contact support."
)

Json = dict[str, Any]


def failure_of(row: Json) -> Failure:
    """The error object for a failed refresh with this row of Power BI."""
    details = parse_details({"status": "Failed", "extendedStatus": "Failed", **row}, REFRESH)
    assert details is not None
    outcome = judge(details, MODEL)
    assert outcome is not None
    assert outcome.error is not None
    return outcome.error


def described(text: str, code: str = GENERIC) -> Json:
    """A `serviceExceptionJson` in its documented form."""
    return {"serviceExceptionJson": json.dumps({"errorCode": code, "errorDescription": text})}


def power_bi_error(code: str, *details: tuple[str, str], parameters: object = None) -> Json:
    """The nested form with `pbi.error`. `details`: names and values."""
    listed = [{"code": name, "detail": {"type": 1, "value": value}} for name, value in details]
    inner = {"code": code, "parameters": parameters or {}, "details": listed, "exceptionCulprit": 1}
    return {"error": {"code": code, "pbi.error": inner}}


def nested(code: str, *details: tuple[str, str], parameters: object = None) -> Json:
    """The nested form as a `serviceExceptionJson`."""
    return {"serviceExceptionJson": json.dumps(power_bi_error(code, *details, parameters=parameters))}


def underlying(text: str) -> tuple[str, str]:
    """The detail with the text of the cause."""
    return "DM_ErrorDetailNameCode_UnderlyingErrorMessage", text
