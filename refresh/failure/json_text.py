"""JSON that stands inside a text: all of it, behind a preface, before the engine's closing, several in a row."""

import json
import re
from typing import Any, NamedTuple

from refresh.pattern import Pattern

MAX_TRIES = 50
"""Places of one text that are tried: a text of Power Query has braces of its own."""

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


class Opened(NamedTuple):
    """A text without the JSON that tells of errors, and that JSON in its order."""

    text: str
    values: list[Any]


def folded(key: str) -> str:
    """A key as it is compared: Power BI writes `errorCode`, `ErrorCode`, `pbi.error`, `error_description`."""
    return re.sub(r"[^a-z0-9]", "", key.lower()[:80])


def decoded(text: str) -> Any:
    """The JSON that a whole text is; None if it is none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def opened(text: str) -> Opened:
    """The JSON in a text that tells of errors, and the text around it. JSON of ids only is left out of both."""
    if "{" not in text:
        return Opened(text, [])
    if not _START.search(text) and _ESCAPED_START.search(text):
        # encoded once more than the text around it
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
        if _tells(value):
            values.append(value)
        elif not _only_ids(value):
            kept.append(text[place:end])
            place = end
            continue
        before = text[place : match.start()]
        if before[-1:] in ("'", '"') and text[end : end + 1] == before[-1]:
            # a JSON text in quotes
            before, end = before[:-1], end + 1
        # a closing after the value begins a line
        kept += [before, "\n"]
        place = end
    kept.append(text[place:])
    return Opened("".join(kept), values)


def _tells(value: Any) -> bool:
    entries = value if isinstance(value, list) else [value]
    return any(isinstance(entry, dict) and any(folded(key) in _ERROR_KEYS for key in entry) for entry in entries[:20])


def _only_ids(value: Any) -> bool:
    return isinstance(value, dict) and all(folded(key) in _ID_KEYS for key in value)
