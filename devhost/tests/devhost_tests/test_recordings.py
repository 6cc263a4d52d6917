"""The recorded scenarios give the same answers as the real Durable extension.

`--base-url` (and `--host-key`) compares a different host that runs the recordings' app, e.g. Azure Functions Core
Tools."""

from __future__ import annotations

import json

from devhost_tests.conftest import Reach
from devhost_tests.process import RECORDED, Devhost
from devhost_tests.recording import SCENARIOS, differences, record
from devhost_tests.scenarios import GROUPS

_PATIENCE, _PATIENCE_WITH_OTHERS = 1.5, 15
"""The seconds after which an instance counts as hanging: for the devhost, which does not poll, and for a host with a
storage account, which does."""


def test_all_scenarios_answer_as_recorded(reach: Reach) -> None:
    """All scenarios run concurrently on one host. Status codes, headers, bodies, histories and messages are
    compared."""
    host = reach(RECORDED / "app")
    recorded = json.loads((RECORDED / "recorded.json").read_text("utf-8"))
    patience = _PATIENCE if isinstance(host, Devhost) and host.ready else _PATIENCE_WITH_OTHERS
    got = record(host.base, host.key, list(SCENARIOS), patience)
    different = {n: d for n in SCENARIOS if (d := differences(n, recorded[n], got[n]))}
    assert not different, json.dumps(different, indent=1, ensure_ascii=False)


def test_every_recorded_scenario_is_run() -> None:
    """No recording is left out, and every module of scenarios is known."""
    recorded = json.loads((RECORDED / "recorded.json").read_text("utf-8"))
    assert set(SCENARIOS) == set(recorded)
    assert {f.__module__ for f in SCENARIOS.values()} == {m.__name__ for m in GROUPS.values()}
