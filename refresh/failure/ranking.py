"""Which of several errors is the cause.

Consequences are no causes, wherever they stand: what was cancelled because something else failed, lines that hold only
ids, the retry limit. The structure outranks the text: `objects[]` says which tables failed and which were cancelled.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from refresh.failure import texts
from refresh.failure.causes import cause_of, is_vague
from refresh.failure.error_code import ErrorCode
from refresh.failure.families import is_activity, is_cancelled, is_generic
from refresh.failure.finding import Finding

CAUSE, SUSPECT, PASSING, CONSEQUENCE, NOTE = range(5)
"""Levels: an error; one under a code of cancelled operations; the service's excuse; what was cancelled; no error."""

Json = dict[str, Any]
Object = tuple[str, str | None]


@dataclass(frozen=True)
class Objects:
    """What `objects[]` of an enhanced refresh says: tables with their partitions, in its order."""

    failed: tuple[Object, ...] = ()
    cancelled: frozenset[str] = field(default_factory=frozenset)

    tables: frozenset[str] = field(default_factory=frozenset)
    """The tables that failed, as names are compared."""


def objects_of(value: object) -> Objects:
    """The objects that failed, and the tables of which nothing failed and something was cancelled."""
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
            cancelled.add(folded(entry["table"]))
    tables = frozenset(folded(table) for table, _ in failed)
    return Objects(tuple(failed), frozenset(cancelled - tables), tables)


def folded(name: str) -> str:
    """A name as it is compared: names of a model do not differ by case only."""
    return name.strip().casefold()


@dataclass(frozen=True)
class Weighed:
    """An error with what decides whether it is the cause. `cause` is not looked for in what is none."""

    finding: Finding
    level: int
    cause: ErrorCode | None


def ranked(findings: Iterable[Finding], objects: Objects) -> list[Weighed]:
    """The errors, each once, the cause first; equals stay in their order."""
    weighed = [_weighed(finding, objects) for finding in dict.fromkeys(findings)]
    return sorted(weighed, key=lambda one: _rank(one, objects))


def _weighed(finding: Finding, objects: Objects) -> Weighed:
    level = _level(finding, objects)
    cause = cause_of(finding.code, finding.text, finding.signs) if level < CONSEQUENCE else None
    if level == SUSPECT and cause:
        # the engine gives the code to causes, too
        level = CAUSE
    return Weighed(finding, level, cause)


def _level(finding: Finding, objects: Objects) -> int:
    """How much an error can be the cause."""
    text = finding.text or ""
    if finding.warning or is_activity(finding.code) or (text and texts.is_noise(text)):
        return NOTE
    if text and texts.is_cancellation(text):
        return CONSEQUENCE
    if finding.table and folded(finding.table) in objects.cancelled:
        return CONSEQUENCE
    if is_cancelled(finding.code):
        return SUSPECT if text else CONSEQUENCE
    return PASSING if text and texts.is_passing(text) else CAUSE


def _rank(weighed: Weighed, objects: Objects) -> tuple[int, int, int, int]:
    table, failed = weighed.finding.table, objects.tables
    own = bool(table and folded(table) in failed)
    elsewhere = bool(table and failed and not own)
    return weighed.level, int(elsewhere), _weight(weighed), int(not own)


def _weight(weighed: Weighed) -> int:
    """A cause that no repetition mends wins over a passing one, a known cause over a code, a code over a text."""
    cause, finding = weighed.cause, weighed.finding
    if cause and not is_vague(cause):
        return 1 if cause.retryable else 0
    if cause:
        return 2
    if not is_generic(finding.code):
        return 3
    return 4 if finding.text else 5
