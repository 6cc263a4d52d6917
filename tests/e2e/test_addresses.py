"""The URIs in answers, behind a gateway and with a different route prefix."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import requests

from dev.power_bi.server import serve
from dev.power_bi.service import PowerBiService
from devhost_tests.process import KEY, ROOT, Devhost, until
from tests.e2e.world import END_SECONDS, FAST, LONG, WORKSPACE, World

pytestmark = pytest.mark.usefixtures("local")

DEPLOYED = ("triggers", "orchestrators", "entities", "activities", "durable", "outbound", "refresh", "power_bi")

Json = dict[str, Any]


def deployed(folder: Path, prefix: str) -> Path:
    """A copy of the app with a different route prefix."""
    for name in DEPLOYED:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "function_app.py", folder)
    host = (ROOT / "host.json").read_text("utf-8").replace('"routePrefix": "api"', f'"routePrefix": "{prefix}"')
    assert f'"{prefix}"' in host
    (folder / "host.json").write_text(host, "utf-8")
    return folder


def post(url: str, body: Json, **headers: str) -> requests.Response:
    """A start at a different address."""
    return requests.post(url, json={"workspaceId": WORKSPACE, **body}, headers=headers, timeout=30)


@pytest.mark.parametrize(("prefix", "path"), [("bi/api", "/bi/api/"), ("", "/")])
@pytest.mark.parametrize("gateway", ["", "https://gateway.example/power-bi"])
def test_every_uri_begins_with_the_called_address(tmp_path: Path, prefix: str, path: str, gateway: str) -> None:
    """The app's URIs and Durable's begin with the called address, and work through the gateway."""
    app = deployed(tmp_path, prefix)
    with serve(PowerBiService()) as service:
        env = {**FAST, "POWER_BI_API_URL": service.base_url, "EXPOSE_MANAGEMENT_URIS": "true"}
        with Devhost(
            app, tmp_path / "state", "--key", KEY, "--exact-timers", env={**env, "PUBLIC_BASE_URL": gateway}
        ) as host:
            world = World(host.base, service.base_url)
            base = gateway or host.base
            forwarded = {"X-Forwarded-Host": "evil.example", "X-Original-Host": "evil.example", "Forwarded": "host=x"}
            model = world.model(seconds=LONG)
            answer = post(f"{host.base}{path}refreshes", {"datasetId": model}, **forwarded)
            assert answer.status_code == 202, answer.text
            started = answer.json()
            own = f"{base}{path}refreshes/{started['id']}"
            assert answer.headers["Location"] == started["statusUri"]
            assert started["statusUri"].startswith(f"{own}?token=")
            assert started["cancelUri"].startswith(f"{own}?token=")
            managed = [uri for name, uri in started.items() if name.endswith("Uri") and not uri.startswith(own)]
            assert len(managed) >= 7
            assert all(uri.startswith(f"{base}/runtime/webhooks/durabletask/") for uri in managed)

            def inside(uri: str) -> str:
                return host.base + uri.removeprefix(base)

            in_progress = requests.get(inside(started["statusUri"]), timeout=30)
            assert (in_progress.status_code, in_progress.headers["Location"]) == (202, started["statusUri"])
            by_key = requests.get(f"{inside(own)}/status", timeout=30)
            assert (by_key.status_code, by_key.headers["Location"]) == (202, f"{own}/status")
            until(lambda: world.own(model), END_SECONDS)
            world.end(model)
            assert world.follow(inside(started["statusQueryGetUri"])).code == 200
            assert requests.delete(inside(started["cancelUri"]), timeout=30).status_code == 200
            assert requests.get(f"{host.base}/api/refreshes", timeout=30).status_code == 404
