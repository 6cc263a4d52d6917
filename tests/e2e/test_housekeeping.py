"""The timers that clean up, run by hand in an app for the test alone, in which no timer runs on its schedule."""

from pathlib import Path

import pytest
import requests

from dev.power_bi.server import serve
from dev.power_bi.service import PowerBiService
from devhost_tests.process import KEY, ROOT, Devhost, until
from tests.e2e.world import FAST, World

pytestmark = pytest.mark.usefixtures("local")


def run_now(app: Devhost, timer: str) -> None:
    """Runs a timer function and waits for its end."""
    assert app.post(f"/admin/devhost/timers/{timer}", json={}).status_code == 200


def instances(app: Devhost) -> dict[str, str]:
    """All instances of the engine that are not entities, and their statuses."""
    rows = app.get(f"/runtime/webhooks/durabletask/instances?code={KEY}").json()
    return {row["instanceId"]: row["runtimeStatus"] for row in rows if not row["instanceId"].startswith("@")}


def state_of(app: Devhost, entity: str) -> object:
    """The state of an entity; None if it was deleted."""
    answer = app.get(f"/runtime/webhooks/durabletask/entities/{entity}?code={KEY}")
    return answer.json() if answer.content else None


def test_ended_instances_are_purged_and_others_are_not(tmp_path: Path) -> None:
    """Ended instances older than RETENTION_DAYS are deleted; a waiting request stays, no matter how old it is."""
    with serve(PowerBiService()) as service:
        env = {**FAST, "POWER_BI_API_URL": service.base_url, "RETENTION_DAYS": "0.00001"}
        with Devhost(ROOT, tmp_path, "--key", KEY, "--exact-timers", "--no-schedules", env=env) as app:
            world = World(app.base, service.base_url)
            old, busy = world.model(), world.model(seconds=60)
            done = world.refreshed(old).body["id"]
            waiting = world.ask(busy)
            world.until(waiting["statusUri"], lambda status: status["status"] == "Refreshing")
            until(lambda: set(instances(app).values()) == {"Completed", "Running"}, 20)
            run_now(app, "purge_ended")
            app.wait_for_log('"event": "housekeeping.purged", "instances": 2')
            app.wait_for_log('"event": "housekeeping.models_forgotten", "shards": 1')
            until(lambda: state_of(app, f"model_record/{old}") is None, 20)
            assert app.get(f"/api/models/{old}").status_code == 404
            assert app.get(f"/api/models/{busy}").json()["activity"] == "refreshing"
            left = instances(app)
            assert done not in left
            assert left[waiting["id"]] == "Running"
            assert requests.get(waiting["statusUri"], timeout=30).status_code == 202
            assert world.listing().json()["refreshes"][0]["id"] == waiting["id"]


def test_queues_without_expired_entries_are_not_signalled(tmp_path: Path) -> None:
    """One queue has recent entries, another one has an active run."""
    with serve(PowerBiService()) as service:
        env = {**FAST, "POWER_BI_API_URL": service.base_url}
        with Devhost(ROOT, tmp_path, "--key", KEY, "--exact-timers", "--no-schedules", env=env) as app:
            world = World(app.base, service.base_url)
            world.refreshed(world.model())
            busy = world.ask(world.model(seconds=60))
            world.until(busy["statusUri"], lambda status: status["status"] == "Refreshing")
            run_now(app, "tidy_queues")
            app.wait_for_log('queues_tidied", "queues": 0, "swept": 0, "failed": 0, "visited": 2, "complete": true')


def test_a_queue_of_terminated_instances_is_cleared(tmp_path: Path) -> None:
    """A request and its run are terminated by hand, so neither signals the queue again. The timer clears the queue."""
    with serve(PowerBiService()) as service:
        env = {**FAST, "POWER_BI_API_URL": service.base_url}
        with Devhost(ROOT, tmp_path, "--key", KEY, "--exact-timers", "--no-schedules", env=env) as app:
            world = World(app.base, service.base_url)
            model = world.model(seconds=60)
            started = world.ask(model)
            status = world.until(started["statusUri"], lambda status: status["status"] == "Refreshing")
            for instance in (started["id"], f"{status['runId']}-g1"):
                route = f"/runtime/webhooks/durabletask/instances/{instance}/terminate?reason=tired&code={KEY}"
                assert app.post(route).status_code == 202
            assert world.queue(model).json()["waiting"] == 1
            run_now(app, "tidy_queues")
            app.wait_for_log('"event": "housekeeping.queues_tidied", "queues": 0, "swept": 1')
            until(lambda: world.queue(model).json()["active"] is None, 20)
            # the refresh in progress continues, so the next request waits for its end
            assert world.ask(model)["status"] == "Queued"
