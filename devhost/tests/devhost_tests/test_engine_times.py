"""Times are written and read as in the real engine and the SDK."""

from __future__ import annotations

import importlib
import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from devhost.app import sdk
from devhost.engine.times import iso, parse, whole_seconds

slow: Any = importlib.import_module("dateutil.parser").parse
_CHANCE = random.Random(1)  # noqa: S311
MOMENTS = [
    datetime(2026, 11, 24, 10, tzinfo=UTC),
    datetime(2026, 11, 24, 10, 0, 0, 120000, tzinfo=UTC),
    *(datetime(2000, 1, 1, tzinfo=UTC) + timedelta(days=_CHANCE.uniform(0, 36500)) for _ in range(50)),
]


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_written_time_reads_back_the_same(moment: datetime) -> None:
    """A time that is written and read is the same to the microsecond."""
    assert parse(iso(moment)) == moment


@pytest.mark.parametrize("moment", MOMENTS)
def test_the_faster_reader_gives_what_dateutil_gives(moment: datetime) -> None:
    """The faster reader gives the same value and zone as dateutil, even for times with seven digits."""
    fast: Any = sdk._reader(slow)
    for text in (iso(moment), f"{moment:%Y-%m-%dT%H:%M:%S.%f}7Z"):
        assert fast(text) == slow(text)
        assert repr(fast(text)) == repr(slow(text))


@pytest.mark.parametrize("text", ["2026-11-24T10:00:00+02:00", "24 Nov 2026", "2026-11-24T10:00:00"])
def test_other_shapes_still_go_to_dateutil(text: str) -> None:
    """Times in any other form are read by dateutil, because the app may pass any time to the SDK."""
    assert sdk._reader(slow)(text) == slow(text)


@pytest.mark.parametrize(("wait", "delivered"), [(0.5, 0), (0.999, 0), (1.0, 1), (1.9, 1), (2.0, 2), (-5, 0)])
def test_timers_are_cut_to_whole_seconds(wait: float, delivered: float) -> None:
    """A wait of less than a second becomes zero; a wait of 1.9 s becomes 1 s."""
    now = datetime(2026, 11, 24, tzinfo=UTC)
    assert whole_seconds(now + timedelta(seconds=wait), now) == now + timedelta(seconds=delivered)
