"""`dev.py smoke`, run as a user runs it, against the app over HTTP: it passes, or fails with a helpful message.

The devhost lacks three things, for which there are stubs: the platform's sign-in (`tests.e2e.platform_sign_in`), the
identity endpoint (`dev.identity_endpoint`), and an engine whose storage cannot be reached (`tests.e2e.engine_stub`).
"""

import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import requests

from dev.power_bi.server import serve
from dev.power_bi.service import PowerBiService
from devhost_tests.process import KEY, ROOT, Devhost
from refresh.times import instant
from tests.e2e import engine_stub
from tests.e2e.azure import azure
from tests.e2e.platform_sign_in import signing_in
from tests.e2e.test_who_may_call import FACTORY, SIGN_IN
from tests.e2e.world import FAST, WORKSPACE, World

pytestmark = pytest.mark.usefixtures("local")

STRANGER_MODEL = "33333333-aaaa-bbbb-cccc-000000000003"
COMMERCIAL = "https://analysis.windows.net/powerbi/api"
COMMAND = "import sys; from dev import commands; sys.exit(commands.run(commands.parse(sys.argv[1:])))"
RUNS_WITHIN = 60


@dataclass(frozen=True)
class Result:
    """The exit code of the command, and the lines that it printed."""

    code: int
    lines: list[str]

    @property
    def failed(self) -> list[str]:
        """The names of the checks that failed."""
        return [line.removeprefix("FAILED").strip() for line in self.lines if line.startswith("FAILED")]

    @property
    def sentences(self) -> str:
        """The messages about the failed checks."""
        return "\n".join(line.strip() for line in self.lines if line.startswith(" "))


def smoke(url: str, *arguments: str, model: str | None = None) -> Result:
    """Runs the command in the environment of the tests, because dev.py itself could create a new environment."""
    named = ["--workspace", WORKSPACE, "--dataset", model] if model else []
    command = [sys.executable, "-c", COMMAND, "smoke", "--url", url, *named, *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=RUNS_WITHIN)
    assert "Traceback" not in done.stderr, done.stderr
    return Result(done.returncode, done.stdout.splitlines())


@dataclass(frozen=True)
class Guarded:
    """An app that checks keys."""

    app: Devhost
    world: World
    state: Path

    @property
    def key(self) -> str:
        """A function key."""
        return self.app.host_key()


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    state = tmp_path_factory.mktemp("state")
    with serve(PowerBiService()) as service:
        env = {**FAST, "POWER_BI_API_URL": service.base_url}
        with Devhost(ROOT, state, "--keys", "--exact-timers", env=env) as app:
            yield Guarded(app, World(app.base, service.base_url), state)


def test_an_app_with_keys_passes(guarded: Guarded) -> None:
    """An app that checks keys passes, and the smoke test starts no refresh in it."""
    model = guarded.world.model()
    result = smoke(guarded.world.app, "--key", guarded.key, model=model)
    assert (result.code, result.failed) == (0, [])
    assert [line.split(maxsplit=1)[1] for line in result.lines] == [
        "a start without credentials is refused",
        "headers of the platform's sign-in cannot be forged",
        "/api/health",
        "/api/check",
    ]
    world = replace(guarded.world, key=guarded.key)
    assert world.listing(datasetId=model).json()["refreshes"] == []
    assert guarded.world.own(model) == []


def test_without_a_model_the_check_of_one_is_left_out(guarded: Guarded) -> None:
    result = smoke(f"{guarded.world.app}/api/")
    assert result.code == 0
    assert result.lines[-1] == "passed  /api/check (skipped: no --workspace and --dataset)"


def test_credentials_that_do_not_open_the_app(guarded: Guarded) -> None:
    result = smoke(guarded.world.app, "--key", "wrong", model=guarded.world.model())
    assert (result.code, result.failed) == (1, ["/api/check"])
    assert "These credentials have no access to the app" in result.sentences


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ("notAuthorized", "has no role in the workspace: give it Contributor"),
        ("datasetNotFound", "does not see the model: give it Contributor"),
        ("notAccessible", "The tenant setting 'Service principals can call Fabric public APIs' is off"),
        ("tokenExpired", "check whether POWER_BI_CLOUD is the cloud of the tenant"),
    ],
)
def test_an_identity_without_access_to_power_bi(guarded: Guarded, fault: str, sentence: str) -> None:
    """The identity of the app lacks a role or a permission. In the last case, the cloud does not know the token."""
    model = guarded.world.model()
    guarded.world.fault(model, fault, "any", count=20)
    result = smoke(guarded.world.app, "--key", guarded.key, model=model)
    assert (result.code, result.failed) == (1, ["/api/check"])
    assert sentence in result.sentences


def test_sign_in_off(tmp_path: Path) -> None:
    """The app has AUTH_MODE key, but its host does not check keys. The smoke test stops after this check."""
    with Devhost(
        ROOT, tmp_path, "--key", KEY, "--exact-timers", env={**FAST, "POWER_BI_API_URL": "http://127.0.0.1:9"}
    ) as app:
        result = smoke(app.base)
    assert (result.code, result.failed) == (1, ["a start without credentials is refused"])
    assert len(result.lines) == 2
    assert "Sign-in is off: anyone can start refreshes" in result.sentences


