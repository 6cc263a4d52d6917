"""A log filter that drops and counts the lines that Azure would lose.

The worker sends each log record to the host with the id of its invocation. The host drops a record without an id, and a
record of an invocation that has ended. The filter does the same; `LostLines.report` lists what was dropped.

Three kinds of records always pass: records of the devhost itself; records on the devhost's own threads, which include
what the app logs while it is imported (Azure drops these records, but a developer needs them); and records of the
platform's libraries (`azure_functions_worker`, `azure.functions`), which the host writes to its own log.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import asdict, dataclass
from typing import Any

from devhost.app.invocations import Invocations

log = logging.getLogger("devhost")

_PLATFORM = ("devhost", "azure_functions_worker", "azure.functions")
_KEPT = 20
"""Maximum number of lost lines in a report."""
_LONGEST = 500
"""Maximum number of characters of a message in a report."""
_own = threading.local()


def host_thread() -> None:
    """Marks the calling thread as one of the devhost's own, on which no function of the app runs."""
    _own.yes = True


@dataclass(frozen=True, slots=True)
class LostLine:
    """A log line that Azure would drop. `reason`: "no invocation" or "the invocation has ended"."""

    logger: str
    level: str
    message: str
    thread: str
    reason: str


class LostLines(logging.Filter):
    """A filter for log handlers that drops the lines that Azure would lose. Thread-safe."""

    def __init__(self) -> None:
        super().__init__()
        self.invocations = Invocations()
        self._lock = threading.Lock()
        self._count = 0
        self._first: list[LostLine] = []

    def filter(self, record: logging.LogRecord) -> bool:
        if getattr(_own, "yes", False) or _of_the_platform(record.name):
            return True
        invocation_id = self.invocations.current()
        if invocation_id is not None and self.invocations.runs(invocation_id):
            return True
        reason = "no invocation" if invocation_id is None else "the invocation has ended"
        self._lose(record, reason)
        return False

    def _lose(self, record: logging.LogRecord, reason: str) -> None:
        line = LostLine(record.name, record.levelname, record.getMessage()[:_LONGEST], record.threadName or "", reason)
        with self._lock:
            self._count += 1
            if len(self._first) < _KEPT:
                self._first.append(line)
            if self._count > 1:
                return
        log.warning(
            "a log line is lost, as on Azure (%s): logger %s, thread %s. The host accepts only lines of a running "
            "invocation: see GET /admin/devhost/lost-logs",
            line.reason, line.logger, line.thread,
        )  # fmt: skip

    def report(self) -> dict[str, Any]:
        """The number of lost lines (`count`), and the `first` of them."""
        with self._lock:
            return {"count": self._count, "first": [asdict(line) for line in self._first]}

    def forget(self) -> None:
        """Resets the count and the lines."""
        with self._lock:
            self._count = 0
            self._first.clear()

    def summary(self) -> str:
        """The first lost lines and the number of the others, as text; "" if there are none."""
        report = self.report()
        if not report["count"]:
            return ""
        lines = [f"{n['level']} {n['logger']} ({n['thread']}, {n['reason']}): {n['message']}" for n in report["first"]]
        more = report["count"] - len(lines)
        return "\n  ".join(
            [f"{report['count']} log lines were lost, as on Azure:", *lines, *([f"and {more} more"] if more else [])]
        )


def _of_the_platform(logger: str) -> bool:
    return any(logger == name or logger.startswith(f"{name}.") for name in _PLATFORM)
