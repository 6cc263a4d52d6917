"""Reading Power BI's answers: ids and clocks from headers, errors from bodies of every shape that has been seen.

The reference documents success only. Error bodies come as `{"error": {"code", "message"}}`, the same with
`pbi.error` and no message, `{"Message"}`, `{"message"}`, `{"errorCode", "message"}`, as HTML, and empty.
"""

import json
import re
from codecs import getincrementaldecoder
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from power_bi.errors import AnswerLost, Facts, PowerBiError, RefreshInProgress, Refused, ServiceUnavailable, Throttled
from refresh.ids import parse_guid
from refresh.text import cut

LONGEST_WAIT = 24 * 3600.0

_IN_PROGRESS = re.compile(
    r"(?i)already[\s-]+(executing|running|in[\s-]+progress|being|refreshing|started|processing)"
    r"|(another|a|other)\s+(dataset\s+|model\s+)?refresh\b.{0,40}\b(executing|running|in\s+progress)"
    r"|RefreshInProgress|AlreadyInProgress"
)
_SIGNS = {
    code: re.compile(f"(?i){signs}")
    for code, signs in {
        "TokenRejected": r"TokenExpired|token has expired",
        "DailyLimitReached": r"requests in last 24 hours|24 hours exceeded|daily (refresh )?limit",
        "CapacityNotActive": r"CapacityNotActive|capacity is (paused|not active|suspended)",
        "ApiNotAccessible": r"API is not accessible for application|NotAllowedByTenantAdminSwitch",
        "ModelNotRefreshable": r"only be called on a Model-based|DirectQuery",
        "NotifyOptionRefused": r"Invalid NotifyOption",
        "CapacityRequired": r"shared capacity|(dedicated|premium) capacity|requires? premium|only .{0,40}premium",
    }.items()
}
_ON_SERVER_ERROR = ("CapacityNotActive",)
_BY_STATUS = {401: "NotAuthorized", 403: "NotAuthorized", 404: "ModelNotFound", 415: "ModelNotRefreshable"}

MAX_VALUES = 500_000
"""Of a JSON text, which take some 50 MB when it is read. A model with thousands of partitions has some ten thousand."""
VALUE_MARKS = (b",", b"[", b"{")
"""Each value has one before it or at its beginning."""
_DECODER = json.JSONDecoder()
_LIST = re.compile(r'\s*\{\s*(?:"@odata\.context"\s*:\s*"[^"\\]*"\s*,\s*)?"value"\s*:\s*\[\s*')
_SEPARATOR = re.compile(r"\s*,\s*")

Json = dict[str, Any]


def json_of(body: bytes) -> object:
    """The JSON in a body; None if there is none that can be read, or it has more than MAX_VALUES values."""
    if sum(map(body.count, VALUE_MARKS)) > MAX_VALUES:
        return None
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def rows_in(body: bytes, most: int) -> list[object] | None:
    """The first rows of `{"@odata.context": ..., "value": [rows]}`; None if the body is nothing of this form.

    What comes after these rows is not parsed: a history of thousands of rows costs no more than one of `most`.
    """
    rows: list[object] = []
    try:
        # a body that was cut may end within a character
        text = getincrementaldecoder(json.detect_encoding(body))().decode(body)
        separator = _LIST.match(text)
        while separator and len(rows) < most:
            row, end = _DECODER.raw_decode(text, separator.end())
            rows.append(row)
            separator = _SEPARATOR.match(text, end)
        if len(rows) == most:
            return rows
    except (ValueError, RecursionError):
        pass
    # fewer rows, or in another form: read as a whole
    value = json_of(body)
    listed = value.get("value") if isinstance(value, dict) else None
    return listed[:most] if isinstance(listed, list) else None


