"""GET /api/health over HTTP: the answer for a healthy app, and for a failure of each check.

Most failures are real (a killed engine, an identity endpoint that refuses, an old run of a timer). Only a storage that
cannot be reached is simulated, by `tests.e2e.engine_stub`.
"""

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests

from dev.identity_endpoint import IdentityEndpoint
from devhost_tests.process import KEY, ROOT, Devhost, until
from refresh.heartbeat import INTERVALS, MISSED
from refresh.times import instant
from tests.e2e import engine_stub
from tests.e2e.azure import azure
from tests.e2e.test_who_may_call import SIGN_IN
from tests.e2e.world import FAST
from triggers.http_health import ENGINE_SECONDS, KEPT_SECONDS, TOKEN_SECONDS

pytestmark = pytest.mark.usefixtures("local")

OFFLINE = {**FAST, "POWER_BI_API_URL": "http://127.0.0.1:9"}
"""Settings for an app without a Power BI service. /api/health does not call one."""
WITH_IDENTITY = {**FAST, "EXACT_TIMERS": ""}
SPARE_SECONDS = 50.0
"""Extra time on top of the limits of the checks, for a loaded machine. Without these limits, a check would take four
minutes."""

Json = dict[str, Any]


def health(app: Devhost) -> tuple[int, Json]:
    """Status and body of an answer. The report in it may be two seconds old."""
    answer = app.get("/api/health")
    assert answer.headers["Cache-Control"] == "no-store"
    body: Json = answer.json()
    assert set(body) == {"status", "checks"}
    assert set(body["checks"]) == {"engine", "storage", "token", "timers"}
    assert (answer.status_code == 200) == (body["status"] == "ok")
    return answer.status_code, body["checks"]


def wait_for_checks(app: Devhost, **expected: Any) -> Json:
    """Waits until the checks have these values, and returns them."""
    seen: Json = {}

    def matches() -> bool:
        seen.update(health(app)[1])
        return {name: seen[name] for name in expected} == expected

    until(matches, ENGINE_SECONDS + KEPT_SECONDS + SPARE_SECONDS, lambda: str(seen))
    return seen


def beat(app: Devhost, timer: str, at: datetime) -> None:
    """Stores that a timer ran at this time, as the timer itself does. The value is encoded twice, as by the SDK."""
    path = f"/entities/timer_heartbeat/{timer}?op=beat"
    assert app.manage("POST", path, json=json.dumps({"at": instant(at)})).status_code == 202


def wait_for_timers(app: Devhost, **expected: Json) -> None:
    """Waits until the app reports these values of these timers."""
    until(lambda: expected.items() <= health(app)[1]["timers"].items(), KEPT_SECONDS + SPARE_SECONDS)


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Devhost]:
    with Devhost(ROOT, tmp_path, "--keys", "--exact-timers", "--no-schedules", env=OFFLINE) as host:
        yield host


def test_a_new_app_is_healthy_and_open_to_all(app: Devhost) -> None:
    """The call needs no key. A timer that has not run yet is not late: the app may have been deployed just now."""
    code, checks = health(app)
    assert code == 200
    timers = checks.pop("timers")
    assert checks == {"engine": "passed", "storage": "passed", "token": "passed"}
    assert set(timers) == set(INTERVALS)
    assert not any(timer["late"] for timer in timers.values())


def test_each_timer_notes_its_runs(tmp_path: Path) -> None:
    with Devhost(ROOT, tmp_path, "--key", KEY, "--exact-timers", env=OFFLINE) as app:
        before = instant(datetime.now(UTC))
        for timer in INTERVALS:
            assert app.post(f"/admin/functions/{timer}", json={}).status_code == 202
        seen: Json = {}

        def all_ran() -> bool:
            seen.update(health(app)[1]["timers"])
            return all(timer["lastRun"] for timer in seen.values())

        until(all_ran, KEPT_SECONDS + SPARE_SECONDS, lambda: str(seen))
        assert all(before <= timer["lastRun"] and not timer["late"] for timer in seen.values())


def test_a_timer_that_missed_its_runs_is_late(app: Devhost) -> None:
    """A timer is late after three missed runs. Other timers that last ran at the same time are not late, because they
    run less often."""
    silent = datetime.now(UTC) - INTERVALS["tidy_queues"] * MISSED - timedelta(minutes=1)
    for timer in ("tidy_queues", "purge_ended"):
        beat(app, timer, silent)
    wait_for_timers(
        app,
        tidy_queues={"lastRun": instant(silent), "late": True},
        purge_ended={"lastRun": instant(silent), "late": False},
    )
    code, checks = health(app)
    assert (code, checks["storage"]) == (503, "passed")
    beat(app, "tidy_queues", datetime.now(UTC))
    until(lambda: health(app)[0] == 200, KEPT_SECONDS + SPARE_SECONDS)


