"""One app and one Power BI service for each test process, or those that the environment names (`tests.e2e.world`)."""

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from dev.power_bi.server import serve
from dev.power_bi.service import PowerBiService
from devhost_tests.process import KEY, ROOT, Client, Devhost, Elsewhere
from tests.e2e.world import END_SECONDS, FAST, World

HERE = Path(__file__).parent
TEST_SECONDS = max(600.0, END_SECONDS * 5)
"""The time limit of a test that waits several times on a loaded machine. It makes no test longer."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Gives the tests over HTTP the time that a loaded machine needs."""
    for item in items:
        if item.path.is_relative_to(HERE) and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(TEST_SECONDS))


def elsewhere_of_environment() -> tuple[World, str] | None:
    """The app elsewhere and the key of its management API (empty if there is none); None to start an app here."""
    base = os.environ.get("E2E_BASE_URL")
    if not base:
        return None
    world = World(base.rstrip("/"), os.environ["E2E_POWER_BI_URL"], os.environ.get("E2E_FUNCTION_KEY"))
    return world, os.environ.get("E2E_MANAGEMENT_KEY", "")


@pytest.fixture(scope="session")
def hosted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[World, Client | None]]:
    """The app and its host; None as the host if the app runs elsewhere and its management key is not known."""
    elsewhere = elsewhere_of_environment()
    if elsewhere:
        world, key = elsewhere
        yield world, Elsewhere(world.app, key) if key else None
        return
    with ExitStack() as stack:
        service = stack.enter_context(serve(PowerBiService()))
        state = tmp_path_factory.mktemp("state")
        arguments = ("--key", KEY, "--exact-timers", "--no-schedules")
        env = {**FAST, "POWER_BI_API_URL": service.base_url}
        app = stack.enter_context(Devhost(ROOT, state, *arguments, env=env))
        yield World(app.base, service.base_url), app


@pytest.fixture(autouse=True)
def _quiet(request: pytest.FixtureRequest) -> Iterator[None]:
    """Ends the refreshes that a test leaves in progress, because the tests of this process share the app."""
    world = request.getfixturevalue("hosted")[0] if "hosted" in request.fixturenames else None
    yield
    if world:
        world.end_all()


@pytest.fixture(scope="session")
def world(hosted: tuple[World, Client | None]) -> World:
    """The app as its callers see it."""
    return hosted[0]


@pytest.fixture
def managed(hosted: tuple[World, Client | None]) -> tuple[World, Client]:
    """The app with the management API of its engine."""
    world, host = hosted
    if host is None:
        pytest.skip("the app under test runs elsewhere, and E2E_MANAGEMENT_KEY does not open its engine")
    return world, host


@pytest.fixture
def calling_back(managed: tuple[World, Client]) -> tuple[World, Client]:
    """An app that can call this machine."""
    name = urlsplit(managed[0].app).hostname
    if name not in ("127.0.0.1", "localhost"):
        pytest.skip("the app under test runs on another machine, so it cannot call this machine")
    return managed


@pytest.fixture
def local() -> None:
    """Skips if the test is not allowed to stop and start the app."""
    if os.environ.get("E2E_BASE_URL"):
        pytest.skip("the app under test runs elsewhere: the test cannot change its settings")