def said_in(body: bytes) -> tuple[str | None, str | None]:
    """Code and text of an error body, cleaned and cut; both None if it says nothing."""
    value = json_of(body)
    if not isinstance(value, dict):
        # HTML of a gateway: its words without its markup
        words = re.sub(r"(?is)<(style|script)\b.*?</\1>|<[^>]*>", " ", body[:4_000].decode(errors="replace"))
        return None, cut(words, 300) or None
    nested = value.get("error")
    inner: Json = nested if isinstance(nested, dict) else {}
    pbi_error = inner.get("pbi.error")
    code = _first(inner.get("code"), pbi_error.get("code") if isinstance(pbi_error, dict) else None)
    code = code or _first(value.get("errorCode"), value.get("code"), nested)
    text = _first(inner.get("message"), value.get("message"), value.get("Message"), value.get("error_description"))
    return cut(code, 80) if code else None, cut(text, 300) if text else None


def facts_of(status: int, headers: Mapping[str, str], body: bytes) -> Facts:
    """What an answer tells that is not a success."""
    code, text = said_in(body)
    wait = retry_after(headers, text)
    return Facts(
        http_status=status,
        service_code=code,
        service_message=text,
        power_bi_request_id=request_id(headers),
        retry_after_seconds=wait,
    )


def error_of(facts: Facts, method: str) -> PowerBiError:
    """The error that the answer to a call means.

    What the text says goes before the status: permission failures are spread over 401, 403 and 404, and the daily
    limit's status is documented nowhere.
    """
    status = facts.http_status or 0
    said = f"{facts.service_code or ''} {facts.service_message or ''}"
    if status in (400, 409) and _IN_PROGRESS.search(said):
        return RefreshInProgress(facts)
    # the words of a gateway's page prove little, those of a throttle only that the limit is the daily one
    telling = {429: ("DailyLimitReached",)}.get(status, _ON_SERVER_ERROR if status >= 500 else tuple(_SIGNS))
    for code in telling:
        if _SIGNS[code].search(said):
            return Refused(facts, code)
    if status == 429:
        return Throttled(facts)
    if status >= 500 or status == 408 or 200 <= status < 300:
        # a gateway gives up on a POST that the service behind it may well have accepted
        return AnswerLost(facts) if method == "POST" else ServiceUnavailable(facts)
    if status == 409 and method == "POST":
        return RefreshInProgress(facts)
    if status == 400 and method == "POST":
        return Refused(facts, "InvalidRefreshRequest")
    return Refused(facts, _BY_STATUS.get(status, "UnexpectedAnswer"))


def refresh_id_of(headers: Mapping[str, str]) -> str | None:
    """The id of an accepted refresh: the GUID at the end of Location, else x-ms-request-id, else RequestId.

    Only the GUID of Location is taken: its host is not ours, and no token ever goes there.
    """
    tail = headers.get("Location", "").split("?")[0].rstrip("/").rpartition("/")[2]
    return parse_guid(tail) or parse_guid(headers.get("x-ms-request-id")) or parse_guid(headers.get("RequestId"))


def request_id(headers: Mapping[str, str]) -> str | None:
    """The header RequestId, which every answer of the service carries; on errors it is a correlation id only."""
    value = headers.get("RequestId") or headers.get("x-ms-request-id")
    return cut(value, 64) or None if value else None


def service_time(headers: Mapping[str, str]) -> datetime | None:
    """The service's own clock (UTC, whole seconds): the header Date."""
    return _http_date(headers.get("Date"))


def retry_after(headers: Mapping[str, str], text: str | None = None) -> float | None:
    """Seconds to wait, at most a day: Retry-After in seconds or as a date, else "Retry in 60 seconds" in the text."""
    value = headers.get("Retry-After", "").strip()
    if re.fullmatch(r"[0-9]{1,9}(\.[0-9]+)?", value):
        return min(float(value), LONGEST_WAIT)
    date = _http_date(value)
    if date:
        now = service_time(headers) or datetime.now(UTC)
        return min(max((date - now).total_seconds(), 0.0), LONGEST_WAIT)
    match = re.search(r"(?i)retry (?:in|after) ([0-9]{1,9}) second", text or "")
    return min(float(match[1]), LONGEST_WAIT) if match else None


def _http_date(value: str | None) -> datetime | None:
    try:
        time = parsedate_to_datetime(value or "")
        return (time if time.tzinfo else time.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


def _first(*values: object) -> str | None:
    return next((value for value in values if isinstance(value, str) and value.strip()), None)
