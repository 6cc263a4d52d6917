"""The timers that clean up, run by hand on an app of their own."""

from pathlib import Path

import pytest
import requests

from dev.power_bi.server import serve
from dev.power_bi.service import PowerBiService
from devhost_tests.process import KEY, ROOT, Devhost, until
from tests.e2e.world import FAST, World

pytestmark = pytest.mark.usefixtures("local")


def run_now(app: Devhost, timer: str) -> None:
    """Runs a timer function outside its schedule."""
    assert app.post(f"/admin/functions/{timer}", json={}).status_code == 202


def instances(app: Devhost) -> dict[str, str]:
    """All instances of the engine that are no entities, and their statuses."""
    rows = app.get(f"/runtime/webhooks/durabletask/instances?code={KEY}").json()
    return {row["instanceId"]: row["runtimeStatus"] for row in rows if not row["instanceId"].startswith("@")}


def test_the_ended_are_purged_and_the_living_are_not(tmp_path: Path) -> None:
    """What ended longer ago than RETENTION_DAYS goes; a request that waits stays, however long it has."""
    with serve(PowerBiService()) as service:
        env = {**FAST, "POWER_BI_API_URL": service.base_url, "RETENTION_DAYS": "0.00001"}
        with Devhost(ROOT, tmp_path, "--key", KEY, "--exact-timers", env=env) as app:
            world = World(app.base, service.base_url)
            done = world.refreshed(world.model()).body["id"]
            waiting = world.ask(world.model(seconds=60))
            world.until(waiting["statusUri"], lambda status: status["status"] == "Refreshing")
            until(lambda: set(instances(app).values()) == {"Completed", "Running"}, 20)
            run_now(app, "purge_ended")
            app.said('"event": "housekeeping.purged", "instances": 2')
            left = instances(app)
            assert done not in left
            assert left[waiting["id"]] == "Running"
            assert requests.get(waiting["statusUri"], timeout=30).status_code == 202
            assert world.listing().json()["refreshes"][0]["id"] == waiting["id"]


def test_queues_with_nothing_to_forget_are_left_alone(tmp_path: Path) -> None:
    """One that remembers what ended just now, and one at work."""
    with serve(PowerBiService()) as service:
        env = {**FAST, "POWER_BI_API_URL": service.base_url}
        with Devhost(ROOT, tmp_path, "--key", KEY, "--exact-timers", env=env) as app:
            world = World(app.base, service.base_url)
            world.refreshed(world.model())
            busy = world.ask(world.model(seconds=60))
            world.until(busy["statusUri"], lambda status: status["status"] == "Refreshing")
            run_now(app, "tidy_queues")
            app.said('queues_tidied", "queues": 0, "swept": 0, "failed": 0, "visited": 2, "complete": true')


def test_a_queue_of_the_dead_is_cleared(tmp_path: Path) -> None:
    """Its request and its run were terminated by hand: nobody would ever speak to it again."""
    with serve(PowerBiService()) as service:
        env = {**FAST, "POWER_BI_API_URL": service.base_url}
        with Devhost(ROOT, tmp_path, "--key", KEY, "--exact-timers", env=env) as app:
            world = World(app.base, service.base_url)
            model = world.model(seconds=60)
            started = world.ask(model)
            status = world.until(started["statusUri"], lambda status: status["status"] == "Refreshing")
            for instance in (started["id"], f"{status['runId']}-g1"):
                route = f"/runtime/webhooks/durabletask/instances/{instance}/terminate?reason=tired&code={KEY}"
                assert app.post(route).status_code == 202
            assert world.queue(model).json()["waiting"] == 1
            run_now(app, "tidy_queues")
            app.said('"event": "housekeeping.queues_tidied", "queues": 0, "swept": 1')
            until(lambda: world.queue(model).json()["active"] is None, 20)
            # the refresh in flight goes on, so the next request waits for its end
            assert world.ask(model)["status"] == "Queued"