def test_late_timers(tmp_path: Path) -> None:
    arguments = ("--keys", "--key", KEY, "--no-schedules")
    with Devhost(ROOT, tmp_path, *arguments, env={"POWER_BI_API_URL": "http://127.0.0.1:9"}) as app:
        long_ago = f'{{"at": "{instant(datetime.now(UTC) - timedelta(days=5))}"}}'
        for timer in ("tidy_queues", "purge_ended"):
            beat = app.manage("POST", f"/entities/timer_heartbeat/{timer}?op=beat", json=long_ago)
            assert beat.status_code == 202
        result = smoke(app.base)
    assert (result.code, result.failed) == (1, ["/api/health"])
    assert "Timers are late: tidy_queues (last run 20" in result.sentences
    assert "purge_ended (last run 20" in result.sentences


def test_a_storage_that_cannot_be_reached(tmp_path: Path) -> None:
    """The app is real; its engine is a stub that answers like the Durable extension without its storage."""
    with ExitStack() as stack:
        env = {**FAST, "POWER_BI_API_URL": "http://127.0.0.1:9"}
        stack.enter_context(Devhost(ROOT, tmp_path, "--keys", "--exact-timers", env=env))
        engine_stub.lead_to(tmp_path, stack.enter_context(engine_stub.engine("storageUnreachable")))
        beside = stack.enter_context(Devhost(ROOT, tmp_path, "--http-only", env=env))
        result = smoke(beside.base)
    assert (result.code, result.failed) == (1, ["/api/health"])
    assert "The storage account cannot be reached: check the state of the storage account" in result.sentences


def test_an_engine_that_does_not_answer(tmp_path: Path) -> None:
    env = {**FAST, "POWER_BI_API_URL": "http://127.0.0.1:9"}
    with ExitStack() as stack:
        stack.enter_context(Devhost(ROOT, tmp_path, "--keys", "--exact-timers", env=env))
        engine_stub.lead_to(tmp_path, engine_stub.NOWHERE)
        beside = stack.enter_context(Devhost(ROOT, tmp_path, "--http-only", env=env))
        result = smoke(beside.base)
    assert (result.code, result.failed) == (1, ["/api/health"])
    assert "The durable engine does not answer" in result.sentences


def test_the_wrong_cloud(tmp_path: Path) -> None:
    """POWER_BI_CLOUD is gcchigh, but the tenant belongs to the commercial cloud, which has no such resource.

    The caller sees the message of the sign-in service in the answer of `/api/check`; `/api/health` does not show it.
    """
    with ExitStack() as stack:
        found = stack.enter_context(azure(tmp_path))
        found.identity.resources = frozenset({COMMERCIAL})
        env = {**FAST, "EXACT_TIMERS": "", **found.settings, "POWER_BI_CLOUD": "gcchigh"}
        app = stack.enter_context(Devhost(ROOT, tmp_path / "state", "--keys", env=env))
        result = smoke(app.base, "--key", app.host_key(), model=STRANGER_MODEL)
        text = requests.get(f"{app.base}/api/health", timeout=30).text
    assert (result.code, result.failed) == (1, ["/api/health", "/api/check"])
    assert result.sentences.count("check its managed identity and AZURE_CLIENT_ID, and whether POWER_BI_CLOUD is") == 2
    assert "AADSTS500011" in result.sentences
    assert "AADSTS" not in text


def test_an_app_behind_the_platforms_sign_in(tmp_path: Path) -> None:
    """Passes with an allowed token. Fails with another token, without the sign-in, or if it refuses anonymous calls."""
    tokens = {"factory": FACTORY, "stranger": str(uuid.uuid4())}
    with ExitStack() as stack:
        service = stack.enter_context(serve(PowerBiService()))
        env = {**FAST, **SIGN_IN, "POWER_BI_API_URL": service.base_url}
        app = stack.enter_context(Devhost(ROOT, tmp_path, "--keys", "--exact-timers", env=env))
        model = World(app.base, service.base_url).model()
        front = stack.enter_context(signing_in(app.base, tokens))
        closed = stack.enter_context(signing_in(app.base, tokens, anonymous=False))
        allowed = smoke(front, "--token", "factory", model=model)
        refused = smoke(front, "--token", "stranger", model=model)
        bare = smoke(app.base, "--token", "factory", model=model)
        shut = smoke(closed, "--token", "factory", model=model)
    assert (allowed.code, allowed.failed) == (0, [])
    assert refused.failed == ["/api/check"]
    assert "ALLOWED_CALLERS" in refused.sentences
    assert bare.failed == ["headers of the platform's sign-in cannot be forged"]
    assert "Sign-in is off" in bare.sentences
    assert shut.failed == ["/api/health"]
    assert "unauthenticatedClientAction to AllowAnonymous" in shut.sentences
