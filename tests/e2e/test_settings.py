"""Settings and keys that change the contract, each with an app of its own."""

import json
from pathlib import Path

import pytest
import requests

from dev.power_bi.server import serve
from dev.power_bi.service import PowerBiService
from devhost_tests.process import KEY, ROOT, Devhost, until
from tests.e2e.world import FAST, WORKSPACE, World

pytestmark = pytest.mark.usefixtures("local")


def test_durables_own_uris(tmp_path: Path) -> None:
    """With EXPOSE_MANAGEMENT_URIS, statusQueryGetUri is the engine's own URI: 200 for success and 500 for failure."""
    with serve(PowerBiService()) as service:
        env = {**FAST, "POWER_BI_API_URL": service.base_url, "EXPOSE_MANAGEMENT_URIS": "true"}
        with Devhost(ROOT, tmp_path, "--key", KEY, "--exact-timers", env=env) as app:
            world = World(app.base, service.base_url)
            for outcome, code in (("Completed", 200), ("Failed", 500)):
                started = world.ask(world.model(outcome=outcome))
                assert {"terminatePostUri", "purgeHistoryDeleteUri"} <= set(started)
                assert len(json.dumps(started)) < 4096
                assert "/runtime/webhooks/durabletask/instances/" in started["statusQueryGetUri"]
                result = world.follow(started["statusQueryGetUri"])
                ours = world.follow(started["statusUri"])
                assert (result.started.status_code, result.code) == (202, code)
                assert result.body["runtimeStatus"] == ours.body["runtimeStatus"]
                assert result.body["input"] is None
                if outcome == "Failed":
                    assert ours.body["error"]["message"] in result.body["output"]
                else:
                    assert result.body["output"]["refreshId"] == ours.body["refreshId"]


def test_keys(tmp_path: Path) -> None:
    """If the host checks keys, starting and listing need a key. A status URI works with its token alone."""
    with serve(PowerBiService()) as service:
        env = {**FAST, "POWER_BI_API_URL": service.base_url, "ALLOWED_WORKSPACES": WORKSPACE}
        with Devhost(ROOT, tmp_path, "--keys", "--exact-timers", env=env) as app:
            key = app.host_key()
            stranger, world = World(app.base, service.base_url), World(app.base, service.base_url, key)
            model = world.model()
            options = {"workspaceId": WORKSPACE, "datasetId": model}
            for refused in (stranger.post(options), stranger.listing()):
                # the host, not the app, gives this answer: docs/api.md tells clients to expect no body
                assert (refused.status_code, refused.content) == (401, b"")
            assert world.truth(model)["calls"]["start"] == 0
            assert world.refresh(model).code == 200
            assert len(world.listing(datasetId=model).json()["refreshes"]) == 1
            assert key not in app.log.replace(key_line(app), "")
            other = world.post({**options, "workspaceId": "99999999-aaaa-bbbb-cccc-000000000001"})
            assert (other.status_code, other.json()["error"]["target"]) == (400, "workspaceId")


def test_tokens_stay_out_of_the_log(tmp_path: Path) -> None:
    """The log contains neither tokens for Power BI nor the tokens of our URIs."""
    with serve(PowerBiService()) as service:
        env = {**FAST, "POWER_BI_API_URL": service.base_url}
        with Devhost(ROOT, tmp_path, "--key", KEY, "--exact-timers", env=env) as app:
            world = World(app.base, service.base_url)
            model = world.model(outcome="Failed")
            world.fault(model, "tokenExpired", "history")
            started = world.ask(model)
            assert world.follow(started["statusUri"]).code == 424
            requests.delete(started["cancelUri"], timeout=30)
            app.wait_for_log("request.ended")
            secrets = {uri.split("token=")[1] for uri in (started["statusUri"], started["cancelUri"])}
            for secret in (*secrets, "development-"):
                assert secret not in app.log


def test_a_bad_setting_stops_the_start(tmp_path: Path) -> None:
    """The log names the setting and the values that it can have."""
    app = Devhost(ROOT, tmp_path, env={"POLL_MIN_SECONDS": "soon"})
    assert app.ready == ""
    assert app.process.wait(15) != 0
    app.wait_for_log("App setting POLL_MIN_SECONDS: must be a number")
    app.stop()


def key_line(app: Devhost) -> str:
    """The line in which the devhost prints its keys."""
    until(lambda: any("host key" in line.lower() for line in app.lines), 10, lambda: app.log)
    return next(line for line in app.lines if "host key" in line.lower())