def test_an_older_run_that_is_noted_late_changes_nothing(app: Devhost) -> None:
    now = datetime.now(UTC)
    beat(app, "tidy_queues", now)
    beat(app, "tidy_queues", now - timedelta(minutes=9))
    wait_for_timers(app, tidy_queues={"lastRun": instant(now), "late": False})


def test_a_storage_that_cannot_be_reached(app: Devhost, tmp_path: Path) -> None:
    """The engine, a stub of `tests.e2e.engine_stub`, answers but cannot read anything."""
    with engine_stub.engine("storageUnreachable") as address:
        engine_stub.point_host_to(tmp_path, address)
        with Devhost(ROOT, tmp_path, "--http-only", env=OFFLINE) as beside:
            code, checks = health(beside)
    assert code == 503
    assert checks == {"engine": "passed", "storage": "failed", "token": "passed", "timers": {}}


def test_a_dead_engine(app: Devhost, tmp_path: Path) -> None:
    with Devhost(ROOT, tmp_path, "--http-only", env=OFFLINE) as beside:
        assert health(beside)[0] == 200
        engine_stub.point_host_to(tmp_path, engine_stub.NOWHERE)
        checks = {"engine": "failed", "storage": "unknown", "timers": {}}
        assert wait_for_checks(beside, **checks)["token"] == "passed"
        assert health(beside)[0] == 503


def test_an_engine_that_never_answers(app: Devhost, tmp_path: Path) -> None:
    """If the engine never answers, a probe still gets its answer within seconds, although the SDK would wait for four
    minutes."""
    with engine_stub.engine("silent") as address:
        engine_stub.point_host_to(tmp_path, address)
        with Devhost(ROOT, tmp_path, "--http-only", env=OFFLINE) as beside:
            begun = time.monotonic()
            code, checks = health(beside)
            took = time.monotonic() - begun
    assert code == 503
    assert checks == {"engine": "failed", "storage": "unknown", "token": "passed", "timers": {}}
    assert took < ENGINE_SECONDS + SPARE_SECONDS


def test_a_failed_sign_in_is_reported_by_its_code_only(tmp_path: Path) -> None:
    """The endpoint refuses, is unavailable, or does not answer. The details of the sign-in service are not public."""
    with ExitStack() as stack:
        found = stack.enter_context(azure(tmp_path))
        env = {**WITH_IDENTITY, **found.settings}
        app = stack.enter_context(Devhost(ROOT, tmp_path / "state", "--key", KEY, env=env))
        found.identity.fail("noIdentity")
        checks = wait_for_checks(app, token="TokenUnavailable")
        assert health(app)[0] == 503
        assert {checks["engine"], checks["storage"]} == {"passed"}
        found.identity.fail("serverError")
        wait_for_checks(app, token="SignInUnavailable")
        assert "fetching the AAD Token" not in app.get("/api/health").text
        found.identity.fail("silent")
        time_limit = TOKEN_SECONDS + SPARE_SECONDS
        answers = [_timed(app) for _ in range(2)]
        assert max(answers) < time_limit
        found.identity.fail(None)
        until(lambda: health(app)[0] == 200, TOKEN_SECONDS + SPARE_SECONDS)
        _nothing_secret(app, found.identity)


def _timed(app: Devhost) -> float:
    begun = time.monotonic()
    health(app)
    return time.monotonic() - begun


def _nothing_secret(app: Devhost, identity: IdentityEndpoint) -> None:
    text = app.get("/api/health").text
    for secret in (KEY, identity.secret, "identity-", "Bearer", "http"):
        assert secret not in text


def test_many_calls_cause_one_sign_in(tmp_path: Path) -> None:
    """Many calls of the route cause at most one request for a token in two seconds. The route needs no key, so any
    client can call it."""
    with ExitStack() as stack:
        found = stack.enter_context(azure(tmp_path))
        env = {**WITH_IDENTITY, **found.settings}
        app = stack.enter_context(Devhost(ROOT, tmp_path / "state", "--key", KEY, env=env))
        found.identity.fail("noIdentity")
        calls = 100
        with ThreadPoolExecutor(10) as pool:
            begun = time.monotonic()
            assert {code for code, _ in pool.map(lambda _: health(app), range(calls))} == {503}
        checks = (time.monotonic() - begun) / KEPT_SECONDS + 1
        assert 1 <= found.identity.calls <= checks < calls


def test_health_is_open_behind_the_platforms_sign_in(tmp_path: Path) -> None:
    """Behind the platform's sign-in, the route needs no token, because a probe has none."""
    with Devhost(ROOT, tmp_path, "--keys", "--exact-timers", env={**OFFLINE, **SIGN_IN}) as app:
        assert requests.get(f"{app.base}/api/health", timeout=30).status_code == 200
