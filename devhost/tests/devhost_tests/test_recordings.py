"""The recorded scenarios come out as the real Durable extension answered them.

`--base-url` (and `--host-key`) holds another host on the recordings' app against them, e.g. Azure Functions Core Tools.
"""

from __future__ import annotations

import json

from devhost_tests.conftest import Reach
from devhost_tests.process import RECORDED, Devhost
from devhost_tests.recording import SCENARIOS, differences, record
from devhost_tests.scenarios import GROUPS

_PATIENCE, _PATIENCE_WITH_OTHERS = 1.5, 15
"""Seconds until what has not ended counts as hanging: the devhost polls nothing, a host on a storage account does."""


def test_all_scenarios_come_out_as_recorded(reach: Reach) -> None:
    """Status codes, headers, bodies, histories and failure sentences, all scenarios side by side on one host."""
    host = reach(RECORDED / "app")
    recorded = json.loads((RECORDED / "recorded.json").read_text("utf-8"))
    patience = _PATIENCE if isinstance(host, Devhost) and host.ready else _PATIENCE_WITH_OTHERS
    got = record(host.base, host.key, list(SCENARIOS), patience)
    different = {n: d for n in SCENARIOS if (d := differences(n, recorded[n], got[n]))}
    assert not different, json.dumps(different, indent=1, ensure_ascii=False)


def test_every_recorded_scenario_is_run() -> None:
    """Nothing that was recorded is left out, and every module of scenarios is known."""
    recorded = json.loads((RECORDED / "recorded.json").read_text("utf-8"))
    assert set(SCENARIOS) == set(recorded)
    assert {f.__module__ for f in SCENARIOS.values()} == {m.__name__ for m in GROUPS.values()}
