"""The recorded scenarios come out as the real Durable extension answered them.

Set DEVHOST_TEST_BASE_URL (and DEVHOST_TEST_KEY) to hold another host on the recordings' app against them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.devhost.process import KEY, RECORDED, Devhost
from tests.devhost.recording import SCENARIOS, differences, record
from tests.devhost.scenarios import GROUPS


@pytest.fixture
def host(tmp_path: Path) -> Iterator[tuple[str, str]]:
    """Base URL and management key of a host on the recordings' app."""
    other = os.environ.get("DEVHOST_TEST_BASE_URL")
    if other:
        yield other, os.environ.get("DEVHOST_TEST_KEY", "")
        return
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    environment = {"CONFORMANCE_SCRATCH": str(scratch)}
    with Devhost(RECORDED / "app", tmp_path / "state", "--key", KEY, env=environment) as devhost:
        yield devhost.base, KEY


@pytest.mark.parametrize("group", sorted(GROUPS))
def test_scenarios_come_out_as_recorded(host: tuple[str, str], group: str) -> None:
    """Status codes, headers, bodies, histories and failure sentences of a group of scenarios, run side by side."""
    recorded = json.loads((RECORDED / "recorded.json").read_text("utf-8"))
    names = [n for n, f in SCENARIOS.items() if f.__module__ == GROUPS[group].__name__]
    got = record(*host, names)
    different = {n: d for n in names if (d := differences(recorded[n], got[n]))}
    assert not different, json.dumps(different, indent=1, ensure_ascii=False)


def test_every_recorded_scenario_is_run() -> None:
    """Nothing that was recorded is left out."""
    recorded = json.loads((RECORDED / "recorded.json").read_text("utf-8"))
    assert set(SCENARIOS) == set(recorded)
