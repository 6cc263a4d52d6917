"""Finds every error in an answer of Power BI, wherever it is, each as a `Finding`.

`serviceExceptionJson` is a string that holds JSON. Documented: `{"errorCode", "errorDescription"}`. Observed: nested as
`{"error": {"code", "pbi.error": {"parameters", "details"}}}`, broken, or absent. A text can again hold JSON, or a list
of errors. HTTP errors have the same shapes and, in addition, OData's `details[]`. Nothing here raises, whatever
the input.
"""

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from typing import Any

from refresh.failure import texts
from refresh.failure.details import details
from refresh.failure.finding import Finding
from refresh.failure.json_text import comparable_key, decoded, extract_json

MAX_FINDINGS = 1000
"""The maximum number of errors of one answer that are compared. Within one text, cancellations with the same code count
once."""
MAX_DEPTH = 12

_CODES = ("errorcode", "code")
_TEXTS = ("errordescription", "errormessage", "message", "description", "exceptionmessage")
_NESTED = ("error", "pbierror", "innererror", "innerexception", "exception", "errors", "inner")

Json = dict[str, Any]


def errors_in(value: object) -> list[Finding]:
    """Every error that a JSON value or a text describes, in order."""
    return list(islice(_value(value, 0), MAX_FINDINGS))


def errors_of_messages(value: object) -> list[Finding]:
    """Every error of `messages[]`; entries that Power BI does not call errors are marked as warnings."""
    found: list[Finding] = []
    for entry in value if isinstance(value, list) else ():
        if len(found) >= MAX_FINDINGS:
            break
        if isinstance(entry, str):
            found.extend(_text(None, entry, 0))
        elif isinstance(entry, dict):
            warning = str(entry.get("type") or "Error").strip().lower() != "error"
            found.extend(replace(one, warning=warning) for one in islice(_value(entry, 0), MAX_FINDINGS))
    return found


def errors_of_attempts(value: object) -> list[Finding]:
    """The errors of the last failed attempt. The errors of earlier attempts are out of date, because the service has
    tried again."""
    for attempt in reversed(value if isinstance(value, list) else []):
        found = errors_in(attempt.get("serviceExceptionJson")) if isinstance(attempt, dict) else []
        if found:
            return found
    return []


def _value(value: object, depth: int) -> Iterator[Finding]:
    if depth > MAX_DEPTH:
        return
    if isinstance(value, str):
        whole = decoded(value) if value.lstrip()[:1] in ('"', "{", "[") else None
        if isinstance(whole, dict | list | str) and whole != value:
            yield from _value(whole, depth + 1)
        elif value.strip():
            # broken JSON is still readable as text
            yield from _text(None, value, depth)
    elif isinstance(value, dict):
        yield from _object(value, depth)
    elif isinstance(value, list):
        for entry in value[:MAX_FINDINGS]:
            yield from _value(entry, depth + 1)


def _object(value: Json, depth: int) -> Iterator[Finding]:
    keys = {comparable_key(str(key)): inner for key, inner in value.items()}
    code = _first(keys, _CODES)
    extra = details(keys.get("details"), keys.get("parameters"))
    inner = [
        finding
        for key in _NESTED
        if isinstance(keys.get(key), dict | list) or (key != "error" and isinstance(keys.get(key), str))
        for finding in islice(_value(keys[key], depth + 1), MAX_FINDINGS)
    ]
    if isinstance(keys.get("error"), str) and code is None:
        # the form that OAuth uses: {"error": "invalid_token", "error_description": ...}
        code = keys["error"]
    own: list[Finding] = []
    for text in (_first(keys, _TEXTS), extra.sentence):
        if text:
            own.extend(islice(_text(code, text, depth + 1), MAX_FINDINGS))
    nested = details_errors(keys.get("details"), depth)
    named = (_name(keys.get("table")) or extra.table, _name(keys.get("partition")) or extra.partition)
    signs = " ".join(extra.signs)
    if not own and not inner and (code or extra.labels or named[0]):
        own = [Finding(code)]
    found = [*own, *inner, *nested]
    for index, finding in enumerate(found):
        # facts that stand next to an error apply to it and to the errors nested in it
        text = _with_labels(finding.text, extra.labels) if index == 0 and extra.labels else finding.text
        yield replace(
            finding,
            code=finding.code or code,
            text=text,
            table=named[0] or finding.table,
            partition=named[1] or finding.partition,
            signs=f"{finding.signs} {signs}".strip(),
        )


def details_errors(value: object, depth: int) -> Iterator[Finding]:
    """The entries of OData's `details[]` that have both a code and a message, as warnings, which rank last."""
    for entry in value[:50] if isinstance(value, list) else ():
        if isinstance(entry, dict) and isinstance(entry.get("code"), str) and isinstance(entry.get("message"), str):
            yield Finding(entry["code"], signs=entry["message"][:2000], warning=True)


def _with_labels(text: str | None, labels: str) -> str:
    if not text:
        return labels
    return (
        text if labels in text else f"{text.rstrip()}{'' if text.rstrip().endswith(('.', '!', '?')) else '.'} {labels}"
    )


def _text(code: str | None, text: str, depth: int) -> Iterator[Finding]:
    """The errors that a text lists. Embedded JSON is decoded, and the object that the closing names is read."""
    if depth > MAX_DEPTH:
        return
    seen: set[tuple[str | None, str]] = set()
    for own, part in texts.errors_in_text(texts.bounded(text)):
        cancelled = texts.is_cancellation(part)
        if ((own, "") if cancelled else (own, part)) in seen:
            continue
        seen.add((own, "") if cancelled else (own, part))
        yield from _part(own or code, part, depth)


def _part(code: str | None, text: str, depth: int) -> Iterator[Finding]:
    outside, values = extract_json(text)
    rest, table, partition = texts.split_closing(outside)
    if not values:
        if table is None and partition is None:
            table, partition = texts.object_in_sentence(rest)
        yield Finding(code, rest or None, table, partition)
        return
    inner = [finding for value in values for finding in islice(_value(value, depth + 1), MAX_FINDINGS)]
    preface = texts.without_noise(rest).rstrip(" :")
    for index, finding in enumerate(inner):
        message = finding.text
        if preface and index == 0 and not texts.is_noise(preface):
            message = f"{preface}: {message}" if message else preface
        yield replace(
            finding,
            code=finding.code or code,
            text=message,
            # the closing comes from the engine and applies to the whole error
            table=finding.table or table,
            partition=finding.partition or (partition if finding.table in (None, table) else None),
        )


def _first(keys: Json, names: tuple[str, ...]) -> str | None:
    for name in names:
        value = keys.get(name)
        if isinstance(value, str) and value.strip():
            return value
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        if isinstance(value, dict) and isinstance(value.get("value"), str):
            # OData 3: {"message": {"lang": "en-US", "value": "..."}}
            return str(value["value"])
    return None


def _name(value: object) -> str | None:
    return value.strip() or None if isinstance(value, str) else None
