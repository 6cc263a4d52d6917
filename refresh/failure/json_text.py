"""Finds JSON in a text. The JSON can be the whole text, follow a preface, or precede the engine's closing (`Table: X.
Partition: Y.`). A text can contain several JSON values."""

import json
import re
from typing import Any, NamedTuple

from refresh.pattern import Pattern

MAX_TRIES = 50
"""The maximum number of places in one text where JSON is looked for: Power Query messages contain braces of their own.
"""

_START = Pattern(r'\{\s{0,20}"|\[\s{0,20}\{\s{0,20}"')
_ESCAPED_START = Pattern(r'\{\s{0,20}\\{1,3}"')
_DECODER = json.JSONDecoder()
_ERROR_KEYS = frozenset(
    ("error", "errors", "code", "errorcode", "message", "errormessage", "errordescription", "pbierror", "details",
     "innererror", "description", "exceptionmessage", "detail")
)  # fmt: skip
_ID_KEYS = frozenset(
    ("rootactivityid", "activityid", "requestid", "clientrequestid", "correlationid", "sessionid", "timestamp", "time",
     "date", "clusteruri", "currentutcdate")
)  # fmt: skip

Json = dict[str, Any]


class Extracted(NamedTuple):
    """A text without the JSON that describes errors, and the values of that JSON in order."""

    text: str
    values: list[Any]


def comparable_key(key: str) -> str:
    """A key in comparable form: Power BI writes `errorCode`, `ErrorCode`, `pbi.error` and `error_description`."""
    return re.sub(r"[^a-z0-9]", "", key.lower()[:80])


def decoded(text: str) -> Any:
    """The value of a text that is JSON as a whole; None if it is not JSON."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def extract_json(text: str) -> Extracted:
    """The JSON values in a text that describe errors, and the text around them. JSON with only ids is dropped."""
    if "{" not in text:
        return Extracted(text, [])
    if not _START.search(text) and _ESCAPED_START.search(text):
        # the JSON is escaped, because it was encoded twice
        text = text.replace('\\\\\\"', '\\"').replace('\\"', '"')
    values: list[Any] = []
    kept: list[str] = []
    place = tries = 0
    while tries < MAX_TRIES and (match := _START.search(text, place)):
        tries += 1
        try:
            value, end = _DECODER.raw_decode(text, match.start())
        except (ValueError, RecursionError):
            kept.append(text[place : match.end()])
            place = match.end()
            continue
        if _is_error(value):
            values.append(value)
        elif not _only_ids(value):
            kept.append(text[place:end])
            place = end
            continue
        before = text[place : match.start()]
        if before[-1:] in ("'", '"') and text[end : end + 1] == before[-1]:
            # JSON in quotes
            before, end = before[:-1], end + 1
        # the engine's closing has to start on a line of its own
        kept += [before, "\n"]
        place = end
    kept.append(text[place:])
    return Extracted("".join(kept), values)


def _is_error(value: Any) -> bool:
    entries = value if isinstance(value, list) else [value]
    return any(
        isinstance(entry, dict) and any(comparable_key(key) in _ERROR_KEYS for key in entry) for entry in entries[:20]
    )


def _only_ids(value: Any) -> bool:
    return isinstance(value, dict) and all(comparable_key(key) in _ID_KEYS for key in value)
