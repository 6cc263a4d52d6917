"""Runs timer functions as the worker does, except for the text of the binding."""

import asyncio
import json
from typing import Any

import pytest


def run_timer(timer: Any, engine: object) -> None:
    """Runs the function of a timer with this engine."""
    asyncio.run(timer._function._func.__wrapped__(timer=None, engine=engine))


def last_event(caplog: pytest.LogCaptureFixture) -> dict[str, Any]:
    """The last event that a timer logged. If there is none, an empty one.

    Lines of other loggers do not count: at any moment, asyncio may report tasks that an earlier test left behind.
    """
    messages = [record.getMessage() for record in caplog.records if record.name.startswith("triggers.")]
    return dict(json.loads(messages[-1])) if messages else {}
