"""The things the devhost changes in the Durable SDK: only how fast it works.

The SDK reads every timestamp of the whole history with dateutil's free-form parser in every episode, which is three
quarters of an episode's time. The times of our histories have one shape, so they are read by the standard library; the
values are the same (a test holds them against dateutil's), and any other shape still goes to dateutil. It also makes
a class anew for every episode, which is a tenth of what remains.
"""

from __future__ import annotations

import functools
import importlib
from datetime import datetime, tzinfo
from typing import Any


def make_faster() -> None:
    """Puts faster readers into the SDK; does nothing where the SDK no longer works that way."""
    _replace("azure.durable_functions.models.history.HistoryEvent", "dt_parse", _reader)
    _replace("azure.durable_functions.models.TaskOrchestrationExecutor", "namedtuple", functools.cache)


def _replace(module_name: str, name: str, make: Any) -> None:
    module: Any = importlib.import_module(module_name)
    slow = getattr(module, name, None)
    if slow is None or getattr(module, "_devhost_faster", False):
        return
    setattr(module, name, make(slow))
    module._devhost_faster = True


def _reader(slow: Any) -> Any:
    # dateutil tells UTC as tzutc() or, where the process runs in UTC, as tzlocal(): keep whichever it is here.
    zone: tzinfo | None = slow("2026-01-01T00:00:00Z").tzinfo

    def parse(text: Any) -> Any:
        if isinstance(text, str) and len(text) > 18 and text[10] == "T" and text[-1] == "Z":
            try:
                return datetime.fromisoformat(text[:-1]).replace(tzinfo=zone)
            except ValueError:
                pass
        return slow(text)

    return parse
