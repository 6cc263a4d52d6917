"""Which of several errors is the cause.

Consequences are no causes, wherever they stand: what was cancelled because something else failed, lines that hold only
ids, the retry limit. The structure outranks the text: `objects[]` says which tables failed and which were cancelled.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from refresh.failure import texts
from refresh.failure.causes import cause_of, is_vague
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

    @property
    def tables(self) -> frozenset[str]:
        """The tables that failed, as names are compared."""
        return frozenset(folded(table) for table, _ in self.failed)


def objects_of(value: object) -> Objects:
    """The objects that failed, and the tables of which nothing failed and something was cancelled."""
    failed: list[Object] = []
    cancelled: set[str] = set()
    for entry in value if isinstance(value, list) else ():
        if not isinstance(entry, dict) or not isinstance(entry.get("table"), str) or not entry["table"].strip():
            continue
        status = str(entry.get("status")).strip().lower()
        partition = entry.get("partition")
        if status in ("failed", "timedout"):
            failed.append((entry["table"], partition if isinstance(partition, str) and partition else None))
        elif status in ("cancelled", "canceled"):
            cancelled.add(folded(entry["table"]))
    return Objects(tuple(failed), frozenset(cancelled - {folded(table) for table, _ in failed}))


def folded(name: str) -> str:
    """A name as it is compared: names of a model do not differ by case only."""
    return name.strip().casefold()


def ranked(findings: Sequence[Finding], objects: Objects) -> list[Finding]:
    """The errors, the cause first; equals stay in their order."""
    return sorted(findings, key=lambda finding: _rank(finding, objects))


def level_of(finding: Finding, objects: Objects | None = None) -> int:
    """How much an error can be the cause."""
    text = finding.text or ""
    if finding.warning or is_activity(finding.code) or (text and texts.is_noise(text)):
        return NOTE
    if text and texts.is_cancellation(text):
        return CONSEQUENCE
    if objects and finding.table and folded(finding.table) in objects.cancelled:
        return CONSEQUENCE
    if is_cancelled(finding.code):
        if not text:
            return CONSEQUENCE
        return CAUSE if cause_of(None, text, finding.signs) else SUSPECT
    return PASSING if text and texts.is_passing(text) else CAUSE


def _rank(finding: Finding, objects: Objects) -> tuple[int, int, int, int]:
    level = level_of(finding, objects)
    failed = objects.tables
    elsewhere = bool(finding.table and failed and folded(finding.table) not in failed)
    own = bool(finding.table and folded(finding.table) in failed)
    # of what is no cause there may be thousands
    weight = _weight(finding) if level < CONSEQUENCE else 0
    return level, int(elsewhere), weight, int(not own)


def _weight(finding: Finding) -> int:
    """A cause that no repetition mends wins over a passing one, a known cause over a code, a code over a text."""
    cause = cause_of(finding.code, finding.text, finding.signs)
    if cause and not is_vague(cause):
        return 1 if cause.retryable else 0
    if cause:
        return 2
    if not is_generic(finding.code):
        return 3
    return 4 if finding.text else 5
