"""Decides which of several errors is the cause.

Consequences are never the cause, wherever they appear: operations cancelled because another operation failed, lines
with only ids, the retry limit. Structure counts more than text: `objects[]` says which tables failed or were cancelled.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from refresh.failure import texts
from refresh.failure.causes import cause_of, is_vague
from refresh.failure.error_code import ErrorCode
from refresh.failure.families import is_activity, is_cancelled, is_generic
from refresh.failure.finding import Finding

CAUSE, SUSPECT, TRANSIENT, CONSEQUENCE, NOTE = range(5)
"""Levels, from the most to the least likely cause: an error; an error with a code that the engine also gives to
cancelled operations; a message that only calls the failure transient; a cancelled operation; not an error."""

Json = dict[str, Any]
Object = tuple[str, str | None]


@dataclass(frozen=True)
class Objects:
    """The content of `objects[]` of an enhanced refresh: tables with their partitions, in its order."""

    failed: tuple[Object, ...] = ()
    cancelled: frozenset[str] = field(default_factory=frozenset)

    tables: frozenset[str] = field(default_factory=frozenset)
    """The failed tables, in comparable form (`comparable_name`)."""


def objects_of(value: object) -> Objects:
    """The objects that failed, and the tables where something was cancelled and nothing failed."""
    failed: list[Object] = []
    cancelled: set[str] = set()
    for entry in value if isinstance(value, list) else ():
        if not isinstance(entry, dict) or not isinstance(entry.get("table"), str) or not entry["table"].strip():
            continue
        status = str(entry.get("status")).strip().lower()
        partition = entry.get("partition")
        if status == "failed":
            failed.append((entry["table"], partition if isinstance(partition, str) and partition else None))
        elif status in ("cancelled", "canceled"):
            cancelled.add(comparable_name(entry["table"]))
    tables = frozenset(comparable_name(table) for table, _ in failed)
    return Objects(tuple(failed), frozenset(cancelled - tables), tables)


def comparable_name(name: str) -> str:
    """A name in comparable form: names in a model never differ only by case."""
    return name.strip().casefold()


@dataclass(frozen=True)
class Weighed:
    """An error with the facts that decide whether it is the cause. `cause` is only looked up for possible causes."""

    finding: Finding
    level: int
    cause: ErrorCode | None


def ranked(findings: Iterable[Finding], objects: Objects) -> list[Weighed]:
    """The errors without duplicates, the cause first. Errors of the same rank keep their order."""
    weighed = [_weighed(finding, objects) for finding in dict.fromkeys(findings)]
    return sorted(weighed, key=lambda one: _rank(one, objects))


def _weighed(finding: Finding, objects: Objects) -> Weighed:
    level = _level(finding, objects)
    cause = cause_of(finding.code, finding.text, finding.signs) if level < CONSEQUENCE else None
    if level == SUSPECT and cause:
        # the engine also uses this code for causes
        level = CAUSE
    return Weighed(finding, level, cause)


def _level(finding: Finding, objects: Objects) -> int:
    """How likely an error is the cause, see the levels above."""
    text = finding.text or ""
    if finding.warning or is_activity(finding.code) or (text and texts.is_noise(text)):
        return NOTE
    if text and texts.is_cancellation(text):
        return CONSEQUENCE
    if finding.table and comparable_name(finding.table) in objects.cancelled:
        return CONSEQUENCE
    if is_cancelled(finding.code):
        return SUSPECT if text else CONSEQUENCE
    return TRANSIENT if text and texts.is_transient(text) else CAUSE


def _rank(weighed: Weighed, objects: Objects) -> tuple[int, int, int, int]:
    table, failed = weighed.finding.table, objects.tables
    own = bool(table and comparable_name(table) in failed)
    elsewhere = bool(table and failed and not own)
    return weighed.level, int(elsewhere), _weight(weighed), int(not own)


def _weight(weighed: Weighed) -> int:
    """The order of errors of the same level: a lasting cause, a transient cause, a vague cause, another specific code,
    a text."""
    cause, finding = weighed.cause, weighed.finding
    if cause and not is_vague(cause):
        return 1 if cause.retryable else 0
    if cause:
        return 2
    if not is_generic(finding.code):
        return 3
    return 4 if finding.text else 5
