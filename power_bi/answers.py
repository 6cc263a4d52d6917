"""Reads Power BI's answers: ids and clocks from headers, errors from bodies of every observed shape.

The reference documents only successful answers. Error bodies come as `{"error": {"code", "message"}}`, sometimes with
`pbi.error` and its `details[]` or with OData's `details[]`, as `{"Message"}`, `{"message"}` or `{"errorCode",
"message"}`, as HTML, or empty.
"""

import json
import re
from codecs import getincrementaldecoder
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from power_bi.errors import AnswerLost, Facts, PowerBiError, RefreshInProgress, Refused, ServiceUnavailable, Throttled
from refresh.failure.causes import cause_of
from refresh.failure.service_error import ServiceError
from refresh.failure.service_error import error_of as cause_among
from refresh.failure.structure import errors_in
from refresh.ids import parse_guid
from refresh.pattern import Pattern
from refresh.text import clean, cut

LONGEST_WAIT = 24 * 3600.0
MAX_EVIDENCE = 8000
"""The maximum number of characters of an error body that are searched for its meaning."""

_IN_PROGRESS = Pattern(
    r"(?i)already[\s-]+(executing|running|in[\s-]+progress|being|refreshing|started|processing)"
    r"|(another|a|other)\s+(dataset\s+|model\s+)?refresh\b.{0,40}\b(executing|running|in\s+progress)"
    r"|RefreshInProgress|AlreadyInProgress"
)
_DAILY_LIMIT = Pattern(r"(?i)requests in last 24 hours|24 hours exceeded|daily (refresh )?limit")
_THROTTLED = Pattern(
    # codes of an overloaded capacity come with any status; words count only if they are unambiguous
    r"(?i)\b(FabricThrottled|CapacityLimitExceeded|TooManyRequests\w*|RequestBlocked|RequestThrottled"
    r"|Request Throttled)\b"
    r"|\bcapacity\b.{0,60}\b(has exceeded its limits?|is overloaded)"
    r"|hit a compute or API rate limit|exceeded the amount of requests allowed"
)
_THROTTLE_STATUSES = (429, 430)
_SIGNS = {
    code: Pattern(f"(?i){signs}")
    for code, signs in {
        "TokenRejected": r"TokenExpired|token has expired",
        "DailyLimitReached": _DAILY_LIMIT.pattern.removeprefix("(?i)"),
        "CapacityNotActive": r"CapacityNotActive|capacity is (paused|not active|suspended)",
        "ApiNotAccessible": r"API is not accessible for application|NotAllowedByTenantAdminSwitch",
        "LicenseRequired": r"NotLicensed|Licen[sc]eRequired|\b(not licen[sc]ed|no (valid )?licen[sc]e"
        r"|licen[sc]e is required)",
        "PersonalWorkspace": r"personal workspace|\bMy workspace\b",
        "OwnerLostAccess": r"\bowner\b.{0,60}\b(no longer has|does not have|has no|lost)\b.{0,30} access",
        "ModelNotRefreshable": r"only be called on a Model-based|DirectQuery",
        "NotifyOptionRefused": r"Invalid NotifyOption",
    }.items()
}
_CAPACITY_REQUIRED = Pattern(
    r"(?i)shared capacity|(dedicated|premium|embedded|fabric) capacity|requires? premium|only .{0,40}premium"
)
_ON_SERVER_ERROR = ("CapacityNotActive",)
_BY_STATUS = {401: "NotAuthorized", 403: "NotAuthorized", 404: "ModelNotFound", 415: "ModelNotRefreshable"}
_PAGE = re.compile(rb"(?i)\s{0,200}(\xef\xbb\xbf)?\s{0,200}<(!doctype|html|head|body|\?xml|script|title|h1|div|p)\b")

MAX_VALUES = 500_000
"""The maximum number of values in one JSON text; so many values take about 50 MB in memory. A refresh of a model with
thousands of partitions has about ten thousand values."""
VALUE_MARKS = (b",", b"[", b"{")
"""Each value has one of these before it or at its beginning, so the number of marks is an upper bound for the number of
values."""
_DECODER = json.JSONDecoder()
_LIST = Pattern(r'\s*\{\s*(?:"@odata\.context"\s*:\s*"[^"\\]*"\s*,\s*)?"value"\s*:\s*\[\s*')
_SEPARATOR = Pattern(r"\s*,\s*")


def json_of(body: bytes) -> object:
    """The value of a JSON body; None if it cannot be parsed or has more than MAX_VALUES values."""
    if sum(map(body.count, VALUE_MARKS)) > MAX_VALUES:
        return None
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def is_page(body: bytes) -> bool:
    """Whether a body is an HTML page: an answer of a proxy or gateway, never of the API."""
    return _PAGE.match(body[:600]) is not None


def rows_in(body: bytes, limit: int) -> list[object] | None:
    """The first rows of `{"@odata.context": ..., "value": [rows]}`; None if the body has another form.

    Only `limit` rows are parsed, so that a history of thousands of rows costs no more than a short one.
    """
    rows: list[object] = []
    try:
        # a body that was cut may end inside a character
        text = getincrementaldecoder(json.detect_encoding(body))().decode(body)
        separator = _LIST.match(text)
        while separator and len(rows) < limit:
            row, end = _DECODER.raw_decode(text, separator.end())
            rows.append(row)
            separator = _SEPARATOR.match(text, end)
        if len(rows) == limit:
            return rows
    except (ValueError, RecursionError):
        pass
    # fewer rows, or another form: parse the whole body
    value = json_of(body)
    listed = value.get("value") if isinstance(value, dict) else None
    return listed[:limit] if isinstance(listed, list) else None


