"""The one thing the devhost changes in the Durable SDK: how fast it reads the timestamps of a history.

The SDK reads every timestamp of the whole history with dateutil's free-form parser in every episode, which is three
quarters of an episode's time. The times of our histories have one shape, so they are read by the standard library; the
values are the same (a test holds them against dateutil's), and any other shape still goes to dateutil.
"""

from __future__ import annotations

import importlib
import logging
from datetime import datetime, tzinfo
from typing import Any

log = logging.getLogger("devhost.app")


def read_times_faster() -> None:
    """Puts the faster reader into the SDK; does nothing when the SDK no longer reads times that way."""
    module: Any = importlib.import_module("azure.durable_functions.models.history.HistoryEvent")
    slow = getattr(module, "dt_parse", None)
    if slow is None or getattr(slow, "is_fast", False):
        return
    module.dt_parse = _reader(slow)


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

    parse.is_fast = True  # type: ignore[attr-defined]
    return parse
