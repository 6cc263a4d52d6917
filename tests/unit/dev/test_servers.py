"""The environment of a hosted app, and its local settings."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from dev.environment import ROOT
from dev.routes import routes
from dev.servers import SAMPLE, SETTINGS, HostOptions, local_settings, make_local_settings

GIVEN = "http://127.0.0.1:9999"
DEVELOPMENT = "http://127.0.0.1:7072"


@pytest.mark.parametrize(
    ("option", "environ", "file", "expected"),
    [
        (None, {}, {}, DEVELOPMENT),
        (GIVEN, {}, {}, GIVEN),
        (GIVEN, {"POWER_BI_API_URL": "https://other"}, {"POWER_BI_CLOUD": "gcc"}, GIVEN),
        (None, {"POWER_BI_API_URL": "https://other"}, {}, "https://other"),
        (None, {"POWER_BI_API_URL": ""}, {}, DEVELOPMENT),
        (None, {"POWER_BI_CLOUD": "gcc"}, {}, None),
        (None, {"POWER_BI_CLOUD": "gcc"}, {"POWER_BI_API_URL": DEVELOPMENT}, ""),
        (None, {}, {"POWER_BI_CLOUD": "gcc"}, None),
        (None, {}, {"POWER_BI_API_URL": "https://other"}, None),
        (None, {}, {"POWER_BI_CLOUD": "", "POWER_BI_API_URL": ""}, DEVELOPMENT),
    ],
)
def test_power_bi_url(
    tmp_path: Path, option: str | None, environ: dict[str, str], file: dict[str, str], expected: str | None
) -> None:
    """The option has priority over any setting, and the setting over the development service. None: the URL is that in
    local.settings.json."""
    (tmp_path / "local.settings.json").write_text(json.dumps({"Values": file}))
    composed = HostOptions(app=tmp_path, power_bi=option).environment({"PATH": "/bin", **environ})
    assert composed.get("POWER_BI_API_URL") == expected
    assert composed["PATH"] == "/bin"


@pytest.mark.parametrize("text", ["", "[]", '{"Values": []}', '{"Values": null}', "{}"])
def test_invalid_local_settings_are_ignored(tmp_path: Path, text: str) -> None:
    """Local settings that are invalid count as empty. The host reports the error."""
    assert local_settings(tmp_path) == {}
    (tmp_path / "local.settings.json").write_text(text)
    assert local_settings(tmp_path) == {}


def test_local_settings_are_created_from_the_sample(tmp_path: Path) -> None:
    """The settings are copied from the sample once: a file that exists is not changed, and an app without a sample
    needs none."""
    assert not make_local_settings(tmp_path)
    (tmp_path / SAMPLE).write_bytes((ROOT / SAMPLE).read_bytes())
    assert make_local_settings(tmp_path)
    assert local_settings(tmp_path) == local_settings(ROOT, SAMPLE)
    (tmp_path / SETTINGS).write_text("{}")
    assert not make_local_settings(tmp_path)
    assert (tmp_path / SETTINGS).read_text() == "{}"


def test_routes_of_the_app(tmp_path: Path) -> None:
    """The routes of an app are listed with method, path and function. For a folder without an app, the list is
    empty."""
    environ = {"PATH": os.environ.get("PATH", ""), "PYTHONPATH": os.pathsep.join(sys.path)}
    found = routes(ROOT, environ).splitlines()
    assert [line.split() for line in found if line.endswith("http_start")] == [["POST", "/api/refreshes", "http_start"]]
    assert len(found) > 8
    assert routes(tmp_path, environ) == ""
