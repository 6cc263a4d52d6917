"""Finds the cause among all errors that Power BI reports for a refresh that ended badly."""

from typing import Any

import msgspec

from refresh.failure import structure, texts
from refresh.failure.causes import cause_of
from refresh.failure.display import readable, shortened
from refresh.failure.families import is_generic
from refresh.failure.finding import Finding
from refresh.failure.ranking import NOTE, Objects, comparable_name, objects_of, ranked
from refresh.messages import Message
from refresh.text import clean, cut

MAX_SHOWN = 600
"""The maximum number of characters of a text that are kept; a message shows fewer of them."""
MAX_NAME = 200
MAX_CODE = 80

Json = dict[str, Any]


class ServiceError(Message, frozen=True, kw_only=True):
    """The cause of a failure in Power BI's words, cleaned and cut.

    `code` is Power BI's own, `text` its message (up to 600 characters), `table` and `partition` the object that failed.
    `cause` is the code of the catalogue; None if the cause is unclear.
    """

    code: str | None = None
    text: str | None = None
    table: str | None = None
    partition: str | None = None
    cause: str | None = None


def service_error(row: Json) -> ServiceError | None:
    """The cause that a row of the history, or a refresh read by id, names; None if it names no cause.

    Reads `serviceExceptionJson`, `messages[]`, `objects[]` and the last failed attempt.
    """
    findings = structure.errors_in(row.get("serviceExceptionJson"))
    findings += structure.errors_of_messages(row.get("messages"))
    findings += structure.errors_of_attempts(row.get("refreshAttempts"))
    return error_of(findings, objects_of(row.get("objects")))


def error_of(findings: list[Finding], objects: Objects | None = None) -> ServiceError | None:
    """The cause among errors. Missing facts are taken from the other errors and from the objects that failed."""
    objects = objects or Objects()
    errors = ranked(findings, objects)
    if not errors:
        return _limited(None, None, *objects.failed[0], None) if objects.failed else None
    best = errors[0].finding
    peers = [one.finding for one in errors[1:] if one.level == errors[0].level]
    code = best.code or next((one.code for one in peers if one.code), None)
    if is_generic(code) and not best.text:
        code = next((one.code for one in peers if not is_generic(one.code)), code)
    text = best.text or next((one.text for one in peers if one.text), None)
    cause = errors[0].cause
    if cause is None and errors[0].level < NOTE and (code, text) != (best.code, best.text):
        cause = cause_of(code, text, best.signs)
    return _limited(code, text, *_about(best, peers, objects), cause.code if cause else None)


def merged_error(by_id: ServiceError, from_history: ServiceError) -> ServiceError:
    """One error from two reads of the same refresh: the cause from the history, and the failed object from the answer
    by id, which may not name the cause."""
    if not by_id.table:
        return from_history
    same = from_history.table is not None and comparable_name(from_history.table) == comparable_name(by_id.table)
    partition = by_id.partition or (from_history.partition if same else None)
    return msgspec.structs.replace(from_history, table=by_id.table, partition=partition)


def _about(best: Finding, peers: list[Finding], objects: Objects) -> tuple[str | None, str | None]:
    """The table and partition of the cause. A failure in `objects[]` counts more than any text."""
    named = next((one for one in (best, *peers) if one.table), best)
    if not objects.failed:
        return named.table, named.partition
    table = named.table if named.table and comparable_name(named.table) in objects.tables else objects.failed[0][0]
    own = [(name, part) for name, part in objects.failed if comparable_name(name) == comparable_name(table)]
    parts = [part for _, part in own if part]
    same = named.table is not None and comparable_name(named.table) == comparable_name(table)
    if same and named.partition and (not parts or named.partition in parts):
        return own[0][0], named.partition
    return own[0][0], parts[0] if parts else None


def _limited(
    code: str | None, text: str | None, table: str | None, partition: str | None, cause: str | None
) -> ServiceError:
    sentence = readable(texts.split_closing(text).text or text) if text else ""
    return ServiceError(
        code=(cut(code, MAX_CODE) or None) if code else None,
        text=shortened(clean(sentence), MAX_SHOWN) or None,
        table=(cut(table, MAX_NAME) or None) if table else None,
        partition=(cut(partition, MAX_NAME) or None) if partition else None,
        cause=cause,
    )
