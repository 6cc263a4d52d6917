"""Which Power BI a hosted app talks to."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dev.servers import HostOptions, local_settings

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
        (None, {}, {"POWER_BI_CLOUD": "gcc"}, None),
        (None, {}, {"POWER_BI_API_URL": "https://other"}, None),
        (None, {}, {"POWER_BI_CLOUD": "", "POWER_BI_API_URL": ""}, DEVELOPMENT),
    ],
)
def test_power_bi_url(
    tmp_path: Path, option: str | None, environ: dict[str, str], file: dict[str, str], expected: str | None
) -> None:
    """The option wins, then what is set anywhere (None: left to local.settings.json), then the development service."""
    (tmp_path / "local.settings.json").write_text(json.dumps({"Values": file}))
    composed = HostOptions(app=tmp_path, power_bi=option).environment({"PATH": "/bin", **environ})
    assert composed.get("POWER_BI_API_URL") == expected
    assert composed["PATH"] == "/bin"


@pytest.mark.parametrize("text", ["", "[]", '{"Values": []}', '{"Values": null}', "{}"])
def test_unusable_local_settings_are_left_to_the_host(tmp_path: Path, text: str) -> None:
    """It says what is wrong with them; here they hold nothing."""
    assert local_settings(tmp_path) == {}
    (tmp_path / "local.settings.json").write_text(text)
    assert local_settings(tmp_path) == {}