def service_error_in(body: bytes) -> tuple[ServiceError, str]:
    """The error in a body (empty if there is none), and all its codes and texts, to recognise the error by."""
    value = json_of(body)
    if not isinstance(value, dict | list):
        text = cut(_words_of_page(body), 300) or None
        return ServiceError(text=text), text or ""
    findings = errors_in(value)
    evidence = " ".join(f"{one.code or ''} {one.text or ''} {one.signs}" for one in findings)
    return cause_among(findings) or ServiceError(), clean(evidence[:MAX_EVIDENCE])


def _words_of_page(body: bytes) -> str:
    """The words of a page without markup, and with its title only once."""
    page = body[:8_000].decode(errors="replace")
    page = re.sub(
        r"(?is)<(style|script)\b[^<]{0,4000}(?:<(?!/\1)[^<]{0,4000}){0,50}</\1>|<!--[^>]{0,2000}-->", " ", page
    )
    title = re.search(r"(?i)<title>([^<]{1,200})</title>", page)
    words = clean(re.sub(r"<[^>]{0,2000}>", " ", page))
    heading = clean(title[1]) if title else ""
    rest = words.removeprefix(heading).strip()
    return rest if heading and heading in rest else words


def facts_of(status: int, headers: Mapping[str, str], body: bytes) -> Facts:
    """The facts of an answer that is not a success."""
    error, evidence = service_error_in(body)
    return Facts(
        http_status=status,
        service_code=error.code,
        service_message=error.text,
        table=error.table,
        partition=error.partition,
        power_bi_request_id=request_id(headers),
        retry_after_seconds=retry_after(headers, error.text),
        evidence=evidence,
        page=is_page(body) or "html" in headers.get("Content-Type", "").lower(),
    )


def error_of(facts: Facts, method: str, *, enhanced: bool = False) -> PowerBiError:
    """The error for an unsuccessful answer. `enhanced`: the call used options that need a capacity.

    The text counts more than the status: permission failures come as 401, 403 or 404, an overloaded
    capacity answers 400, 403, 429 or 430, and the status of the daily limit is not documented.
    """
    status = facts.http_status or 0
    evidence = facts.evidence or f"{facts.service_code or ''} {facts.service_message or ''}"
    if status in (400, 409) and _IN_PROGRESS.search(evidence):
        return RefreshInProgress(facts)
    if status in _THROTTLE_STATUSES or (status >= 400 and not facts.page and _THROTTLED.search(evidence)):
        return Refused(facts, "DailyLimitReached") if _DAILY_LIMIT.search(evidence) else Throttled(facts)
    # 5xx: only CapacityNotActive is recognised. Any other status: an HTML page is ignored, because a gateway wrote it.
    for code in _ON_SERVER_ERROR if status >= 500 else () if facts.page else tuple(_SIGNS):
        if _SIGNS[code].search(evidence):
            return Refused(facts, code)
    if status >= 500 or status == 408 or 200 <= status < 300:
        # a gateway may give up on a POST that the service behind it has accepted
        return AnswerLost(facts) if method == "POST" else ServiceUnavailable(facts)
    if facts.page:
        return Refused(facts, "UnexpectedAnswer")
    if status == 409 and method == "POST":
        return RefreshInProgress(facts)
    if method == "POST" and status in (400, 422):
        return Refused(facts, _refused_start(facts, evidence, enhanced))
    if method == "POST" and enhanced and status == 403 and _CAPACITY_REQUIRED.search(evidence):
        return Refused(facts, "CapacityRequired")
    return Refused(facts, _BY_STATUS.get(status, "UnexpectedAnswer"))


def _refused_start(facts: Facts, evidence: str, enhanced: bool) -> str:
    """Why a start was refused as a bad request: because of its options, or of a cause that would also make the refresh
    fail."""
    cause = cause_of(facts.service_code, facts.service_message)
    if cause:
        return cause.code
    return "CapacityRequired" if enhanced and _CAPACITY_REQUIRED.search(evidence) else "InvalidRefreshRequest"


def refresh_id_of(headers: Mapping[str, str]) -> str | None:
    """The id of an accepted refresh: the GUID at the end of Location, else x-ms-request-id, else RequestId.

    Of Location only the GUID is used: its host is outside our control, so no token is sent there.
    """
    tail = headers.get("Location", "").split("?")[0].rstrip("/").rpartition("/")[2]
    return parse_guid(tail) or parse_guid(headers.get("x-ms-request-id")) or parse_guid(headers.get("RequestId"))


def request_id(headers: Mapping[str, str]) -> str | None:
    """The header RequestId, which every answer of the service has; for errors it is only a correlation id."""
    value = headers.get("RequestId") or headers.get("x-ms-request-id")
    return cut(value, 64) or None if value else None


def service_time(headers: Mapping[str, str]) -> datetime | None:
    """The service's own clock (UTC, whole seconds), from the header Date."""
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
