"""What Power BI says about a refresh that ended badly, dug out of everywhere it may have put it.

`serviceExceptionJson` is a string that holds JSON, documented as `{"errorCode", "errorDescription"}`, seen nested as
`{"error": {"code", "pbi.error": {"details": [...]}}}`, broken, and absent; enhanced refreshes have `messages[]` whose
`code` may be missing; attempts have a `serviceExceptionJson` of their own. Nothing here raises, whatever is given.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from refresh.failure.causes import cause_of
from refresh.text import clean, cut

MAX_TEXT = 600
MAX_NAME = 120

Json = dict[str, Any]

# Codes that only say that something went wrong: another code or text beside them tells more.
_GENERIC = re.compile(r"(?i)ModelRefresh_ShortMessage_ProcessingError|Unknown\w*|Premium_ASWL_Error")
# How the engine marks names and content in its texts, such as Table '<oii>Sales</oii>'.
_MARKS = re.compile(r"(?i)</?(?:ccon|oii|pii|euii|eupi)>")
_TABLE = (
    re.compile(r"(?i)\btable\s*[:=]\s*'?([^'\".;,\r\n]{1,120})"),
    re.compile(r"(?i)\btable\s+'([^'\r\n]{1,120})'"),
    re.compile(r'(?i)\btable\s+"([^"\r\n]{1,120})"'),
    re.compile(r"(?i)'([^'\r\n]{1,120})'\s+table\b"),
)
_PARTITION = (
    re.compile(r"(?i)\bpartition\s*[:=]\s*'?([^'\".;,\r\n]{1,120})"),
    re.compile(r"(?i)\bpartition\s+'([^'\r\n]{1,120})'"),
    re.compile(r'(?i)\bpartition\s+"([^"\r\n]{1,120})"'),
)


@dataclass(frozen=True)
class ServiceError:
    """One error as Power BI words it, cleaned and cut: code, text (600 characters), table and partition if named."""

    code: str | None = None
    text: str | None = None
    table: str | None = None
    partition: str | None = None

    def to_json(self) -> Json:
        """Plain JSON for durable values."""
        return {"code": self.code, "text": self.text, "table": self.table, "partition": self.partition}

    @classmethod
    def from_json(cls, value: Json) -> "ServiceError":
        """The error that `to_json` wrote."""
        return cls(**{key: value.get(key) for key in cls.__dataclass_fields__})


def service_error(row: Json) -> ServiceError | None:
    """The most telling error of a row of the history or of a refresh read by id; None if it names none.

    A cause that no repetition mends wins over a passing one, a known cause over an unknown code, a code over a text.
    Of the attempts only the last one that failed counts: earlier failures were overcome by the service's own retries.
    """
    errors = [*_exception(row.get("serviceExceptionJson")), *_messages(row.get("messages"))]
    errors.extend(_last_attempt(row.get("refreshAttempts")))
    failed = _failed_object(row.get("objects"))
    if not errors:
        return failed if failed.table else None
    best = min(errors, key=_rank)
    text = best.text or next((error.text for error in errors if error.text), None)
    table = best.table or next((error.table for error in errors if error.table), None) or failed.table
    partition = best.partition or next((error.partition for error in errors if error.partition), None)
    if partition is None and table == failed.table:
        partition = failed.partition
    return ServiceError(best.code, text, table, partition)


def _rank(error: ServiceError) -> int:
    cause = cause_of(error.code, error.text)
    if cause:
        return 1 if cause.retryable else 0
    if error.code and not _GENERIC.fullmatch(error.code):
        return 2
    return 3 if error.code else 4


def _exception(value: object) -> Iterator[ServiceError]:
    if isinstance(value, str) and value.strip():
        try:
            decoded = json.loads(value)
        except (ValueError, RecursionError):
            # broken JSON is still a text that somebody can read
            yield _error(None, value)
            return
        if isinstance(decoded, str):
            yield from _exception(decoded) if decoded != value else ()
        else:
            yield from _decoded(decoded)
    elif isinstance(value, dict):
        yield from _decoded(value)


def _decoded(value: object, depth: int = 0) -> Iterator[ServiceError]:
    if not isinstance(value, dict) or depth > 4:
        return
    code = _text(value, "errorCode", "code")
    text = _text(value, "errorDescription", "errorMessage", "message")
    details, sources = _details(value.get("details"))
    text = " ".join(part for part in (text, details, sources) if part) or None
    if code or text:
        yield _error(code, text, _text(value, "table"), _text(value, "partition"))
    for key in ("error", "pbi.error", "innererror", "innerError"):
        yield from _decoded(value.get(key), depth + 1)


def _details(value: object) -> tuple[str | None, str | None]:
    """The underlying message and the data sources from `details[]`: `{"code", "detail": {"value"}}` each."""
    texts, underlying, sources = [], None, None
    for entry in value[:20] if isinstance(value, list) else ():
        if not isinstance(entry, dict):
            continue
        detail = entry.get("detail")
        text = _text(detail, "value") if isinstance(detail, dict) else _text(entry, "message", "value", "detail")
        name = (_text(entry, "code") or "").lower()
        if text and "underlyingerrormessage" in name:
            underlying = text
        elif text and "datasource" in name:
            sources = f"Data source: {text}"
        elif text and "errorcode" not in name and "hresult" not in name:
            texts.append(text)
    return underlying or " ".join(texts) or None, sources


def _messages(value: object) -> Iterator[ServiceError]:
    for entry in value[:100] if isinstance(value, list) else ():
        if isinstance(entry, dict) and str(entry.get("type", "Error")).lower() != "warning":
            code, text = _text(entry, "code"), _text(entry, "message")
            if code or text:
                yield _error(code, text)


def _last_attempt(value: object) -> Iterator[ServiceError]:
    attempts: list[object] = value if isinstance(value, list) else []
    for attempt in reversed(attempts):
        errors = [*_exception(attempt.get("serviceExceptionJson"))] if isinstance(attempt, dict) else []
        if errors:
            yield from errors
            return


def _failed_object(value: object) -> ServiceError:
    for entry in value if isinstance(value, list) else ():
        if isinstance(entry, dict) and str(entry.get("status")).lower() == "failed":
            return _error(None, None, _text(entry, "table"), _text(entry, "partition"))
    return ServiceError()


def _error(code: str | None, text: str | None, table: str | None = None, partition: str | None = None) -> ServiceError:
    text = clean(_MARKS.sub("", text)) if text else None
    return ServiceError(
        cut(code, MAX_NAME) or None if code else None,
        cut(text, MAX_TEXT) or None if text else None,
        cut(table, MAX_NAME) if table else _named(_TABLE, text),
        cut(partition, MAX_NAME) if partition else _named(_PARTITION, text),
    )


def _named(patterns: tuple[re.Pattern[str], ...], text: str | None) -> str | None:
    for pattern in patterns:
        match = pattern.search(text or "")
        if match and match[1].strip():
            return match[1].strip()
    return None


def _text(value: Json, *keys: str) -> str | None:
    for key in keys:
        text = value.get(key)
        if isinstance(text, str) and text.strip():
            return text
        if isinstance(text, int) and not isinstance(text, bool):
            return str(text)
    return None
